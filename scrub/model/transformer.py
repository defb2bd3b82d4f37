"""The adapter on TransformerLens: weights are taken once from a bridge, then checked against its logits.

The only file that imports transformer_lens. What cannot be expressed by `scrub.model.layers`, or does not
give the model's own logits, is refused by name; nothing is approximated.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from scrub.anatomy.shape import Shape
from scrub.claims.dataset import Dataset
from scrub.errors import ModelError, some
from scrub.model.built import in_words, refuse_not_finite, running, said_by, unlike
from scrub.model.configuration import unknown, unread
from scrub.model.layers import ACTIVATIONS
from scrub.model.memory import Memory
from scrub.model.precision import HALF
from scrub.model.selfcheck import digest, probe_data, rounding_check, self_check
from scrub.model.weights import Attn, Block, Mlp, Norm, Rotary, Transformer

_ACT_NAMES = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "swish": "silu",
}
_POSITIONS = {"standard": "learned", "rotary": "rotary", "none": "none"}
# Settings of a bridge that change the computation in a way the layers here do not know.
_REFUSED = {
    "use_normalization_before_and_after": "norms after attention and MLP",
    "post_embedding_ln": "a norm after the embedding",
    "qk_norm_after_rope": "head norms after the rotary embedding",
    "gated_q_proj": "gated queries",
    "num_experts": "a mixture of experts",
    "is_stateful": "a recurrent state",
    "is_multimodal": "inputs other than text",
}
_CAPS = {"attn_scores_soft_cap": "capped attention scores", "output_logits_soft_cap": "capped logits"}


def adapt(
    bridge: Any,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
    name: str | None = None,
    revision: str | None = None,
    data: Dataset | None = None,
    memory: int | None = None,
) -> Transformer:
    """The weights of a TransformerBridge as a `Transformer`: copies, detached; the bridge stays as it was.

    Supported is what passes the self-check: LayerNorm, RMSNorm or no norm, before attention and MLP; learned
    or rotary positions, grouped queries, windows, head norms, gated MLPs, parallel blocks, attention only,
    bidirectional attention. Raises ModelError, naming the architecture, for all else. `revision` is a digest
    of the weights where none is given. `data` are the rows to be read: the self-check looks at some of them, and
    at random tokens as long as the longest; without them, at random tokens alone. `memory` bounds, in bytes, what is
    filled at once; without, a quarter of what is free.
    """
    model_name = name or _setting(bridge, "model_name", "model")
    architecture = _setting(bridge, "architecture", type(bridge).__name__)
    title = f"{model_name} ({architecture})"
    _refuse_known(bridge, title)
    with in_words(title):
        refuse_not_finite(bridge.original_model, title)
        exact = _taken(bridge, model_name, architecture, _Copy(torch.float32 if dtype in HALF else dtype, device))
    bound = Memory.on(exact.device, memory)
    exact = attrs.evolve(exact, revision=revision or digest(exact), notes=_notes(bridge), memory=bound)
    rows = probe_data(exact, data)
    with running(bridge, title):
        self_check(exact, bridge, *rows)
        if dtype not in HALF:
            return exact
        model = exact.to(dtype)
        rounding_check(model, exact, bridge, *rows)
    return model


def bridge_of(module: nn.Module, name: str) -> Any:
    """A TransformerBridge around a loaded Hugging Face model, which it takes over; no tokenizer is needed.

    Raises ModelError when TransformerLens does not know the architecture.
    """
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    architecture, config = type(module).__name__, module.config
    refuse_not_finite(module, f"{name} ({architecture})")  # under the names of its file, which a bridge changes
    _with_joint_biases(module)
    try:
        return build_bridge_from_module(module.eval(), architecture, hf_config=config, model_name=name)
    except Exception as error:
        raise ModelError(f"TransformerLens does not load {name} ({architecture}): {said_by(error)}.") from error


def _with_joint_biases(module: nn.Module) -> None:
    # TransformerLens splits the bias of joint queries, keys and values unasked (GPT-NeoX); zeros compute the same.
    for part in module.modules():
        joint: Any = getattr(part, "query_key_value", None)
        if isinstance(joint, nn.Linear) and getattr(joint, "bias", None) is None:
            joint.bias = nn.Parameter(joint.weight.new_zeros(joint.out_features), requires_grad=False)


def wrapped(module: Any) -> Any:
    """A TransformerBridge around a Hugging Face model that somebody holds: it shares the tensors and nothing else.

    Raises ModelError when TransformerLens does not know the architecture.
    """
    if any(hasattr(part, "original_component") for part in module.modules()):
        raise ModelError(
            f"this {type(module).__name__} is inside a TransformerBridge already: give the bridge as model=."
        )
    # TransformerLens changes what it wraps, twice-wrapped models not being right any more.
    tensors = [*module.parameters(), *module.buffers()]
    return bridge_of(copy.deepcopy(module, {id(tensor): tensor for tensor in tensors}), called(module))


def called(module: Any) -> str:
    """The name of a Hugging Face model: the hub's, its directory's, or that of its class."""
    name = str(getattr(module, "name_or_path", "")) or type(module).__name__
    return Path(name).name if Path(name).is_dir() else name


def native_bridge(config: Mapping[str, Any], state: dict[str, Tensor], name: str) -> Any:
    """A TransformerLens-native model in eval mode that carries `state`; the caller's random state is kept."""
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge.sources.native import boot

    # Skipping TransformerLens' own initialisation is not enough: torch's layers still draw from the global
    # generator when they are built.
    with torch.random.fork_rng(devices=[]):
        made = boot(TransformerBridgeConfig(**config, init_weights=False), model_name=name)
    # The head of a native model has no bias; the bridge lists a zero one, which no file needs to store.
    missing = {key: value for key, value in made.state_dict().items() if key == "unembed.bias"}
    made.load_state_dict({**missing, **{key: value.float() for key, value in state.items()}}, strict=True)
    return made.eval()


