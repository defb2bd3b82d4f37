"""Where the labels of points stand: close to their points, on no other point and on no other label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import hypot

from attrs import frozen

LETTER, HIGH, MARK = 7.5, 13.0, 7.0  # pixels: of a bold letter, a line, from the middle of a mark to its edge
NEAR = 6.0  # points that are closer share a label
RINGS = (13.0, 22.0, 34.0, 48.0, 64.0, 84.0)  # from a point to its label; beyond the first a line joins them
CLEARER, APART = 3.0, 10.0  # a label is nearer its own point than any other by this; joined, this far from any other
SIDES = ((1, -0.7), (1, 0.7), (-1, -0.7), (-1, 0.7), (1, 0), (-1, 0), (0, -1), (0, 1))


@frozen
class Room:
    """A rectangle of pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Room) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def holds(self, other: Room) -> bool:
        return (
            self.left <= other.left and other.right <= self.right and self.top <= other.top
            and other.bottom <= self.bottom
        )  # fmt: skip

    def gap(self, point: tuple[float, float]) -> float:
        """The distance of a point."""
        x, y = point
        return hypot(max(self.left - x, x - self.right, 0), max(self.top - y, y - self.bottom, 0))


@frozen
class Label:
    """Words around (x, y), which belong to the point (of_x, of_y); `far` where a line has to join them."""

    words: str
    x: float
    y: float
    of_x: float
    of_y: float
    far: bool


def labelled(points: Sequence[tuple[float, float]], frame: Room, taken: Iterable[Room] = ()) -> list[Label]:
    """A label for each group of points that lie on each other, numbered from 1: `2, 5`."""
    groups: list[list[int]] = []
    for i, point in enumerate(points):
        there = next((g for g in groups if _near(points[g[0]], point)), None)
        there.append(i) if there else groups.append([i])
    marks = [around(x, y, 2 * MARK, 2 * MARK) for x, y in points]
    full = [*taken, *marks]
    found: list[Label] = []
    for group in groups:
        others = [point for i, point in enumerate(points) if i not in group]
        label = _placed(", ".join(str(i + 1) for i in group), points[group[0]], others, frame, full)
        full.append(_room(label.words, label.x, label.y))
        found.append(label)
    return found


def around(x: float, y: float, wide: float, high: float) -> Room:
    return Room(x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)


def _near(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return abs(a[0] - b[0]) < NEAR and abs(a[1] - b[1]) < NEAR


def _room(words: str, x: float, y: float) -> Room:
    return around(x, y, LETTER * len(words), HIGH)


def _placed(
    words: str, point: tuple[float, float], others: Sequence[tuple[float, float]], frame: Room, full: Sequence[Room]
) -> Label:
    """The first place that is free and cannot be taken for another point's, ring by ring; where none is, joined."""
    x, y = point
    half = LETTER * len(words) / 2
    for ring in RINGS:
        for right, down in SIDES:
            at_x = x + right * (ring + half - LETTER / 2)
            room = _room(words, at_x, y + down * ring)
            free = frame.holds(room) and not any(room.meets(other) for other in full)
            least = APART if ring > RINGS[0] else room.gap(point) + CLEARER
            if free and all(room.gap(other) >= least for other in others):
                return Label(words, round(at_x, 1), round(y + down * ring, 1), x, y, ring > RINGS[0])
    return Label(words, x + RINGS[0] + half, y, x, y, True)
