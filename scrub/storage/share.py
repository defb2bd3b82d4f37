"""Which blocks of a pass are a part's own, `2/8` of all of them."""

from __future__ import annotations

import re

from attrs import frozen

from scrub.errors import ClaimError, ScrubError

_WRITTEN = re.compile(r"\s*([0-9]{1,9})\s*/\s*([0-9]{1,9})\s*")


class PartKept(ScrubError):
    """Not an error: a part is done, and what comes next needs the other parts."""


@frozen
class JobPart:
    """One of `of` parts, counted from 1."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> JobPart:
        """`2/8`. Raises ClaimError for anything else."""
        found = _WRITTEN.fullmatch(text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise ClaimError(
                f"--part {text}: write which of how many, from 1/4 to 4/4. In a SLURM array that begins at 1 this is "
                "--part $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT."
            )
        return cls(int(found[1]), int(found[2]))

    def has(self, block: int) -> bool:
        """Whether a block of a pass is its own."""
        return block % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"