def official_name(name: str) -> str:
    """The hub's name for one of TransformerLens' short names (`gpt2-small` is `gpt2`); others unchanged."""
    from transformer_lens.supported_models import MODEL_ALIASES

    return next((official for official, short in MODEL_ALIASES.items() if name in short), name)


def _setting(bridge: Any, key: str, default: Any = None) -> Any:
    value = getattr(bridge.cfg, key, None)
    return default if value is None else value


def _refuse_known(bridge: Any, title: str) -> None:
    reasons = [reason for key, reason in _REFUSED.items() if _setting(bridge, key)]
    reasons += [reason for key, reason in _CAPS.items() if _setting(bridge, key, -1.0) > 0]
    kind = str(_setting(bridge, "positional_embedding_type", "none")).lower()
    if kind not in _POSITIONS:
        reasons.append(f"{kind} positions")
    for words, key in unread(_configuration(bridge)):
        reasons += [] if words in reasons else [f"{words} ({key})"]
    reasons += unlike(bridge)
    if reasons:
        raise ModelError(f"{title} has {' and '.join(reasons)}, which is not supported.")


def _configuration(bridge: Any) -> dict[str, Any]:
    """The keys of the `config.json` that a bridge comes from, defaults included; none for a native one."""
    config: Any = getattr(bridge.original_model, "config", None)
    return config.to_dict() if hasattr(config, "to_dict") else {}


def _notes(bridge: Any) -> tuple[str, ...]:
    keys = unknown(_configuration(bridge))
    text = (
        f"the model's configuration sets {some(keys, 4)}, and it is not known here what that does: the self-check "
        "sees it only where it acts on the rows that were compared."
    )
    return (text,) if keys else ()


