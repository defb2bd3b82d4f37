"""A circuit: which components and which edges of a model are kept. A frozen set, with the operations of sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen

from scrub.anatomy.edges import Edge, Node, Part, Parts, channel_name, parse_parts, parts_in_order
from scrub.anatomy.graphs import ModelGraph
from scrub.anatomy.names import POS, Component
from scrub.anatomy.positions import Slot
from scrub.circuit.claimed import claimed_parts
from scrub.circuit.ends import misfits, read_by
from scrub.circuit.files import read_parts, read_top, write_parts
from scrub.circuit.universe import Graph, complement, expand, live, output_of
from scrub.errors import ClaimError, nearest, path_of, some
from scrub.shown import shown

if TYPE_CHECKING:
    import pandas as pd

    from scrub.anatomy.transformer import TransformerGraph
    from scrub.claims.hypothesis import Hypothesis
    from scrub.claims.resolved import Claim
    from scrub.model.computation import Computation

COMPONENTS, EDGES = "components", "edges"


@frozen
class Circuit:
    """Components and edges, each everywhere or at named positions.

    A circuit with edges is run by its edges, one without by its components. `roles` says which parts a claim's
    variables are; `made_for` holds what a file says of its model (`n_layers`, `n_heads`, `d_model`).
    """

    nodes: frozenset[Node] = frozenset()
    edges: frozenset[Edge] = frozenset()
    roles: tuple[tuple[str, frozenset[Part]], ...] = field(default=(), eq=False)
    made_for: tuple[tuple[str, int], ...] = field(default=(), eq=False)

    @classmethod
    def of(cls, hypothesis: Hypothesis, model: Any = None) -> Circuit:
        """What a hypothesis claims: its components at their positions, and an edge for every direct read."""
        from scrub.model.resolve import sound

        return cls.of_claim(sound(hypothesis, model, expecting=False)[0])

    @classmethod
    def of_claim(cls, claim: Claim) -> Circuit:
        """As `of`, of a claim that was resolved."""
        return cls.of_parts(claimed_parts(claim))

    @classmethod
    def of_parts(cls, found: Parts) -> Circuit:
        """The circuit that was read, with what stands beside its parts."""
        return evolve(cls.from_parts(found.listed), roles=found.roles, made_for=found.made_for)

    @classmethod
    def parse(cls, names: str | Iterable[str], graph: ModelGraph | None = None) -> Circuit:
        """A circuit from names: `"9.6 @ END, 9.9 @ END"`, `["embed -> 0.1.v", "0.1 -> logits"]`.

        Names are separated by commas or semicolons; heads alone may be separated by spaces (`"9.6 9.9 10.0"`).
        Raises ClaimError for what is no name, with every problem, and for a text without names.
        """
        return cls.from_parts(parse_parts(names, graph))

    @classmethod
    def read(cls, file: str | Path, graph: ModelGraph | None = None, top: int | None = None) -> Circuit:
        """A circuit from a file of a peer, or of ours: see `scrub.circuit.files`. Raises ClaimError.

        With a computation `graph`, names are its nodes. Of a file of scores, the `top` parts by absolute score.
        """
        path = path_of(file, "Circuit.read(file)")
        return cls.of_parts(read_parts(path, graph) if top is None else read_top(path, top, graph))

    def write(self, file: str | Path, format: str = "scrub") -> None:
        """Write our JSON, which `read` reads back equal, or `format="eap-ig"` or `"node-link"`.

        EAP-IG's graph holds edges everywhere and no positions. Raises ClaimError when it cannot be written.
        """
        found = Parts((*self.nodes, *self.edges), self.roles, self.made_for)
        write_parts(found, path_of(file, "circuit.write(file)"), format)

    @classmethod
    def from_parts(cls, parts: Iterable[Part]) -> Circuit:
        listed = list(parts)
        nodes = frozenset(part for part in listed if isinstance(part, Node))
        return cls(nodes, frozenset(part for part in listed if isinstance(part, Edge)))

    @property
    def level(self) -> str:
        """`edges` or `components`: what is kept or ablated when the circuit is run."""
        return EDGES if self.edges else COMPONENTS

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts at the circuit's level, in order."""
        return parts_in_order(self.edges) if self.edges else parts_in_order(self.nodes)

    def at_level(self, level: str) -> Circuit:
        """The circuit of its components alone, or of its edges alone. Raises ClaimError for what it has none of."""
        if level not in (COMPONENTS, EDGES):
            raise ClaimError(f"level={level!r}: a circuit is run by its 'components' or by its 'edges'.")
        kept: frozenset[Part] = self.edges if level == EDGES else self.nodes  # pyright: ignore[reportAssignmentType]
        if not kept and (self.nodes or self.edges):
            raise ClaimError(f"level={level!r}: the circuit names no {level}.")
        made = Circuit.from_parts(kept)
        return evolve(made, roles=tuple((name, parts & kept) for name, parts in self.roles), made_for=self.made_for)

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[Part]:
        return iter(self.parts)

    def __contains__(self, part: object) -> bool:
        return part in self.edges or part in self.nodes

    def __or__(self, other: Circuit) -> Circuit:
        return self._joined(other, frozenset.__or__)

    def __and__(self, other: Circuit) -> Circuit:
        return self._joined(other, frozenset.__and__)

    def __sub__(self, other: Circuit) -> Circuit:
        return self._joined(other, frozenset.__sub__)

    def __le__(self, other: Circuit) -> bool:
        return self.nodes <= other.nodes and self.edges <= other.edges

    def _joined(self, other: Circuit, join: Callable[[frozenset[Any], frozenset[Any]], frozenset[Any]]) -> Circuit:
        return evolve(self, nodes=join(self.nodes, other.nodes), edges=join(self.edges, other.edges))

    def names(self) -> dict[Part, str]:
        """A short name for each part: a component at one position alone goes by its name, `9.6`."""
        bare = [(_bare(part), part) for part in self.parts]
        counts: dict[str, int] = {}
        for name, _ in bare:
            counts[name] = counts.get(name, 0) + 1
        return {part: name if counts[name] == 1 else str(part) for name, part in bare}

    def checked(self, graph: ModelGraph) -> Circuit:
        """The circuit itself. Raises ClaimError naming every part that the model does not have."""
        problems = _of_another_shape(self.made_for, graph)
        wrong = [part for part in self.edges or self.nodes if _missing(part, graph)]
        problems = problems or [text for part in parts_in_order(wrong) for text in _missing(part, graph)]
        problems = problems or misfits(self.edges or self.nodes, graph)
        if problems:
            raise ClaimError("\n".join(dict.fromkeys(problems)))
        return self

    def complement(self, graph: Computation | TransformerGraph, through: Iterable[str] = ()) -> Circuit:
        """Every part of the model that this circuit does not have, at its level and its positions.

        What is passed `through`, and the position embedding unless it is named, is no part. Raises ClaimError.
        """
        return self.complement_in(graph, self._passed(graph, through), output_of(graph))

    def complement_in(
        self, graph: Graph, passed: frozenset[Component], output: Component, positions: Iterable[Slot] = ()
    ) -> Circuit:
        """As `complement`, with the components that are passed through; of parts at `positions`."""
        return Circuit.from_parts(complement((*self.nodes, *self.edges), graph, passed, output, positions))

    def pruned(self, graph: Computation | TransformerGraph, through: Iterable[str] = ()) -> Circuit:
        """The circuit without edges that lie on no path of its edges from an input to the output."""
        return self.pruned_in(graph, self._passed(graph, through), output_of(graph))

    def pruned_in(self, graph: Graph, passed: frozenset[Component], output: Component) -> Circuit:
        """As `pruned`, with the components that are passed through."""
        return evolve(self, edges=live(self.edges, graph, passed, output)) if self.edges else self

    def expanded(self, graph: Graph) -> Circuit:
        """The circuit in finest components: `attn l` as its heads, `resid l` as everything written before layer l."""
        return Circuit.from_parts(expand((*self.nodes, *self.edges), graph))

    def _passed(self, graph: Computation | TransformerGraph, through: Iterable[str]) -> frozenset[Component]:
        named = {node.component for node in self.nodes} | {edge.sender for edge in self.edges}
        words = (through,) if isinstance(through, str) else through
        return graph.passed(words) | (frozenset[Component]() if POS in named or not graph.sequence else {POS})

    def __str__(self) -> str:
        return ", ".join(map(str, self.parts)) or "the empty circuit"

    def frame(self) -> pd.DataFrame:
        """A pandas table, one line a part: its name, and for an edge who sends to whom through which channel."""
        return shown(self, "frame")

    def _repr_html_(self) -> str:
        return shown(self, "html")


