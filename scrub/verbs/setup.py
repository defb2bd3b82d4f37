"""What every verb does first: numbers checked, rows chosen, a claim set up on its model; and a progress bar."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import define, evolve, frozen

from scrub.claims.dataset import Dataset
from scrub.claims.hub import Pinned
from scrub.claims.resolved import Claim
from scrub.claims.seen import VERDICT_ROWS
from scrub.claims.thaw import Absent
from scrub.errors import ClaimError, DataError, ModelError, path_of
from scrub.model.computation import Computation
from scrub.model.memory import Backend, Memory, Piece, installed
from scrub.model.source import Source

if TYPE_CHECKING:
    from jaxtyping import Int

    from scrub.engine.unroll import Occurrence
    from scrub.model.weights import Transformer
    from scrub.model.workers import Workers
    from scrub.score.sample import ClaimBench, Resampling, Samples
    from scrub.storage.directory import Run


KEPT = 64  # bytes that a test keeps of each row and draw, while it gathers them


@frozen(eq=False)
class OpenedModel:
    """A model that claims are tested on: where it was found, and its checked weights (None: a computation graph).

    `given` overrides the model that claims name; numbers are kept in `run`, where a directory is given, and computed
    by `workers`.
    """

    source: Source
    weights: Transformer | None
    given: Any = None
    run: Run | None = None
    workers: Workers | None = None

    def bench(self, claim: Claim) -> ClaimBench:
        """A claim set up on the model."""
        return bench_of(claim, self.source, self.weights, self.run, self.workers)

    def alike(self, bench: ClaimBench, trees: Sequence[tuple[Claim, Occurrence]]) -> list[ClaimBench]:
        """Claims that differ from one in the components of their sites alone, each with its tree.

        The pool is run where the rows of that one do not have what they read, once for all.
        """
        found = _alike(bench, trees)
        return [_kept(one, self.run, self.weights.workers if self.weights else None) for one in found]

    def untrained(self, claim: Claim, weights: Transformer) -> ClaimBench:
        """A claim set up on other weights of the same shape."""
        return bench_of(claim, self.source, weights, self.run, self.workers)


def weights_of(source: Source, data: Dataset, backend: Backend, exact: bool = False) -> Transformer | None:
    """The checked weights of a model; None for a computation graph. Raises ModelError, ClaimError.

    `exact` asks for every draw to be enumerated, which only a computation graph allows.
    """
    if isinstance(source.graph, Computation):
        if backend.device not in (None, "cpu"):
            raise ClaimError(f"device {backend.device}: a computation graph runs on the cpu: leave the device out.")
        return None
    if exact:
        raise ClaimError("exact=True enumerates every draw, which only a computation graph allows: drop --exact.")
    from scrub.model.open import open_weights
    from scrub.storage.rows import RowFiles

    weights, workers = open_weights(source, backend, data), backend.workers
    if workers is not None:
        weights = _among(workers, weights, own_bound=backend.memory is not None)
    return weights if backend.rows is None else evolve(weights, passes=RowFiles(backend.rows))


def _among(workers: Workers, weights: Transformer, own_bound: bool) -> Transformer:
    """Weights that several compute with."""
    from scrub.model.places import devices

    parameters = weights.W_E.numel() + weights.shape.n_layers * 12 * weights.shape.d_model**2
    off = max(devices(weights), key=lambda device: device.type != "cpu")  # copies cannot have what lies there
    workers = workers.on(off, parameters, weights.streamed)
    share = Memory(weights.memory.bytes * 4 // max(4, workers.number + 1))  # all together what is free at most
    return evolve(weights, workers=workers, memory=weights.memory if own_bound else share)


def holding(weights: Transformer | None, source: Source, *claims: Claim, beside: Iterable[Piece] = ()) -> None:
    """Raises ClaimError where the memory that was asked for is too small for some claim, or what is done beside."""
    from scrub.score.least import held_pieces

    if weights is not None and weights.memory.asked:
        own = (piece for claim in claims for piece in held_pieces(claim, weights, source.tokenizer))
        weights.memory.hold([*own, *beside])


def working(workers: int = 1, ray: str | None = None) -> Workers | None:
    """Who computes: None is this process alone. Raises ClaimError as `copies` and `connected` do."""
    if ray is None and not isinstance(workers, bool) and workers == 1:
        return None
    from scrub.model.cluster import connected
    from scrub.model.workers import copies, countable_workers
    from scrub.storage.identity import versions

    if ray is None:
        return copies(workers)
    countable_workers(workers)
    return connected(ray, workers, versions)


def keeping(backend: Backend, cache: str | Path | None, run: Run | None = None) -> Backend:
    """Where passes of rows are kept: in the directory that was named, else below the run's. Raises ClaimError."""
    from scrub.storage.rows import ROWS

    if cache is not None:
        folder = path_of(cache, "cache")
        if folder.exists() and not folder.is_dir():
            raise ClaimError(f"--cache {folder} is a file: name a directory, there or new.")
        return evolve(backend, rows=folder)
    return backend if run is None else evolve(backend, rows=run.folder / ROWS)


