"""The rules of scrubbing one by one: a case in which breaking the rule changes the number, and both numbers.

`right` is what a claim scores; `wrong` is what an engine that breaks the rule would say. Each case is put to both
engines, the one that enumerates and, over many draws, the one that samples. Integers are uniform over the rows.
Examples A to H are worked out by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx
import pytest
import torch
from graph_cases import ERROR, claim_of, exact, feature, graph_of, sampled, story_of

import scrub
from scrub import Interpretation, nodes

DIGITS = range(10)
SIGNS = [{"z": -1}, {"z": 1}]
FOUR = [{"x": x, "label": x} for x in range(4)]


Score = Callable[..., Any]


def enumerated(*case: Any, **options: Any) -> Any:
    return pytest.approx(exact(*case, **options), rel=1e-9, abs=1e-9)


@pytest.fixture(params=[enumerated, sampled], ids=["exact", "sampled"])
def score(request: pytest.FixtureRequest) -> Score:
    """The mean metric of a claim, with the room that rounding leaves, or drawing."""
    return request.param


def square(z: int) -> int:
    return z * z


def half(x: int) -> int:
    return x // 2


def test_example_a_a_true_claim_loses_nothing(score: Score) -> None:
    graph = graph_of(a=lambda x: 2 * x, b=lambda y: 3 * y, out=lambda a, b: a + b)
    sites = {"u": nodes("a"), "w": nodes("b"), "answer": nodes("out").reads(a="u", b="w")}
    rows = [{"x": x, "y": y, "label": 2 * x + 3 * y} for x in DIGITS for y in DIGITS]
    story = story_of(u="x", w="y", answer="u w")
    right, wrong = 0, 9.9  # a claim that draws both at random loses as much as example B and more
    assert score(graph, story, sites, rows, metric=ERROR) == right
    lost = {"u": nodes("a"), "w": nodes("b"), "answer": nodes("out").reads(a="u").omits("w")}
    assert right != score(graph, story, lost, rows, metric=ERROR) == wrong


def test_example_b_half_of_the_input_is_unclaimed() -> None:
    graph = graph_of(a=lambda x: 2 * x, b=lambda x: 3 * x, out=lambda a, b: a + b)
    sites = {"u": nodes("a"), "answer": nodes("out").reads(a="u")}
    rows = [{"x": x, "label": 5 * x} for x in DIGITS]
    right, whole, nothing = 9.9, 0, 16.5
    found = scrub.test(claim_of(graph, story_of(u="x", answer="u"), sites, rows, metric=ERROR), exact=True)
    assert found.metric.scrubbed == pytest.approx(right)
    assert (found.metric.model, found.metric.random) == (whole, pytest.approx(nothing))
    assert found.recovered.value == pytest.approx(1 - right / nothing)


def copies() -> nx.DiGraph:
    return graph_of(a=lambda z: z, b=lambda z: z, out=lambda a, b: a * b)


def test_rule_1_a_donor_agrees_with_the_row_that_calls(score: Score) -> None:
    """`high` is drawn within {0, 1} or {2, 3}; `low` then agrees with that row, not with the reference."""
    graph = graph_of(h=lambda x: x, g=lambda h: h, out=lambda g: g)
    story = Interpretation()
    story.variable(feature("low", "x", lambda x: x))
    story.variable(feature("high", "low", half))
    story.variable(feature("answer", "high", lambda high: high))
    sites = {"low": nodes("h"), "high": nodes("g"), "answer": nodes("out")}
    right, wrong = 0.5, 0.0  # agreeing with the reference, low would be x itself
    assert wrong != score(graph, story, sites, FOUR, metric=ERROR) == right


def squared_signs(*names: str) -> Interpretation:
    story = Interpretation()
    for name in names:
        story.variable(feature(name, "z", square))
    story.variable(story_variable("answer", *names))
    return story


def story_variable(name: str, *parents: str) -> Callable[..., Any]:
    return story_of(**{name: " ".join(parents)}).variables[name].function


def test_rule_2_example_d_the_story_is_unrolled(score: Score) -> None:
    sites = {"u": nodes("a"), "w": nodes("b"), "answer": nodes("out").reads(a="u", b="w")}
    right, wrong = 0, 1  # one sample for both copies gives z * z = 1
    assert wrong != score(copies(), squared_signs("u", "w"), sites, SIGNS) == right
    common = score(copies(), squared_signs("u", "w"), sites, SIGNS, together=[("u", "w")])
    assert right != common == wrong


def test_rule_2_one_variable_with_two_readers_is_sampled_for_each(score: Score) -> None:
    graph = graph_of(c=lambda z: z, a=lambda c: c, b=lambda c: c, out=lambda a, b: a * b)
    story = Interpretation()
    story.variable(feature("s", "z", square))
    story.variable(feature("u", "s", square))
    story.variable(feature("w", "s", square))
    story.variable(story_variable("answer", "u", "w"))
    sites = {
        "s": nodes("c"), "u": nodes("a"), "w": nodes("b"), "answer": nodes("out").reads(a="u", b="w")
    }  # fmt: skip
    right, wrong = 0, 1
    assert wrong != score(graph, story, sites, SIGNS) == right
    # a common donor of u and w leaves their subtrees on their own
    assert wrong != score(graph, story, sites, SIGNS, together=[("u", "w")]) == right


def test_rule_2_several_sites_are_one_occurrence_each(score: Score) -> None:
    graph = graph_of(a=lambda z: z, b=lambda z: z, m=lambda a, b: a * b, out=lambda m: m)
    apart = {"u": (nodes("a"), nodes("b")), "answer": nodes("out").reads(m="u")}
    joined = {"u": nodes("a b"), "answer": nodes("out").reads(m="u")}
    right, wrong = 0, 1  # as one site of two components they have one donor
    assert wrong != score(graph, squared_signs("u"), apart, SIGNS, through="m") == right
    assert right != score(graph, squared_signs("u"), joined, SIGNS, through="m") == wrong


def test_rule_2_together_agrees_on_all_at_once(score: Score) -> None:
    """u is x // 2 and w is x % 2: a donor that agrees on both is x; donors for each give a sum of two rows."""
    graph = graph_of(a=lambda x: x, b=lambda x: 10 * x, out=lambda a, b: a + b)
    story = Interpretation()
    story.variable(feature("u", "x", half))
    story.variable(feature("w", "x", lambda x: x % 2))
    story.variable(story_variable("answer", "u", "w"))
    sites = {"u": nodes("a"), "w": nodes("b"), "answer": nodes("out").reads(a="u", b="w")}
    rows = [{"x": x, "label": 11 * x} for x in range(4)]
    right, wrong = 0, (0 + 1 + 20 + 21) / 4  # apart: u misses x by 0 or 1, 10 * w by 0 or 20
    assert wrong != score(graph, story, sites, rows, metric=ERROR, together=[("u", "w")]) == right
    apart = score(graph, story, sites, rows, metric=ERROR)
    assert right != apart == _mean_error_apart()


