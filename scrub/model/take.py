"""What is looked up in a bridge: settings, multipliers, caps, tensors and norms. The bridge is only looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import attrs
import torch
from torch import Tensor, nn

from scrub.model.later import Later, Lending
from scrub.model.precision import HALF, computed_in
from scrub.model.weights import NORM_EPS, Norm

T = TypeVar("T")
# Keys of a configuration that multiply, or divide, what a part of the model gives.
_TIMES = {
    "embedding": ("embedding_multiplier",),
    "residual": ("residual_multiplier",),
    "logits": ("logit_scale",),
}
_DIVIDED = {"logits": ("logits_scaling",)}


def setting(bridge: Any, key: str, default: Any = None) -> Any:
    value = getattr(bridge.cfg, key, None)
    return default if value is None else value


def configuration(bridge: Any) -> dict[str, Any]:
    """The keys of the `config.json` that a bridge comes from, defaults included; none for a native one."""
    config = text_config(bridge)
    return config.to_dict() if hasattr(config, "to_dict") else {}


def text_config(bridge: Any) -> Any:
    """The configuration of what reads tokens, in a model that may read more (Gemma 3's larger ones); None: native."""
    config: Any = getattr(bridge.original_model, "config", None)
    return getattr(config, "text_config", None) or config


def factor(bridge: Any, part: str) -> float | None:
    """By how much a part is multiplied; None for 1."""
    config, found = configuration(bridge), 1.0
    for key in _TIMES[part]:
        found *= config.get(key) or 1.0
    for key in _DIVIDED.get(part, ()):
        found /= config.get(key) or 1.0
    return None if found == 1.0 else found


def multiplied(tensor: Tensor, factor: float | None) -> Tensor:
    return tensor if factor is None else tensor * factor


def maybe_multiplied(tensor: Tensor | None, factor: float | None) -> Tensor | None:
    return None if tensor is None else multiplied(tensor, factor)


def cap_of(bridge: Any, key: str, own: str) -> float | None:
    """A cap under the bridge's name or, where it has none, the configuration's own."""
    value = setting(bridge, key, -1.0)
    value = value if value > 0 else configuration(bridge).get(own) or -1.0
    return float(value) if value > 0 else None


def clip_of(bridge: Any) -> float | None:
    config = configuration(bridge)
    found = config.get("clip_qkv") or (config.get("attn_config") or {}).get("clip_qkv")
    return float(found) if found else None


@attrs.frozen
class Take:
    """Takes tensors out of a live model: detached, in one dtype, on one device.

    What has that dtype and is there already is no copy: it is the model's own tensor, which nothing here changes.
    Without a dtype matrices in half precision stay what they are, and all else is in fp32. Where there is `lending`,
    parts of layers are taken when they are asked for.
    """

    dtype: torch.dtype | None
    device: torch.device | str | None
    lending: Lending | None = None

    def part(self, kind: type[T], make: Callable[[], T]) -> T | Later[T]:
        """A part of a layer, taken now or later."""
        return make() if self.lending is None else Later(kind, make, self.lending)

    def __call__(self, tensor: Tensor) -> Tensor:
        own = tensor.dtype if tensor.dtype in HALF else torch.float32
        return self._in(self.dtype or own, tensor)

    def precisely(self, tensor: Tensor) -> Tensor:
        """What is no matrix (biases, norms, tables), or is multiplied as it is taken: never in half precision."""
        return self._in(computed_in(self.dtype or torch.float32), tensor)

    def times(self, tensor: Tensor, factor: float | None) -> Tensor:
        """A matrix multiplied. In half precision the product would be rounded."""
        return self(tensor) if factor is None else self.precisely(tensor) * factor

    def _in(self, dtype: torch.dtype, tensor: Tensor) -> Tensor:
        taken = tensor.detach().to(device=self.device or tensor.device, dtype=dtype)
        return (
            taken if taken.untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr() else taken.contiguous()
        )

    def maybe(self, tensor: Tensor | None) -> Tensor | None:
        """A bias, where there is one."""
        return None if tensor is None else self.precisely(tensor)

    def swapped(self, tensor: Tensor, factor: float | None = None) -> Tensor:
        """The same; a copy is stored with its last two axes exchanged, the layout that matrix products want."""
        return self.times(tensor.transpose(-1, -2), factor).transpose(-1, -2)


def norm_of(ln: Any, cfg: Any, take: Take) -> Norm:
    module = ln.original_component
    if isinstance(module, nn.Identity):
        return Norm("none")
    if (each := norms_by_head(ln)) is not None:
        weight, bias = (_stacked(each, name, take) for name in ("weight", "bias"))
        return Norm("layer", weight, bias, each[0].eps)
    weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
    kind = "rms" if ln.uses_rms_norm else "layer"
    if weight is not None:
        weight = take.precisely(weight)  # before anything is added: half precision would round the sum
        weight = weight + 1.0 if ln.uses_weight_offset else weight
    eps = getattr(module, "eps", getattr(module, "variance_epsilon", getattr(cfg, "eps", NORM_EPS)))
    return Norm(kind, weight, take.maybe(bias) if kind == "layer" else None, float(eps))


def norms_by_head(ln: Any) -> list[nn.LayerNorm] | None:
    """The norms of a module that keeps one for each head (StableLM 2); None for any other."""
    found: list[Any] = list(getattr(getattr(ln, "original_component", None), "norms", ()))
    return found if found and all(isinstance(one, nn.LayerNorm) for one in found) else None


def _stacked(norms: list[nn.LayerNorm], name: str, take: Take) -> Tensor | None:
    found = [getattr(one, name) for one in norms]
    return None if any(one is None for one in found) else take.precisely(torch.stack(found))


def expect(weight: Tensor, axes: tuple[int, ...], name: str) -> None:
    if weight.shape != axes:
        raise ValueError(f"its {name} is of shape {tuple(weight.shape)}, not {axes}")