def sampled(bench: ClaimBench, used: Int[np.ndarray, " row"], draws: int, seed: int, exact: bool = False) -> Samples:
    """The numbers of a claim, drawn or enumerated, behind a progress bar.

    Raises ClaimError for more draws than this machine's memory holds.
    """
    from scrub.score.noise import with_ceiling
    from scrub.score.sample import enumerate_exactly, sample

    if not exact:
        fitting(len(used), draws)
    with progress(bench.claim.hypothesis.title, len(used) * (1 if exact else draws)) as done:
        found = enumerate_exactly(bench, used, seed, done) if exact else sample(bench, used, draws, seed, done)
    return with_ceiling(bench, found, None if exact else draws, seed)


def bench_of(
    claim: Claim, source: Source, weights: Transformer | None, run: Run | None = None, workers: Workers | None = None
) -> ClaimBench:
    """A claim set up on its model, the pool run once; `weights` is None for a computation graph.

    Its numbers are kept where a run directory is given, and computed by the workers, where there are any.
    """
    return _kept(_bench_of(claim, source, weights), run, workers if weights is None else weights.workers)


def rival_benches(claims: Sequence[Claim], models: Sequence[OpenedModel]) -> list[ClaimBench]:
    """Claims about one model set up on it: where they are alike the pool runs once for all of them."""
    from scrub.score.rivals import are_alike

    weights, workers = models[0].weights, models[0].workers
    if weights is None or not are_alike(claims):
        return [opened.bench(claim) for claim, opened in zip(claims, models, strict=True)]
    found = _benches_of(claims, [opened.source for opened in models], weights)
    return [_kept(bench, models[0].run, weights.workers or workers) for bench in found]


def sampled_together(benches: Sequence[ClaimBench], asked: Resampling) -> list[Samples] | None:
    """The numbers of alike claims whose rows ran once, drawn in one program; None where the memory is too small."""
    from scrub.score.noise import with_ceiling
    from scrub.score.rivals import joint_bench, sample_together

    rows, draws = len(asked.references), asked.draws * len(benches)
    fitting(rows, draws)
    joint = joint_bench(benches)
    if joint is None:
        return None
    with progress("rivals", rows * draws) as done:
        found = sample_together(joint, benches, asked, done)
    return [with_ceiling(bench, one, asked.draws, asked.seed) for bench, one in zip(benches, found, strict=True)]


def _kept(bench: ClaimBench, run: Run | None, workers: Workers | None) -> ClaimBench:
    from scrub.model.workers import ALONE
    from scrub.score.blocks import KeepNothing

    workers = workers or ALONE
    return evolve(bench, keep=KeepNothing(workers)) if run is None else run.keep(bench, workers)


def _bench_of(claim: Claim, source: Source, weights: Transformer | None) -> ClaimBench:
    from scrub.engine.on_graph import GraphRows
    from scrub.score.measure import GraphAnswers
    from scrub.score.sample import ClaimBench, compile_claim

    if weights is not None:
        return _benches_of([claim], [source], weights)[0]
    assert isinstance(claim.graph, Computation)
    found = GraphRows(claim, claim.graph)
    return ClaimBench(claim, *compile_claim(claim), found, GraphAnswers(claim, found))


def _benches_of(claims: Sequence[Claim], sources: Sequence[Source], weights: Transformer) -> list[ClaimBench]:
    """Claims that are alike set up on one run of the pool, which has what each of them needs."""
    from scrub.engine.needs import Need
    from scrub.engine.on_transformer import TransformerRows
    from scrub.engine.plan import compile_tree
    from scrub.engine.without import bare
    from scrub.score.measure import TransformerAnswers
    from scrub.score.part_needs import part_needs
    from scrub.score.sample import ClaimBench, compile_claim

    compiled, beside = [compile_claim(claim) for claim in claims], Need()
    asked = [(claim, program) for claim, (_, program) in zip(claims, compiled, strict=True)]
    for claim, (tree, _) in zip(claims, compiled, strict=True):
        asked.append((claim, compile_tree(claim, *bare(tree))))
        beside.merge(part_needs(claim, tree, weights))
    with progress(f"{claims[0].hypothesis.title}: rows", len(claims[0].data)) as done:
        ran = TransformerRows.run_each(weights, asked, done, beside)
    return [
        ClaimBench(claim, tree, program, rows, TransformerAnswers(claim, rows, source.tokenizer))
        for claim, source, (tree, program), rows in zip(claims, sources, compiled, ran, strict=False)
    ]


