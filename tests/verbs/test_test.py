"""The verbs: what they return, and what they refuse."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest

import scrub
from cli_cases import FALSE, HEAD
from model.tiny_models import native
from scrub.claims.problems import ClaimProblems
from scrub.claims.text import words
from scrub.errors import ClaimError, DataError, MetricError, ModelError, ScrubError
from scrub.model.resolve import data_of, sound
from scrub.model.source import find
from scrub.verbs.setup import references


class Own:
    """A tokenizer of a user's own that speaks as those of the library do."""

    def __init__(self, inner: Any) -> None:
        self.encode, self.decode, self.get_vocab_size = inner.encode, inner.decode, inner.get_vocab_size


SPACE: dict[str, Any] = {}
exec(HEAD + FALSE, SPACE)
Make = Callable[..., scrub.Hypothesis]
make: Make = SPACE["make"]
odd: Callable[[], dict[str, Any]] = SPACE["odd"]
rows: Callable[..., scrub.Dataset] = SPACE["rows"]


def test_verdicts() -> None:
    assert scrub.test(make()).verdict == "supported"
    assert scrub.test(make(odd)).verdict == "refuted"
    assert scrub.test(make(), exact=True).recovered.value == pytest.approx(1.0)


@pytest.mark.parametrize(("count", "verdict"), [(29, "undefined"), (30, "supported")])
def test_a_verdict_takes_thirty_rows(count: int, verdict: str) -> None:
    assert scrub.test(make(), rows=count).verdict == verdict
    assert scrub.test(make(data=lambda: rows(count))).verdict == verdict


def test_rows_takes_a_seeded_subset_of_the_scored_rows() -> None:
    def marked() -> scrub.Dataset:
        listed = [{"columns": {**row.columns, "even": i % 2 == 0}} for i, row in enumerate(rows().rows)]
        return scrub.Dataset.from_rows(listed)

    claim, _ = sound(make(data=marked, scored="even"))
    everything = references(claim, None, 0)
    assert sorted(everything) == list(range(0, 48, 2))
    assert references(claim, 99, 0).tolist() == everything.tolist()
    first, second = references(claim, 5, 0), references(claim, 5, 1)
    assert len(set(first.tolist())) == 5
    assert set(first.tolist()) <= set(everything.tolist())
    assert first.tolist() == references(claim, 5, 0).tolist() != second.tolist()
    assert set(references(claim, 4, 0).tolist()) < set(first.tolist())  # a larger subset holds the smaller
    result = scrub.test(make(data=marked, scored="even"), rows=5)
    assert sorted(np.asarray(result.table["row"]).tolist()) == sorted(first.tolist())


def test_data_are_made_once() -> None:
    calls: list[int] = []

    def counted() -> scrub.Dataset:
        calls.append(1)
        return rows()

    claim = make(data=counted)
    scrub.check(claim)
    scrub.test(claim, rows=10, draws=1)
    scrub.plan(claim)
    scrub.check(make(odd, data=counted))
    assert len(calls) == 1


def test_data_get_the_models_own_tokenizer() -> None:
    seen: list[Any] = []

    def texts(tokenizer: Any) -> scrub.Dataset:
        seen.append(tokenizer.get_vocab_size())
        return rows()

    scrub.check(make(data=texts, model="zoo:induction"))
    scrub.check(make(data=texts, model="zoo:induction"))
    scrub.check(make(data=texts, model="zoo:brackets"))
    assert seen == [101, 6]


@pytest.mark.parametrize("own", [False, True])
def test_two_models_of_one_name_make_data_with_their_own_tokenizers(own: bool) -> None:
    """Two native bridges are both called `native`; the second must not be given the first one's token ids."""

    def texts(tokenizer: Any) -> scrub.Dataset:
        return scrub.Dataset.from_text(["b a b"], tokenizer=tokenizer)

    tokenizers: list[Any] = [words(["a", "b", "c"]), words(["b", "c", "a"]), words(["a", "b", "c"])]
    bridges = [native(d_vocab=3, seed=seed) for seed in range(3)]
    for bridge, tokenizer in zip(bridges, tokenizers, strict=True):
        bridge.tokenizer = Own(tokenizer) if own else tokenizer
    claim, sources = make(data=texts), [find(bridge) for bridge in bridges]
    assert {source.name for source in sources} == {"native"}
    found = [data_of(claim, source) for source in sources]
    assert [data.rows[0].tokens for data in found] == [(1, 0, 1), (0, 2, 0), (1, 0, 1)]
    assert data_of(claim, sources[0]) is found[0]
    assert (found[2] is found[0]) is not own  # equal tokenizers are one; what cannot be looked into is its own


