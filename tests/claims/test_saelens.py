"""Dictionaries as SAELens writes them: the same activations, their cards, and what is refused."""

from __future__ import annotations

import torch
from dictionary_cases import (
    HOOK,
    UNCENTRED,
    A,
    Case,
    D,
    Refused,
    X,
    before,
    gated,
    largest,
    read_as_the_package,
    refused_by_name,
    saelens,
)
from torch import Tensor


def rms() -> Tensor:
    size = X.norm(dim=-1, keepdim=True) / D**0.5
    return before(X / size).relu() * size


def layered() -> Tensor:
    centred = X - X.mean(-1, keepdim=True)
    deviation = centred.std(-1, keepdim=True)
    return before(centred / (deviation + 1e-5)).relu() * deviation


NONE = torch.zeros(0)
SIZE = A["dec"].norm(dim=1)
UNIT = A["dec"] / SIZE[:, None]
JUMP = torch.where(before() > A["theta"], before(), 0 * before()).relu()
NORMALIZED = {**HOOK, "hook_name": "blocks.5.ln2.hook_normalized", "hook_name_out": "blocks.5.hook_mlp_out"}
OLD = {
    **HOOK, "hook_layer": 8, "lr": 4e-4, "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 4},
    "normalize_activations": "none", "architecture": "standard",
}  # fmt: skip


CASES: dict[str, Case] = {
    "saelens, before 6": (saelens(HOOK), (before().relu(), A["dec"]), "resid 8"),
    "saelens, topk before 6": (saelens(OLD), (largest(before(), 4), A["dec"]), "resid 8"),
    "saelens": (
        saelens({"architecture": "standard", "metadata": HOOK, "apply_b_dec_to_input": False}),
        (UNCENTRED.relu(), A["dec"]),
        "resid 8",
    ),
    "saelens, of norm sqrt(d)": (
        saelens({"metadata": HOOK, "normalize_activations": "constant_norm_rescale"}),
        (rms(), A["dec"]),
        "resid 8",
    ),
    "saelens, layer norm": (
        saelens({"metadata": HOOK, "normalize_activations": "layer_norm"}),
        (layered(), A["dec"]),
        "resid 8",
    ),
    "saelens, jumprelu": (
        saelens({"architecture": "jumprelu", "metadata": HOOK}, threshold=A["theta"]),
        (JUMP, A["dec"]),
        "resid 8",
    ),
    "saelens, topk by norms": (
        saelens({"architecture": "topk", "metadata": HOOK, "k": 4, "rescale_acts_by_decoder_norm": True}),
        (largest(before() * SIZE, 4), UNIT),
        "resid 8",
    ),
    "saelens, gated": (
        saelens({"architecture": "gated", **HOOK}, b_enc=NONE, b_gate=A["gate"], b_mag=A["b"], r_mag=A["r"]),
        (gated(), A["dec"]),
        "resid 8",
    ),
    "saelens, scaled": (
        saelens({**HOOK, "finetuning_scaling_factor": True}, scaling_factor=A["theta"]),
        (before().relu(), A["dec"] * A["theta"][:, None]),
        "resid 8",
    ),
    "saelens, transcoder": (
        saelens({"architecture": "skip_transcoder", "d_out": D, "metadata": NORMALIZED}, W_skip=torch.eye(D)),
        (UNCENTRED.relu(), A["dec"]),
        "mlp 5",
    ),
}
REFUSED: dict[str, Refused] = {
    "nothing": (lambda folder: folder, r"no dictionary that is known lies there: cfg\.json \(SAELens\)"),
    "a setting": (saelens({**HOOK, "whitening": True}), r"cfg\.json: 'whitening' is not understood here"),
    "an array": (saelens(HOOK, W_gate=torch.ones(1)), r"'W_gate' is not understood here"),
    "an architecture": (saelens({**HOOK, "architecture": "temporal"}), r"architecture 'temporal' is not known"),
    "an activation": (saelens({**HOOK, "activation_fn_str": "tanh-relu"}), r"the activation 'tanh-relu'"),
    "a scaling": (saelens({**HOOK, "normalize_activations": "whiten"}), r"normalize_activations 'whiten'"),
    "z": (saelens({**HOOK, "hook_name": "blocks.8.attn.hook_z"}), r"'blocks\.8\.attn\.hook_z', which is no vector"),
    "a threshold": (saelens({**HOOK, "architecture": "jumprelu"}), r"jumprelu: threshold is missing; found 'W_dec'"),
    "its size": (saelens({**HOOK, "d_sae": 99}), r"d_in and d_sae are \[6, 99\], and W_enc .* \[6, 14\]"),
    "metadata": (saelens({**HOOK, "metadata": 3}), r"metadata is a JSON object, found 3"),
    "a list": (saelens({**HOOK, "normalize_activations": [1]}), r"normalize_activations \[1\]"),
    "how many": (saelens({**HOOK, "architecture": "topk", "activation_fn_kwargs": 3}), r"found k=None"),
    "its shape": (saelens(HOOK, b_enc=torch.ones(3)), r"bias has the shape \[3\], and is \[m\]"),
}


test_latents_are_those_of_the_package = read_as_the_package(CASES)
test_what_is_not_understood_is_refused_by_name = refused_by_name(REFUSED)
