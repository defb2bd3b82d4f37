"""Random claims that can be scored: stories whose answers a model can give, metrics that tell rows apart."""

from __future__ import annotations

import zlib
from random import Random
from typing import Any

from scrub import Dataset, Hypothesis, Metric, nodes, recovers
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.interpretation import Interpretation
from scrub.claims.resolved import Claim
from scrub.claims.sites import Place, logits
from scrub.engine.on_graph import GraphRows
from scrub.engine.on_transformer import TransformerRows
from scrub.model.computation import Computation
from scrub.model.weights import Transformer
from scrub.score.measure import GraphAnswers, TransformerAnswers
from scrub.score.sample import ClaimBench, compile_claim
from strategies import SLOTS, Draft, _site, _through_nodes, checked
from strategies_models import named, random_graph, random_rows, random_transformer

Model = Computation | Transformer
NAMED = ("accuracy(label)", "loss(label)", "logit_diff(label, other)", "prob_diff(label, other)", "kl")


class Answering(Draft):
    """A draft whose answer is one of some values; of a graph the middle of a bin of outputs."""

    answers: tuple[Any, ...] = (0,)
    step: int | None = None

    def told(self) -> tuple[Interpretation, dict[str, Place]]:
        story, places = super().told()
        made = Interpretation()
        for name, variable in story.variables.items():
            function: Any = variable.function
            if name == "answer":
                made.variable(round=self.step)(named(name, list(variable.parents), self.said))
            else:
                made.variable(function)
        return made, places

    def said(self, values: list[Any]) -> Any:
        return self.answers[zlib.crc32(repr(values).encode()) % len(self.answers)]


def scored_claim(rng: Random, kind: str, rows: int = 0, **options: Any) -> tuple[Hypothesis, Model]:
    """A random claim, about a graph or a transformer, with at least so many reference rows."""
    (hypothesis,), model = scored_claims(rng, kind, 1, rows, **options)
    return hypothesis, model


def scored_claims(
    rng: Random, kind: str, number: int, rows: int = 0, **options: Any
) -> tuple[list[Hypothesis], Model]:
    """Random rivals: one model, data and metric."""
    while True:
        model = Computation.of(random_graph(rng)) if kind == "graph" else random_transformer(rng)
        data = _labelled(rng, _joined(rng, model, rows), model)
        answers, step = _answers(rng, data, model)
        through = _through(rng, model)
        setting: dict[str, Any] = {"metric": _metric(rng, model), "through": through, "scored": None}
        setting["expect"] = recovers(0.05, any_swaps=True)
        found: list[Hypothesis] = []
        for _ in range(40 * number):
            made = _draft(rng, model, data, through, answers, step).but(**{**setting, **options})
            claim = checked(made, model, data)
            if claim is not None and len(claim.placement.reached()) > 1 and len(found) < number:
                found.append(made)
                setting |= {name: getattr(made.options, name) for name in ("scored", "within", "rest_rows", "empty")}
        if len(found) == number:
            return found, model


def bench_for(hypothesis: Hypothesis, model: Model) -> ClaimBench:
    """The claim ready to be sampled, in the model's own precision."""
    claim = checked(hypothesis, model, hypothesis.data)  # pyright: ignore
    assert isinstance(claim, Claim)
    tree, program = compile_claim(claim)
    if isinstance(model, Computation):
        found = GraphRows(claim, model)
        return ClaimBench(claim, tree, program, found, GraphAnswers(claim, found))
    run = TransformerRows.run(claim, model, [program])
    return ClaimBench(claim, tree, program, run, TransformerAnswers(claim, run))


def _draft(
    rng: Random, model: Model, data: Dataset, through: tuple[str, ...], answers: tuple[Any, ...], step: int | None
) -> Hypothesis:
    graph = model if isinstance(model, Computation) else TransformerGraph(model.name, model.shape)
    draft = Answering(rng, graph, data, through)
    draft.__dict__.update(answers=answers, step=step)
    if isinstance(model, Computation):
        names = [name for name in model.nodes if name != "out"]
        sites = [nodes(" ".join(rng.sample(names, min(len(names), rng.choice([1, 1, 2]))))) for _ in range(4)]
        return draft.claim(sites, nodes("out"))
    end = rng.choice(["END", "END", "B", "-2"])
    sites = [_site(rng, model, rng.choice([*SLOTS, end, end, end])) for _ in range(rng.randint(2, 4))]
    return draft.claim(sites, logits("END"))


def _through(rng: Random, model: Model) -> tuple[str, ...]:
    if isinstance(model, Computation):
        return _through_nodes(rng, model)
    return rng.choice([(), (), ("mlps",) if model.shape.d_mlp else (), ("heads",), ("all",)])


def _joined(rng: Random, model: Model, rows: int) -> list[dict[str, Any]]:
    """Rows of as many data sets as it takes; partners stay in theirs."""
    inputs = model.inputs() if isinstance(model, Computation) else ()
    found: list[dict[str, Any]] = []
    while not found or len(found) < rows:
        start, tokens = len(found), isinstance(model, Transformer)
        for row in random_rows(rng, inputs, tokens=tokens).rows:
            columns = dict(row.columns)
            columns |= {n: None if columns[n] is None else columns[n] + start for n in ("mate", "mate_or_none")}
            found.append(
                {"columns": columns, **({"tokens": row.tokens, "positions": row.positions} if tokens else {})}
            )
    return found


def _labelled(rng: Random, rows: list[dict[str, Any]], model: Model) -> Dataset:
    """Labels are tokens, or two tokens, of a transformer; of a graph nothing is asked."""
    kinds = [rng.sample([1, 2, 3, 5, (4, 7), (6, 2)], 4) for _ in range(2)]
    for row in rows:
        if isinstance(model, Transformer):
            row["columns"] |= {"label": rng.choice(kinds[0]), "other": rng.choice(kinds[1])}
    return Dataset.from_rows(rows)


def _answers(rng: Random, data: Dataset, model: Model) -> tuple[tuple[Any, ...], int | None]:
    """The values that a story's answer takes, and the width of a graph's bins: about three hold all outputs."""
    if isinstance(model, Transformer):
        return tuple(dict.fromkeys(row.columns["label"] for row in data.rows)), None
    outputs = [model.run(row.columns)["out"] for row in data.rows]
    step = max(1, round((max(outputs) - min(outputs)) / 2))
    bins = sorted({step * round(output / step) for output in outputs})
    return tuple(rng.sample(bins, min(len(bins), rng.choice([2, 3, 4])))), step


def _metric(rng: Random, model: Model) -> Any:
    if isinstance(model, Transformer):
        return rng.choice(NAMED)
    sign, off = rng.choice([1, -1]), rng.choice([0, 0.3])

    def error(output: float, row: Any) -> float:
        own = model.run(row.columns)["out"]
        return sign * abs(output - own - off * (own % 1))

    return Metric(error, better="lower" if sign > 0 else "higher", name="error")
