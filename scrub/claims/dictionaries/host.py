"""Whether a part is one of the host, and of the model, that it is claimed of: what its card, or its fit, says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from scrub.anatomy.names import Component
from scrub.anatomy.part import HostPart
from scrub.errors import ClaimError

_ALIASES = {"gpt2-small": "gpt2"}


def of_host(component: Component, part: HostPart) -> None:
    """Raises ClaimError for latents of a dictionary that is of another component, or that reads what an MLP reads."""
    if of := other_host(component, part):
        raise ClaimError(
            f"latents {part} are of a dictionary of {of}, and here a part of {component.whole}: place them at {of}."
        )
    if reads := reads_inside(component, part):
        raise ClaimError(f"latents {part} are of a transcoder that reads what an MLP reads ({reads}): use mlps(...).")


def other_host(component: Component, part: HostPart) -> str:
    """The component that a dictionary is of, where that is another one; else empty."""
    of = part.setting("of")
    return of if of != str(component.whole) else ""


def reads_inside(component: Component, part: HostPart) -> str:
    """What a transcoder reads of an MLP, where the component is none; else empty."""
    return "" if component.traits.local else part.setting("reads")


def of_other_models(components: Iterable[Component], name: str) -> Iterator[str]:
    """Sentences on dictionaries whose card names another model than the claim does; a path names none."""
    for component, model in _of_others(components, name):
        if component.part and component.part.setting("model"):
            yield f"{component} is of a dictionary of {model}, and the claim's model is {name}."


def found_elsewhere(components: Iterable[Component], name: str) -> Iterator[str]:
    """Sentences on directions that were found in another model, which may be meant: a finetuned one keeps many."""
    for component, model in _of_others(components, name):
        if component.part and not component.part.setting("model"):
            yield (
                f"the directions of {component} were found in {model}, and the claim's model is {name}: they need "
                "not be those of the same thing there."
            )


def _of_others(components: Iterable[Component], name: str) -> Iterator[tuple[Component, str]]:
    """Parts with the model that they are of, where that is not the claim's; a path names none."""
    if not name or Path(name).exists():
        return
    for component in components:
        model = component.part.model if component.part else ""
        if model and _plain(model) != _plain(name):
            yield component, model


def _plain(name: str) -> str:
    last = name.rpartition("/")[2].lower()
    return _ALIASES.get(last, last)
