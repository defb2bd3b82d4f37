"""`scrub.load`: a model from a checkpoint of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scrub.errors import ModelError, path_of


def load(
    source: str | Path | Mapping[str, Any], config: Mapping[str, Any] | None = None, stream: bool = False
) -> Any:
    """A model from a checkpoint, for `model=` and for `scrub.save`: a TransformerBridge in eval mode on the CPU.

    With `stream=True`, and a directory of Hugging Face's as `source`, a value for `model=` whose layers are run from
    the directory's files, one at a time: nothing is read before it is needed.

    `source` is a file (`.pt`, `.pth`, `.ckpt`, `.bin`, `.safetensors`), or a state dict: of a HookedTransformer of
    TransformerLens 1 to 3, of nanoGPT, or of a native TransformerBridge. Sizes are taken from the weights; `config`
    (keys of HookedTransformerConfig or nanoGPT's `model_args`) says the rest, `act_fn` above all. Without it,
    `model.json` beside `model.pt` is read, else config.json there, else what the file holds beside its weights.

    Raises ModelError with everything that is missing, refused or does not fit, and for files that hold objects.
    """
    from scrub.model.checkpoints.opened import of_mapping, open_checkpoint
    from scrub.model.load import own_weights
    from scrub.model.shards import directory
    from scrub.model.source import Streamed

    given: Any = source
    if stream:
        found = Streamed.of(given)
        directory(found.model)
        return found
    if isinstance(source, Mapping):
        return of_mapping(source, config)
    if not isinstance(given, str | Path):
        raise ModelError(
            f"load({type(given).__name__}): give a file of weights (model.pt, model.safetensors) or a state dict. A "
            "loaded model, of Hugging Face's or a TransformerBridge, is given to model= as it is."
        )
    path = path_of(given, "load(source)").expanduser()
    weights = own_weights(path)
    if weights is None:
        found = "is a directory of Hugging Face's" if path.is_dir() else "is no checkpoint that is there"
        raise ModelError(
            f"{path} {found}: load reads files of weights (model.pt, model.safetensors), and what scrub.save "
            "wrote of them. Names and directories are given to model= as they are, or with stream=True, to be run "
            "from their files."
        )
    return open_checkpoint(weights, config)
