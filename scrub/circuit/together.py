"""Many circuits of edges in few wirings: what they compute alike is one copy, computed once.

Circuits that are judged differ in a few edges. Made by one `Wirer`, equal copies of theirs are one, and circuits
whose output reads the same are one circuit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from attrs import frozen

from scrub.circuit.wiring import Reads, Wirer, Wiring, finished, reached

MOST = 192  # copies of a wiring that several circuits share: of more, weights that are 0 would be most of the work


@frozen(eq=False)
class SharedWiring:
    """A wiring with several outputs; `circuits` are, for each, the numbers of the circuits whose output it is."""

    wiring: Wiring
    circuits: tuple[tuple[int, ...], ...]


def wired_together(wirer: Wirer, finals: Iterable[Reads], most: int) -> Iterator[SharedWiring]:
    """The wirings of circuits, given what the output of each reads; circuits share at most `most` copies."""
    alike: dict[Reads, list[int]] = {}
    for number, final in enumerate(finals):
        alike.setdefault(final, []).append(number)
    for listed in _pieces({final: reached(wirer, final) for final in alike}, min(most, MOST)):
        outputs = tuple(output for final in listed for output in final)
        yield SharedWiring(finished(wirer, outputs), tuple(tuple(alike[final]) for final in listed))


def _pieces(needed: dict[Reads, set[int]], most: int) -> Iterator[Sequence[Reads]]:
    """The outputs that go together; copies are numbered as they are made, so that neighbours share the early ones."""
    piece, held = list[Reads](), set[int]()
    for final in sorted(needed, key=lambda final: sorted(needed[final])):
        new = needed[final] - held
        if piece and len(held) + len(new) > most:
            yield piece
            piece, held, new = [], set[int](), needed[final]
        piece.append(final)
        held |= new
    if piece:
        yield piece