@attrs.frozen
class _Copy:
    """Takes tensors out of a live model: detached, contiguous copies in one dtype, on one device."""

    dtype: torch.dtype
    device: torch.device | str | None

    def __call__(self, tensor: Tensor) -> Tensor:
        taken = tensor.detach().to(device=self.device or tensor.device, dtype=self.dtype, copy=True)
        return taken.contiguous()

    def maybe(self, tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else self(tensor)

    def swapped(self, tensor: Tensor) -> Tensor:
        """A copy stored with its last two axes exchanged, the layout that matrix products want."""
        return self(tensor.transpose(-1, -2)).transpose(-1, -2)


def _taken(bridge: Any, name: str, architecture: str, copy: _Copy) -> Transformer:
    shape = _shape(bridge, architecture)
    rotary = _rotary(bridge, shape.n_ctx, copy) if shape.positions == "rotary" else None
    embedding, unembedding = bridge.embed.weight, bridge.unembed.weight
    # Gemma multiplies what it looks up, and unembeds by the table itself.
    factor = _embedding_factor(bridge.embed.original_component)
    # Cast first: in half precision the product would be rounded.
    W_E = copy(embedding) if factor is None else copy(embedding) * factor
    tied = factor is None and unembedding.data_ptr() == embedding.data_ptr()
    return Transformer(
        shape=shape,
        W_E=W_E,
        W_pos=copy(bridge.pos_embed.weight[-shape.n_ctx :]) if shape.positions == "learned" else None,
        blocks=tuple(_block(bridge, layer, shape, rotary, copy) for layer in range(shape.n_layers)),
        ln_final=_norm(bridge.ln_final, bridge.cfg, copy),
        W_U=W_E.T if tied else copy(unembedding).T,
        b_U=copy.maybe(bridge.unembed.bias),
        name=name,
        processing="compat" if getattr(bridge, "_weights_processed", False) else "raw",
    )


def _embedding_factor(module: Any) -> float | None:
    # The buffer is rounded with the weights; the number that it was made of is not.
    factor = getattr(module, "scalar_embed_scale", getattr(module, "embed_scale", None))
    return None if factor is None else float(factor)


def _shape(bridge: Any, architecture: str) -> Shape:
    cfg, first = bridge.cfg, bridge.blocks[0]
    has_mlp = not _setting(bridge, "attn_only", False) and hasattr(first, "mlp")
    return Shape(
        family=architecture,
        n_layers=len(bridge.blocks),
        n_heads=cfg.n_heads,
        n_kv_heads=_setting(bridge, "n_key_value_heads", cfg.n_heads),
        d_model=cfg.d_model,
        d_head=cfg.d_head,
        d_mlp=first.mlp.W_out.shape[0] if has_mlp else 0,
        d_vocab=bridge.embed.weight.shape[0],
        n_ctx=cfg.n_ctx,
        positions=_POSITIONS[str(_setting(bridge, "positional_embedding_type", "none")).lower()],
        parallel=bool(_setting(bridge, "parallel_attn_mlp", False)),
        causal=_setting(bridge, "attention_dir", "causal") == "causal",
        gated=has_mlp and getattr(first.mlp, "gate", None) is not None,
    )


def _block(bridge: Any, layer: int, shape: Shape, rotary: Rotary | None, copy: _Copy) -> Block:
    block, cfg = bridge.blocks[layer], bridge.cfg
    has_mlp = shape.d_mlp > 0
    second = getattr(block, "ln2", None) if has_mlp else None
    ln1 = _norm(block.ln1, cfg, copy)
    return Block(
        ln1=ln1,
        attn=_attn(bridge, block.attn, shape, rotary, copy),
        # Parallel blocks with one norm (GPT-J, Phi) let attention and MLP share it.
        ln2=(ln1 if second is None else _norm(second, cfg, copy)) if has_mlp else None,
        mlp=_mlp(block.mlp, cfg, copy) if has_mlp else None,
        parallel=shape.parallel,
    )


def _norm(ln: Any, cfg: Any, copy: _Copy) -> Norm:
    module = ln.original_component
    if isinstance(module, nn.Identity):
        return Norm("none")
    weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
    kind = "rms" if ln.uses_rms_norm else "layer"
    if weight is not None:
        weight = copy(weight) + 1.0 if ln.uses_weight_offset else copy(weight)  # cast first, as above
    eps = getattr(module, "eps", getattr(module, "variance_epsilon", getattr(cfg, "eps", 1e-5)))
    return Norm(kind, weight, copy.maybe(bias) if kind == "layer" else None, float(eps))


def _attn(bridge: Any, attn: Any, shape: Shape, rotary: Rotary | None, copy: _Copy) -> Attn:
    module = attn.original_component
    _expect(attn.W_Q, (shape.n_heads, shape.d_model, shape.d_head), "W_Q")
    _expect(attn.W_K, (shape.n_kv_heads, shape.d_model, shape.d_head), "W_K")
    return Attn(
        W_Q=copy.swapped(attn.W_Q),
        W_K=copy.swapped(attn.W_K),
        W_V=copy.swapped(attn.W_V),
        W_O=copy(attn.W_O),
        b_Q=copy.maybe(attn.b_Q),
        b_K=copy.maybe(attn.b_K),
        b_V=copy.maybe(attn.b_V),
        b_O=copy.maybe(attn.b_O),
        scale=_scale(module, shape.d_head),
        causal=shape.causal,
        window=_window(bridge, module),
        rotary=rotary,
        q_norm=_head_norm(attn, "q_norm", bridge.cfg, copy),
        k_norm=_head_norm(attn, "k_norm", bridge.cfg, copy),
    )


def _expect(weight: Tensor, axes: tuple[int, ...], name: str) -> None:
    if weight.shape != axes:
        raise ValueError(f"its {name} is of shape {tuple(weight.shape)}, not {axes}")


def _scale(module: Any, d_head: int) -> float:
    # Hugging Face's modules name the factor; the native ones name the divisor.
    if (factor := getattr(module, "scaling", None)) is not None:
        return float(factor)
    if isinstance(divisor := getattr(module, "scale", None), int | float):
        return 1.0 / float(divisor)
    # The one that tells local attention from global (GPT-Neo's) and names neither does not scale.
    return 1.0 if hasattr(module, "attention_type") else d_head**-0.5


def _window(bridge: Any, module: Any) -> int | None:
    if hasattr(module, "sliding_window"):
        return module.sliding_window
    if hasattr(module, "attention_type"):
        return module.config.window_size if module.attention_type == "local" else None
    config = getattr(bridge.original_model, "config", None)
    return getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None


def _head_norm(attn: Any, which: str, cfg: Any, copy: _Copy) -> Norm | None:
    ln = getattr(attn, which, None)
    if ln is None:
        return None
    taken = _norm(ln, cfg, copy)
    if taken.weight is not None:
        _expect(taken.weight, (cfg.d_head,), f"{which}.weight")
    return taken


def _mlp(block_mlp: Any, cfg: Any, copy: _Copy) -> Mlp:
    name = str(getattr(cfg, "act_fn", None) or ("silu" if hasattr(block_mlp, "gate") else "gelu")).lower()
    act = _ACT_NAMES.get(name, name)
    if act not in ACTIVATIONS:
        raise ValueError(f"its activation {name!r} is none of {', '.join(ACTIVATIONS)}")
    into, gate = getattr(block_mlp, "in"), getattr(block_mlp, "gate", None)
    return Mlp(
        W_in=copy.swapped(block_mlp.W_in),
        W_out=copy.swapped(block_mlp.W_out),
        act=act,
        b_in=copy.maybe(into.bias),
        b_out=copy.maybe(block_mlp.out.bias),
        W_gate=None if gate is None else copy.swapped(block_mlp.W_gate),
        b_gate=None if gate is None else copy.maybe(gate.bias),
    )


def _rotary(bridge: Any, n_ctx: int, copy: _Copy) -> Rotary:
    native = getattr(bridge.original_model, "rotary", None)
    if native is not None and hasattr(native, "cos_cached"):
        return Rotary(copy(native.cos_cached), copy(native.sin_cached), interleaved=True)
    joint = getattr(bridge.blocks[0].attn.original_component, "embed_positions", None)
    if isinstance(joint, Tensor):
        sin, cos = (copy(table.repeat_interleave(2, dim=-1)) for table in joint[:n_ctx].chunk(2, dim=-1))
        return Rotary(cos, sin, interleaved=True)
    module = bridge.rotary_emb.original_component
    if getattr(module, "rope_type", "default") in ("dynamic", "longrope"):
        raise ValueError(f"its {module.rope_type} rotary angles depend on the length of the row")
    positions = torch.arange(n_ctx, device=bridge.embed.weight.device)[None]
    cos, sin = module(torch.zeros(1, device=positions.device), positions)
    half = cos.shape[-1] // 2
    # A half-split table repeats the angles of its first half in the second; the other kind, in neighbours.
    paired = not torch.equal(cos[..., :half], cos[..., half:])
    return Rotary(copy(cos[0]), copy(sin[0]), interleaved=paired)
