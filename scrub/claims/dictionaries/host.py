"""Whether a dictionary is one of the host, and of the model, that it is claimed of: its card against the claim."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from scrub.anatomy.names import Component
from scrub.anatomy.part import HostPart
from scrub.errors import ClaimError

_ALIASES = {"gpt2-small": "gpt2"}


def of_host(component: Component, part: HostPart) -> None:
    """Raises ClaimError for latents of a dictionary that is of another component, or that reads what an MLP reads."""
    of = part.setting("of")
    if of and of != str(component.whole):
        raise ClaimError(
            f"latents {part} are of a dictionary of {of}, and here a part of {component.whole}: place them at {of}."
        )
    if (reads := part.setting("reads")) and not component.traits.local:
        raise ClaimError(f"latents {part} are of a transcoder that reads what an MLP reads ({reads}): use mlps(...).")


def of_other_models(components: Iterable[Component], name: str) -> Iterator[str]:
    """Sentences on dictionaries whose card names another model than the claim does; a path names none."""
    if not name or Path(name).exists():
        return
    for component in components:
        model = component.part.setting("model") if component.part else ""
        if model and _plain(model) != _plain(name):
            yield f"{component} is of a dictionary of {model}, and the claim's model is {name}."


def _plain(name: str) -> str:
    last = name.rpartition("/")[2].lower()
    return _ALIASES.get(last, last)
