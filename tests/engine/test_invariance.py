"""Batches, the order of rows and declarations, names and threads do not change the numbers; the seed does."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from graph_cases import ERROR, bench_of, claim_of, drawn_rows, graph_of, story_of
from hooked import mixed_rows

import scrub
from scrub import Dataset, Hypothesis, Interpretation, claim, embed, heads, logits, nodes, recovers
from scrub.claims.resolved import Claim
from scrub.claims.sites import Site
from scrub.engine import cache, footprint
from scrub.engine.draw import Drawn
from scrub.engine.upstream import representatives
from scrub.model.resolve import sound
from scrub.model.weights import Transformer
from scrub.score import sample
from scrub.score.result import Result
from scrub.verbs.setup import references
from strategies_models import named, random_transformer

DATA = mixed_rows(36, vocabulary=9)


def tiny() -> Transformer:
    """Three or more heads in each of several layers, with MLPs, on learned positions."""
    models = (random_transformer(Random(seed)) for seed in range(100))
    return next(m for m in models if m.shape.d_mlp and m.shape.n_heads == 4 and m.shape.positions == "learned")


MODEL = tiny()


def small_story(
    names: tuple[str, str, str, str] = ("a", "b", "c", "answer"), backwards: bool = False
) -> Interpretation:
    a, b, c, answer = names
    made = [
        named(a, ["kind"], lambda values: values[0]),
        named(b, ["other"], lambda values: values[0] % 3),
        named(c, [a, b], lambda values: sum(values) % 2),
        named(answer, [c], tuple),
    ]
    story = Interpretation()
    for function in reversed(made) if backwards else made:
        story.variable(function)
    return story


def sites_of(names: tuple[str, str, str, str] = ("a", "b", "c", "answer"), backwards: bool = False) -> dict[str, Any]:
    a, b, c, answer = names
    sites = {
        a: embed("A"),
        b: (heads("0.1", at="END"), heads("0.2", at="END")),
        c: heads("1.0 1.2", at="END").reads(q=b, k=f"{b} {a}", v=a),
        answer: logits("END"),
    }
    return dict(reversed(list(sites.items()))) if backwards else sites


def small_claim(
    data: Dataset = DATA, story: Interpretation | None = None, sites: Any = None, **options: Any
) -> Hypothesis:
    setting: dict[str, Any] = {"metric": "kl", "expect": recovers(0.5), "predicts": "label", "through": "mlps"}
    declare = claim(story or small_story(), model=MODEL, data=data, **{**setting, **options})
    return declare(sites or sites_of())


def run(hypothesis: Hypothesis, **options: Any) -> Result:
    return scrub.test(hypothesis, **{"draws": 4, "dtype": "float64", "explain": False, **options})


def numbers(result: Result) -> list[float]:
    m, u, r = result.metric, result.unexplained, result.recovered
    found = [m.model, m.scrubbed, m.random, u.aue, u.ate, r.value, r.low, r.high, result.bits.kept]
    assert None not in found
    return [float(number or 0) for number in found]


def same(a: Result, b: Result) -> None:
    np.testing.assert_allclose(numbers(a), numbers(b), rtol=1e-11, atol=1e-12)
    assert (a.verdict, a.digest) == (b.verdict, b.digest)


VARIANTS: dict[str, dict[str, Any]] = {
    "slots": {},
    "everywhere": {"through": "all"},
    "paired rows": {"rest": "paired", "pair": "mate"},
    "one rest": {"rest_scope": "draw"},
    "an input each": {"rest_scope": "input", "within": "length"},
    "means": {"rest": "mean", "within": "length"},
    "together": {"together": [("a", "b")]},
}


def with_mates(data: Dataset) -> Dataset:
    """Rows named by an `id`, each with a partner; the names do not depend on the order of the rows."""
    rows = [
        {"tokens": r.tokens, "positions": r.positions,
         "columns": {**r.columns, "id": f"n{r.columns['row']}", "mate": f"n{(r.columns['row'] + 5) % len(data)}"}}
        for r in data.rows
    ]  # fmt: skip
    return Dataset.from_rows(rows)


MATED = with_mates(DATA)


@pytest.fixture(scope="module", params=list(VARIANTS))
def variant(request: pytest.FixtureRequest) -> tuple[dict[str, Any], Result]:
    options = VARIANTS[request.param]
    return options, run(small_claim(MATED, **options))


Variant = tuple[dict[str, Any], Result]


def test_batches_do_not_matter(variant: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    options, whole = variant
    monkeypatch.setattr(sample, "CALLS_AT_ONCE", 61)
    monkeypatch.setattr(sample, "CALLS_AT_ONCE_EVERYWHERE", 37)
    monkeypatch.setattr(footprint, "CONTEXTS_AT_ONCE", 29)
    monkeypatch.setattr(cache, "ROWS_AT_ONCE", 13)
    same(run(small_claim(MATED, **options)), whole)


def test_the_order_of_rows_does_not_matter(variant: Variant) -> None:
    options, whole = variant
    order = np.random.default_rng(3).permutation(len(MATED))
    permuted = Dataset(MATED.rows[i] for i in order)
    assert permuted.digest == MATED.digest
    same(run(small_claim(permuted, **options)), whole)


def test_the_order_of_declaration_does_not_matter(variant: Variant) -> None:
    options, whole = variant
    same(run(small_claim(MATED, small_story(backwards=True), sites_of(backwards=True), **options)), whole)


def test_names_of_variables_do_not_matter(variant: Variant) -> None:
    """Not even their alphabetical order: neither draws nor the digest know them."""
    options, whole = variant
    names = ("zeta", "mu", "alpha", "beta")
    renamed = dict(zip("abc", names, strict=False))
    options = {**options, "together": [tuple(renamed[n] for n in g) for g in options.get("together", [])]}
    same(run(small_claim(MATED, small_story(names), sites_of(names), **options)), whole)


def test_threads_do_not_matter() -> None:
    whole, threads = run(small_claim()), torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        same(run(small_claim()), whole)
    finally:
        torch.set_num_threads(threads)
    assert torch.get_num_threads() == threads


def test_the_order_of_components_and_slots_does_not_matter() -> None:
    sites = sites_of()
    a = small_claim(sites={**sites, "a": embed("A B"), "b": heads("0.1", at="END")})
    turned = heads("1.2 1.0", at="END").reads(v="a", k="a b", q="b")
    b = small_claim(sites={**sites, "a": embed("B A"), "b": heads("0.1", at="END"), "c": turned})
    same(run(a), run(b))


def test_a_seed_repeats_and_another_changes_the_numbers() -> None:
    first, again, other = (run(small_claim(), seed=seed) for seed in (0, 0, 1))
    assert numbers(first) == numbers(again)
    assert first.metric.scrubbed != other.metric.scrubbed
    assert first.metric.random != other.metric.random
    assert first.metric.model == other.metric.model
    assert first.digest == other.digest


def test_draws_of_the_first_are_those_of_the_many() -> None:
    """Draw number i is the same whether 3 or 9 are taken."""
    claim, _ = sound(small_claim())
    few, many = drawn_rows(claim, 3), drawn_rows(claim, 9)
    for path, drawn in few.items():
        assert (drawn.own.reshape(-1, 3) == many[path].own.reshape(-1, 9)[:, :3]).all()
        assert (drawn.rest[:, 0].reshape(-1, 3) == many[path].rest[:, 0].reshape(-1, 9)[:, :3]).all()


def test_a_subset_of_rows_is_seeded_and_does_not_depend_on_their_order() -> None:
    order = np.random.default_rng(9).permutation(len(DATA))
    permuted = Dataset(DATA.rows[i] for i in order)
    here, there = (sound(small_claim(data))[0] for data in (DATA, permuted))

    def chosen(claim: Claim, seed: int) -> list[int]:
        return claim.data.identities[references(claim, 11, seed)].tolist()

    assert chosen(here, 0) == chosen(there, 0)
    assert len(set(chosen(here, 0))) == 11
    assert set(chosen(here, 0)) != set(chosen(here, 1))
    same(run(small_claim(DATA), rows=31), run(small_claim(permuted), rows=31))
    assert run(small_claim(DATA), rows=31).rows == 31
    everyone = references(here, None, 0)
    assert sorted(everyone) == list(range(len(DATA)))
    assert (references(here, 500, 0) == everyone).all()


def test_the_rows_of_a_subset_draw_what_they_draw_among_all() -> None:
    whole, part = run(small_claim()), run(small_claim(), rows=12)
    by_row = dict(zip(whole.table["row"].tolist(), whole.table["scrubbed"].tolist(), strict=True))
    of_part = [by_row[row] for row in part.table["row"].tolist()]
    np.testing.assert_allclose(part.table["scrubbed"], of_part, rtol=1e-11)


def equal(a: Drawn, b: Drawn) -> bool:
    return np.array_equal(a.own, b.own) and np.array_equal(a.rest, b.rest)


def test_rivals_share_every_draw_where_path_and_class_agree() -> None:
    """The rival has other parents of `c`: what hangs on the same path with the same classes is bit-equal."""
    mine = small_claim()
    reader = heads("1.0 1.2", at="END").reads(q="b", k="b", v="a")
    rival = mine.but(c=reader, b=(heads("0.1", at="END"), heads("0.3", at="END")))
    first, second = (drawn_rows(sound(h)[0]) for h in (mine, rival))
    shared = set(first) & set(second)
    c = "answer/input:1.0 1.2 @ END"
    assert shared == {"answer", c, f"{c}/k+q:0.1 @ END"}
    assert all(equal(first[path], second[path]) for path in shared)
    other = f"{c}/k+q:0.2 @ END", f"{c}/k+q:0.3 @ END"
    assert not equal(first[other[0]], second[other[1]])


def test_rivals_with_another_story_share_what_has_the_same_classes() -> None:
    """`c` has other classes in the rival: its donors differ, those of its neighbour do not."""

    def rival(divisor: int) -> dict[str, Drawn]:
        story = Interpretation()
        story.variable(named("c", ["other"], lambda values: values[0] // divisor))
        story.variable(named("d", ["kind"], lambda values: values[0]))
        story.variable(named("answer", ["c", "d"], tuple))
        sites = {"c": heads("1.0", at="END"), "d": heads("1.1", at="END"), "answer": logits("END")}
        return drawn_rows(sound(small_claim(story=story, sites=sites))[0])

    first, second = rival(3), rival(8)
    assert set(first) == set(second) == {"answer", "answer/input:1.0 @ END", "answer/input:1.1 @ END"}
    same_draws = {path for path in first if equal(first[path], second[path])}
    assert same_draws == {"answer", "answer/input:1.1 @ END"}


def test_the_baseline_is_shared_by_every_rival() -> None:
    mine = small_claim()
    results = [run(h) for h in (mine, mine.but(b=heads("0.0", at="END")), mine.but(through="all"))]
    assert len({result.metric.random for result in results}) == 1
    assert len({result.metric.scrubbed for result in results}) == 3


def test_draws_differ_between_paths_kinds_rows_and_draws() -> None:
    """With a class of 24 rows, equal words would show as equal columns."""
    claim, _ = sound(small_claim())
    found = drawn_rows(claim, 8)
    arrays = [found["answer"].rest[:, 0]] + [drawn.own for path, drawn in found.items() if path != "answer"]
    arrays += [drawn.rest[:, 0] for path, drawn in found.items() if path == "answer/input:1.0 1.2 @ END"]
    assert len({array.tobytes() for array in arrays}) == len(arrays) > 4
    rest = found["answer"].rest[:, 0].reshape(len(DATA), 8)
    assert len({row.tobytes() for row in rest}) == len(DATA)
    assert len({column.tobytes() for column in rest.T}) == 8


def test_draws_are_uniform_within_the_class() -> None:
    """Every member is drawn, each about equally often: a chi-squared statistic below its 1 in 10,000 tail."""
    claim, _ = sound(small_claim())
    found = drawn_rows(claim, 400)
    rest = np.bincount(found["answer"].rest[:, 0], minlength=len(DATA))
    expected = rest.sum() / len(DATA)
    assert (((rest - expected) ** 2) / expected).sum() < 57  # 23 degrees of freedom
    path = "answer/input:1.0 1.2 @ END"
    own, asked = found[path].own, found["answer"].own
    values = np.array(claim.values["c"])
    assert (values[own] == values[asked]).all()
    for value in (0, 1):
        members = np.flatnonzero(values == value)
        counts = np.bincount(own[values[asked] == value], minlength=len(DATA))[members]
        expected = counts.sum() / len(members)
        assert (((counts - expected) ** 2) / expected).sum() < 50


def test_a_graph_is_as_invariant(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for a computation graph, bit by bit but for the order of sums."""
    graph = graph_of(a=lambda x: 2 * x, b=lambda y: 3 * y, out=lambda a, b: a + b)
    rows = [{"x": x, "y": y, "label": 2 * x + 3 * y} for x in range(5) for y in range(4)]
    sites = {"u": nodes("a"), "w": nodes("b"), "answer": nodes("out").reads(a="u").omits("w")}
    story = story_of(u="x", w="y", answer="u w")
    mine = claim_of(graph, story, sites, rows, metric=ERROR)
    turned = claim_of(graph, story, dict(reversed(list(sites.items()))), list(reversed(rows)), metric=ERROR)
    same(run(mine), run(turned))
    whole = run(mine)
    monkeypatch.setattr(sample, "CALLS_AT_ONCE", 3)
    same(run(mine), whole)
    assert bench_of(mine).claim.digest == bench_of(turned).claim.digest


