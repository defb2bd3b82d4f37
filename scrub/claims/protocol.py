"""How a claim's circuit is put to the three criteria: the ablation, its direction, its reference rows. Pure data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from attrs import field, fields, frozen

from scrub.claims.wording import ABLATIONS
from scrub.errors import ClaimError, did_you_mean

DIRECTIONS = ("noising", "denoising")
LEVELS = ("components", "edges")
ABLATE, KEEP = UPSTREAMS = ("ablate", "keep")


def _known(names: Callable[[], tuple[str, ...]]) -> Any:
    def check(_: Any, attribute: Any, value: Any) -> None:
        if value not in (known := names()):
            near = did_you_mean(str(value), known)
            raise ClaimError(f"{attribute.name}={value!r} is unknown.{near} Known: {', '.join(known)}.")

    return check


def _column(_: Any, attribute: Any, value: Any) -> None:
    if value is not None and not isinstance(value, str):
        raise ClaimError(f"{attribute.name}={value!r}: write the name of a column of the data.")


def _names(value: str | Iterable[str] | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    parts = value.split(",") if isinstance(value, str) else list(value)
    return tuple(" ".join(part.split()) for part in parts if part.strip())


@frozen
class Protocol:
    """What is done with everything outside a circuit; see docs/circuits.md for the meaning of each word.

    `reference` is the boolean column of the rows that means and resampled values come from (default: the
    claim's `rest_rows`, else every row), `group` the column within which they are taken (default: `within`),
    `pair` the column of each row's partner, `through` the components that are never ablated (default: the
    claim's). `upstream` says whether what feeds the claim's leaves is ablated too, as all that a circuit does not
    name, or kept (`keep`): then a leaf has the value of the model's own run, as in a test. `published` is printed
    beside the results, as numbers of others that were not reproduced here.
    """

    ablation: str = field(default="mean", validator=_known(ABLATIONS.names))
    direction: str = field(default="noising", validator=_known(lambda: DIRECTIONS))
    level: str = field(default="components", validator=_known(lambda: LEVELS))
    reference: str | None = field(default=None, validator=_column)
    group: str | None = field(default=None, validator=_column)
    pair: str | None = field(default=None, validator=_column)
    through: tuple[str, ...] | None = field(default=None, converter=_names)
    upstream: str = field(default=ABLATE, validator=_known(lambda: UPSTREAMS))
    published: str = ""

    def deviations(self) -> dict[str, Any]:
        """What differs from the defaults, except for the two that every result names."""
        named = ("ablation", "direction", "published")
        given = {f.name: getattr(self, f.name) for f in fields(Protocol) if f.name not in named}
        return {name: value for name, value in given.items() if value != getattr(Protocol(), name)}


def protocol(**given: Any) -> Protocol:
    """The protocol of a claim: `@claim(..., criteria=protocol(reference="is_abc", group="template"))`.

    Raises ClaimError for a word or an argument that is unknown, naming the nearest one.
    """
    known = [f.name for f in fields(Protocol)]
    for name in given:
        if name not in known:
            raise ClaimError(
                f"protocol has no argument {name!r}.{did_you_mean(name, known)} It has {', '.join(known)}."
            )
    return Protocol(**given)
