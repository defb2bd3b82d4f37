"""The share of changed routes, as a value of a result."""

from __future__ import annotations

from typing import Any

from attrs import frozen


@frozen
class Rerouted:
    """Of the positions at which MLPs of experts were computed on a mixed stream, those that went to other experts.

    `read` counts these positions, context by context and layer by layer, `changed` those whose set of experts was
    another than on the frame's own row. In layers that are `unread` the router does not say.
    """

    read: int
    changed: int
    unread: tuple[int, ...] = ()

    @property
    def share(self) -> float | None:
        """None where no route is known."""
        return self.changed / self.read if self.read else None

    def __str__(self) -> str:
        if self.share is None and not self.unread:
            return "no MLP of experts was computed on a mixed stream"
        layers = ", ".join(map(str, self.unread))
        unread = f"not known in layers {layers}, whose routers do not say" if self.unread else ""
        if self.share is None:
            return unread
        said = f"{self.share:.1%} of {self.read} mixed streams went to other experts than the frame's own row"
        return f"{said}; {unread}" if unread else said

    def to_dict(self) -> dict[str, Any]:
        return {"share": self.share, "read": self.read, "changed": self.changed, "unread": list(self.unread)}