def test_donor_and_rest_of_an_occurrence_are_independent() -> None:
    """`c` has one value, so its donor is drawn from all rows as its rest is: they meet once in 24 times."""
    story = Interpretation()
    story.variable(named("a", ["kind"], lambda values: values[0]))
    story.variable(named("c", ["a"], lambda values: None))
    story.variable(named("answer", ["c"], tuple))
    sites = {"a": embed("END"), "c": heads("1.0", at="END").reads(v="a"), "answer": logits("END")}
    found = drawn_rows(sound(small_claim(story=story, sites=sites))[0], 100)
    c = found["answer/input:1.0 @ END"]
    pairs = [(c.own, c.rest[:, 0]), (found["answer"].rest[:, 0], c.rest[:, 0]), (found["answer"].rest[:, 0], c.own)]
    for one, other in pairs:
        assert (one == other).mean() == pytest.approx(1 / 24, abs=0.02)


@pytest.mark.parametrize("site", [heads("0.1", at="END"), embed("END"), heads("1.1", at="B END"), embed("all")])
def test_leaves_share_a_value_only_where_their_inputs_are_equal(site: Site) -> None:
    """Rows that differ in the last token of the site's reach, and rows that differ behind it."""
    tokens = [[1, 2, 3, 4], [1, 2, 5, 4], [1, 2, 3, 5], [1, 6, 3, 4]]
    rows = [{"tokens": t, "positions": {"B": 1, "END": 2}, "columns": {"kind": 0, "label": 1}} for t in tokens]
    sites = {"a": site, "answer": logits("END").reads(input="a")}
    story = story_of(a="kind", answer="a")
    h = small_claim(Dataset.from_rows(rows), story, sites, through="all")
    claim, _ = sound(h)
    shared = representatives(claim, site.components, site.at)
    reach = {"embed @ END": [0, 1, 0, 0], "embed @ all": [0, 1, 2, 3]}
    assert shared.tolist() == reach.get(str(site), [0, 1, 0, 3])
