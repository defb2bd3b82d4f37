"""A loaded model as files, and the proof that they hold it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import torch

from scrub.anatomy.tolerances import SAME_LOGITS
from scrub.errors import ModelError
from scrub.model.built import own_name
from scrub.model.checkpoints.beside import SAVED
from scrub.model.checkpoints.settings import FAMILY, READ, Settings
from scrub.model.load import load
from scrub.model.outline import quiet
from scrub.model.recorded import LOGITS, record, whole
from scrub.model.source import is_bridge, is_hugging_face, is_wrappable
from scrub.model.transformer import wrapped


def write_model(model: Any, folder: Path) -> None:
    """`config.json` and weights, as `load` reads them. Raises ModelError for what is no loaded model."""
    bridge = wrapped(model) if is_wrappable(model) else model
    if not is_bridge(bridge):
        raise ModelError(
            f"save({type(model).__name__}): give what scrub.load gives, a TransformerBridge, a model of Hugging "
            "Face's, or the name of a checkpoint."
        )
    if getattr(bridge, "_weights_processed", False):
        raise ModelError("the weights of this bridge were folded (compatibility mode): save it before that is done.")
    if is_hugging_face(bridge.original_model):
        with quiet():
            _unwrapped(bridge.original_model).save_pretrained(folder)
    else:
        _write_native(bridge, folder)
    tokenizer = getattr(model, "tokenizer", None)
    if tokenizer is not None and hasattr(tokenizer, "save_pretrained"):
        tokenizer.save_pretrained(folder)


def _write_native(bridge: Any, folder: Path) -> None:
    from safetensors.torch import save_file

    said = {key: getattr(bridge.cfg, key, None) for key in READ}
    config = {"model_type": FAMILY} | Settings.of(said, "the configuration of the bridge").native()
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    state = {name: tensor.detach().contiguous().clone() for name, tensor in bridge.state_dict().items()}
    save_file(state, folder / SAVED)
    record(bridge, whole(state, Settings.of(config, "config.json"))).write(folder / LOGITS)


def _unwrapped(module: Any) -> Any:
    """A Hugging Face model with the weights of one that a bridge has taken over."""
    with torch.random.fork_rng(devices=[]):
        made: Any = type(module)(copy.deepcopy(module.config))
    names = made.state_dict()
    state = {own_name(name): tensor for name, tensor in module.state_dict().items()}
    if lacking := sorted(names.keys() - state.keys()):
        raise ModelError(f"this bridge hides {', '.join(lacking[:3])}: save the Hugging Face model that it wraps.")
    made.load_state_dict({name: state[name] for name in names})
    return made


def same_again(model: Any, folder: Path) -> None:
    """Raises ModelError unless what was written has the weights and the logits of the model."""
    first, second = load(model), load(folder)
    tokens = torch.arange(min(first.shape.n_ctx, 16))[None] % first.shape.d_vocab
    one, two = (_logits(each, tokens) for each in (first, second))
    if first.revision != second.revision or not torch.allclose(one, two, rtol=SAME_LOGITS, atol=SAME_LOGITS):
        raise ModelError(
            "what would be written is not this model: its weights, or what it computes from them, are read back "
            "otherwise. Give the model as Hugging Face's library loaded it."
        )


def _logits(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    from scrub.model.layers import unembed
    from scrub.model.trace import trace

    there = tokens.to(model.device)
    return unembed(model, trace(model, there, torch.full((1,), there.shape[1], device=model.device)))
