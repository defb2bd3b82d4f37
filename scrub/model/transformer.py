"""The adapter on TransformerLens: weights are taken once from a bridge, then checked against its logits.

The only file that imports transformer_lens. What cannot be expressed by `scrub.model.layers`, or does not
give the model's own logits, is refused by name; nothing is approximated.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import attrs
import torch
from torch import Tensor, nn

from scrub.anatomy.shape import Shape
from scrub.claims.dataset import Dataset
from scrub.errors import ModelError, some
from scrub.model.bridged import POSITIONS, shape_of, taken
from scrub.model.built import in_words, own_name, refuse_not_finite, running, said_by, unlike
from scrub.model.configuration import LISTED, unknown, unread, what_works
from scrub.model.digest import digest
from scrub.model.experts import plain_experts
from scrub.model.memory import Memory
from scrub.model.places import devices
from scrub.model.precision import HALF, computed_in, dtypes, own_of
from scrub.model.selfcheck import ProbeRows, probe_data, rounding_check, self_check
from scrub.model.state import Adapted, State, adapted, built_alike, place_of
from scrub.model.take import Take, configuration, setting
from scrub.model.unwrapped import own_logits, refuse_departed, remember
from scrub.model.weights import Transformer, lifted

# Settings of a bridge that change the computation in a way the layers here do not know.
_REFUSED = {
    "gated_q_proj": "gated queries",
    "is_stateful": "a recurrent state",
}


def adapt(
    bridge: Any,
    *,
    dtype: torch.dtype | None = torch.float32,
    device: torch.device | str | None = None,
    name: str | None = None,
    revision: str | None = None,
    data: Dataset | None = None,
    memory: int | None = None,
    read: Adapted | None = None,
) -> Transformer:
    """The weights of a TransformerBridge as a `Transformer`: detached, and the bridge's own tensors where dtype and
    device are its own.

    A bridge is taken and checked once, as long as it stays what it is (`state_of`): what was changed since, in place
    or by a hook, is taken and checked anew. Without a dtype a model in fp64 stays so, and matrices in half precision
    do: all else is in fp32. Half precision is compared in fp32, a layer at a time, and as it is multiplied.

    Supported is what passes the self-check: LayerNorm, RMSNorm or no norm, before attention and MLP; learned
    or rotary positions, grouped queries, windows, head norms, gated MLPs, parallel blocks, attention only,
    bidirectional attention. Raises ModelError, naming the architecture, for all else. `revision` is a digest
    of the weights where none is given. `data` are the rows to be read: the self-check looks at some of them, and
    at random tokens as long as the longest; without them, at random tokens alone. `memory` bounds, in bytes, what is
    filled at once; without, a quarter of what is free. Of a bridge on several devices layers stay where they are
    (`scrub.model.places`), unless a `device` is given, to which all of it is taken. `read` is what `taken_shape` has
    read of it just now.
    """
    dtype, wanted = _precision(bridge, Take(dtype, device))
    own, known = wanted.dtype is None, adapted(bridge, read)
    found = _once_taken(known, bridge, name, wanted)
    found = attrs.evolve(found, memory=Memory.on(devices(found), memory))
    found = found if revision is None else attrs.evolve(found, revision=revision)
    exact, rows = lifted(found, torch.float32) if own else found, probe_data(found, data)
    key = wanted, tuple(rows[0].flatten().tolist()), tuple(rows[1].tolist())
    refuse_departed(bridge, _title(bridge, name))
    with running(bridge, _title(bridge, name)):
        known.once(("checked", *key), lambda: self_check(exact, bridge, *rows))
        known.ran(bridge)
        if dtype not in HALF:
            return found
        model = found if own else found.to(dtype)
        known.once(("rounded", dtype, *key), lambda: rounding_check(model, exact, bridge, *rows))
    return model


def _refuse_offloaded(bridge: Any, title: str) -> None:
    """Raises ModelError for weights that are brought to a device only while their module runs."""
    if away := [own_name(n) for n, weight in bridge.original_model.named_parameters() if weight.is_meta]:
        raise ModelError(
            f"{title} has weights that lie on no device ({some(away, 3)}): a device_map with 'cpu' or "
            "'disk' beside other devices has them brought as they run. Give every layer a device, or run the "
            "directory from its files, scrub test --stream."
        )


def taken_shape(bridge: Any) -> tuple[str, Shape, Adapted | None]:
    """Name and shape of a bridge whose weights were taken, and not compared yet; and what was read for it.

    Of a bridge that was taken before they are what they were, whatever was written into its tensors since: nothing is
    read, `adapt` reads them. Raises ModelError for all that `adapt` refuses before it compares.
    """
    alike = built_alike(bridge)
    known = alike or adapted(bridge)
    found = _once_taken(known, bridge, None, _precision(bridge, Take(None, None))[1])
    return found.name, found.shape, known if alike is None else None


def _title(bridge: Any, name: str | None) -> str:
    return f"{_named(bridge, name)} ({_architecture_of(bridge)})"


def _named(bridge: Any, name: str | None) -> str:
    return name or setting(bridge, "model_name", "model")


def _architecture_of(bridge: Any) -> str:
    return setting(bridge, "architecture", type(bridge).__name__)


def _once_taken(known: Adapted, bridge: Any, name: str | None, take: Take) -> Transformer:
    """The weights, which were not compared; their digest is computed when it is asked for."""

    return attrs.evolve(known.once(take, lambda: _taken(bridge, name, take)), name=_named(bridge, name))


def _taken(bridge: Any, name: str | None, take: Take) -> Transformer:
    title = _title(bridge, name)
    _refuse_known(bridge, title)
    _refuse_offloaded(bridge, title)
    with in_words(title):
        if take.lending is None:  # in files, they were looked at as they were opened
            refuse_not_finite(bridge.original_model, title)
        found = taken(bridge, "", _architecture_of(bridge), take)
    told = cache(partial(digest, found))
    return attrs.evolve(found, revision=told, notes=_notes(bridge))


def adapt_in_parts(bridge: Any, name: str, take: Take) -> tuple[Transformer, Transformer]:
    """The same of a bridge whose weights lie in files, not yet compared: `take.lending` holds what runs.

    With it the same in full precision.
    """
    dtype, wanted = _precision(bridge, take)
    found = attrs.evolve(_taken(bridge, name, wanted), name=name)
    if dtype not in HALF:
        return found, found
    return (found, lifted(found, torch.float32)) if wanted.dtype is None else (found.to(dtype), found)


def compare_in_parts(model: Transformer, exact: Transformer, bridge: Any, rows: ProbeRows) -> None:
    """Raises ModelError where such a model does not give its bridge's own logits on the rows of `probe_data`.

    These are computed a layer at a time.
    """
    with running(bridge, _title(bridge, model.name)):
        self_check(exact, bridge, *rows)
        if model is not exact:
            rounding_check(model, exact, bridge, *rows)


def _precision(bridge: Any, take: Take) -> tuple[torch.dtype, Take]:
    """What a bridge is computed in, and how it is taken for that: half precision of its own as it is."""
    dtype = take.dtype or own_of(bridge.original_model)
    own = dtype in HALF and dtype in dtypes(bridge.original_model)
    return dtype, attrs.evolve(take, dtype=None if own else computed_in(dtype))


def bridge_of(module: nn.Module, name: str, seen: Callable[[], None] | None = None) -> Any:
    """A TransformerBridge around a loaded Hugging Face model, which it takes over; no tokenizer is needed.

    `seen` hears of every weight that was looked at, of a model that lies in files and is not run whole.
    Raises ModelError when TransformerLens does not know the architecture.
    """
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    architecture, config = _architecture(module), module.config
    # under the names of its file, which a bridge changes
    refuse_not_finite(module, f"{name} ({architecture})", seen or (lambda: None))
    _with_joint_biases(module)
    for part in module.modules():
        if next(module.parameters()).dtype == torch.float64:
            plain_experts(part)
    own = own_logits(module.eval()) if seen is None else None
    try:
        with torch.random.fork_rng(devices=[]):  # layers draw as they are built
            bridge = build_bridge_from_module(module, architecture, hf_config=config, model_name=name)
    except Exception as error:
        if "meta device" in str(error):
            raise ModelError(
                f"{name} ({architecture}) has joint matrices that TransformerLens takes apart by their numbers: its "
                "shape cannot be read without weights. Give the loaded model in Python."
            ) from error
        raise ModelError(
            f"TransformerLens does not load {name} ({architecture}): {said_by(error)}; {LISTED}."
        ) from error
    remember(_passing(bridge), own)
    return bridge


def _architecture(module: nn.Module) -> str:
    """The name that TransformerLens knows a model by: of its class, or, where files have another (Phi-3.5-MoE), that.

    Raises ModelError for a model that gives no logits of tokens.
    """
    from transformer_lens.factories.architecture_adapter_factory import SUPPORTED_ARCHITECTURES

    own, config = type(module).__name__, getattr(module, "config", None)
    head: Any = getattr(module, "get_output_embeddings", None)
    if head is not None and head() is None and not getattr(config, "is_encoder_decoder", False):
        raise ModelError(
            f"a model of the class {own} gives no logits of tokens: load one with a language model's head"
            f"{_with_head(own)}."
        )
    named = (own, *(getattr(config, "architectures", None) or ()))
    return next((name for name in named if name in SUPPORTED_ARCHITECTURES), own)


def _with_head(own: str) -> str:
    """Classes of the same family that have a language model's head."""
    from transformer_lens.factories.architecture_adapter_factory import SUPPORTED_ARCHITECTURES

    headed = re.compile(f"{own.removesuffix('Model')}(LMHead|ForCausalLM|ForMaskedLM).*")
    known = [name for name in SUPPORTED_ARCHITECTURES if headed.fullmatch(name)]
    return f", {some(known, 3)}" if known else ""


