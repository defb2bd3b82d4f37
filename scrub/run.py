"""The verbs, each a short composition of the passes: check, plan, test, explain."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve

from scrub.claims.check import name_of
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.resolved import Claim
from scrub.errors import ClaimError, some
from scrub.model.computation import Computation
from scrub.model.resolve import check as check
from scrub.model.resolve import sound
from scrub.model.source import Source

if TYPE_CHECKING:
    from jaxtyping import Int

    from scrub.engine.cost import Plan
    from scrub.model.weights import Transformer
    from scrub.score.explain import Explanation
    from scrub.score.result import Result
    from scrub.score.sample import Bench


def plan(hypothesis: Hypothesis, model: Any = None, rows: int | None = None, draws: int = 20, seed: int = 0) -> Plan:
    """How many evaluations a test takes, how many are shared, and the cost in forward passes. Needs no weights."""
    from scrub.engine.cost import plan_claim

    countable(draws, rows, seed)
    claim, _ = sound(hypothesis, model, expecting=False)
    return plan_claim(claim, references(claim, rows, seed), draws, seed)


def test(
    hypothesis: Hypothesis, model: Any = None, rows: int | None = None, draws: int = 20, seed: int = 0,
    exact: bool = False, *, device: str | None = None, dtype: str = "float32", explain: bool = True,
    controls: str = "shuffled",
) -> Result:  # fmt: skip
    """Scrub a claim and judge it.

    Main arguments: `hypothesis`; `model` overrides the claim's own (a name, a directory, a loaded bridge, a
    graph); `rows` takes a seeded subset of the reference rows (all by default); `draws` for each row; `seed`;
    `exact=True` enumerates every draw on a computation graph. Other arguments: `device`, `dtype` (`float64` to
    verify), `explain=False` leaves out the top lines of the explanation of a refuted claim, `controls="none"`
    the shuffled values; `controls="all"` adds the same claim on random unclaimed heads.

    Raises ClaimProblems with all problems of the claim, ModelError, MetricError.
    """
    from scrub.score.adversary import challenge
    from scrub.score.controls import PERMUTATIONS, control, known_controls
    from scrub.score.elsewhere import CHOICES, random_sites
    from scrub.score.explain import top_lines
    from scrub.score.judge import conclude
    from scrub.score.sample import enumerate_exactly, sample

    countable(draws, rows, seed)
    known_controls(controls)
    bench, source, used = _bench(hypothesis, model, rows, seed, device, dtype, exact)
    with progress(hypothesis.title, len(used) * (1 if exact else draws)) as done:
        samples = enumerate_exactly(bench, used, seed, done) if exact else sample(bench, used, draws, seed, done)
    result = conclude(
        bench, samples, None if exact else draws, seed, name_of(hypothesis), model_record(source, _weights(bench))
    )
    with progress(f"{hypothesis.title}: controls", PERMUTATIONS * len(used)) as done:
        result = control(bench, samples, result, seed, controls, done)
    if controls == "all" and result.verdict != "undefined":
        with progress(f"{hypothesis.title}: random sites", CHOICES) as done:
            result = random_sites(
                hypothesis, bench, samples, result, seed,
                lambda other: bench_of(sound(other, model)[0], source, _weights(bench)), done,
            )  # fmt: skip
    with progress(f"{hypothesis.title}: adversary", 0) as done:
        result = challenge(bench, samples, result, draws, seed, done)
    if explain and not exact and result.verdict == "refuted":
        return evolve(result, explanation=top_lines(bench, samples, seed))
    return result


def explain(
    hypothesis: Hypothesis, model: Any = None, rows: int | None = None, draws: int = 20, seed: int = 0,
    *, row: int | None = None, device: str | None = None, dtype: str = "float32",
) -> Explanation:  # fmt: skip
    """What breaks a claim: each swap alone and all but each, then the rows that suffer most, or `row` alone.

    Raises as `test`, and ClaimError when `row` is no reference row.
    """
    from scrub.score.explain import explain_claim
    from scrub.score.sample import sample

    countable(draws, rows, seed)
    bench, source, used = _bench(hypothesis, model, rows, seed, device, dtype, False)
    if row is not None and row not in used:
        raise ClaimError(f"--row {row} is none of the reference rows: those are {some(np.sort(used).tolist())}.")
    with progress(hypothesis.title, len(used) * draws) as done:
        samples = sample(bench, used, draws, seed, done)
    return explain_claim(bench, samples, draws, seed, name_of(hypothesis), row, source.tokenizer)


def _bench(
    hypothesis: Hypothesis,
    model: Any,
    rows: int | None,
    seed: int,
    device: str | None,
    dtype: str,
    exact: bool,
) -> tuple[Bench, Source, Int[np.ndarray, " row"]]:
    """Check the claim, load its model and run the pool once."""
    claim, source = sound(hypothesis, model)
    if device not in (None, "cpu") and isinstance(claim.graph, Computation):
        raise ClaimError(f"--device {device}: a computation graph runs on the cpu: drop --device.")
    used = references(claim, rows, seed)
    weights = None
    if not isinstance(claim.graph, Computation):
        if exact:
            raise ClaimError("exact=True enumerates every draw, which only a computation graph allows: drop --exact.")
        from scrub.model.open import open_weights

        weights = open_weights(source, device, dtype, int(claim.data.lengths.max()))
    return bench_of(claim, source, weights), source, used


def bench_of(claim: Claim, source: Source, weights: Transformer | None) -> Bench:
    """A claim set up on its model, the pool run once; `weights` is None for a computation graph."""
    from scrub.engine.on_graph import GraphRows
    from scrub.engine.on_transformer import TransformerRows
    from scrub.score.measure import OnGraph, OnTransformer
    from scrub.score.sample import Bench, compile_claim

    tree, program = compile_claim(claim)
    if isinstance(claim.graph, Computation):
        found = GraphRows(claim, claim.graph)
        return Bench(claim, tree, program, found, OnGraph(claim, found))
    assert weights is not None
    with progress(f"{claim.hypothesis.title}: rows", len(claim.data)) as done:
        ran = TransformerRows.run(claim, weights, [program], done)
    return Bench(claim, tree, program, ran, OnTransformer(claim, ran, source.tokenizer))


def model_record(source: Source, model: Transformer | None) -> dict[str, Any]:
    """What a result says of the model: its name, revision, processing, dtype and device."""
    if model is None:
        return {"name": source.name}
    return {
        "name": source.name, "revision": model.revision, "processing": model.processing,
        "dtype": str(model.dtype).removeprefix("torch."), "device": str(model.device),
    }  # fmt: skip


def _weights(bench: Bench) -> Transformer | None:
    from scrub.engine.on_transformer import TransformerRows

    return bench.rows.model if isinstance(bench.rows, TransformerRows) else None


def references(claim: Claim, rows: int | None, seed: int) -> Int[np.ndarray, " row"]:
    """The scored rows, or a seeded subset of `rows` of them, in the order of their digests."""
    return subset(claim.data, np.flatnonzero(claim.scored), rows, seed)


def subset(data: Dataset, among: Int[np.ndarray, " n"], rows: int | None, seed: int) -> Int[np.ndarray, " row"]:
    """Some rows in the order of their digests, or a seeded subset of as many as `rows` says."""
    from scrub.engine.draw import Calls, words

    scored = data.order[np.isin(data.order, among)]
    if rows is None or rows >= len(scored):
        return scored
    word = words(data, Calls(scored, np.zeros(len(scored), dtype=np.int64)), seed, "", "reference")
    chosen = np.argsort(word, kind="stable")[:rows]
    return scored[np.sort(chosen)]


def countable(draws: int, rows: int | None, seed: int) -> None:
    for option, count in (("draws", draws), ("rows", 1 if rows is None else rows), ("seed", seed)):
        if isinstance(count, bool) or not isinstance(count, Integral):
            raise ClaimError(f"--{option} {count!r}: write a whole number.")
    if draws < 1:
        raise ClaimError(f"--draws {draws}: at least one draw is needed for each row; 20 is the default.")
    if rows is not None and rows < 1:
        raise ClaimError(f"--rows {rows}: at least one reference row is needed; a verdict takes 10.")
    if seed < 0:
        raise ClaimError(f"--seed {seed}: seeds are whole numbers from 0 on.")


@contextmanager
def progress(title: str, total: int) -> Generator[Callable[[int], None]]:
    """One bar on stderr after two seconds; none where stderr is no terminal."""
    from tqdm.auto import tqdm

    with tqdm(total=total, desc=title, delay=2, disable=None, leave=False, unit="call") as bar:

        def done(calls: int) -> None:
            bar.update(calls)

        yield done