def _mean_error_apart() -> float:
    errors = [
        abs(a + 10 * b - 11 * x) for x in range(4) for a in (x - x % 2, x - x % 2 + 1) for b in (x % 2, x % 2 + 2)
    ]
    return sum(errors) / len(errors)


@pytest.mark.parametrize(("scope", "expected"), [("occurrence", 1), ("draw", 1), ("input", 0)])
def test_rule_3_example_c_one_rest_for_all_inputs_of_an_occurrence(scope: str, expected: float, score: Score) -> None:
    right, wrong = expected, 1 - expected
    found = score(copies(), story_of(answer="z"), {"answer": nodes("out")}, SIGNS, rest_scope=scope)
    assert wrong != found == right


@pytest.mark.parametrize(("scope", "expected"), [("occurrence", 0), ("draw", 1)])
def test_rule_3_every_occurrence_draws_a_rest_of_its_own(scope: str, expected: float, score: Score) -> None:
    """a = s z on one rest, out = a z on another: z z is 1 only where one row serves the whole tree."""
    graph = graph_of(a=lambda s, z: s * z, out=lambda a, z: a * z)
    sites = {"u": nodes("s"), "w": nodes("a").reads(s="u"), "answer": nodes("out").reads(a="w")}
    rows = [{"s": 1, "z": z} for z in (-1, 1)]
    right, wrong = expected, 1 - expected
    assert wrong != score(graph, story_of(u="s", w="u", answer="w"), sites, rows, rest_scope=scope) == right


def test_rule_4_a_draw_may_return_the_calling_row(score: Score) -> None:
    """Two rows: with replacement half of the draws are the row itself."""
    graph = graph_of(h=lambda x: x, out=lambda h: h)
    rows = [{"x": x, "label": x} for x in (0, 1)]
    right, wrong = 0.5, 1.0  # without itself, every swap would be with the other row
    assert wrong != score(graph, story_of(answer="x"), {"answer": nodes("out")}, rows, metric=ERROR) == right
    constant = Interpretation()
    constant.variable(feature("u", "x", lambda x: None))
    constant.variable(story_variable("answer", "u"))
    sites = {"u": nodes("h"), "answer": nodes("out")}
    found = scrub.test(claim_of(graph, constant, sites, rows, metric=ERROR), draws=400)
    assert wrong != score(graph, constant, sites, rows, metric=ERROR) == right
    assert found.swaps[0].self_swaps == pytest.approx(right, abs=0.06)
    assert found.metric.scrubbed == pytest.approx(right, abs=0.06)