def shape_of_bridge(bridge: Any, title: str) -> Shape:
    """The shape that `adapt` would find, its weights not looked at. Raises ModelError for what it would refuse."""
    architecture = _architecture_of(bridge)
    _refuse_known(bridge, f"{title} ({architecture})")
    with in_words(title):
        return shape_of(bridge, architecture)


def _with_joint_biases(module: nn.Module) -> None:
    # TransformerLens splits the bias of joint queries, keys and values unasked (GPT-NeoX); zeros compute the same.
    for part in module.modules():
        joint: Any = getattr(part, "query_key_value", None)
        if isinstance(joint, nn.Linear) and getattr(joint, "bias", None) is None:
            joint.bias = nn.Parameter(joint.weight.new_zeros(joint.out_features), requires_grad=False)


# Kept by the module, as long as it lives, with how it was built and where its tensors lay.
_wrapped: WeakKeyDictionary[Any, tuple[State, Any]] = WeakKeyDictionary()


def _passing(bridge: Any) -> Any:
    # An identity that stands for a norm (GPT-2 without LayerNorm) passes the stream on only where TransformerLens
    # would use the module's own gradient; elsewhere it computes a norm whose weights are not there.
    for part in bridge.original_model.modules():
        if isinstance(getattr(part, "original_component", None), nn.Identity):
            part.use_native_layernorm_autograd = True
    return bridge


