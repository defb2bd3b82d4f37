"""What a claim leaves out, as results have it."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot


@frozen
class LeftOut:
    """A sender that an occurrence reads on r, and what is recovered more where it is read on the calling row.

    A gain below 0 is what is lost so where r costs nothing: the sender agrees with others that are read, as long as
    they come from one row.

    `reader` is the variable of the occurrence at `path`, `site` its place; `senders` the finest components of the
    sender, more than one for all heads of a layer. `at` is None in a computation graph.
    """

    reader: str
    site: str
    channel: str
    sender: Component
    at: Slot | None
    gain: float
    path: str
    senders: tuple[Component, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "reader": self.reader, "site": self.site, "channel": self.channel, "sender": str(self.sender),
            "at": None if self.at is None else str(self.at), "gain": self.gain, "path": self.path,
            "senders": [str(sender) for sender in self.senders], "words": self.words,
        }  # fmt: skip

    @property
    def words(self) -> str:
        """`found.q reads heads 0.0-0.3 @ END, which the claim leaves out: 0.29`."""
        plain = self.channel in ("input", self.sender.name)
        place = "" if self.at is None else f" @ {self.at}"
        reader = self.reader if plain else f"{self.reader}.{self.channel}"
        return f"{reader} reads {self._named}{place}, which the claim leaves out: {self.gain:.2f}"

    @property
    def _named(self) -> str:
        if self.sender.traits.is_head:
            return f"head {self.sender}"
        several = len(self.senders) > 1
        return f"heads {self.senders[0]}-{self.senders[-1]}" if several else str(self.sender)
