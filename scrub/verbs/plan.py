"""`scrub.plan`: what a test, and every other verb, would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve

from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.hypothesis import Hypothesis
from scrub.model.memory import Asked, Memory, parse_memory
from scrub.model.resolve import given_model, sound
from scrub.verbs.setup import countable, fitting, references

if TYPE_CHECKING:
    from scrub.engine.cost import Plan


def plan(
    hypothesis: Hypothesis, model: Any = None, rows: int | None = None, draws: int = 20, seed: int = 0,
    memory: Asked = None, stream: bool = False,
) -> Plan:  # fmt: skip
    """How many evaluations a test takes, how many are shared, what every verb costs, and what memory a test and
    criteria fill.

    Needs no weights. `memory` is the bound that a test is to be given, by default a quarter of what is free. With
    `stream=True` also what is held of the weights of a directory whose layers are run from its files; of a loaded
    model on several devices, where its layers lie. Raises ClaimError for a bound that is too small.
    """
    from scrub.engine.cost import plan_claim, streamed_weights
    from scrub.model.bytes import Outlined
    from scrub.model.places import layers_by_device
    from scrub.score.peak import PlannedTest
    from scrub.verbs.costs import criteria_peak, verbs_of

    countable(draws, rows, seed)
    bound = Memory.on((), parse_memory(memory))
    claim, source = sound(hypothesis, given_model(hypothesis, model, stream), expecting=False)
    used = references(claim, rows, seed)
    fitting(len(used), draws)
    if not isinstance(claim.graph, TransformerGraph):
        planned = plan_claim(claim, used, draws, seed)
    else:
        test = PlannedTest(
            claim, Outlined(claim.graph.shape, bound, streamed=source.streamed), used, draws, seed, source.tokenizer
        )
        planned = plan_claim(claim, used, draws, seed, test.answer_work)
        planned = planned if planned.tree is None else evolve(planned, peak=test.peak())
        planned = evolve(planned, criteria=criteria_peak(claim, source, used, seed, test.model))
    held = streamed_weights(source) if source.streamed else None
    layers = layers_by_device(source.loaded)
    return evolve(
        planned, verbs=verbs_of(claim, source, planned, used, seed), streamed=held,
        layers=layers if len(layers) > 1 else {},
    )  # fmt: skip