def wrapped(module: Any) -> Any:
    """A TransformerBridge around a module that somebody holds: it shares the tensors and nothing else.

    The module is Hugging Face's, or that of one of TransformerLens' native models. It is wrapped once.

    Raises ModelError when TransformerLens does not know the architecture.
    """
    if any(hasattr(part, "original_component") for part in module.modules()):
        raise ModelError(
            f"this {type(module).__name__} is inside a TransformerBridge already: give the bridge as model=."
        )
    place = place_of(module)
    if module not in _wrapped or _wrapped[module][0] != place:
        _wrapped[module] = place, _wrapping(module)
    return _wrapped[module][1]


def _wrapping(module: Any) -> Any:
    # TransformerLens changes what it wraps, twice-wrapped models not being right any more.
    tensors = [*module.parameters(), *module.buffers()]
    own = copy.deepcopy(module, {id(tensor): tensor for tensor in tensors})
    if hasattr(module, "config"):
        return bridge_of(own, called(module))
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    with torch.random.fork_rng(devices=[]):
        return build_bridge_from_module(
            own, "TransformerLensNative", tl_config=module.cfg, model_name="native"
        ).eval()


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
    carried = {key: value.float() for key, value in state.items()}
    _with_gated_biases(made, carried)
    own = made.state_dict()
    # The head of a native model has no bias; the bridge lists a zero one, which no file needs to store.
    missing = {key: value for key, value in own.items() if key == "unembed.bias"}
    carried = {**missing, **carried}
    _refuse_unfit(own, carried, name)
    made.load_state_dict(carried, strict=True)
    return made.eval()


