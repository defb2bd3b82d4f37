"""What one licensed swap does to what is recovered."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import Factory, field, frozen

from scrub.engine.draw import Swap
from scrub.engine.unroll import Occurrence

EVERY, ONE_ROW = "every variable", "one row for all"


def swapped_at(swap: Swap, nodes: Sequence[Occurrence]) -> tuple[str, str]:
    """A swap's variable and site in words: of a group those of all members, of one input its channel."""
    path, kind = swap
    if kind == "rest" and len(nodes) > 1:
        return EVERY, ONE_ROW
    if kind == "rest" and path != nodes[0].path:
        channel, component = path.removeprefix(f"{nodes[0].path}/").split(":", 1)
        return nodes[0].variable, f"{channel} of {component}"
    named = (dict.fromkeys(node.variable for node in nodes), dict.fromkeys(node.site for node in nodes))
    return " & ".join(named[0]), " & ".join(named[1])


def swap_words(kind: str, variable: str, site: str) -> str:
    """`donor of subject (7.3 @ END)` or `rest of name (9.9 @ END)`."""
    return f"{kind} of {variable} ({site})"


@frozen
class SwapEffect:
    """One swap: what is recovered when only it is made, when all but it are made, and what undoing it gains.

    `kind` is `donor` or `rest`; `route` is the chain of readers from here to the answer, with the channels.
    `branch` is what is gained when all swaps below it in the tree are undone with it: what two swaps do together,
    undoing one does not show. It is None at the answer, where all swaps are below. A swap that several occurrences
    share (`together`, `rest_scope="draw"`) covers the `paths` of all of them; `path` is the one that it is drawn by.
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
    paths: tuple[str, ...] = field(default=Factory(lambda effect: (effect.path,), takes_self=True))

    @property
    def what(self) -> str:
        return swap_words(self.kind, self.variable, self.site)

    @property
    def meaning(self) -> str:
        """What it means when this swap does the harm."""
        if self.variable == EVERY:
            return "what the claim leaves out matters"
        if self.kind == "rest":
            return f"{self.variable} reads something there that the claim leaves out"
        return f"rows that agree on {self.variable} are not interchangeable there"
