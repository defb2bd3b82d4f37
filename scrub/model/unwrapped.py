"""Whether a bridge computes what its model computed before it was wrapped.

The self-check compares with the bridge, which is no reference where TransformerLens reads a setting otherwise than
the model does (caps of Gemma 3, a single rotary number of StableLM).
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch
from attrs import frozen
from jaxtyping import Float, Int
from torch import Tensor, nn

from scrub.anatomy.tolerances import LOGIT
from scrub.errors import ModelError
from scrub.model.configuration import LISTED
from scrub.model.precision import HALF

LENGTH = 8  # tokens that are run
# Attention is computed in another order there: standard deviations of logits, in full and in half precision.
MOST, HALF_MOST = 10 * LOGIT, 0.5
_CONTEXTS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")


@frozen(eq=False)
class OwnLogits:
    """Random tokens, and what the model itself makes of them."""

    tokens: Int[Tensor, "1 t"]
    logits: Float[Tensor, "1 t v"]


# Kept by the bridge, from when it was made: how far its logits lie from its model's own, and how far they may.
_departed: WeakKeyDictionary[Any, tuple[float, float]] = WeakKeyDictionary()


@torch.no_grad()
def own_logits(module: nn.Module) -> OwnLogits | None:
    """None of a model without numbers, or one that does not run on tokens alone."""
    if any(parameter.is_meta for parameter in module.parameters()):
        return None
    try:
        tokens = _tokens(module)
        return OwnLogits(tokens, module(input_ids=tokens).logits)
    except Exception:  # what does not run is refused, with its reason, as it is wrapped, read or compared
        return None


def _tokens(module: Any) -> Int[Tensor, "1 t"]:
    config, weight = module.config.get_text_config(), module.get_input_embeddings().weight
    known = [found for key in _CONTEXTS if isinstance(found := getattr(config, key, None), int)]
    generator = torch.Generator().manual_seed(0)
    return torch.randint(len(weight), (1, min([LENGTH, *known])), generator=generator).to(weight.device)


@torch.no_grad()
def remember(bridge: Any, own: OwnLogits | None) -> None:
    """Keeps how far a bridge, just made, departs from what its model computed before."""
    if own is None:
        return
    try:
        found = bridge(own.tokens)
    except Exception:  # the self-check tells why
        return
    away = float((found.double() - own.logits.double()).abs().max() / own.logits.double().std())
    _departed[bridge] = away, HALF_MOST if own.logits.dtype in HALF else MOST


def refuse_departed(bridge: Any, title: str) -> None:
    """Raises ModelError for a bridge that does not compute its model."""
    away, most = _departed.get(bridge, (0.0, 1.0))
    if away > most:
        raise ModelError(
            f"{title} gives other logits in TransformerLens than by itself, by up to {away:.2g} standard deviations: "
            "a setting of it is read otherwise there, and what is compared with it would not be this model; "
            f"{LISTED}."
        )
