"""What is asked of a proposal, and which kinds of nodes can answer it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from scrub.anatomy.positions import Slot, parse_slots
from scrub.anatomy.table import TABLE
from scrub.errors import ClaimError, did_you_mean
from scrub.model.experts import BlackBox
from scrub.model.weights import Transformer
from scrub.proposals.cost import SUBSETS, TOP, VERIFIED
from scrub.proposals.methods import RECOMMENDED, Asked, Method, find
from scrub.proposals.methods import names as methods
from scrub.proposals.methods.eap_ig import OVER
from scrub.proposals.methods.ig import POINTS
from scrub.proposals.nodes import LATENTS, extent, parse_kinds
from scrub.proposals.rules import parse_rules

TAKEN = ("rules", "steps", "over", "points")  # what some methods take and others have no use for


@frozen
class Wanted:
    """What is asked; `None` leaves a choice to the method."""

    method: str = RECOMMENDED
    kinds: tuple[str, ...] = ()
    rules: str | Sequence[str] | None = None
    steps: int = 5
    over: str = "inputs"
    points: str | None = None
    absolute: bool | None = None
    edges: bool | None = None
    verify: int | str = VERIFIED
    top: int = TOP
    draws: int = SUBSETS
    seed: int = 0

    @property
    def patches(self) -> int | None:
        """How many nodes are verified at most; None: all of them, whatever stands."""
        return None if isinstance(self.verify, str) else self.verify

    @property
    def gradient(self) -> bool:
        """Whether the metric must have a derivative."""
        return self.edges is True or self.method == RECOMMENDED or find(self.method).gradient

    def options(self) -> dict[str, Any]:
        """What differs from the defaults and is not told elsewhere in a result."""
        return self._said(*TAKEN, "absolute", "verify", "top", "draws")

    def _said(self, *names: str) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in names}
        return {name: value for name, value in given.items() if value != getattr(Wanted(), name)}

    def asked(self, kinds: tuple[str, ...], method: Method, done: Callable[[int], None] = lambda n: None) -> Asked:
        """What a method is told. Raises ClaimError for unknown rules."""
        return Asked(kinds, parse_rules(self.rules, method.rules), self.steps, self.over, self.points, done)

    def check(self) -> None:
        """Raises ClaimError for an unknown path or points, and for what the method has no use for."""
        _known("over", self.over, tuple(OVER))
        if self.points is not None:
            _known("points", self.points, tuple(POINTS))
        takes = ("rules",) if self.method == RECOMMENDED else find(self.method).takes
        for name, value in self._said(*TAKEN).items():
            if value and name not in takes:
                others = ", ".join(other for other in methods() if name in find(other).takes)
                raise ClaimError(f"{name}={value!r}: {self.method} takes no {name}; {others} do. Leave it out.")


def _known(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ClaimError(f"{name}={value!r} is unknown.{did_you_mean(str(value), known)} Known: {', '.join(known)}.")


def slots_of(at: str | int | Sequence[str | int] | None) -> tuple[Slot, ...]:
    """Positions, each a node of its own; none where nodes are patched at every position. Raises ClaimError."""
    return () if at is None else parse_slots(at if isinstance(at, str | int) else list(at))


def kinds_of(nodes: str | Sequence[str] | None, wanted: Wanted, model: Transformer) -> tuple[str, ...]:
    """The kinds of nodes to rank. Raises ClaimError for one that a method, or the model, has nothing to say about."""
    method = None if wanted.method == RECOMMENDED else find(wanted.method)
    listed = parse_kinds(nodes if nodes is None or isinstance(nodes, str) else list(nodes))
    found: list[str] = []
    for kind in listed:
        why = _nothing(kind, wanted, method, model)
        if why and nodes is not None:
            raise ClaimError(f"nodes={nodes!r}: {why}")
        found += [] if why else [kind]
    return tuple(found)


def has_latents(wanted: Wanted) -> None:
    """Raises ClaimError for a method that says nothing about latents."""
    if wanted.method != RECOMMENDED and LATENTS not in (kinds := find(wanted.method).kinds):
        raise ClaimError(f"{wanted.method} says nothing about latents; it ranks {', '.join(kinds)}.")


def _nothing(kind: str, wanted: Wanted, method: Method | None, model: Transformer) -> str:
    """Why there is nothing to say about a kind of node, or nothing at all."""
    if not extent(kind, model.shape)[0]:
        return f"{model.name} has no MLPs: its layers are attention alone."
    if TABLE[kind].scalar and any(isinstance(block.mlp, BlackBox) for block in model.blocks):
        return f"the MLPs of {model.name} are known as functions alone, without neurons."
    if method is not None and kind not in method.kinds:
        return f"{wanted.method} says nothing about {kind} nodes; it ranks {', '.join(method.kinds)}."
    constant = "attention" in parse_rules(wanted.rules, () if method is None else method.rules)
    if constant and kind in ("q", "k") and not (method and method.softmax):
        return (
            "the rule 'attention' holds the pattern constant, so that queries and keys have no estimate: use qkfix."
        )
    return ""
