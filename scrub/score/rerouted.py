"""How often mixtures of experts send a mixed stream to other experts than the frame's own: a diagnostic, no score.

A claim about what such an MLP computes is a claim about the experts that it goes to, which other inputs change.
"""

from __future__ import annotations

from attrs import evolve

from scrub.engine.draw import Draws
from scrub.engine.on_transformer import TransformerRows
from scrub.engine.routing import Routing, mixing
from scrub.score.result import Result
from scrub.score.routes import Rerouted
from scrub.score.sample import ClaimBench, Samples, at_once, chunks

CALLS = 512  # that are looked at, at most


def with_routes(bench: ClaimBench, samples: Samples, result: Result) -> Result:
    """A result with the share of changed routes, on some of its draws again; models without experts have none."""
    if not isinstance(bench.rows, TransformerRows) or not mixing(bench.rows.model):
        return result
    return evolve(result, routes=rerouted(bench, samples, result.seed))


def rerouted(bench: ClaimBench, samples: Samples, seed: int) -> Rerouted:
    """Counts of the first draws of the first reference rows, whatever is kept of them."""
    assert isinstance(bench.rows, TransformerRows)
    routing = Routing(bench.rows.model)
    hearing = evolve(bench.rows, frames=evolve(bench.rows.frames, routing=routing))
    on_some_draws(evolve(bench, rows=hearing), samples, seed)
    return Rerouted(routing.read, routing.changed, tuple(sorted(routing.unread)))


def on_some_draws(bench: ClaimBench, samples: Samples, seed: int) -> None:
    """The first draws of the first reference rows once more, for who listens to the rows of the bench."""
    made, references = Draws(bench.claim, seed), samples.references[:CALLS]
    draws = max(1, min(samples.scrubbed.shape[1], CALLS // len(references)))
    for calls in chunks(references, draws, at_once(bench)):
        bench.scrubbed(calls, made.tree(bench.tree, calls))
