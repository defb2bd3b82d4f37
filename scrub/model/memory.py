"""How much memory may be filled at once: one bound, from which every chunk of work follows.

The bound is on what work fills beside a model's weights and results; arrays kept of rows that go beyond it lie in a
memory-mapped file. Whoever works in pieces says what one takes and gets how many go together. Where pieces lie inside
one another each has a share of the bound, and the shares sum to 1 at most. Before anything runs a bound that was
asked for is compared with all pieces of the work at once. Numbers are the same on any bound, to rounding.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

from scrub.errors import ClaimError

if TYPE_CHECKING:
    import torch

    from scrub.model.workers import Workers

Asked = str | int | float | None  # what users write: "2GB", 2e9, or nothing
SHARE = 0.25  # of what is free, unless users say more
UNKNOWN = 8 * 2**30  # bytes of a machine that does not say what it has
_LETTERS = {letter: power for power, letter in enumerate("kmgt", 1)}
_UNITS = (
    {"": 1, "b": 1}
    | {letter + b: 1000**power for letter, power in _LETTERS.items() for b in ("", "b")}
    | {f"{letter}ib": 1024**power for letter, power in _LETTERS.items()}
)
_SIZE = re.compile(r"\s*([0-9][0-9_,]*\.?[0-9]*(?:e\+?[0-9]+)?)\s*([a-z]*)\s*", re.IGNORECASE)


@frozen
class Piece:
    """What is not cut any further, the bytes that it fills, and the share of the memory that is set apart for it."""

    what: str
    bytes: int
    share: float = 1.0

    @property
    def least(self) -> int:
        """The smallest bound whose share holds it."""
        return math.ceil(self.bytes / self.share)


@frozen
class Memory:
    """A bound in bytes, that was `asked` for or not."""

    bytes: int
    asked: bool = False

    @classmethod
    def on(cls, devices: Sequence[torch.device] = (), asked: int | None = None) -> Memory:
        """The bound that was asked for, or a quarter of what is free now on the fullest device; none: the CPU."""
        return cls(int(SHARE * min(map(free, devices or [None])))) if asked is None else cls(asked, True)

    def share(self, part: float) -> int:
        """Bytes of a part of the bound."""
        return int(self.bytes * part)

    def fit(self, piece: Piece, most: int) -> int:
        """How many pieces go together in their share of the bound: `most` at most, and at least one, see `hold`.

        Here `most` holds on every device; that of `Transformer.fit` is what the caches of a CPU hold.
        """
        return max(1, min(most, self.share(piece.share) // max(piece.bytes, 1)))

    def hold(self, pieces: Iterable[Piece]) -> None:
        """Raises ClaimError for a bound that was asked for and is too small, naming the least that is enough."""
        if wrong := self.lacking(pieces):
            raise ClaimError(wrong)

    def lacking(self, pieces: Iterable[Piece]) -> str:
        """What a bound that was asked for does not hold, and the least that does; nothing where it holds all."""
        largest = max(pieces, key=lambda piece: piece.least) if self.asked else None
        if largest is None or largest.least <= self.bytes:
            return ""
        least, share = shown_bytes(largest.least), largest.share
        apart = f", for which {share:.3g} of the bound is set apart" if share < 1 else ""
        takes = f"{largest.what} takes {shown_bytes(largest.bytes)} at once{apart}"
        return (
            f"memory {shown_bytes(self.bytes)}: {takes}: give at least --memory {least} (memory={least!r}), or "
            "take shorter rows."
        )


@frozen
class Backend:
    """How a model is computed: where, in which dtype, and in how much memory. None of it is part of a digest.

    `rows` is a directory in which passes of rows are kept, and found again; `workers` compute.
    """

    device: str | None = None
    dtype: str = "auto"
    memory: int | None = field(default=None, converter=lambda asked: parse_memory(asked))  # pyright: ignore
    rows: Path | None = None
    workers: Workers | None = None


def parse_memory(asked: Asked) -> int | None:
    """Bytes of `"2GB"`, `"512 MiB"`, 2e9; None stays None. Raises ClaimError for anything else, and for no bytes."""
    if asked is None:
        return None
    example = 'write a size such as "2GB" or "512MB", or a number of bytes.'
    found = None if isinstance(asked, bool) else _SIZE.fullmatch(str(asked))
    if found is None:
        raise ClaimError(f"--memory {asked!r} is no size: {example}")
    number, unit = found[1].replace(",", "").replace("_", ""), found[2].lower()
    if unit not in _UNITS:
        near = f' Did you mean "{number}{unit[0].upper()}B"?' if unit[0] in "kmgt" else ""
        raise ClaimError(
            f"--memory {asked!r}: the unit {found[2]!r} is unknown.{near} {example[0].upper()}{example[1:]}"
        )
    size = float(number) * _UNITS[unit]
    if not 1 <= size < 2**63:
        raise ClaimError(f"--memory {asked!r}: {'more than any machine has' if size > 1 else 'no bytes'}: {example}")
    return int(size)


def shown_bytes(size: int | float) -> str:
    """`34MB`: rounded up, in a unit that `parse_memory` reads."""
    unit = next((u for u in ("TB", "GB", "MB", "kB") if size >= _UNITS[u.lower()]), "B")
    scaled = size / _UNITS[unit.lower()]
    digits = 1 if scaled < 10 and unit != "B" else 0
    return f"{-(-scaled * 10**digits // 1) / 10**digits:.{digits}f}{unit}"


def free(device: torch.device | None = None) -> int:
    """Bytes that are free on a device, or for new work on this machine (what caches hold counts as free)."""
    if device is not None and device.type == "cuda":
        import torch

        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("MemAvailable:")))
    except (OSError, StopIteration, ValueError):
        return installed()


def installed() -> int:
    """Bytes of memory of this machine; 8 GiB where it does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return UNKNOWN