def _with_gated_biases(made: Any, state: Mapping[str, Tensor]) -> None:
    # Native gated MLPs have no biases, those of a HookedTransformer have: torch's layers add one where it is there.
    for layer, block in enumerate(made.blocks):
        if made.cfg.gated_mlp and (bias := state.get(f"blocks.{layer}.mlp.out.bias")) is not None:
            block.mlp.out.original_component.bias = nn.Parameter(torch.zeros_like(bias), requires_grad=False)


def _refuse_unfit(own: Mapping[str, Tensor], given: Mapping[str, Tensor], name: str) -> None:
    """Raises ModelError naming the weights that are missing, not used, or of another shape."""
    lacking, more = (sorted(a.keys() - b.keys()) for a, b in ((own, given), (given, own)))
    wrong = [
        f"{key} is of shape {tuple(given[key].shape)}, not {tuple(own[key].shape)}"
        for key in own.keys() & given.keys()
        if own[key].shape != given[key].shape
    ]
    found = [f"{some(lacking, 3)} missing"] if lacking else []
    found += [f"{some(more, 3)} would not be used"] if more else []
    found += sorted(wrong)[:3]
    if found:
        raise ModelError(f"the weights of {name} do not fit its configuration: {'; '.join(found)}.")


def renamed(config: Mapping[str, Any], state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a HookedTransformer under the names, and in the shapes, of a native model. Raises ModelError."""
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.conversion_utils import convert_tl_checkpoint

    try:
        return convert_tl_checkpoint(state, TransformerBridgeConfig(**config))
    except ValueError as error:
        if unknown := re.search(r"don't know how to convert key '([^']+)'", str(error)):
            raise ModelError(
                f"the weights hold {unknown[1]!r}, which is no part of a HookedTransformer and would not be used: "
                "take it out, if the model does not need it."
            ) from None
        raise ModelError(str(error).removeprefix("convert_tl_checkpoint: ")) from None


def official_name(name: str) -> str:
    """The hub's name for one of TransformerLens' short names (`gpt2-small` is `gpt2`); others unchanged."""
    from transformer_lens.supported_models import MODEL_ALIASES

    return next((official for official, short in MODEL_ALIASES.items() if name in short), name)


def _refuse_known(bridge: Any, title: str) -> None:
    parts = [reason for key, reason in _REFUSED.items() if setting(bridge, key)]
    kind = str(setting(bridge, "positional_embedding_type", "none")).lower()
    if kind not in POSITIONS:
        parts.append(f"{kind} positions")
    settings = {key: f"{words} ({key})" for words, key in unread(configuration(bridge)) if words not in parts}
    parts += unlike(bridge)
    if settings or parts:
        found = " and ".join([*parts, *settings.values()])
        keys = [key.partition(" ")[0] for key in settings]
        raise ModelError(f"{title} has {found}, which is not supported. {what_works(keys, bool(parts))}")


def _notes(bridge: Any) -> tuple[str, ...]:
    keys = unknown(configuration(bridge))
    text = (
        f"the model's configuration sets {some(keys, 4)}, and it is not known here what that does: the self-check "
        "sees it only where it acts on the rows that were compared."
    )
    only = "the model reads more than text; here it is run, and was checked, on tokens alone."
    return ((text,) if keys else ()) + ((only,) if setting(bridge, "is_multimodal") else ())
