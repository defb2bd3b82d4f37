"""How the edges of a figure run: between rows wherever they like, through a row only where no box stands.

Boxes stand in rows, and between rows there is a band without any. A line crosses every row between its two ends
upright, in the gap that is nearest to where it would have gone, beside the lines that cross there already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

from attrs import frozen

LANE, MARGIN, BAND = 6, 5, 40  # pixels: between two lines in a gap, between a line and a box, between two rows


@frozen
class FigureRow:
    """The upper and lower end of a row, and where boxes begin and end in it, from left to right."""

    top: int
    bottom: int
    taken: tuple[tuple[int, int], ...]

    def gaps(self, left: int) -> Iterator[tuple[int, float]]:
        """Where a line may cross, from `left` on; to the right of the last box there is no end."""
        for begin, end in self.taken:
            if begin - MARGIN >= left:
                yield left, begin - MARGIN
            left = max(left, end + MARGIN)
        yield left, float("inf")


@frozen
class Lanes:
    """The rows of a figure from the top, where boxes may begin, and the x at which lines cross each row so far."""

    rows: tuple[FigureRow, ...]
    left: int
    crossed: tuple[frozenset[int], ...]

    @classmethod
    def of(cls, rows: Sequence[FigureRow], left: int) -> Lanes:
        return cls(tuple(rows), left, (frozenset(),) * len(rows))

    def free(self, row: int, wanted: int) -> int:
        """The nearest x at which a line may cross a row."""
        found = (
            x
            for begin, end in self.rows[row].gaps(self.left)
            if (x := self._within(row, begin, end, wanted)) is not None
        )
        return min(found, key=lambda x: abs(x - wanted))

    def _within(self, row: int, begin: int, end: float, wanted: int) -> int | None:
        """The same within one gap; None where that is full."""
        middle = round(min(max(wanted, begin), end))
        for step in count():
            near = [x for x in (middle - step, middle + step) if begin <= x <= end]
            if not near:
                return None
            for x in near:
                if all(abs(x - other) >= LANE for other in self.crossed[row]):
                    return x
        raise AssertionError("counting has no end")

    def with_line(self, rows: Sequence[int], xs: Sequence[int]) -> Lanes:
        more = dict(zip(rows, xs, strict=True))
        return Lanes(
            self.rows, self.left, tuple(c | {more[i]} if i in more else c for i, c in enumerate(self.crossed))
        )


@frozen
class End:
    """Where a line leaves or arrives: a row, an x, and the y of the box's side."""

    row: int
    x: int
    y: int


def route(start: End, end: End, lanes: Lanes) -> tuple[str, Lanes]:
    """The path of an SVG from a sender to its reader, and the lanes with it. Within one row it runs below it."""
    if start.row == end.row:
        low = lanes.rows[start.row].bottom
        return (
            f"M{start.x},{start.y} V{low} C{start.x},{low + BAND} {end.x},{low + BAND} {end.x},{low} V{end.y}",
            lanes,
        )
    upward = start.row > end.row
    between = list(range(start.row - 1, end.row, -1) if upward else range(start.row + 1, end.row))
    xs: list[int] = []
    for nth, row in enumerate(between, 1):
        here = xs[-1] if xs else start.x
        xs.append(lanes.free(row, here + round((end.x - here) / (len(between) + 2 - nth))))
    path, x, y = f"M{start.x},{start.y}", start.x, _side(lanes.rows[start.row], upward)
    for row, to in [*zip(between, xs, strict=True), (end.row, end.x)]:
        far, near = _side(lanes.rows[row], upward), _side(lanes.rows[row], not upward)
        bend = (y + near) // 2
        path += f" V{y} C{x},{bend} {to},{bend} {to},{near}"
        x, y = to, far
    return f"{path} V{end.y}", lanes.with_line(between, xs)


def _side(row: FigureRow, upper: bool) -> int:
    return row.top if upper else row.bottom
