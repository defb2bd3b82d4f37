"""The oracle against numbers that were worked out by hand, and against the model at its two ends."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import networkx as nx
import pytest
import torch
from attrs import evolve
from torch import Tensor

from reference import baseline, scrubbed
from scrub.claims.check import Subject, check_claim
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import claim, recovers
from scrub.claims.interpretation import Interpretation
from scrub.claims.metric import Metric
from scrub.claims.resolved import Claim
from scrub.claims.sites import Site, embed, heads, logits, nodes
from scrub.model.computation import Computation
from scrub.model.layers import unembed
from scrub.model.trace import trace
from scrub.model.weights import Transformer
from strategies import checked, random_graph_claim, random_transformer_claim
from strategies_models import named, random_transformer

DIGITS = range(10)


def model_of(**functions: Callable[..., Any]) -> Computation:
    """A computation graph of functions; their arguments are its edges."""
    graph = nx.DiGraph()
    for name, function in functions.items():
        graph.add_node(name, function=function)
        graph.add_edges_from((a, name) for a in function.__code__.co_varnames[: function.__code__.co_argcount])
    return Computation.of(graph)


def story_of(**parents: str) -> Interpretation:
    """Variables that are the tuple of their parents: `h="x", answer="h x"`."""
    story = Interpretation()
    for name, read in parents.items():
        story.variable(named(name, read.split(), tuple))
    return story


def claim_of(
    model: Computation,
    story: Interpretation,
    places: dict[str, Site],
    rows: list[dict[str, Any]],
    **options: Any,
) -> Claim:
    data = Dataset.from_rows([{"columns": {"label": 0, **row}} for row in rows])
    metric = Metric(lambda output, row: 0.0, name="none")
    declare = claim(story, model="graph", data=data, metric=metric, expect=recovers(0.5), predicts="label", **options)
    found = check_claim(declare(lambda: places), Subject(model), data)
    assert found.claim is not None, str(found)
    return found.claim


def outcomes(found: Claim, model: Computation, reference: int, draws: int) -> list[Any]:
    """One value for each way in which the rows can be drawn: their mean is exact when all ways were met."""
    met: dict[tuple[Any, ...], Any] = {}
    for draw in range(draws):
        made: list[tuple[str, str, int]] = []
        value = scrubbed(found, model, 0, reference, draw, made)
        met[tuple(made)] = value
    return list(met.values())


def linear_sum() -> Computation:
    return model_of(a=lambda x: 2 * x, b=lambda y: 3 * y, out=lambda a, b: a + b)


def test_example_a_a_true_claim_loses_nothing() -> None:
    rows = [{"x": x, "y": y} for x in range(4) for y in range(4)]
    sites = {"u": nodes("a"), "w": nodes("b"), "answer": nodes("out").reads(a="u", b="w")}
    model = linear_sum()
    found = claim_of(model, story_of(u="x", w="y", answer="u w"), sites, rows)
    for reference, row in enumerate(rows):
        assert set(outcomes(found, model, reference, 20)) == {2 * row["x"] + 3 * row["y"]}


def test_example_b_half_of_the_input_is_unclaimed() -> None:
    model = model_of(a=lambda x: 2 * x, b=lambda x: 3 * x, out=lambda a, b: a + b)
    sites = {"u": nodes("a"), "answer": nodes("out").reads(a="u")}
    found = claim_of(model, story_of(u="x", answer="u"), sites, [{"x": x} for x in DIGITS])
    errors = []
    for x in DIGITS:
        values = outcomes(found, model, x, 150)
        assert len(values) == 10
        errors += [abs(value - 5 * x) for value in values]
    assert sum(errors) / len(errors) == pytest.approx(9.9)


def copies() -> Computation:
    return model_of(a=lambda z: z, b=lambda z: z, out=lambda a, b: a * b)


@pytest.mark.parametrize(("scope", "expected", "ways"), [("occurrence", 1, 2), ("input", 0, 4), ("draw", 1, 2)])
def test_example_c_one_rest_for_both_copies(scope: str, expected: float, ways: int) -> None:
    model = copies()
    found = claim_of(model, story_of(answer="z"), {"answer": nodes("out")}, [{"z": -1}, {"z": 1}], rest_scope=scope)
    for reference in (0, 1):
        values = outcomes(found, model, reference, 60)
        assert len(values) == ways
        assert sum(values) / ways == expected


@pytest.mark.parametrize(("together", "expected"), [([], 0), ([("u", "w")], 1)])
def test_example_d_a_story_is_unrolled_to_a_tree(together: list[tuple[str, str]], expected: float) -> None:
    story = Interpretation()
    for name in ("u", "w"):
        story.variable(named(name, ["z"], lambda values: values[0] ** 2))
    story.variable(named("answer", ["u", "w"], tuple))
    sites = {"u": nodes("a"), "w": nodes("b"), "answer": nodes("out").reads(a="u", b="w")}
    model = copies()
    found = claim_of(model, story, sites, [{"z": -1}, {"z": 1}], together=together)
    values = {tuple(sorted(made.items())): v for made, v in _by_donors(found, model, 200)}.values()
    assert sum(values) / len(values) == expected


def _by_donors(found: Claim, model: Computation, draws: int) -> Any:
    for draw in range(draws):
        made: list[tuple[str, str, int]] = []
        value = scrubbed(found, model, 0, 0, draw, made)
        yield {path: row for kind, path, row in made if kind == "donor"}, value


def square(z: int) -> int:
    return z * z


def times_three(z: int) -> int:
    return 3 * z


def path_model(outer: Callable[[int], int]) -> Computation:
    def h2(x: int, h1: int) -> int:
        return outer(x + h1)

    return model_of(h1=lambda x: 2 * x, h2=h2, out=lambda x, h1, h2: x + h1 + h2)


@pytest.mark.parametrize(
    ("through", "parents", "answer", "linear", "squared"),
    [
        ((), {}, {"x": "x"}, 1, 1),
        ((), {"h": {}}, {"h1": "h"}, 2, 2),
        ((), {"g": {"x": "x"}}, {"h2": "g"}, 3, 1),
        ((), {"h": {}, "g": {"h1": "h"}}, {"h2": "g"}, 6, 4),
        (("h2",), {"h": {}}, {"h1": "h", "h2": "h"}, 8, 6),
        (("h2",), {}, {"x": "x", "h2": "x"}, 4, 2),
        ((), {"h": {}, "g": {"h1": "h", "x": "x"}}, {"h2": "g"}, 9, 9),
        (("all",), {}, {"x": "x", "h1": "x", "h2": "x"}, 12, 12),
        (
            ("all",),
            {"h": {}},
            {"x": "x", "h1": "h", "h2": "x"},
            6,
            4,
        ),  # h1 is claimed: not passed on the way to h2
    ],
)
def test_examples_e_and_f_path_weights(
    through: tuple[str, ...],
    parents: dict[str, dict[str, str]],
    answer: dict[str, str],
    linear: int,
    squared: int,
) -> None:
    """x runs on 1 along the claimed paths and on 0 along all others; `h` is h1 as a leaf, `g` is h2."""
    where = {"h": nodes("h1"), "g": nodes("h2"), "x": nodes("x"), "answer": nodes("out")}
    reads = {**parents, "answer": answer}
    story = story_of(
        **{name: " ".join(dict.fromkeys(channels.values())) or "name" for name, channels in reads.items()}
    )
    used = {*reads, *(parent for channels in reads.values() for parent in channels.values())}
    sites = {name: where[name].reads(**reads[name]) if reads.get(name) else where[name] for name in used}
    rows = [{"x": 1, "name": "x", "zero": False}, {"x": 0, "name": "r", "zero": True}]
    for outer, expected in ((times_three, linear), (square, squared)):
        model = path_model(outer)
        found = claim_of(model, story, sites, rows, rest_rows="zero", through=through)
        assert scrubbed(found, model, 0, 0, 0) == expected


def test_example_g_the_norm_is_computed_anew() -> None:
    def normalised(s: tuple[float, float], t: tuple[float, float]) -> tuple[float, float]:
        x, y = s[0] + t[0], s[1] + t[1]
        return x / (x * x + y * y) ** 0.5, y / (x * x + y * y) ** 0.5

    model = model_of(out=normalised)
    rows = [
        {"s": (3.0, 0.0), "t": (1.0, 0.0), "name": "x", "rest": False},
        {"s": (0.0, 0.0), "t": (0.0, 4.0), "name": "r", "rest": True},
    ]
    story = story_of(sender="name", answer="sender")
    sites = {"sender": nodes("s"), "answer": nodes("out").reads(s="sender")}
    found = claim_of(model, story, sites, rows, rest_rows="rest")
    assert scrubbed(found, model, 0, 0, 0) == pytest.approx((0.6, 0.8))


@pytest.mark.parametrize(("rest", "varying", "constant"), [("resample", 0.5, 5), ("mean", 0, 5), ("zero", 0, 0)])
def test_example_h_rests_differ_before_a_kink(rest: str, varying: float, constant: float) -> None:
    model = model_of(out=lambda z: max(z, 0))
    for values, expected in (((-1, 1), varying), ((5, 5), constant)):
        rows = [{"z": z} for z in values]
        found = claim_of(model, story_of(answer="z"), {"answer": nodes("out")}, rows, rest=rest)
        several = set(outcomes(found, model, 1, 40))
        assert sum(several) / len(several) == expected
        assert {baseline(found, model, 0, 1, draw) for draw in range(40)} == several


def test_a_donor_agrees_with_the_row_that_calls() -> None:
    """Below a swapped parent the reference row has no say: only the parent's own sample has."""
    story = Interpretation()
    story.variable(named("low", ["x"], lambda values: values[0]))
    story.variable(named("high", ["low"], lambda values: values[0] // 2))
    story.variable(named("answer", ["high"], tuple))
    model = model_of(h=lambda x: x, g=lambda h: h, out=lambda g: g)
    sites = {"low": nodes("h"), "high": nodes("g"), "answer": nodes("out")}
    found = claim_of(model, story, sites, [{"x": x} for x in range(4)])
    assert set(outcomes(found, model, 0, 100)) == {0, 1}


def test_every_occurrence_has_a_rest_of_its_own() -> None:
    model = model_of(a=lambda s, z: s + z, out=lambda a, z: (a, z))
    sites = {"u": nodes("s"), "w": nodes("a").reads(s="u"), "answer": nodes("out").reads(a="w")}
    story = story_of(u="name", w="u", answer="w")
    rows = [{"s": 0, "z": z, "name": "x"} for z in (0, 1)]
    for scope, ways in (("occurrence", 4), ("draw", 2)):
        found = claim_of(model, story, sites, rows, rest_scope=scope)
        assert len(set(outcomes(found, model, 0, 100))) == ways


def test_linked_mates_see_one_another() -> None:
    model = model_of(a=lambda x: 1 * x, b=lambda a: 10 * a, out=lambda b: b)
    story = story_of(low="name", both="low", answer="both")
    rows = [{"x": 1, "name": "x", "zero": False}, {"x": 0, "name": "r", "zero": True}]
    for site, expected in ((nodes("a b"), 0), (nodes("a b").linked(), 10)):
        sites = {"low": nodes("x"), "both": site.reads(x="low"), "answer": nodes("out")}
        found = claim_of(model, story, sites, rows, rest_rows="zero")
        assert scrubbed(found, model, 0, 0, 0) == expected


def plain(model: Computation | Transformer, found: Claim, row: int, at: int) -> Any:
    """The model's own answer on a row, by its own forward; logits at the answer's position in row `at`."""
    if isinstance(model, Computation):
        return model.run(found.data.rows[row].columns)["out"]
    tokens = torch.tensor([found.data.rows[row].tokens])
    logits = unembed(model, trace(model, tokens, torch.tensor([tokens.shape[1]])))[0]
    slot = found.placement.placed["answer"].sites[0].site.at[0]
    return logits[int(found.data.locate(slot)[at])]


def close(a: Any, b: Any) -> bool:
    return torch.allclose(a, b, rtol=1e-9, atol=1e-9) if isinstance(a, Tensor) else a == pytest.approx(b, rel=1e-9)


@pytest.mark.parametrize("make", [random_graph_claim, random_transformer_claim])
def test_when_nothing_is_swapped_the_result_is_the_models_own(make: Callable[[Random], Any]) -> None:
    for seed in range(40):
        hypothesis, model, data = make(Random(seed))
        options = evolve(hypothesis.options, rest="keep", pair=None)
        found = checked(evolve(hypothesis, options=options), model, data)
        assert found is not None
        alone = {name: tuple(range(len(data))) for name in found.values}
        made: list[tuple[str, str, int]] = []
        value = scrubbed(evolve(found, values=alone), model, seed, 1, 0, made)
        assert {row for _, _, row in made} <= {1}
        assert close(value, plain(model, found, 1, 1))


@pytest.mark.parametrize("make", [random_graph_claim, random_transformer_claim])
def test_an_empty_claim_is_the_answer_on_a_row_drawn(make: Callable[[Random], Any]) -> None:
    for seed in range(20):
        hypothesis, model, data = make(Random(seed))
        options = evolve(hypothesis.options, rest="resample", pair=None, rest_scope="occurrence")
        found = checked(evolve(hypothesis, options=options), model, data)
        assert found is not None
        made: list[tuple[str, str, int]] = []
        scrubbed(found, model, seed, 0, 3, made)
        row = next(row for kind, path, row in made if (kind, path) == ("rest", "answer"))
        assert found.rest_from[row] or found.stratum[row] == found.stratum[0]
        assert close(baseline(found, model, seed, 0, 3), plain(model, found, row, row))


def final_stream(model: Transformer, data: Dataset, row: int, record: Any = None) -> Tensor:
    tokens = torch.tensor([data.rows[row].tokens])
    return trace(model, tokens, torch.tensor([tokens.shape[1]]), record)[0]


def first_head(model: Transformer, data: Dataset, row: int, at: int) -> Tensor:
    """z of the first head of a layer at the row's last position, on its own run."""
    found: dict[tuple[str, int], Tensor] = {}
    final_stream(model, data, row, lambda kind, layer, value: found.setdefault((kind, layer), value))
    return found["z", at][0, -1, 0]


def whole_text(rng: Random, model: Transformer, places: dict[str, Any], **options: Any) -> Claim:
    """A claim about rows of five random tokens; `text` may be read by the answer and `aside` is omitted."""
    rows = [[rng.randrange(9) for _ in range(5)] for _ in range(6)]
    columns = [{"kind": rng.randrange(2), "label": 1} for _ in rows]
    data = Dataset.from_rows([{"tokens": row, "columns": c} for row, c in zip(rows, columns, strict=True)])
    parents = " ".join(name for name in places if name != "answer")
    story = story_of(**dict.fromkeys(parents.split(), "kind"), answer=parents or "kind")
    declare = claim(
        story,
        model="random",
        data=data,
        metric="accuracy(label)",
        expect=recovers(0.5),
        predicts="label",
        **options,
    )
    found = checked(declare(lambda: places), model, data)
    assert found is not None
    return found


def test_a_pseudo_row_is_a_stream_of_means() -> None:
    """Where norms follow attention, a mean stream is what they make of means, and no mean of streams."""
    models = [model for seed in range(15) if not (model := random_transformer(Random(seed))).shape.post_norms]
    assert len(models) > 5
    for seed, model in enumerate(models):
        places = {"answer": logits("-1")}
        mean = whole_text(Random(seed), model, places, rest="mean", through="all")
        streams = [final_stream(model, mean.data, row)[-1] for row in range(len(mean.data))]
        expected = unembed(model, torch.stack(streams).mean(0))
        assert close(baseline(mean, model, 0, 0, 0), expected)
        assert close(scrubbed(mean, model, 0, 0, 0), expected)
        zero = whole_text(Random(seed), model, places, rest="zero")
        biases = [block.attn.b_O for block in model.blocks if block.attn.b_O is not None]
        expected = unembed(model, sum(biases, torch.zeros(model.shape.d_model, dtype=torch.float64)))
        assert close(baseline(zero, model, 0, 0, 0), expected)


def test_a_claimed_head_is_not_passed_through() -> None:
    """At its slot the last layer's first head stays on r; everything else is the donor's own run."""
    models = [m for seed in range(60) if not (m := random_transformer(Random(seed))).shape.d_mlp]
    models = [m for m in models if not m.shape.post_norms]  # where what a head writes is added as it is
    assert len(models) > 5
    for seed, model in enumerate(models):
        last = model.shape.n_layers - 1
        places = {"text": embed("all"), "aside": heads(f"{last}.0", at="-1")}
        places["answer"] = logits("-1").reads(input="text").omits("aside")
        found = whole_text(Random(seed), model, places, through="all")
        made: list[tuple[str, str, int]] = []
        value = scrubbed(found, model, seed, 0, 0, made)
        rows = {kind: row for kind, _, row in made}
        z = {kind: first_head(model, found.data, row, last) for kind, row in rows.items()}
        stream = final_stream(model, found.data, rows["donor"])[-1]
        expected = stream + (z["rest"] - z["donor"]) @ model.blocks[last].attn.W_O[0]
        assert close(value, unembed(model, expected))


def test_all_embeddings_through_everything_are_the_donors_run() -> None:
    for seed in range(20):
        model = random_transformer(Random(seed))
        found = whole_text(Random(seed), model, {"text": embed("all"), "answer": logits("-1")}, through="all")
        made: list[tuple[str, str, int]] = []
        value = scrubbed(found, model, seed, 0, 0, made)
        (donor,) = [row for kind, _, row in made if kind == "donor"]
        assert close(value, plain(model, found, donor, 0))
