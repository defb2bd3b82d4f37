"""How the time of draws grows with what a claim and its data have, beside the work that is planned for it.

python benchmarks/growing.py            # about a minute
python benchmarks/growing.py --small    # to see that it runs

On each line one thing grows. Exponents are slopes of a line through the logarithms: of the CPU seconds of one thread,
and of the multiply-adds that `scrub plan` counts (for a pass over the pool, those of forward passes). Time may grow
slower than work, since what is done once for all calls weighs less, but not faster.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from attrs import evolve, frozen
from ioi import claim_of, rows_of, set_up
from measuring import best_of
from shapes import SHAPES, random_model

from scrub import Dataset, Hypothesis, Interpretation, claim, heads, logits, recovers
from scrub.anatomy.shape import Shape
from scrub.anatomy.transformer import TransformerGraph
from scrub.engine.cost import forward_work, plan_claim
from scrub.engine.on_transformer import TransformerRows
from scrub.model.resolve import sound
from scrub.model.weights import Transformer
from scrub.score.sample import ClaimBench, compile_claim, sample
from scrub.verbs.setup import references

SLACK = 0.15  # of an exponent: clocks are no better
ROUNDS = 3
BASE = evolve(SHAPES["GPT-2 small (124M)"], n_heads=12, d_model=192, d_head=16, d_mlp=768, d_vocab=2000, n_ctx=256)
HEAD = "| what grows | from, to | seconds at the end | exponent of time | of work |  |"


@frozen
class Point:
    """One size: how large, what is timed, and the multiply-adds that it takes."""

    size: float
    run: Callable[[], object]
    work: float


def model_of(shape: Shape) -> Transformer:
    return random_model(shape, torch.device("cpu"), torch.float32)


def of_draws(size: float, bench: ClaimBench, draws: int) -> Point:
    """Draws of a claim whose rows have run."""
    used, graph = references(bench.claim, None, 0), bench.claim.graph
    assert isinstance(graph, TransformerGraph)
    planned = plan_claim(bench.claim, used, draws, 0).forwards or 0.0
    length = int(np.median(bench.claim.data.lengths))
    return Point(size, lambda: sample(bench, used, draws, 0), planned * forward_work(graph, length))


def of_pool(size: float, bench: ClaimBench, model: Transformer) -> Point:
    """The pass over all rows."""
    graph, data = bench.claim.graph, bench.claim.data
    assert isinstance(graph, TransformerGraph)
    work = float(sum(forward_work(graph, int(length)) for length in data.lengths))
    return Point(size, lambda: TransformerRows.run(bench.claim, model, [bench.program]), work)


def ioi_on(model: Transformer, rows: int, through: str | None = "mlps") -> ClaimBench:
    return set_up(claim_of(through, rows_of(rows, model.shape.d_vocab), model), model)


def text(length: int, rows: int, vocabulary: int) -> Dataset:
    rng = np.random.default_rng(0)
    return Dataset.from_rows([
        {"tokens": rng.integers(0, vocabulary, length).tolist(), "positions": {"END": length - 1},
         "columns": {"kind": int(rng.integers(3)), "label": int(rng.integers(vocabulary))}}
        for _ in range(rows)
    ])  # fmt: skip


def chain(depth: int, twice: bool, data: Dataset, model: Transformer) -> Hypothesis:
    """A head of each layer reads that of the layer before; `twice`, two heads read both: 2 ** depth occurrences."""
    story, sites, last = Interpretation(), dict[str, object](), ""
    for i in range(depth):
        story.variable(_passing(f"v{i}", last or "kind"))
        own = [heads(f"{i}.{head}", at="END") for head in range(1 + twice)]
        sites[f"v{i}"] = tuple(site.reads(q="", k="", v=last) if last else site for site in own)
        last = f"v{i}"
    story.variable(_passing("answer", last))
    setting = {"metric": "kl", "expect": recovers(0.5), "predicts": "label", "through": "mlps"}
    return claim(story, model=model, data=data, **setting)({**sites, "answer": logits("END")})


def _passing(name: str, parent: str) -> Callable[..., object]:
    scope: dict[str, Callable[..., object]] = {}
    exec(f"def {name}({parent}): return {parent}", scope)  # a variable's name and parents are those of its function
    return scope[name]


def chained(depth: int, twice: bool, rows: int) -> ClaimBench:
    model = model_of(BASE)
    found, _ = sound(chain(depth, twice, text(16, rows, BASE.d_vocab), model), model)
    tree, program = compile_claim(found)
    return set_up(ClaimBench(found, tree, program, None, None), model)


def on_text(length: int, rows: int, shape: Shape) -> tuple[ClaimBench, Transformer]:
    model = model_of(shape)
    found, _ = sound(chain(4, False, text(length, rows, shape.d_vocab), model), model)
    tree, program = compile_claim(found)
    return set_up(ClaimBench(found, tree, program, None, None), model), model


def wide(factor: int) -> Shape:
    return evolve(BASE, d_model=96 * factor, d_head=8 * factor, d_mlp=384 * factor)


def axes(small: bool) -> Iterator[tuple[str, list[Point]]]:
    """What grows, with its sizes."""
    few = slice(0, 2) if small else slice(None)
    rows, model = (8 if small else 32), model_of(BASE)

    def sizes(*found: int) -> tuple[int, ...]:
        return found[few]

    yield "rows, their draws", [of_draws(n, ioi_on(model, n), 10) for n in sizes(16, 32, 64, 128)]
    yield "rows, the pass over the pool", [of_pool(n, ioi_on(model, n), model) for n in sizes(64, 128, 256)]
    yield "draws", [of_draws(n, ioi_on(model, 32), n) for n in sizes(5, 10, 20, 40)]
    yield "tokens of a row, draws", [of_draws(n, on_text(n, rows, BASE)[0], 10) for n in sizes(16, 32, 64, 128)]
    yield "tokens of a row, the pass", [of_pool(n, *on_text(n, rows, BASE)) for n in sizes(32, 64, 128, 256)]
    yield "width, draws", [of_draws(96 * n, on_text(16, rows, wide(n))[0], 10) for n in sizes(2, 4, 8)]
    yield "width, the pass", [of_pool(96 * n, *on_text(16, rows, wide(n))) for n in sizes(2, 4, 8)]
    yield "depth of the tree", [of_draws(n, chained(n, False, rows), 20) for n in sizes(2, 4, 8, 12)]
    yield "occurrences", [of_draws(2**n, chained(n, True, rows), 10) for n in sizes(2, 4, 6, 8)]


def exponent(sizes: Iterable[float], values: Iterable[float]) -> float:
    return float(np.polyfit(np.log(list(sizes)), np.log(list(values)), 1)[0])


def line_of(name: str, points: list[Point]) -> str:
    seconds = best_of({str(point.size): point.run for point in points}, ROUNDS)
    sizes = [point.size for point in points]
    time, work = exponent(sizes, seconds.values()), exponent(sizes, [point.work for point in points])
    said = "" if time <= work + SLACK else "faster than its work"
    return (
        f"| {name} | {sizes[0]:g}, {sizes[-1]:g} | {[*seconds.values()][-1]:.2f} | {time:.2f} | {work:.2f} | {said} |"
    )


def table(small: bool = False) -> list[str]:
    return [HEAD, "|---|---|---|---|---|---|", *(line_of(name, points) for name, points in axes(small))]


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("\n".join(table("--small" in sys.argv)))