def test_rule_5_no_donor_is_drawn_for_the_output(score: Score) -> None:
    """The answer's value is x // 2; a donor that agreed on it would change x by one half of the time."""
    graph = graph_of(h=lambda x: x, out=lambda h: h)
    story = Interpretation()
    story.variable(feature("u", "x", lambda x: x))
    story.variable(feature("answer", "u", half))
    right, wrong = 0, 0.5
    sites = {"u": nodes("h"), "answer": nodes("out")}
    assert wrong != score(graph, story, sites, FOUR, metric=ERROR) == right


def test_rule_5_labels_are_those_of_the_reference(score: Score) -> None:
    """Nothing is claimed: |x' - x| is 5/4 on average; with the label of the row read it would be 0."""
    case = graph_of(out=lambda x: x), story_of(answer="x"), {"answer": nodes("out")}, FOUR
    right, wrong = 1.25, 0
    assert wrong != score(*case, metric=ERROR) == right
    assert scrub.test(claim_of(*case, metric=ERROR), exact=True).metric.random == right


def test_rule_5_the_models_own_answer_is_that_of_the_reference(score: Score) -> None:
    """kl to the model's answer on x: two rows with opposite answers, met half of the time."""
    graph = graph_of(out=lambda p: p)
    rows = [{"p": (0.0, 3.0)}, {"p": (3.0, 0.0)}]
    p = torch.tensor([0.0, 3.0], dtype=torch.float64).log_softmax(-1)
    right, wrong = 0.5 * float((p.exp() * (p - p.flip(0))).sum()), 0.0
    found = score(graph, story_of(answer="label"), {"answer": nodes("out")}, rows, metric="kl")
    assert wrong != found == right


def test_rule_6_a_paired_rest_is_the_partner(score: Score) -> None:
    """Of 0 to 3 the partner is the next one, of 3 it is 0: off by 1, 1, 1 and 3."""
    rows = [{"x": x, "label": x, "mate": (x + 1) % 4} for x in range(4)]
    right, wrong = 1.5, 1.25  # of a row drawn
    case = graph_of(out=lambda x: x), story_of(answer="x"), {"answer": nodes("out")}, rows
    assert wrong != score(*case, metric=ERROR, rest="paired", pair="mate") == right


