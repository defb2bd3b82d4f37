"""Values as data: what every `to_dict` is made of."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from scrub.anatomy.names import Component
from scrub.claims.plain import as_dict


@frozen
class Inner:
    model: float
    heads: tuple[Component, ...]


@frozen
class Own:
    secret: int

    def to_dict(self) -> dict[str, int]:
        return {"told": self.secret + 1}


@frozen
class Outer:
    model: float
    inner: tuple[Inner, ...]
    own: tuple[Own, ...]
    alone: Own
    out: Path


def test_fields_are_left_out_of_the_value_alone_and_parts_write_themselves() -> None:
    inner = Inner(2.0, (Component.for_head(9, 6),))
    assert as_dict(Outer(1.0, (inner,), (Own(1), Own(2)), Own(3), Path("a/b")), "model") == {
        "inner": [{"model": 2.0, "heads": ["9.6"]}],
        "own": [{"told": 2}, {"told": 3}],
        "alone": {"told": 4},
        "out": "a/b",
    }
