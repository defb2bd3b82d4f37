"""Claims on models whose matrices are in half precision, against fp32 on the same weights."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from attrs import evolve
from torch import Tensor

from scrub import Hypothesis, Interpretation, claim, heads, logits, recovers
from scrub.anatomy.shape import Shape
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.check import Subject, check_claim
from scrub.claims.dataset import Dataset
from scrub.engine.draw import Calls, Draws
from scrub.engine.on_transformer import TransformerEvaluator, TransformerRows
from scrub.errors import ModelError
from scrub.model.layers import unembed
from scrub.model.weights import Attn, Block, Norm, Transformer
from scrub.score.sample import ClaimBench, compile_claim
from strategies import random_transformer_claim
from strategies_models import named

CASES = 12
ROUNDINGS = 8  # of what a scrubbed call rounds over what a plain pass does; random claims have at most 5


def answers(hypothesis: Hypothesis, model: Transformer, data: Dataset, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The logits of some calls, and of all rows as they are."""
    checked = check_claim(hypothesis, Subject(TransformerGraph(model.name, model.shape)), data)
    resolved = checked.claim
    assert resolved is not None, str(checked)
    tree, program = compile_claim(resolved)
    rows, draws = TransformerRows.run(resolved, model, [program]), Draws(resolved, seed)
    numbering = ClaimBench(resolved, tree, program, rows, None).numbering
    few = np.flatnonzero(resolved.scored)[:5]
    calls = Calls(np.repeat(few, 2), np.tile(np.array([0, 3]), len(few)))
    final = TransformerEvaluator(rows, program).answers(numbering.number(draws.tree(tree, calls)))
    return unembed(model, final), unembed(model, rows.outputs(np.arange(len(data))))


@pytest.mark.parametrize("case", range(CASES))
def test_a_claim_rounds_as_a_pass_does(case: int) -> None:
    hypothesis, model, data = random_transformer_claim(random.Random(f"half {case}"), parts=case % 2 == 1)
    half = model.to(torch.bfloat16)
    try:
        wanted, own = answers(hypothesis, half.to(torch.float32), data, case)
    except ModelError:  # what no model of this form can
        return
    found, rounded = answers(hypothesis, half, data, case)
    assert found.dtype == torch.float32
    rounding, error = (rounded - own).abs().max() / own.std(), (found - wanted).abs().max()
    assert rounding > 0
    assert error / max(wanted.std(), own.std()) <= ROUNDINGS * rounding


# A change that is small beside its stream


def one_head(large: float, dtype: torch.dtype) -> Transformer:
    """A head that adds what tokens hold, below 1, to a `large` number of the stream; logits read that number."""
    eye, low = torch.eye(4), torch.linspace(0.1, 0.9, 8)
    W_E = torch.stack((torch.full((8,), large), low, torch.zeros(8), torch.zeros(8)), dim=1)
    moves = eye[1][:, None] @ eye[0][None]
    attn = Attn(torch.zeros(1, 4, 4), torch.zeros(1, 4, 4), eye[None], moves[None])
    shape = Shape("one head", 1, 1, 1, 4, 4, 0, 8, 8, "none")
    W_U = torch.zeros(4, 8)
    W_U[0, 1] = 1.0
    return Transformer(shape, W_E, None, (Block(Norm("none"), attn),), Norm("none"), W_U).to(dtype)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_a_small_change_on_a_large_stream_is_not_lost(dtype: torch.dtype) -> None:
    """At 4,096 numbers of bf16 are 32 apart, of fp16 4: what the head adds would be gone."""
    story = Interpretation()
    story.variable(named("token", ["t"], lambda values: values[0]))
    story.variable(named("answer", ["token"], lambda values: values[0]))
    rows = [{"tokens": [i, i], "positions": {"END": 1}, "columns": {"t": i, "label": 1}} for i in range(8)]
    data = Dataset.from_rows(rows)
    sites = {"token": heads("0.0", at="END"), "answer": logits("END").reads(input="token")}
    hypothesis = claim(story, model="one head", data=data, metric="loss(label)", expect=recovers(0.5))(lambda: sites)
    half = one_head(4096.0, dtype)
    found, wanted = (answers(hypothesis, model, data)[0][:, 1] - 4096 for model in (half, half.to(torch.float32)))
    assert wanted.std() > 0.1
    torch.testing.assert_close(found, wanted, rtol=0, atol=0.01)


def test_norms_of_large_streams_do_not_overflow_in_fp16() -> None:
    """Squares of fp16 do from 256 on."""
    hypothesis, model, data = random_transformer_claim(random.Random("half 9"))
    assert model.ln_final.kind == "rms"
    half = evolve(model, W_E=1000 * model.W_E).to(torch.float16)
    found, wanted = (answers(hypothesis, one, data)[0] for one in (half, half.to(torch.float32)))
    assert half.W_E.abs().max() > 1000
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
