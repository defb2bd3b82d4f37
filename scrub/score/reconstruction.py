"""How well a dictionary still knows its host where latents of a claim landed, as a value of a result."""

from __future__ import annotations

from typing import Any

from attrs import asdict, frozen

from scrub.anatomy.tolerances import FP32

TWICE = 2.0  # the error of the pool's own rows, above which it is told


@frozen
class Reconstruction:
    """A dictionary of `host` on `vectors` hosts into which latents landed, and on those of the pool's own rows.

    `active` latents a vector, the mean; `error` is the share of what the host varies by about its mean over the pool
    that all latents together leave, a constant that they miss not counted.
    """

    host: str
    vectors: int
    active: float
    error: float
    own_active: float
    own_error: float

    @property
    def is_off(self) -> bool:
        """Whether the error is more than twice that on the pool's own rows."""
        return self.error > TWICE * self.own_error + FP32

    @property
    def warning(self) -> str:
        return (
            f"the dictionary of {self.host} leaves {self.error:.1%} of what scrubbed hosts vary by, and "
            f"{self.own_error:.1%} on the pool's own rows: latents of several rows make hosts that it does not know."
        )

    def __str__(self) -> str:
        return (
            f"{self.host}: {self.active:.1f} latents are active on scrubbed hosts and leave {self.error:.1%}, "
            f"{self.own_active:.1f} and {self.own_error:.1%} on the pool's own rows"
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
