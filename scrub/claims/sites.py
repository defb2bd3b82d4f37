"""Sites: where in the model a variable lives, and which parents each channel there reads.

heads("9.9 9.6 10.0", at="END").reads(q="subject", k="io", v="io")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import product
from typing import Any, NoReturn, TypeVar

from attrs import evolve, field, frozen

from scrub.anatomy.names import (
    Component,
    parse_channels,
    parse_heads,
    parse_layers,
    parse_neurons,
    parse_nodes,
    print_components,
)
from scrub.anatomy.part import HostPart
from scrub.anatomy.positions import Slot, parse_slots, print_slots
from scrub.claims.dictionaries.host import of_host
from scrub.claims.problems import Problem, collect, problem_at, written_at
from scrub.errors import ClaimError

T = TypeVar("T")
UNSAID = ""  # no position
Reading = tuple[tuple[str, tuple[str, ...]], ...]


@frozen
class Site:
    """Components at named positions; `reading` maps channels to parents, `omitted` are parents cut.

    `held` is a function of what the site gives, whose value is the variable's. `at` is empty for the nodes of a
    computation graph. `file` and `line` say where the site was written. A
    site without components is one that could not be read, see `problems.collecting`; `wrong` says why.
    """

    components: tuple[Component, ...]
    at: tuple[Slot, ...] = ()
    reading: Reading | None = None
    omitted: tuple[str, ...] = ()
    is_linked: bool = False
    held: Callable[..., Any] | None = field(default=None, eq=False, repr=False)
    file: str | None = field(default=None, eq=False)
    line: int | None = field(default=None, eq=False)
    wrong: tuple[Problem, ...] = field(default=(), eq=False, repr=False)

    def reads(self, *unnamed: str, **channels: str | Iterable[str]) -> Site:
        """Which parents each channel reads: `reads(q="subject", k="io s1", v="io s1")`."""
        if unnamed:
            raise ClaimError(f".reads({unnamed[0]!r}): say through which channel, such as .reads(v={unnamed[0]!r}).")
        new = tuple((channel, _names(names, f".reads({channel}={names!r})")) for channel, names in channels.items())
        repeated = {c for c, _ in new} & {c for c, _ in self.reading or ()}
        if repeated:
            raise ClaimError(f".reads names the channel {', '.join(sorted(repeated))} twice on {self}.")
        return evolve(self, reading=(self.reading or ()) + new)

    def omits(self, *names: str) -> Site:
        """Parents that this site is claimed not to need: they are cut on purpose."""
        return evolve(self, omitted=self.omitted + _names(names, f".omits({', '.join(map(repr, names))})"))

    def linked(self) -> Site:
        """Let the components of this site read one another's new values, in model order."""
        return evolve(self, is_linked=True)

    def holds(self, function: Callable[..., Any]) -> Site:
        """Say that a function of what the nodes give, one argument each, is the variable's value.

        `nodes("c").holds(lambda c: c > 0)` is scored as a share of rows. Raises ClaimError for what is no function.
        """
        if not callable(function):
            raise ClaimError(f".holds({function!r}): give a function of what a site gives, .holds(lambda c: c > 0).")
        if self.held is not None:
            raise ClaimError(f".holds(...) stands twice on {self}.")
        return evolve(self, held=function)

    def part(self, *parts: HostPart) -> Site:
        """Parts of every component instead of the whole: `heads("9.9", at="END").part(directions(U))`.

        Raises ClaimError for what is no part, and for components that have none.
        """
        wrong = [part for part in parts if not isinstance(part, HostPart)]  # pyright: ignore[reportUnnecessaryIsInstance]
        if wrong or not parts:
            found = f"{wrong[0]!r:.60}" if wrong else ""
            raise ClaimError(f".part({found}): give directions(U), or latents(dictionary, '1250 77').")
        if without := [c for c in self.components if not c.has_parts]:
            raise ClaimError(f"{without[0]} has no parts: take them of heads, attention, MLPs, streams or queries.")
        for component, part in product(self.components, parts):
            of_host(component, part)
        if any(not part.code for part in parts):  # told where it was written
            return evolve(self, components=())
        return evolve(self, components=tuple(sorted(evolve(c, part=p) for c in self.components for p in parts)))

    def __str__(self) -> str:
        names = print_components(self.components)
        return f"{names} @ {print_slots(self.at)}" if self.at else names

    @property
    def canonical(self) -> str:
        """A text that does not depend on the order in which components and slots were written."""
        names = print_components(self.components, lambda component: component.canonical)
        return f"{names} @ {print_slots(tuple(sorted(self.at)))}" if self.at else names


