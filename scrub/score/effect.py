"""What one licensed swap does to what is recovered."""

from __future__ import annotations

from attrs import frozen


def swap_words(kind: str, variable: str, site: str) -> str:
    """`donor of subject (7.3 @ END)` or `rest of name (9.9 @ END)`."""
    return f"{kind} of {variable} ({site})"


@frozen
class SwapEffect:
    """One swap: what is recovered when only it is made, when all but it are made, and what undoing it gains.

    `kind` is `donor` or `rest`; `route` is the chain of readers from here to the answer, with the channels.
    `branch` is what is gained when all swaps below it in the tree are undone with it: what two swaps do together,
    undoing one does not show. It is None at the answer, where all swaps are below.
    """

    variable: str
    site: str
    path: str
    route: str
    kind: str
    only: float | None
    without: float | None
    gain: float | None
    branch: float | None
    self_swaps: float

    @property
    def what(self) -> str:
        return swap_words(self.kind, self.variable, self.site)

    @property
    def meaning(self) -> str:
        """What it means when this swap does the harm."""
        if self.kind == "rest":
            return f"{self.variable} reads something there that the claim leaves out"
        return f"rows that agree on {self.variable} are not interchangeable there"
