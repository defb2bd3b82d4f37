"""From a checkpoint to a native bridge: its layout told by its names, its configuration joined with its sizes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from scrub.errors import ModelError, some
from scrub.model.checkpoints import bridge, hooked, nano
from scrub.model.checkpoints.beside import settings_beside
from scrub.model.checkpoints.layout import CheckpointLayout
from scrub.model.checkpoints.settings import Settings
from scrub.model.checkpoints.stored import read_state, unpacked
from scrub.model.transformer import native_bridge

_LAYOUTS = (hooked.LAYOUT, nano.LAYOUT, bridge.LAYOUT)


def open_checkpoint(path: Path, config: Mapping[str, Any] | None = None) -> Any:
    """A TransformerBridge with the weights of a file, in eval mode, fp32, on the CPU.

    The configuration is `config`, else `model.json` beside `model.pt`, else config.json, else what the file holds.
    Raises ModelError with everything that is missing, refused or does not fit.
    """
    said = settings_beside(path) if config is None else Settings.of(config, "config=")
    state, inside = read_state(path)
    return bridge_of_state(state, said or Settings.of(inside, str(path)), path.stem, str(path))


def of_mapping(found: Mapping[str, Any], config: Mapping[str, Any] | None) -> Any:
    """As `open_checkpoint`, of a state dict in memory."""
    title = "the dictionary that was given"
    state, inside = unpacked(found, title)
    return bridge_of_state(state, Settings.of(inside if config is None else config, "config="), "model", title)


def settings_of(path: Path) -> Settings:
    """The settings of a file, its weights opened for what its configuration does not say."""
    state, inside = read_state(path)
    settings = settings_beside(path) or Settings.of(inside, str(path))
    return settings.joined(_layout(state, str(path)).shows(state, settings)).whole()


def bridge_of_state(state: Mapping[str, Tensor], settings: Settings, name: str, title: str) -> Any:
    """A bridge with weights that lie under the names of one of the layouts. Raises ModelError."""
    layout = _layout(state, title)
    try:
        whole = settings.joined(layout.shows(state, settings)).whole()
        made, computing = layout.native(state, whole)
    except (KeyError, IndexError) as error:
        raise ModelError(f"{title} is read in the layout {layout.title}, and {error} is missing in it.") from None
    return native_bridge(computing.native(), made, name)


def _layout(state: Mapping[str, Tensor], title: str) -> CheckpointLayout:
    found = next((layout for layout in _LAYOUTS if layout.looks(state)), None)
    if found is None:
        raise ModelError(
            f"the tensors of {title} have names of no layout that is read: {some(state, 4)}. Read are "
            f"{'; '.join(layout.title for layout in _LAYOUTS)}. Weights of Hugging Face's are given as the "
            "directory that holds them with their config.json."
        )
    return found