def _bare(part: Part) -> str:
    return str(evolve(part, at=None))


def _missing(part: Part, graph: ModelGraph) -> list[str]:
    ends = [part.component] if isinstance(part, Node) else [part.sender, part.receiver]
    lacking = [component for component in ends if not graph.has(component)]
    if lacking:
        return [f"{part}: {absent(component, graph)}" for component in lacking]
    if isinstance(part, Node):
        return []
    if part.channel not in graph.channels(part.receiver) and graph.sequence:
        return [
            f"{part}: {part.receiver} has no channel {part.channel!r}; it has {some(graph.channels(part.receiver))}."
        ]
    if not graph.feeds(part.sender, part.receiver, part.channel):
        reads = channel_name(part.receiver, part.channel)
        return [f"{part}: no such edge, {reads} does not read {part.sender}{_direction(part, graph)}."]
    return []


def _direction(edge: Edge, graph: ModelGraph) -> str:
    """What is likely meant by an edge that does not exist."""
    if edge.sender.traits.is_channel:
        return f"; {read_by(edge.sender)}"
    for channel in graph.channels(edge.sender):
        if graph.feeds(edge.receiver, edge.sender, channel):
            return f"; the other way round there is {Edge(edge.receiver, edge.sender, channel, edge.at)}"
    if graph.sequence:
        return " (it is computed before, or beside it)"
    known = graph.channels(edge.receiver)
    near = nearest(str(edge.sender), known)
    return f"; it reads {some(known) or 'nothing'}" + (f", nearest {near}" if near else "")


def absent(component: Component, graph: ModelGraph) -> str:
    """What is told of a component that the model does not have: what it has, and the nearest one."""
    known, near = graph.missing(component)
    return f"there is no {component}, {known}" + (f"; did you mean {near}?" if near else ".")


def _of_another_shape(made_for: Sequence[tuple[str, int]], graph: ModelGraph) -> list[str]:
    shape = getattr(graph, "shape", None)
    wrong = [f"{name} {size}" for name, size in made_for if getattr(shape, name, size) != size]
    if not wrong:
        return []
    own = ", ".join(f"{name} {getattr(shape, name)}" for name, _ in made_for if hasattr(shape, name))
    return [f"the circuit was made for another model: it says {', '.join(wrong)}, but {graph.name} has {own}."]
