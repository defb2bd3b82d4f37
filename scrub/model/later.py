"""Parts of a model that are taken when they are asked for and let go again: the few asked for last are held.

So a model runs whose weights are larger than memory: they lie in files, and a layer's are taken as it runs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from attrs import define, field, frozen

PARTS = 4  # attention and MLP of two layers
T = TypeVar("T")


@define(eq=False)
class Lending:
    """Holds the parts that were asked for last, `most` of them; `let_go` hears when others are to be taken."""

    let_go: Callable[[], None]
    most: int = PARTS
    held: OrderedDict[Any, Any] = field(factory=OrderedDict[Any, Any], repr=False)  # kept by part: its files stay

    def lent(self, part: Later[T]) -> T:
        if part not in self.held:
            # Others go first, so that there are never more than `most`.
            while len(self.held) >= self.most:
                self.held.popitem(last=False)
            self.let_go()
            self.held[part] = part.make()
        self.held.move_to_end(part)
        return self.held[part]


@frozen(eq=False)
class Later(Generic[T]):
    """A part of a class `kind`, made anew whenever it is asked for and not held."""

    kind: type[T]
    make: Callable[[], T]
    lending: Lending

    def __call__(self) -> T:
        return self.lending.lent(self)

    def changed(self, change: Callable[[T], T]) -> Later[T]:
        """The same part, changed as it is made."""
        return Later(self.kind, lambda: change(self.make()), self.lending)