def _alike(bench: ClaimBench, trees: Sequence[tuple[Claim, Occurrence]]) -> list[ClaimBench]:
    from scrub.engine.on_transformer import TransformerRows
    from scrub.engine.plan import compile_tree
    from scrub.score.measure import TransformerAnswers
    from scrub.score.sample import ClaimBench

    assert isinstance(bench.rows, TransformerRows)
    asked = [(claim, compile_tree(claim, tree)) for claim, tree in trees]
    with progress(f"{trees[0][0].hypothesis.title}: rows", len(trees[0][0].data)) as done:
        ran = TransformerRows.run_each(bench.rows.model, asked, done, bench.rows.store)
    assert isinstance(bench.measured, TransformerAnswers)
    return [
        ClaimBench(claim, tree, program, rows, evolve(bench.measured, claim=claim, rows=rows))
        for (claim, tree), (_, program), rows in zip(trees, asked, ran, strict=True)
    ]


def model_record(
    source: Source, model: Transformer | None, bench: ClaimBench | None = None, data: Dataset | None = None
) -> dict[str, Any]:
    """What a result says of the model: its name, revision, processing, dtype and device.

    The revision of a computation graph is a digest of what its nodes give on the pool of `bench`, or on `data`, left
    out where such values cannot be told apart.
    """
    if model is None:
        revision = _revision(source, bench, data)
        return {"name": source.name} | ({"revision": revision} if revision else {})
    return {
        "name": source.name, "revision": model.revision, "processing": model.processing,
        "dtype": str(model.precision).removeprefix("torch."), "device": str(model.device),
        **({"checked": model.checked} if model.checked else {}),
    } | ({"notes": notes} if (notes := [*model.notes, *_of_others(model, bench)]) else {})  # fmt: skip


def _of_others(model: Transformer, bench: ClaimBench | None) -> Iterator[str]:
    """A sentence where a frozen claim is tested on other weights than those that it was frozen with."""
    claimed: Any = None if bench is None else bench.claim.hypothesis.model
    frozen = claimed.revision if isinstance(claimed, Pinned | Absent) else None
    if frozen is not None and frozen != model.revision:
        yield (
            f"the claim was frozen with weights {frozen[:12]}, and it was tested on others, {model.revision[:12]}: "
            "what was found is of these."
        )


def _revision(source: Source, bench: ClaimBench | None, data: Dataset | None) -> str | None:
    from scrub.engine.on_graph import GraphRows
    from scrub.storage.identity import known_identity

    if bench is not None:
        return known_identity(bench.rows.rows) if isinstance(bench.rows, GraphRows) else None
    if data is None or not isinstance(source.graph, Computation):
        return None
    try:
        return known_identity([source.graph.run(row.columns) for row in data.rows])
    except (DataError, ModelError):  # of rows that nothing may ask for
        return None


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
        raise ClaimError(f"--rows {rows}: at least one reference row is needed; a verdict takes {VERDICT_ROWS}.")
    if seed < 0:
        raise ClaimError(f"--seed {seed}: seeds are whole numbers from 0 on.")


def fitting(rows: int, draws: int) -> None:
    """Raises ClaimError where the numbers of so many rows and draws would fill more than half of the memory."""
    here = installed()
    most = here // (2 * KEPT * rows)
    if draws > most:
        asked, room = (size / 2**30 for size in (KEPT * rows * draws, here))
        raise ClaimError(
            f"--draws {draws}: the numbers of {rows} rows x {draws:,} draws take {asked:,.0f} GiB, and this machine "
            f"has {room:,.1f} GiB: at most --draws {most} is possible. An interval rests on rows: 20 draws are usual."
        )


@define
class Bar:
    """One bar on stderr, which hears of calls; each phase of a pass is a bar of its own, with its total."""

    title: str
    bar: Any = None

    def __call__(self, calls: int) -> None:
        if self.bar is not None:
            self.bar.update(calls)

    def phase(self, name: str, total: int) -> None:
        """A new bar, `title: name`. `total` may be more than will be done; 0 says that it is not known."""
        from tqdm.auto import tqdm

        self.close()
        title = f"{self.title}: {name}" if name else self.title
        self.bar = tqdm(total=total, desc=title, delay=2, disable=None, leave=False, unit="call")

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
        self.bar = None


@contextmanager
def progress(title: str, total: int | None = None) -> Generator[Bar]:
    """A bar after two seconds; none where stderr is no terminal. Without a total, phases bring their own."""
    bar = Bar(title)
    if total is not None:
        bar.phase("", total)
    try:
        yield bar
    finally:
        bar.close()
