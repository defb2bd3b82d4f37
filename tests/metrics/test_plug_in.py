"""A metric is a file and nothing else: the one that CONTRIBUTING.md shows, from a folder of one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

import scrub
from plugged import EXAMPLES, forgotten, kept_apart, written
from score.cases import (
    bench_of,
    claim_of,
    graph,
    rows_of,
    tiny_transformer,
    token_claim,
    token_rows,
    transformer_bench,
)
from scrub.claims.metric import NamedMetric, parse_metric
from scrub.claims.wording import METRICS, plug_in
from scrub.errors import MetricError, PlugInError
from scrub.metrics import Formula, find
from scrub.report.plots.canvas import with_unit
from scrub.score.constant import best_constant
from scrub.storage.identity import identity

Folder = Callable[..., Path]
VECTORS = graph(out=lambda x, y: np.array([float(x), float(y), 1.5]))
WORDS = "WORDS = {'columns': ('label',), 'better': 'higher'}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """Makes a folder of metrics; what was plugged in is taken out again."""

    def made(**files: str) -> Path:
        return written(tmp_path / str(len(list(tmp_path.iterdir()))), **files)

    with kept_apart():
        yield made


def margin(logits: np.ndarray, label: int) -> float:
    return logits[label] - max(value for entry, value in enumerate(logits) if entry != label)


def test_a_file_is_all_that_a_metric_of_a_graphs_vectors_needs(folder: Folder) -> None:
    plug_in(folder(margin=EXAMPLES["margin"]))
    assert parse_metric("margin(label)") == NamedMetric("margin", ("label",))
    assert with_unit("margin(label)") == "margin(label) (logits)"
    data = rows_of({"x": x, "y": y, "label": x % 2} for x in range(3) for y in range(4))
    claim = claim_of(VECTORS, {"answer": lambda x: x}, {"x": "x", "answer": scrub.nodes("out").reads(x="x")}, data,
                     metric="margin(label)")  # fmt: skip
    by_hand = [margin(np.array([r["x"], r["y"], 1.5]), r["label"]) for r in (row.columns for row in data.rows)]
    assert scrub.test(claim, exact=True).metric.model == pytest.approx(np.mean(by_hand), abs=1e-12)
    bench = bench_of(claim)
    logits = bench.measured.answers(np.arange(12)).numpy()
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    tried = [*logits, logits.mean(0), np.log(probabilities.mean(0))]
    best = max(np.mean([margin(answer, row.columns["label"]) for row in data.rows]) for answer in tried)
    found = best_constant(bench.claim, bench.measured, np.arange(12))
    assert found is not None
    assert found.value == pytest.approx(best, abs=1e-12)


def test_and_of_a_transformer_with_its_gradient(folder: Folder) -> None:
    plug_in(folder(margin=EXAMPLES["margin"]))
    data, model = token_rows(), tiny_transformer()
    bench = transformer_bench(token_claim(model, data, metric="margin(first)"))
    logits, rows = bench.measured.answers(np.arange(12)).numpy(), np.arange(12)
    by_hand = [margin(answer, row.columns["first"]) for answer, row in zip(logits, data.rows, strict=True)]
    assert bench.measured.of(bench.rows.outputs(rows), rows) == pytest.approx(by_hand, abs=1e-5)
    paired = scrub.Dataset([evolve(r, columns={**r.columns, "pair": (i + 1) % 12}) for i, r in enumerate(data.rows)])
    found = scrub.propose(
        model=model, data=paired, metric="margin(first)", pair="pair", method="eap", read="END", verify=0
    )
    assert any(node.score for node in found.nodes)


PLAIN = [
    ("loss", "lambda logits, against: logits.logsumexp(-1) - against.taken(logits)[0], labels=True", ("first",)),
    ("prob_diff", "lambda l, a: a.taken(l.softmax(-1).log())[0].exp() - a.taken(l.log_softmax(-1))[1].exp()",
     ("first", "second")),
    ("kl", "lambda l, a: (a.own.softmax(-1) * (a.own.log_softmax(-1) - l.log_softmax(-1))).sum(-1), own=True", ()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "formula", "columns"), PLAIN)
def test_a_value_alone_gives_the_constant_of_a_faster_one(
    folder: Folder, name: str, formula: str, columns: tuple[str, ...]
) -> None:
    """Without `constant=` each answer is measured on each row, the model's own answers beside them."""
    words = {"columns": columns, "better": parse_metric(str(NamedMetric(name, columns))).better}
    plug_in(folder(plain=f"from scrub.metrics import Formula\nWORDS = {words!r}\nFORMULA = Formula({formula})\n"))
    found: list[float] = []
    for kind in (name, "plain"):
        metric = str(NamedMetric(kind, columns))
        claim = token_claim(tiny_transformer(), token_rows(70), metric=metric, predicts="label")
        bench = transformer_bench(claim)
        constant = best_constant(bench.claim, bench.measured, np.arange(70))
        assert constant is not None
        found.append(constant.value)
    assert found[1] == pytest.approx(found[0], rel=1e-6)