@pytest.mark.parametrize(("options", "right"), [({"within": "half"}, 0.5), ({"rest_rows": "zero"}, 1.5)])
def test_rule_12_rests_are_drawn_where_the_claim_says(options: dict[str, str], right: float, score: Score) -> None:
    rows = [{"x": x, "label": x, "half": x // 2, "zero": x == 0} for x in range(4)]
    wrong = 1.25  # from all rows
    case = graph_of(out=lambda x: x), story_of(answer="x"), {"answer": nodes("out")}, rows
    assert wrong != score(*case, metric=ERROR, **options) == right


def test_rule_12_donors_stay_in_the_stratum(score: Score) -> None:
    graph = graph_of(h=lambda x: x, out=lambda h: h)
    story = Interpretation()
    story.variable(feature("u", "x", lambda x: None))
    story.variable(story_variable("answer", "u"))
    rows = [{"x": x, "label": x, "half": x // 2} for x in range(4)]
    right, wrong = 0.5, 1.25
    assert (
        wrong
        != score(graph, story, {"u": nodes("h"), "answer": nodes("out")}, rows, metric=ERROR, within="half")
        == right
    )


def path_graph(outer: Callable[[int], int]) -> nx.DiGraph:
    def h2(x: int, h1: int) -> int:
        return outer(x + h1)

    return graph_of(h1=lambda x: 2 * x, h2=h2, out=lambda x, h1, h2: x + h1 + h2)


Reads = dict[str, dict[str, str]]

# name: (through, what each variable reads, right for example E, for example F, the wrong number for E)
PATHS: dict[str, tuple[str, Reads, int, int, int]] = {
    "x": ("", {"answer": {"x": "x"}}, 1, 1, 12),
    "h1, direct": ("", {"h": {}, "answer": {"h1": "h"}}, 2, 2, 8),
    "x > h2": ("", {"g": {"x": "x"}, "answer": {"h2": "g"}}, 3, 1, 9),
    "h1 > h2": ("", {"h": {}, "g": {"h1": "h"}, "answer": {"h2": "g"}}, 6, 4, 9),
    "both into h2": ("", {"h": {}, "g": {"h1": "h", "x": "x"}, "answer": {"h2": "g"}}, 9, 9, 6),
    "node h1": ("h2", {"h": {}, "answer": {"h1": "h", "h2": "h"}}, 8, 6, 2),
    "x, by way of h2": ("h2", {"answer": {"x": "x", "h2": "x"}}, 4, 2, 1),
    "all": ("all", {"answer": {"x": "x", "h1": "x", "h2": "x"}}, 12, 12, 3),
    "a channel that reads nothing stays on r": ("all", {"answer": {"x": "x", "h1": "x"}}, 3, 3, 12),
    "a context for each channel": ("h2", {"h": {}, "answer": {"h1": "h"}}, 2, 2, 8),
    "claimed nodes are not passed": ("all", {"h": {}, "answer": {"x": "x", "h1": "h", "h2": "x"}}, 6, 4, 12),
}


@pytest.mark.parametrize("path", PATHS)
def test_rule_7_examples_e_and_f_direct_or_through(path: str, score: Score) -> None:
    """x runs on 1 along the claimed paths and on 0 along all others; `h` is h1 as a leaf, `g` is h2."""
    through, reads, linear, squared, wrong = PATHS[path]
    where = {"h": nodes("h1"), "g": nodes("h2"), "x": nodes("x"), "answer": nodes("out")}
    parents = {name: " ".join(dict.fromkeys(read.values())) or "name" for name, read in reads.items()}
    used = {*reads, *(parent for read in reads.values() for parent in read.values())}
    sites = {name: where[name].reads(**reads[name]) if reads.get(name) else where[name] for name in used}
    rows = [{"x": 1, "name": "x", "zero": False}, {"x": 0, "name": "r", "zero": True}]
    options = {"rest_rows": "zero", "through": through, "scored": "on"}
    rows = [{**row, "on": not row["zero"]} for row in rows]
    for outer, right in ((lambda s: 3 * s, linear), (square, squared)):
        assert score(path_graph(outer), story_of(**parents), sites, rows, **options) == right
    assert linear != wrong


def test_example_g_the_norm_is_computed_anew(score: Score) -> None:
    def normalised(s: tuple[float, float], t: tuple[float, float]) -> float:
        x, y = s[0] + t[0], s[1] + t[1]
        return x / (x * x + y * y) ** 0.5

    rows = [
        {"s": (3.0, 0.0), "t": (1.0, 0.0), "name": "x", "rest": False, "on": True},
        {"s": (0.0, 0.0), "t": (0.0, 4.0), "name": "r", "rest": True, "on": False},
    ]
    sites = {"sender": nodes("s"), "answer": nodes("out").reads(s="sender")}
    right, wrong = 0.6, 0.75  # with the norm of r, 3 / 4
    story = story_of(sender="name", answer="sender")
    found = score(graph_of(out=normalised), story, sites, rows, rest_rows="rest", scored="on")
    assert wrong != found == right


@pytest.mark.parametrize(
    ("rest", "varying", "constant"), [("resample", 0.5, 5), ("mean", 0, 5), ("zero", 0, 0), ("keep", 0.5, 5)]
)
def test_example_h_rests_differ_before_a_kink(rest: str, varying: float, constant: float, score: Score) -> None:
    graph = graph_of(out=lambda z: max(z, 0))
    for values, right in (((-1, 1), varying), ((5, 5), constant)):
        rows = [{"z": z} for z in values]
        assert score(graph, story_of(answer="z"), {"answer": nodes("out")}, rows, rest=rest) == right


@pytest.mark.parametrize(("linked", "expected"), [(False, 0), (True, 10)])
def test_rule_9_mates_of_a_site_read_one_another_only_when_linked(linked: bool, expected: int, score: Score) -> None:
    graph = graph_of(a=lambda x: 1 * x, b=lambda a: 10 * a, out=lambda b: b)
    rows = [{"x": 1, "name": "x", "zero": False, "on": True}, {"x": 0, "name": "r", "zero": True, "on": False}]
    site = nodes("a b").linked() if linked else nodes("a b")
    sites = {"low": nodes("x"), "both": site.reads(x="low"), "answer": nodes("out")}
    right, wrong = expected, 10 - expected
    story = story_of(low="name", both="low", answer="both")
    assert wrong != score(graph, story, sites, rows, rest_rows="zero", scored="on") == right


def test_rule_9_a_channel_without_parents_reads_its_rest_whole(score: Score) -> None:
    """pattern * content: claiming what is moved takes where it is moved from r, even through everything."""
    graph = graph_of(k=lambda z: z, v=lambda z: z, out=lambda k, v: k * v)
    sites = {"u": nodes("z"), "answer": nodes("out").reads(v="u")}
    right, wrong = 0, 1
    story = story_of(u="z", answer="u")
    assert wrong != score(graph, story, sites, SIGNS, through="all") == right
    both = {"u": nodes("z"), "answer": nodes("out").reads(v="u", k="u")}
    assert right != score(graph, story, both, SIGNS, through="all") == wrong