class Inside:
    """The site of a variable computed inside its readers: they read its placed parents as their own."""

    def __repr__(self) -> str:
        return "inside"


inside = Inside()

Place = Site | tuple[Site, ...] | Inside


def heads(names: str, *, at: str | int = UNSAID) -> Site:
    """Attention heads at a position, written `9.6 9.9` (also L9H6, a9.h6, A9.6); channels q, k and v."""
    return _site(at, parse_heads, names)


def mlps(layers: str | int, *, at: str | int = UNSAID) -> Site:
    """MLPs at a position: `mlps(3, at="END")`, `mlps("0-2", at="S1")`; one channel, `input`."""
    return _site(at, partial(parse_layers, "mlp"), layers)


def attn(layers: str | int, *, at: str | int = UNSAID) -> Site:
    """All heads of a layer as one component; channels q, k and v."""
    return _site(at, partial(parse_layers, "attn"), layers)


def resid(layers: str | int, *, at: str | int = UNSAID) -> Site:
    """Everything written before a layer, as one vector; one channel, `input`."""
    return _site(at, partial(parse_layers, "resid"), layers)


def embed(at: str | int = UNSAID) -> Site:
    """The token embedding alone at a position."""
    return _site(at, _single, "embed")


def pos(at: str | int = UNSAID) -> Site:
    """The learned position embedding at a position."""
    return _site(at, _single, "pos")


def logits(at: str | int = UNSAID) -> Site:
    """The model's answer, read at one position; one channel, `input`."""
    return _site(at, _single, "logits")


def nodes(names: str) -> Site:
    """Nodes of a computation graph; their channels are the argument names of their functions."""
    components, wrong = _parsed(parse_nodes, names)
    return _written(components, (), wrong)


def _site(at: Any, parse: Callable[..., tuple[Component, ...]], what: Any) -> Site:
    components, unread = _parsed(parse, what)
    slots, unplaced = _parsed(partial(_at, what), at)
    return _written(components, slots, unread + unplaced)


def _written(components: tuple[Component, ...], slots: tuple[Slot, ...], wrong: tuple[Problem, ...]) -> Site:
    """A site as it is being written; without components where something is wrong with it."""
    file, line = written_at(__file__)
    return Site(() if wrong else components, () if wrong else slots, file=file, line=line, wrong=wrong)


def _at(what: Any, at: Any) -> tuple[Slot, ...]:
    if isinstance(at, str) and at == UNSAID:
        raise ClaimError(f"a site without a position, {what}: write at='END', at='S1+1', at=-1 or at='all'.")
    return parse_slots(at)


def _parsed(parse: Callable[..., tuple[T, ...]], what: Any) -> tuple[tuple[T, ...], tuple[Problem, ...]]:
    """What was read, or the problem, which the `collecting` around gets too; without one, raises ClaimError."""
    try:
        return parse(what), ()
    except ClaimError as error:
        problem = problem_at(str(error), __file__)
        collect(problem)
        return (), (problem,)


def _single(kind: str) -> tuple[Component, ...]:
    return (Component(kind),)


def _names(names: Any, role: str) -> tuple[str, ...]:
    parts = [names] if isinstance(names, str) else list(names) if isinstance(names, Iterable) else [names]
    if wrong := [part for part in parts if not isinstance(part, str)]:
        raise ClaimError(f"{role}: {wrong[0]!r} is no name of a parent: write text, such as 'io s1'.")
    return tuple(dict.fromkeys(name for part in parts for name in part.replace(",", " ").split()))


def neurons(names: str, *, at: str | int = UNSAID) -> Site:
    """Neurons of MLPs: `neurons("5.1003 5.204", at="END")`, the activations that W_out reads; channel `input`."""
    return _site(at, parse_neurons, names)


def queries(names: str, *, at: str | int = UNSAID) -> Site:
    """The queries of heads at their own position, before rotary angles, read by these heads through q."""
    return _site(at, partial(parse_channels, "q"), names)


def keys(names: str, *, at: str | int = UNSAID) -> Site:
    """The keys of heads at a position that is attended to, before rotary angles, read by these heads through k."""
    return _site(at, partial(parse_channels, "k"), names)


def values(names: str, *, at: str | int = UNSAID) -> Site:
    """The values of heads at a position that is attended to, read by these heads through v."""
    return _site(at, partial(parse_channels, "v"), names)


def estimate(function: object) -> NoReturn:
    """Reserved: a component estimated by a function of the variable. Not built yet."""
    raise ClaimError("estimate(...) is reserved and not built yet.")
