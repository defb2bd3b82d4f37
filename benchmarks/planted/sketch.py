"""A program for one position, step by step, each placed in the earliest layer that can compute it.

A row is `<start> ... ?`: among fillers stand fields (a token of a class that stands nowhere else in the row) and
pairs (a key and its value, the first of the pair being the one that the program asks for, the others decoys, whose
keys nothing asks for). At the end the program brings, converts, joins and looks up, and answers with a token.

A head of layer l reads what is written until time 2l and writes at 2l + 1; an MLP reads that too and writes at
2l + 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from attrs import define, field, frozen

from planted.told import Spot, Step
from planted.weights import Array, Head, Lookup, StreamLayout, resting

N_CTX = 28
START, ASK, FILLERS = 0, 1, (2, 3, 4, 5)
Segment = list[tuple[int, str]]  # tokens, and the names of their positions
Maker = Callable[[np.random.Generator, dict[str, Any], list[Segment]], None]


@frozen
class Held:
    """Where a variable is held: rows of a space, at a position, from a time on."""

    name: str
    space: str
    index: tuple[int, ...]
    at: str
    time: int = 0

    def rows(self, stream: StreamLayout) -> Array:
        return stream.rows(self.space, self.index)


@frozen
class PlannedHead:
    """A head that waits for its number in the layer; `holds` is the variable it writes, if it writes one."""

    layer: int
    made: Callable[[StreamLayout], Head]
    holds: str = ""
    at: str = "END"
    role: str = ""


@define(eq=False)
class Draft:
    """What a program consists of so far; every method adds a step. `n` values for every field and variable."""

    rng: np.random.Generator
    n: int
    sizes: dict[str, int] = field(factory=lambda: {"one": 1, "position": N_CTX})
    tokens: int = FILLERS[-1] + 1
    asks: tuple[int, ...] = (ASK,)
    heads: list[PlannedHead] = field(factory=list)
    lookups: list[tuple[int, str, Callable[[StreamLayout], Lookup]]] = field(factory=list)
    steps: dict[str, Step] = field(factory=dict)
    spots: dict[str, Callable[[dict[str, tuple[str, ...]]], Spot]] = field(factory=dict)
    makers: list[Maker] = field(factory=list)
    features: list[str] = field(factory=list)

    def words(self, count: int) -> tuple[int, ...]:
        """Token ids that nothing else uses."""
        self.tokens += count
        return tuple(range(self.tokens - count, self.tokens))

    def space(self, name: str, size: int | None = None) -> str:
        self.sizes[name] = size or self.n
        return name

    def mapping(self) -> tuple[int, ...]:
        """What becomes of each value: a permutation or, one time of three, half as many values."""
        order = self.rng.permutation(self.n)
        coarse = self.rng.random() < 1 / 3
        return tuple(int(value) // (2 if coarse else 1) for value in order)

    # what rows hold

    def leaf(self, name: str, at: str, words: Sequence[int]) -> Held:
        """A column whose value is the token at a position."""
        self.spots[name] = lambda _: Spot("embed", (), at)
        return Held(name, "token", tuple(words), at)

    def field(self, name: str, marked: bool = False) -> Held:
        """A token of a class of its own, somewhere in the row; `marked`: before a token that says so."""
        words, marker = self.words(self.n), self.words(1)[0] if marked else 0
        at = name.upper()

        def make(rng: np.random.Generator, known: dict[str, Any], segments: list[Segment]) -> None:
            known[name] = int(rng.integers(self.n))
            segments.append([(words[known[name]], at), *([(marker, f"{at}1")] if marked else [])])

        self.makers.append(make)
        return self.leaf(name, at, words)

    def own(self, name: str) -> Held:
        """The last token is itself a value, as in induction."""
        self.asks = self.words(self.n)

        def make(rng: np.random.Generator, known: dict[str, Any], _: list[Segment]) -> None:
            known[name] = int(rng.integers(self.n))

        self.makers.append(make)
        self.features.append("induction")
        return self.leaf(name, "END", self.asks)

    def pairs(self, number: int, wanted: str) -> tuple[Held, Held, tuple[int, ...]]:
        """A table in the row: the key and the value that `wanted` asks for, and the words of the decoys' keys."""
        keys, decoys, values = self.words(self.n), self.words(self.n), self.words(self.n)
        key, value = f"key{number}", f"value{number}"

        def make(rng: np.random.Generator, known: dict[str, Any], segments: list[Segment]) -> None:
            known[key], known[value] = known[wanted], int(rng.integers(self.n))
            segments.append([(keys[known[key]], f"K{number}"), (values[known[value]], f"V{number}")])
            for decoy in rng.permutation(self.n)[: rng.integers(1, 3)]:
                segments.append([(decoys[decoy], ""), (values[rng.integers(self.n)], "")])

        self.makers.append(make)
        return self.leaf(key, f"K{number}", keys), self.leaf(value, f"V{number}", values), decoys

    # what heads and MLPs do

    def variable(self, name: str, parents: tuple[str, ...], function: Callable[..., Any]) -> None:
        self.steps[name] = Step(parents, function)

        def make(_: np.random.Generator, known: dict[str, Any], __: list[Segment]) -> None:
            known[name] = function(*(known[parent] for parent in parents))

        self.makers.append(make)

    def spot(self, name: str, kind: str, at: str, **reads: str) -> None:
        """Where a variable is; which components hold it is known once heads have their numbers."""
        channels = {channel: tuple(parents.split()) for channel, parents in reads.items()}
        self.spots[name] = lambda holding: Spot(kind, holding[name], at, channels)

    def head(
        self, layer: int, made: Callable[[StreamLayout], Head], holds: str = "", at: str = "END", role: str = ""
    ) -> None:
        self.heads.append(PlannedHead(layer, made, holds, at, role))

    def previous(self, name: str, source: Held, at: str, more: Sequence[int] = (), spare: bool = False) -> Held:
        """A head that reads the position before its own, and writes what it finds there (`more`: other words too)."""
        layer, words = (source.time + 1) // 2, (*source.index, *more)
        self.space(name, len(words))

        def made(stream: StreamLayout) -> Head:
            here = np.arange(1, N_CTX)
            position = [stream.rows("position", here - shift) for shift in (0, 1)]
            return Head(*position, v=stream.rows(source.space, words), o=stream.rows(name))

        for _ in range(2 if spare else 1):
            self.head(layer, made, name, at, "previous token")
        self.variable(name, (source.name,), lambda value: value)
        self.spot(name, "heads", at, v=source.name)
        self.features += ["spare"] * spare
        return Held(name, name, tuple(range(self.n)), at, 2 * layer + 1)

    def bring(self, name: str, source: Held, words: Sequence[int], how: str = "alone") -> Held:
        """A head that brings to the end what stands at the one token of `words`.

        `how`: "alone", by two heads of which "either" suffices, or by two that do "halves" of the values.
        """
        layer, mapping = (source.time + 1) // 2, self.mapping()
        self.space(name)
        half = {"halves": [range(self.n // 2), range(self.n // 2, self.n)], "either": [range(self.n)] * 2}
        for moved in half.get(how, [range(self.n)]):
            self.head(layer, self._bringing(name, source, words, moved, mapping), name, role="bring")
        self.variable(name, (source.name,), lambda value: mapping[value])
        self.spot(name, "heads", "END", v=source.name)
        self.features += {"either": ["spare"], "halves": ["shared work"]}.get(how, [])
        return Held(name, name, tuple(range(self.n)), "END", 2 * layer + 1)

    def _bringing(
        self, space: str, source: Held, words: Sequence[int], moved: Sequence[int], mapping: Sequence[int]
    ) -> Callable[[StreamLayout], Head]:
        def made(stream: StreamLayout) -> Head:
            q, k = (stream.rows("token", found).sum(0, keepdims=True) for found in (self.asks, words))
            return Head(q, k, v=source.rows(stream)[list(moved)], o=stream.rows(space, [mapping[i] for i in moved]))

        return made

    def find(self, name: str, wanted: Held, label: Held, value: Held) -> Held:
        """A head that finds the value whose label is wanted: query, key and value composition."""
        layer = (max(wanted.time, label.time, value.time) + 1) // 2
        self.space(name)

        def made(stream: StreamLayout) -> Head:
            match = resting(stream, wanted.rows(stream), label.rows(stream))
            return Head(*match, v=value.rows(stream), o=stream.rows(name))

        self.head(layer, made, name, role="match")
        parents = (wanted.name, label.name, value.name)
        self.variable(name, parents, lambda sought, found, result: result if sought == found else None)
        self.spot(name, "heads", "END", q=wanted.name, k=label.name, v=value.name)
        return Held(name, name, tuple(range(self.n)), "END", 2 * layer + 1)

    def convert(self, name: str, source: Held) -> Held:
        """An MLP that maps every value to another, where it is held."""
        mapping = self.mapping()
        layer = self._free(source.time, source.at)
        self.space(name)

        def made(stream: StreamLayout) -> Lookup:
            return Lookup(source.rows(stream)[:, None], stream.rows(name, mapping))

        self.lookups.append((layer, source.at, made))
        self.variable(name, (source.name,), lambda value: None if value is None else mapping[value])
        return self._computed(name, layer, source.at, source.name)

    def join(self, name: str, x: Held, y: Held) -> Held:
        """An MLP that computes a function of two values; it depends on both of them, whatever the other is."""
        order, factor = self.rng.permutation(self.n), int(self.rng.integers(1, self.n))
        pairs = [(i, j) for i in range(self.n) for j in range(self.n)]
        result = {(i, j): int(order[(i + factor * j) % self.n]) for i, j in pairs}
        layer = self._free(max(x.time, y.time), "END")
        self.space(name)

        def made(stream: StreamLayout) -> Lookup:
            terms = [(x.rows(stream)[i], y.rows(stream)[j]) for i, j in pairs]
            return Lookup(np.array(terms), stream.rows(name, [result[pair] for pair in pairs]))

        self.lookups.append((layer, "END", made))
        self.variable(name, (x.name, y.name), lambda a, b: result.get((a, b)))
        return self._computed(name, layer, "END", f"{x.name} {y.name}")

    def _computed(self, name: str, layer: int, at: str, parents: str) -> Held:
        self.spots[name] = lambda _: Spot("mlps", (str(layer),), at, {"input": tuple(parents.split())})
        return Held(name, name, tuple(range(self.n)), at, 2 * layer + 2)

    def _free(self, time: int, at: str) -> int:
        """The first layer whose MLP can read what is written until `time` and computes nothing else there."""
        taken, layer = {(layer, where) for layer, where, _ in self.lookups}, time // 2
        while (layer, at) in taken:
            layer += 1
        return layer

    def row(self) -> dict[str, Any]:
        """One row of the data: tokens, positions, columns."""
        rng, known, segments = self.rng, dict[str, Any](), list[Segment]()
        for make in self.makers:
            make(rng, known, segments)
        noise = int(rng.integers(len(FILLERS)))
        segments += [[(FILLERS[noise], "F")], *([(int(rng.choice(FILLERS)), "")] for _ in range(rng.integers(1, 4)))]
        order = [segments[i] for i in rng.permutation(len(segments))]
        asked = self.asks[known["own"]] if len(self.asks) > 1 else ASK
        line = [(START, ""), *(token for segment in order for token in segment), (asked, "END")]
        columns = {name: value for name, value in known.items() if name not in self.steps}
        positions = {at: i for i, (_, at) in enumerate(line) if at}
        return {
            "tokens": [token for token, _ in line],
            "positions": positions,
            "columns": {**columns, "noise": noise},
        }