def test_a_tokenizer_that_was_changed_is_another() -> None:
    def texts(tokenizer: Any) -> scrub.Dataset:
        return scrub.Dataset.from_rows([{"tokens": tokenizer.encode("a b").ids}])

    bridge = native(d_vocab=3)
    bridge.tokenizer = words(["a", "b", "c"])
    claim, source = make(data=texts), find(bridge)
    assert data_of(claim, source).rows[0].tokens == (0, 1)
    bridge.tokenizer.enable_truncation(1)
    assert data_of(claim, source).rows[0].tokens == (0,)


def test_check_raises_nothing_and_the_others_raise_what_it_found() -> None:
    def broken() -> scrub.Dataset:
        raise LookupError("gone.")

    claim = make(data=broken)
    [problem] = scrub.check(claim).problems
    assert problem.found == "data=: broken() raised LookupError: gone."
    for verb in (scrub.test, scrub.plan, scrub.explain):
        with pytest.raises(DataError, match=r"broken\(\) raised LookupError: gone\.$"):
            verb(claim)


def test_a_data_functions_own_sentence_is_kept() -> None:
    def wrong() -> scrub.Dataset:
        return scrub.Dataset.from_rows([{"columns": {}, "positons": {}}])

    [problem] = scrub.check(make(data=wrong)).problems
    assert "unknown key 'positons'" in problem.found
    assert "raised" not in problem.found


@pytest.mark.parametrize(
    ("error", "sentence", "changed", "arguments"),
    [
        (ClaimError, "--draws 0", {}, {"draws": 0}),
        (ClaimError, "--rows 0", {}, {"rows": 0}),
        (ClaimError, "--draws 1.5: write a whole number", {}, {"draws": 1.5}),
        (ClaimError, "--rows '9': write a whole number", {}, {"rows": "9"}),
        (ClaimError, "--seed None: write a whole number", {}, {"seed": None}),
        (ClaimError, "--seed -1", {}, {"seed": -1}),
        (ClaimError, "device cuda", {}, {"device": "cuda"}),
        (ClaimError, "the data set is empty", {"data": lambda: rows(0)}, {}),
        (ClaimError, "one row only", {"data": lambda: rows(1)}, {}),
        (ClaimProblems, "what it expects", {"expect": None}, {}),
        (DataError, "returned NoneType", {"data": lambda: None}, {}),
        (DataError, "data=int is no Dataset", {"data": 3}, {}),
        (ModelError, "model=int is no model", {"model": 3}, {}),
        (ModelError, "raised ZeroDivisionError", {"model": lambda: 1 / 0}, {}),
        (ModelError, "has no nodes", {"model": nx.DiGraph()}, {}),
        (MetricError, "raised ZeroDivisionError", {"metric": scrub.Metric(lambda o, r: 1 / 0)}, {}),
        (
            MetricError,
            "in rows 1, 7, 13, 19",
            {"metric": scrub.Metric(lambda o, r: math.inf if r.columns["a"] == 1 else 0), "data": lambda: rows(24)},
            {},
        ),
    ],
)
def test_refusals(error: type[ScrubError], sentence: str, changed: dict[str, Any], arguments: dict[str, Any]) -> None:
    with pytest.raises(error) as caught:
        scrub.test(make(**changed), **arguments)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_rows_without_a_finite_metric_are_named_when_exact_too(value: float) -> None:
    metric = scrub.Metric(lambda o, r: value if r.columns["a"] == 1 else 0.0)
    with pytest.raises(MetricError, match=r"NaN or infinite .* in rows 1"):
        scrub.test(make(metric=metric), exact=True)


def test_exact_is_for_graphs(tmp_path: Any) -> None:
    from scrub.claims.collect import collect
    from scrub.verbs.new import write_new

    write_new(tmp_path / "c.py", "induction", None)
    with pytest.raises(ClaimError, match="only a computation graph"):
        scrub.test(collect([tmp_path / "c.py"]).hypotheses[0], exact=True)


def test_an_unknown_dtype_of_a_transformer(tmp_path: Any) -> None:
    from scrub.claims.collect import collect
    from scrub.verbs.new import write_new

    write_new(tmp_path / "c.py", "induction", None)
    claim = collect([tmp_path / "c.py"]).hypotheses[0]
    with pytest.raises(ModelError, match="dtype 'float8'"):
        scrub.test(claim, rows=10, draws=1, dtype="float8")


def test_explain_refuses_a_row_that_is_not_scored() -> None:
    with pytest.raises(ClaimError, match="--row 99"):
        scrub.explain(make(), row=99)
    assert [story.row for story in scrub.explain(make(), row=5, draws=2).worst] == [5]


def test_interruptions_are_not_swallowed() -> None:
    def interrupted(*_: Any) -> float:
        raise KeyboardInterrupt

    for changed in ({"metric": scrub.Metric(interrupted)}, {"data": interrupted}, {"model": interrupted}):
        with pytest.raises(KeyboardInterrupt):
            scrub.test(make(**changed))


def test_the_hub_is_never_asked_in_tests() -> None:
    assert os.environ["HF_HUB_OFFLINE"] == "1"
