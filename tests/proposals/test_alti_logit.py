"""ALTI-Logit against its definition, position by position and head by head, in fp64."""

from __future__ import annotations

import pytest
import torch
from exact_nodes import FORMS, batch_of, close, model_of, scores
from torch import Tensor

from scrub.errors import ClaimError
from scrub.model.layers import expand, norm
from scrub.model.weights import Transformer
from scrub.proposals.forward import Arrays, PatchBatch


def gradient(batch: PatchBatch) -> Tensor:
    """d metric / d final stream of every row by hand: the final norm's scale is that of the base run."""
    model, last = batch.model, ("resid", len(batch.model.blocks))
    x = batch.at_answer(batch.base_values[last])
    ids = batch.arguments.at(torch.as_tensor(batch.rows)).ids
    unembedding = model.W_U[:, ids[0][:, 0]].T - model.W_U[:, ids[1][:, 0]].T  # logit_diff(a, b)
    centred = x - x.mean(-1, keepdim=True) if model.ln_final.kind == "layer" else x
    scale = (centred.square().mean(-1, keepdim=True) + model.ln_final.eps).sqrt()
    found = unembedding * (1.0 if model.ln_final.weight is None else model.ln_final.weight)
    if model.ln_final.kind == "layer":
        found = found - found.mean(-1, keepdim=True)
    return found / scale


def reference(model: Transformer, values: Arrays, row: int, last: int, toward: Tensor) -> Tensor:
    """What every token of one row gives, by the definition."""
    size = values["resid", 0].shape[1]
    traced, found = torch.eye(size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    found[last] += values["resid", 0][row, last] @ toward
    for layer, block in enumerate(model.blocks):
        attn, x = block.attn, values["resid", layer][row]
        q, k = (values[channel, layer][row] for channel in "qk")
        v = norm(block.ln1, x) @ expand(attn, attn.W_V.transpose(0, 1)).transpose(0, 1)  # [head t e]
        if attn.b_V is not None:
            v = v + expand(attn, attn.b_V)[:, None]
        mixing = torch.zeros(size, size, dtype=torch.float64)
        for i in range(size):
            came = torch.zeros(size, x.shape[-1], dtype=torch.float64)
            for head in range(q.shape[1]):
                weights = torch.softmax(torch.stack([q[i, head] @ k[j, head] * attn.scale for j in range(i + 1)]), 0)
                for j in range(i + 1):
                    came[j] += weights[j] * (v[head, j] @ attn.W_O[head])
            if i == last:
                for j in range(size):
                    found += (came[j] @ toward) * traced[j]
            came[i] += x[i]
            whole = came.sum(0) + (0 if attn.b_O is None else attn.b_O)
            for j in range(i + 1):
                mixing[i, j] = max(0.0, float(whole.abs().sum() - (whole - came[j]).abs().sum()))
            mixing[i] /= mixing[i].sum()
        traced = mixing @ traced
    return found


@pytest.mark.parametrize("name", FORMS)
def test_by_its_definition(name: str) -> None:
    batch = batch_of(model_of(name, layers=3), each=True, pick=[1, 2])
    toward = gradient(batch)
    expected = torch.stack(
        [
            reference(batch.model, batch.source_values, row, int(batch.answer[row]), toward[row])
            - reference(batch.model, batch.base_values, row, int(batch.answer[row]), toward[row])
            for row in range(len(toward))
        ]
    )
    found = scores(batch, "alti-logit")["embed"]
    close(found[:, 0, 0], expected, 1e-10)


def test_shares_of_tokens_sum_to_what_is_written_at_the_answer() -> None:
    """Rows of C sum to 1, so that nothing is lost on the way back: the direct effects of heads and the embedding."""
    batch = batch_of(model_of("gpt2", layers=3), each=True)
    rows = torch.arange(len(batch.answer))
    direct = scores(batch, "dla", ("head", "embed"))
    own = sum(direct[kind][rows, :, :, batch.answer].sum((1, 2)) for kind in direct)
    assert isinstance(own, Tensor)
    assert torch.equal(scores(batch, "alti-logit")["head"], direct["head"])
    close(scores(batch, "alti-logit")["embed"].sum((1, 2, 3)), own, 1e-10)


def test_norms_of_what_heads_write_are_refused() -> None:
    with pytest.raises(ClaimError, match=r"alti-logit says nothing of .* which norms what its heads write"):
        scores(batch_of(model_of("norms after")), "alti-logit")
