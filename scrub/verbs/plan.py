"""`scrub.plan`: what a test, and every other verb, would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve

from scrub.claims.hypothesis import Hypothesis
from scrub.model.resolve import given_model, sound
from scrub.verbs.setup import countable, references

if TYPE_CHECKING:
    from scrub.engine.cost import Plan


def plan(
    hypothesis: Hypothesis, model: Any = None, rows: int | None = None, draws: int = 20, seed: int = 0,
    stream: bool = False,
) -> Plan:  # fmt: skip
    """How many evaluations a test takes, how many are shared, and what every verb costs. Needs no weights.

    With `stream=True` also what is held of the weights of a directory whose layers are run from its files.
    """
    from scrub.engine.cost import plan_claim, streamed_weights
    from scrub.verbs.costs import verbs_of

    countable(draws, rows, seed)
    claim, source = sound(hypothesis, given_model(hypothesis, model, stream), expecting=False)
    used = references(claim, rows, seed)
    planned = plan_claim(claim, used, draws, seed)
    held = streamed_weights(source) if source.streamed else None
    return evolve(planned, verbs=verbs_of(claim, source, planned, used, seed), streamed=held)
