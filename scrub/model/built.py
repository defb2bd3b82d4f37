"""What a TransformerBridge is built of that cannot be tested, in words: parts, broken weights, wrong wrapping.

The bridge is only looked at: attributes that TransformerLens gives every bridge, and the modules inside.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from scrub.errors import ModelError, ScrubError, some
from scrub.model.bridged import norms_the_stream
from scrub.model.configuration import LISTED
from scrub.model.precision import own_of
from scrub.model.take import norms_by_head

# Their texts speak of Python's objects, not of the model.
_INTERNAL = (AttributeError, TypeError, LookupError, AssertionError, NameError)


def unlike(bridge: Any) -> Iterator[str]:
    """What of a bridge is unlike the transformers that can be tested, as things that it has or lacks."""
    blocks = getattr(bridge, "blocks", None)
    if blocks is None:
        both = hasattr(bridge, "encoder_blocks") and hasattr(bridge, "decoder_blocks")
        yield "an encoder with a decoder" if both else "no list of layers"
        return
    if not all(hasattr(block, "attn") for block in blocks):
        yield "layers without attention"
        return
    if any(_part(block.attn, "original_component", "indexer") is not None for block in blocks):
        yield "an indexer that chooses which keys are seen"
    if any(hasattr(block.attn, "experts") for block in blocks):
        yield "mixtures of attention heads"
    if hasattr(bridge, "prediction_head"):
        yield "layers of its own between the last norm and the unembedding"
    if any(_part(block.attn, "original_component", name) for block in blocks for name in ("g_proj", "gate_proj")):
        yield "gates on what heads read"
    if any(_part(block.attn, "original_component", "attn_sub_norm") for block in blocks):
        yield "a norm over what all heads of a layer read"
    if any(_part(block, "original_component", "mamba") for block in blocks):
        yield "recurrent layers beside attention"
    if not all(_there(block, "ln1") or _there(block, "ln1_post") for block in blocks):
        yield "no norm before attention"
    apart = [
        block for block in blocks if hasattr(block, "mlp") and not getattr(bridge.cfg, "parallel_attn_mlp", False)
    ]
    if not all(_there(block, "ln2") or _there(block, "ln2_post") for block in apart):
        yield "no norm before its MLPs"
    if not _there(bridge, "ln_final") and not norms_the_stream(bridge):  # there, that of the last layer is the last
        yield "no norm after its last layer"
    yield from _positions(bridge)
    norms = [norm for block in blocks for norm in (_part(block, "attn", "q_norm"), _part(block, "attn", "k_norm"))]
    if any(norm is not None and not (hasattr(norm, "uses_rms_norm") or norms_by_head(norm)) for norm in norms):
        yield "head norms of a form of their own"
    norms = [_part(block, name) for block in blocks for name in ("ln1", "ln1_post", "ln2", "ln2_post")]
    if any(_there_and_odd(norm) for norm in norms):
        yield "norms of a form of their own"


def _there_and_odd(norm: Any) -> bool:
    module = _part(norm, "original_component")
    return module is not None and not isinstance(module, nn.Identity) and not hasattr(norm, "uses_rms_norm")


def _positions(bridge: Any) -> Iterator[str]:
    kind = str(getattr(bridge.cfg, "positional_embedding_type", None)).lower()
    sines = _part(bridge, "original_model", "model", "embed_positions", "offset")
    if kind == "standard" and not hasattr(bridge, "pos_embed") and sines is None:
        yield "positions that are no table that was learned"


def _there(owner: Any, name: str) -> bool:
    """Whether a part of a bridge exists and stands for a module of the model."""
    return _part(owner, name, "original_component") is not None


def _part(owner: Any, *names: str) -> Any:
    for name in names:
        owner = getattr(owner, name, None)
    return owner


@torch.no_grad()
def refuse_not_finite(module: nn.Module, title: str, seen: Callable[[], None] = lambda: None) -> None:
    """Raises ModelError naming the tensors of a model that hold NaN or infinite numbers; `seen` hears of each."""
    found: dict[str, int] = {}
    for name, parameter in module.named_parameters():
        found[own_name(name)] = _not_finite(parameter)
        seen()
    if bad := [f"{name} ({count} of its numbers)" for name, count in found.items() if count]:
        raise ModelError(
            f"the weights of {title} are broken: NaN or infinite are {some(bad, 3)}. Take an undamaged file; half "
            "precision may have been too small for them."
        )


def _not_finite(parameter: torch.Tensor) -> int:
    """How many of its numbers are none; almost always none of them, which its least and its largest tell."""
    if not parameter.numel() or parameter.is_meta or all(end.isfinite() for end in torch.aminmax(parameter)):
        return 0
    return int((~torch.isfinite(parameter)).sum())


def own_name(name: str) -> str:
    """The name of a parameter without the wrappers that TransformerLens put around modules."""
    return name.replace("._original_component", "")


@contextmanager
def in_words(title: str) -> Generator[None]:
    """Turns what reading an unknown kind of bridge raises into a sentence. Raises ModelError."""
    try:
        yield
    except ScrubError:
        raise
    except Exception as error:
        raise ModelError(
            f"{title} is not built like the transformers that can be tested: {said_by(error)}. Another revision of "
            f"it, or a bridge whose weights are raw, may be; {LISTED}."
        ) from error


@contextmanager
def running(bridge: Any, title: str) -> Generator[None]:
    """Gives the reason, where it is known, why a bridge does not compute as its weights say, or not at all.

    Raises ModelError.
    """
    try:
        yield
    except Exception as error:
        if reason := _cause(bridge, ran=isinstance(error, ScrubError)):
            raise ModelError(f"{title} {reason}") from error
        if isinstance(error, ScrubError):
            raise
        raise ModelError(f"{title} does not run in TransformerLens: {said_by(error)}.{_elsewise(bridge)}") from error


def _cause(bridge: Any, ran: bool) -> str | None:
    modules = list(bridge.original_model.modules())
    wrapped = [module.original_component for module in modules if hasattr(module, "original_component")]
    if not ran and any(isinstance(module, nn.Identity) for module in wrapped):
        return (
            "has lost its norms (nn.Identity stands for them), and this bridge does not run so: give the model "
            "that it wraps as model=, or keep LayerNorm modules with eps 1e12 and weights of 1e6, which take away "
            "the mean and do no more."
        )
    if any(hasattr(module, "original_component") for module in wrapped):
        return "was wrapped by TransformerLens twice: load the model anew, or give the first bridge."
    return None


def _elsewise(bridge: Any) -> str:
    """What may help a model that does not run in fp64."""
    if own_of(bridge.original_model) != torch.float64:
        return ""
    return " Its weights are in float64: a directory may run with --dtype float32, a loaded model after .float()."


def said_by(error: BaseException) -> str:
    """The first line of a library's error, or its kind alone where the text is about Python's objects."""
    text = next(iter(str(error).strip().splitlines()), "")
    if isinstance(error, _INTERNAL) or not text:
        return f"a part of it is missing or of another form ({type(error).__name__} in TransformerLens)"
    return text.rstrip(".")
