"""SAELens: `cfg.json` beside `sae_weights.safetensors`, of versions before 6 (flat) and from 6 on (with `metadata`).

What is computed is that of `sae_lens/saes/*.py` at inference. Where activations are rescaled at run time, latents are
counted in the stream's own units (times what the output is rescaled by), so that writing them stays linear.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scrub.claims.dictionaries.card import (
    DictionaryCard,
    Held,
    StoredDictionary,
    as_json,
    input_of_hook,
    place_of_hook,
)
from scrub.claims.dictionaries.stored import Arrays, StoredArray, arrays_of, refuse_lack, refuse_others
from scrub.errors import ClaimError

CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"
SEEN = "scrub_rows_seen"  # of a dictionary that `scrub.fit` trained
_COMPUTES = """
architecture d_in d_sae d_out apply_b_dec_to_input normalize_activations reshape_activations k activation_fn
activation_fn_str activation_fn_kwargs finetuning_scaling_factor rescale_acts_by_decoder_norm
"""
_KNOWN = f"""{_COMPUTES} metadata
dtype device model_name model_class_name hook_name hook_point hook_layer hook_point_layer hook_head_index
hook_point_head_index hook_name_out hook_layer_out hook_head_index_out hook_eval context_size prepend_bos dataset_path
dataset_trust_remote_code sae_lens_version sae_lens_training_version model_from_pretrained_kwargs model_kwargs
neuronpedia_id seqpos_slice sequence_separator_token disable_concat_sequences exclude_special_tokens
streaming is_dataset_tokenized use_cached_activations cached_activations_path from_pretrained_path n_batches_in_buffer
training_tokens store_batch_size_prompts act_store_device seed autocast autocast_lm compile_llm llm_compilation_mode
compile_sae sae_compilation_mode train_batch_size_tokens adam_beta1 adam_beta2 lr lr_scheduler_name lr_warm_up_steps
lr_end lr_decay_steps n_restart_cycles dead_feature_window feature_sampling_window dead_feature_threshold
n_eval_batches eval_batch_size_prompts logger n_checkpoints checkpoint_path save_final_checkpoint output_path
resume_from_checkpoint resume verbose log_to_wandb wandb_project wandb_id run_name wandb_entity wandb_log_frequency
eval_every_n_wandb_logs log_activations_store_to_wandb log_optimizer_state_to_wandb l1_coefficient lp_norm
l1_warm_up_steps l0_lambda l0_warm_up_steps expansion_factor b_dec_init_method decoder_orthogonal_init
decoder_heuristic_init decoder_heuristic_init_norm decoder_init_norm init_encoder_as_decoder_transpose
normalize_sae_decoder noise_scale use_ghost_grads mse_loss_normalization scale_sparsity_penalty_by_decoder_norm
finetuning_tokens finetuning_method jumprelu_init_threshold jumprelu_bandwidth tokens_per_buffer
"""
_ARRAYS = {
    "W_enc": "encoder", "W_dec": "decoder", "b_enc": "bias", "threshold": "threshold", "b_gate": "gate",
    "b_mag": "bias", "r_mag": "gain",
}  # fmt: skip
_KINDS = {  # architecture -> the arrays that it has beside W_enc, W_dec and b_dec
    "standard": "b_enc", "jumprelu": "b_enc threshold", "topk": "b_enc", "gated": "b_gate b_mag r_mag",
    "transcoder": "b_enc", "skip_transcoder": "b_enc W_skip", "jumprelu_transcoder": "b_enc threshold",
}  # fmt: skip
_SCALINGS = {"none": "", "expected_average_only_in": "", "constant_norm_rescale": "rms", "layer_norm": "layer"}
_FACTORS = ("finetuning_scaling_factor", "scaling_factor")
Config = Mapping[str, Any]


def read(folder: Path) -> StoredDictionary | None:
    """The dictionary of a folder that has such files, None for another. Raises ClaimError for what it cannot say."""
    if not (folder / CONFIG).is_file():
        return None
    given = as_json(folder / CONFIG)
    refuse_others(given, _KNOWN, str(folder / CONFIG))
    said: Any = given.get("metadata", {})
    if not isinstance(said, dict):
        raise ClaimError(f"{folder / CONFIG}: metadata is a JSON object, found {said!r:.60}.")
    config: Config = {**given, **said}
    kind = _kind(config, folder)
    found = arrays_of(folder / WEIGHTS)
    own = f"W_enc W_dec b_dec {_KINDS[kind]}"
    refuse_others(found, f"{own} {' '.join(_FACTORS)}", str(folder / WEIGHTS))
    refuse_lack(found, own, f"{folder / WEIGHTS}, {kind}")
    _sized(folder, config, found["W_enc"])
    card = _card(folder, config, "transcoder" in kind)
    rescaled = kind == "topk" and bool(config.get("rescale_acts_by_decoder_norm"))
    norms = {"norms": _lengths(found["W_dec"])} if rescaled else {}
    arrays = {_ARRAYS[name]: array for name, array in found.items() if name in _ARRAYS}
    if not card.reads and config.get("apply_b_dec_to_input", True):
        arrays["centre"] = found["b_dec"]
    return StoredDictionary(
        card,
        {**arrays, **_factor(folder, config, found), **norms},
        _settings(folder, config, kind),
        kind == "topk",
        _finished,
    )


def _sized(folder: Path, config: Config, encoder: StoredArray) -> None:
    """Raises ClaimError where the configuration has another size than the weights."""
    said = [config.get(name, n) for name, n in zip(("d_in", "d_sae"), encoder.shape, strict=False)]
    if said != list(encoder.shape):
        found = f"d_in and d_sae are {said}, and W_enc in {WEIGHTS} has the shape {list(encoder.shape)}"
        raise ClaimError(f"{folder / CONFIG}: {found}: they are of different dictionaries.")


def _kind(config: Config, folder: Path) -> str:
    activation = config.get("activation_fn_str", config.get("activation_fn", "relu")) or "relu"
    kind = str(config.get("architecture") or "standard")
    if kind == "standard" and activation == "topk":
        kind = "topk"
    if kind not in _KINDS:
        raise ClaimError(f"{folder / CONFIG}: architecture {kind!r} is not known. Known: {', '.join(_KINDS)}.")
    if activation not in ("relu", "topk") or (activation == "topk") > (kind == "topk"):
        raise ClaimError(f"{folder / CONFIG}: the activation {activation!r} of {kind} is not known here.")
    return kind


def _settings(folder: Path, config: Config, kind: str) -> dict[str, str]:
    scaling = config.get("normalize_activations") or "none"
    scaling = "expected_average_only_in" if scaling is True else scaling
    if not isinstance(scaling, str) or scaling not in _SCALINGS or ("transcoder" in kind and _SCALINGS[scaling]):
        raise ClaimError(
            f"{folder / CONFIG}: normalize_activations {scaling!r} of {kind} is not known here. Known: "
            f"{', '.join(_SCALINGS)}."
        )
    if (shaped := config.get("reshape_activations", "none")) not in (None, "none"):
        raise ClaimError(
            f"{folder / CONFIG}: reshape_activations {shaped!r}: it reads what heads hold before W_O, and a part of "
            "a head is of what it writes."
        )
    found = {"scaling": _SCALINGS[scaling]} if _SCALINGS[scaling] else {}
    if kind == "topk":
        others = config.get("activation_fn_kwargs")
        k = config.get("k") or (others.get("k") if isinstance(others, Mapping) else None)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if type(k) is not int or k < 1:
            raise ClaimError(f"{folder / CONFIG}: a topk dictionary says how many latents are active, found k={k!r}.")
        found["topk"] = str(k)
    return found


def _card(folder: Path, config: Config, transcodes: bool) -> DictionaryCard:
    source, hook = str(folder), config.get("hook_name", config.get("hook_point"))
    if not isinstance(hook, str):
        raise ClaimError(f"{folder / CONFIG}: it has no hook_name, and so does not say what it is a dictionary of.")
    model = str(config.get("model_name") or "")
    if not transcodes:
        return DictionaryCard(source, place_of_hook(hook, source), model=model, seen=_seen(config, folder))
    out = config.get("hook_name_out") or f"{hook.rpartition('.ln2')[0] or hook.rpartition('.mlp')[0]}.hook_mlp_out"
    return DictionaryCard(source, place_of_hook(str(out), source), input_of_hook(hook, source), model)


def _seen(config: Config, folder: Path) -> tuple[str, ...]:
    found: Any = config.get(SEEN, [])
    if not isinstance(found, list) or not all(isinstance(digest, str) for digest in found):  # pyright: ignore[reportUnknownVariableType]
        raise ClaimError(f"{folder / CONFIG}: {SEEN} are no digests of rows.")
    return tuple(found)  # pyright: ignore[reportUnknownArgumentType]


def _factor(folder: Path, config: Config, found: Arrays) -> dict[str, StoredArray]:
    """What decoder rows are multiplied by, where there is anything."""
    named = [found[name] for name in _FACTORS if name in found]
    if not named or np.allclose(named[0].read(), 1):
        return {}
    if not config.get("finetuning_scaling_factor"):
        raise ClaimError(f"{folder}: its weights have a scaling factor, and {CONFIG} does not say that it is used.")
    return {"factor": named[0]}


def _lengths(decoder: StoredArray) -> StoredArray:
    return StoredArray(np.linalg.norm(decoder.read(), axis=1))


def _finished(found: Held) -> Held:
    """The gain of a gate, the factor of decoder rows, and units in which these have length one, worked in."""
    if "gain" in found:
        found = {**found, "gain": np.exp(found["gain"])}
    if "factor" in found:
        factor = found.pop("factor")
        found = {**found, "decoder": found["decoder"] * factor[:, None]}
    if "norms" in found:  # those of all latents
        norms, decoder = found.pop("norms"), found["decoder"]
        found = {**found, "encoder": found["encoder"] * norms, "bias": found["bias"] * norms}
        found["decoder"] = decoder / np.linalg.norm(decoder, axis=1, keepdims=True)
    return found
