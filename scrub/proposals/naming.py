"""What a written claim says besides its circuit, and what its variables and columns are called."""

from __future__ import annotations

from collections.abc import Mapping
from keyword import iskeyword
from typing import Any

from attrs import frozen

from scrub.anatomy.positions import Slot
from scrub.claims.dataset import Dataset
from scrub.claims.metric import NamedMetric, predicted
from scrub.claims.protocol import Protocol
from scrub.claims.values import canonical, key
from scrub.proposals.sketch import Sketch, Source


@frozen
class ClaimSetting:
    """What the claim says besides its circuit. `data` are all rows, `file` is where they lie, as a Python expression.

    `loaded` says that the model was handed in as an object, so that its name may not lead to it.
    """

    model: str
    loaded: bool
    data: Dataset
    file: str
    metric: NamedMetric
    options: Mapping[str, Any]
    criteria: Protocol
    seen: tuple[str, ...]

    @property
    def label(self) -> str | None:
        """The column that the answer should equal."""
        return predicted(self.metric, self.options.get("predicts"))

    @property
    def left(self) -> int:
        """How many rows that could be scored no proposal saw."""
        scored, seen = self.options.get("scored"), set(self.seen)
        rows = (row for row in self.data.rows if scored is None or row.columns.get(scored) is True)
        return sum(row.input_digest not in seen for row in rows)


@frozen
class Names:
    """What the variables are called, and of each leaf its column; `added` are the positions given a column."""

    groups: tuple[str, ...]
    answer: str
    leaves: Mapping[Slot, str]
    added: tuple[str, ...]

    def of(self, source: Source) -> str:
        return self.groups[source] if isinstance(source, int) else self.leaves[source]


def names_of(outline: Sketch, setting: ClaimSetting) -> Names:
    data, label = setting.data, setting.label
    used = {source for group in outline.groups for source in group.parents if isinstance(source, Slot)}
    leaves: dict[Slot, str] = {}
    taken = {label} if any(not group.reads for group in outline.groups) else set[str | None]()
    for slot in sorted(used):
        known = [c for c in _ranked(slot, setting) if c not in taken and _names_token(c, slot, data)]
        leaves[slot] = known[0] if known else f"{slot}_token"
        taken.add(leaves[slot])
    added = tuple(str(slot) for slot, column in leaves.items() if column not in data.columns)
    hidden = {*data.columns, *leaves.values()}
    groups = tuple(free_name(f"group_{i + 1}", hidden) for i in range(len(outline.groups)))
    return Names(groups, free_name("answer", hidden), leaves, added)


def free_name(name: str, taken: set[str]) -> str:
    """A name that is not taken."""
    return name if name not in taken else free_name(f"{name}_", taken)


def _ranked(slot: Slot, setting: ClaimSetting) -> list[str]:
    """The columns, first the one called like the position, then the metric's."""
    name = str(slot).casefold()
    return sorted(setting.data.columns, key=lambda c: (c.casefold() != name, c not in setting.metric.columns))


def _names_token(column: str, slot: Slot, data: Dataset) -> bool:
    """Whether the values of a column stand one-to-one for the token at a position, in every row."""
    if not readable(column, data):
        return False
    values = [key(canonical(value)) for value in data.column(column)]
    tokens = [row.tokens[at] for row, at in zip(data.rows, data.locate(slot).tolist(), strict=True)]
    return len(set(zip(values, tokens, strict=True))) == len(set(values)) == len(set(tokens))


def readable(column: str, data: Dataset) -> bool:
    """Whether a story can read a column: its name can be a parameter's, and every row has a value."""
    if not column.isidentifier() or iskeyword(column) or column not in data.columns or data.lacking(column):
        return False
    try:
        for value in data.column(column):
            canonical(value)
    except ValueError:
        return False
    return True