def test_numbers_are_kept_by_the_code_of_a_metric_that_was_plugged_in(folder: Folder, tmp_path: Path) -> None:
    claim = token_claim(tiny_transformer(), token_rows(), metric="taken(first)")
    told: list[str] = []
    means: list[float] = []
    for factor in (1, 1, 2):
        formula = f"FORMULA = Formula(lambda logits, against: {factor} * against.taken(logits)[0])\n"
        plug_in(folder(taken=f"from scrub.metrics import Formula\n{WORDS}{formula}"))
        told.append(identity(find(NamedMetric("taken", ("first",)))))
        means.append(scrub.test(claim, draws=2, out=tmp_path / "run", explain=False).metric.scrubbed)
        forgotten("taken")
        METRICS.path.pop()
    assert told[0] == told[1] != told[2]
    assert means == [means[0], means[0], pytest.approx(2 * means[0])]


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("FORMULA = 1\n", "it has no WORDS. A metric's file holds WORDS = "),
        ("WORDS = make()\nFORMULA = 1", "its WORDS are no dict of plain values"),
        ("WORDS = {'unit': 'nats'}\nFORMULA = 1", "its WORDS lack 'columns'; they lack 'better'"),
        ("WORDS = {'columns': 'label', 'better': 'up', 'beter': 1}\nFORMULA = 1",
         "its WORDS have 'beter', which is none of columns, better, unit, place, instead, reduces; they have "
         "columns='label', which is no tuple of words such as ('label',); they say better='up': say 'higher' or "
         "'lower'"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_metric_is_named_with_what_it_lacks(folder: Folder, text: str, lacks: str) -> None:
    place = folder(good=WORDS + "FORMULA = 1", odd=text, _helper="")
    with pytest.raises(PlugInError) as told:
        plug_in(place)
    assert str(told.value).startswith(f"{place / 'odd.py'} is no metric: {lacks}")
    assert "good" not in METRICS.names()


def test_names_that_are_taken_or_cannot_be_written(folder: Folder, tmp_path: Path) -> None:
    place = folder(loss=WORDS + "FORMULA = 1", **{"two-words": WORDS + "FORMULA = 1"})
    with pytest.raises(PlugInError) as told:
        plug_in(place)
    taken, unwritable = str(told.value).splitlines()
    assert taken == f"{place / 'loss.py'}: there is a metric 'loss' already: give the file another name."
    assert unwritable.startswith(f"{place / 'two-words.py'}: a claim cannot name the metric 'two-words'")
    with pytest.raises(PlugInError, match="there is no such folder"):
        plug_in(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("FORMULA = 3", r"metric odd\(a\): FORMULA of its file is 3: write FORMULA = Formula\(value\)"),
        ("from scrub.metrics import Formula\nFORMULA = Formula()", r"write FORMULA = Formula\(value\)"),
        ("FORMULA = 1 / 0", r"metric odd\(a\): its file raised ZeroDivisionError"),
    ],
)
def test_a_formula_that_is_none(folder: Folder, formula: str, said: str) -> None:
    plug_in(folder(odd=WORDS + formula))
    with pytest.raises(MetricError, match=said):
        find(NamedMetric("odd", ("a",)))


@pytest.mark.parametrize("name", ["loss", "logit_diff", "prob_diff", "accuracy", "kl"])
def test_the_metrics_that_are_there(name: str) -> None:
    assert METRICS.names() == ("loss", "logit_diff", "prob_diff", "accuracy", "kl")
    assert isinstance(find(NamedMetric(name, ())), Formula)
