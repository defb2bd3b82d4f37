"""The pure functions, against formulas written out and against what must hold of any transformer."""

from __future__ import annotations

import math

import attrs
import pytest
import torch
from torch import Tensor

from scrub.anatomy.shape import Shape
from scrub.errors import ModelError
from scrub.model.experts import BlackBox
from scrub.model.layers import (
    ACTIVATIONS,
    Scoring,
    attend,
    expand,
    kv_head,
    mlp,
    norm,
    pattern,
    project,
    rotate,
    unembed,
    visible,
    write,
)
from scrub.model.trace import trace
from scrub.model.weights import Attn, Block, Mlp, Norm, Rotary, Transformer

F64 = torch.float64
H, G, D, E, M, V, N = 4, 2, 8, 6, 10, 13, 12


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=F64)


def some_rotary(rot: int = 4, interleaved: bool = False) -> Rotary:
    angles = torch.arange(N, dtype=F64)[:, None] * torch.tensor([1.0, 0.3], dtype=F64)[: rot // 2]
    table = angles.repeat_interleave(2, dim=-1) if interleaved else torch.cat((angles, angles), dim=-1)
    return Rotary(table.cos(), table.sin(), interleaved)


def some_attn(**changes: object) -> Attn:
    taken = Attn(
        W_Q=rand(H, D, E),
        W_K=rand(G, D, E),
        W_V=rand(G, D, E, seed=1),
        W_O=rand(H, E, D),
        b_Q=rand(H, E),
        b_K=rand(G, E),
        b_V=rand(G, E, seed=1),
        b_O=rand(D),
        scale=E**-0.5,
        rotary=some_rotary(),
        k_norm=Norm("rms", rand(E), eps=1e-6),
    )
    return attrs.evolve(taken, **changes)


def some_model(parallel: bool = False, **attn: object) -> Transformer:
    def block(seed: int) -> Block:
        return Block(
            ln1=Norm("layer", rand(D, seed=seed), rand(D, seed=seed + 9)),
            attn=some_attn(W_V=rand(G, D, E, seed=seed), **attn),
            ln2=Norm("rms", rand(D, seed=seed + 1)),
            mlp=Mlp(rand(D, M, seed=seed), rand(M, D, seed=seed), "gelu_tanh", rand(M), rand(D)),
            parallel=parallel,
        )

    return Transformer(
        shape=Shape("test", 2, H, G, D, E, M, V, N, parallel=parallel),
        W_E=rand(V, D),
        W_pos=rand(N, D),
        blocks=(block(2), block(3)),
        ln_final=Norm("layer", rand(D)),
        W_U=rand(V, D).T,
        b_U=rand(V),
    )


TOKENS = torch.tensor([[1, 5, 9, 2, 7, 3], [4, 4, 8, 0, 0, 0], [6, 0, 0, 0, 0, 0]])
LENGTHS = torch.tensor([6, 3, 1])


def test_layer_norm_is_the_formula() -> None:
    x, n = rand(3, D), Norm("layer", rand(D), rand(D, seed=1), eps=0.1)
    centred = x - x.mean(-1, keepdim=True)
    wanted = centred / (centred.square().mean(-1, keepdim=True) + 0.1).sqrt() * n.weight + n.bias
    torch.testing.assert_close(norm(n, x), wanted)


def test_rms_norm_does_not_centre() -> None:
    x = rand(3, D) + 5
    wanted = x / (x.square().mean(-1, keepdim=True) + 0.1).sqrt()
    torch.testing.assert_close(norm(Norm("rms", eps=0.1), x), wanted)


def test_no_norm_and_an_unknown_norm() -> None:
    x = rand(3, D)
    assert torch.equal(norm(Norm("none"), x), x)
    with pytest.raises(ModelError, match="'batch' is unknown"):
        norm(Norm("batch"), x)


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotary_turns_pairs_as_complex_numbers(interleaved: bool) -> None:
    x, positions = rand(3, 2, E), torch.tensor([0, 5, 2])
    out = rotate(some_rotary(interleaved=interleaved), x, positions)
    pairs = [(0, 1), (2, 3)] if interleaved else [(0, 2), (1, 3)]
    for frequency, (a, b) in zip((1.0, 0.3), pairs, strict=True):
        turn = torch.exp(1j * frequency * positions)[:, None]
        wanted = torch.complex(x[..., a], x[..., b]) * turn
        torch.testing.assert_close(torch.complex(out[..., a], out[..., b]), wanted)
    assert torch.equal(out[..., 4:], x[..., 4:])  # beyond the table nothing turns


def test_rotary_scores_depend_on_the_distance_alone() -> None:
    attn, x = some_attn(b_Q=None, b_K=None), rand(1, D)

    def score(i: int, j: int) -> Tensor:
        q, k = (project(attn, c, x, [0], torch.tensor([p])) for c, p in (("q", i), ("k", j)))
        return (q * k).sum()

    torch.testing.assert_close(score(7, 4), score(5, 2))
    assert not torch.allclose(score(7, 4), score(7, 5))


@pytest.mark.parametrize("channel", ["q", "k", "v"])
def test_projecting_some_heads_is_a_part_of_projecting_all(channel: str) -> None:
    attn, x, positions = some_attn(), rand(2, 3, D), torch.tensor([[0, 4, 2], [7, 1, 1]])
    everything = project(attn, channel, x, None, positions)
    assert everything.shape == (2, 3, H if channel == "q" else G, E)
    torch.testing.assert_close(project(attn, channel, x, [1, 0], positions), everything[..., [1, 0], :])


def test_query_heads_read_their_group() -> None:
    attn, kv = some_attn(), rand(2, G, E)
    assert [kv_head(attn, h) for h in range(H)] == [0, 0, 1, 1]
    assert torch.equal(expand(attn, kv), kv[:, [kv_head(attn, h) for h in range(H)]])


def test_visible_hides_the_future_the_padding_and_what_left_the_window() -> None:
    q_pos, key_pos = torch.tensor([[1, 3]]), torch.arange(5)[None]

    def seen(lengths: int = 5, **changes: object) -> list[list[int]]:
        mask = visible(some_attn(**changes), q_pos, key_pos, torch.tensor([lengths]))
        return [row.nonzero()[:, 0].tolist() for row in mask[0]]

    assert seen() == [[0, 1], [0, 1, 2, 3]]
    assert seen(lengths=3) == [[0, 1], [0, 1, 2]]
    assert seen(causal=False) == [[0, 1, 2, 3, 4]] * 2
    assert seen(causal=False, lengths=4) == [[0, 1, 2, 3]] * 2
    assert seen(window=2) == [[0, 1], [2, 3]]


def test_attend_is_softmax_attention() -> None:
    q, k, v = rand(2, 3, H, E), rand(2, 5, H, E), rand(2, 5, H, E, seed=1)
    mask = torch.rand(2, 3, 5, generator=torch.Generator().manual_seed(0)) < 0.7
    mask[..., 0] = True
    z = attend(q, k, v, mask, Scoring(0.3))
    for row, i, h in ((0, 0, 0), (1, 2, 3)):
        scores = (k[row, :, h] @ q[row, i, h] * 0.3)[mask[row, i]]
        wanted = (scores.exp() / scores.exp().sum()) @ v[row, mask[row, i], h]
        torch.testing.assert_close(z[row, i, h], wanted)
    torch.testing.assert_close(torch.einsum("rhqt,rthe->rqhe", pattern(q, k, mask, Scoring(0.3)), v), z)


def test_a_query_without_keys_makes_no_nan_and_disturbs_nobody() -> None:
    q, k, v = rand(1, 2, H, E), rand(1, 3, H, E), rand(1, 3, H, E, seed=1)
    mask = torch.tensor([[[True, True, False], [False, False, False]]])
    z = attend(q, k, v, mask, Scoring(1.0))
    torch.testing.assert_close(z[:, 1:], attend(q[:, 1:], k, v, torch.ones(1, 1, 3, dtype=torch.bool), Scoring(1.0)))
    torch.testing.assert_close(torch.einsum("rhqt,rthe->rqhe", pattern(q, k, mask, Scoring(1.0)), v), z)
    torch.testing.assert_close(z[:, :1], attend(q[:, :1], k, v, mask[:, :1], Scoring(1.0)))


def test_write_sums_the_heads_that_it_is_given() -> None:
    attn, z = some_attn(), rand(2, 3, H, E)
    single = torch.einsum("rnhe,hed->rnhd", z, attn.W_O)
    torch.testing.assert_close(write(attn, z, None), single.sum(2))
    torch.testing.assert_close(write(attn, z[..., [3, 1], :], [3, 1]), single[:, :, [1, 3]].sum(2))


def test_gated_and_plain_and_unknown_mlps() -> None:
    x = rand(3, D)
    plain = Mlp(rand(D, M), rand(M, D), "relu", rand(M), rand(D))
    torch.testing.assert_close(mlp(plain, x), (x @ plain.W_in + plain.b_in).relu() @ plain.W_out + plain.b_out)
    gated = attrs.evolve(plain, W_gate=rand(D, M, seed=1), act="silu")
    gate = x @ gated.W_gate
    wanted = (gate * gate.sigmoid() * (x @ plain.W_in + plain.b_in)) @ plain.W_out + plain.b_out
    torch.testing.assert_close(mlp(gated, x), wanted)
    assert torch.equal(mlp(BlackBox(lambda t: 2 * t), x), 2 * x)


def test_activations_at_a_point() -> None:
    x = torch.tensor([0.7, -0.4], dtype=F64)
    gelu = [t * 0.5 * (1 + math.erf(t / math.sqrt(2))) for t in x.tolist()]
    inner = [math.sqrt(2 / math.pi) * (t + 0.044715 * t**3) for t in x.tolist()]
    tanh = [0.5 * t * (1 + math.tanh(u)) for t, u in zip(x.tolist(), inner, strict=True)]
    wanted = {"gelu": gelu, "gelu_tanh": tanh, "relu2": [0.49, 0.0], "identity": x.tolist()}
    for name, values in wanted.items():
        torch.testing.assert_close(ACTIVATIONS[name](x), torch.tensor(values, dtype=F64))


def test_unembedding_some_columns_is_a_part_of_unembedding_all() -> None:
    model, x = some_model(), rand(2, 3, D)
    everything = unembed(model, x)
    torch.testing.assert_close(unembed(model, x, torch.tensor([7, 2])), everything[..., [7, 2]])
    ids = torch.randint(V, (2, 3, 4), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(unembed(model, x, ids), everything.gather(-1, ids))
    torch.testing.assert_close(unembed(model, x[0, 0], ids[0, 0]), everything[0, 0, ids[0, 0]])


@pytest.mark.parametrize("attn", [{}, {"causal": False}, {"window": 2}], ids=str)
@pytest.mark.parametrize("parallel", [False, True])
def test_padding_never_reaches_a_result(attn: dict[str, object], parallel: bool) -> None:
    model = some_model(parallel, **attn)
    padded = trace(model, TOKENS, LENGTHS)
    other = trace(model, TOKENS.where(torch.arange(6) < LENGTHS[:, None], 11), LENGTHS)
    assert padded.isfinite().all()
    for row, length in enumerate(LENGTHS.tolist()):
        alone = trace(model, TOKENS[row : row + 1, :length], torch.tensor([length]))[0]
        torch.testing.assert_close(padded[row, :length], alone)
        assert torch.equal(padded[row, :length], other[row, :length])


@pytest.mark.parametrize("parallel", [False, True])
def test_the_stream_is_the_sum_of_what_was_written(parallel: bool) -> None:
    model, kept = some_model(parallel), {}
    final = trace(model, TOKENS, LENGTHS, lambda kind, layer, value: kept.update({(kind, layer): value}))
    torch.testing.assert_close(kept["embed", 0] + kept["pos", 0], kept["resid_pre", 0])
    for layer, block in enumerate(model.blocks):
        before, attn = kept["resid_pre", layer], block.attn
        after = before + write(attn, kept["z", layer]) + attn.b_O
        torch.testing.assert_close(kept["resid_mid", layer], before if parallel else after)
        read = norm(block.ln2, kept["resid_mid", layer])
        torch.testing.assert_close(kept["mlp_out", layer], mlp(block.mlp, read))
        torch.testing.assert_close(kept["resid_pre", layer + 1], after + kept["mlp_out", layer])
        assert kept["k", layer].shape == (3, 6, G, E)
    assert torch.equal(kept["resid_pre", 2], final)


def test_one_head_alone_from_what_was_recorded() -> None:
    model, kept = some_model(), {}
    trace(model, TOKENS, LENGTHS, lambda kind, layer, value: kept.update({(kind, layer): value}))
    attn, where = model.blocks[1].attn, torch.tensor([[4], [2], [0]])
    read = norm(model.blocks[1].ln1, kept["resid_pre", 1].gather(1, where[..., None].expand(-1, -1, D)))
    q, group = project(attn, "q", read, [3], where), [kv_head(attn, 3)]
    mask = visible(attn, where, torch.arange(6).expand(3, 6), LENGTHS)
    z = attend(q, kept["k", 1][:, :, group], kept["v", 1][:, :, group], mask, Scoring(attn.scale))
    rows = torch.arange(3)
    torch.testing.assert_close(z[:, 0, 0], kept["z", 1][rows, where[:, 0], 3])


def test_a_pass_can_stop_and_resume_at_a_layer() -> None:
    model = some_model()
    middle = trace(model, TOKENS, LENGTHS, stop_layer=1)
    resumed = trace(model, torch.zeros_like(TOKENS), LENGTHS, start=(1, middle))
    torch.testing.assert_close(resumed, trace(model, TOKENS, LENGTHS))


def test_rows_beyond_the_context_are_refused() -> None:
    with pytest.raises(ModelError, match=r"a row has 13 tokens, but model reads at most 12; shorten"):
        trace(some_model(), torch.zeros(1, 13, dtype=torch.long), torch.tensor([13]))


def test_every_gradient_is_exact_and_inputs_stay_as_they_were() -> None:
    model = some_model()
    stream = trace(model, TOKENS, LENGTHS, stop_layer=0)
    before = stream.clone()
    assert torch.autograd.gradcheck(
        lambda x: unembed(model, trace(model, TOKENS, LENGTHS, start=(0, x)))[:, 0],
        stream.clone().requires_grad_(),
    )
    assert torch.equal(stream, before)


def test_moving_changes_every_tensor_once() -> None:
    model = some_model()
    tied = attrs.evolve(model, W_U=model.W_E.T)
    single = tied.to(torch.float32)
    assert single.dtype == torch.float32
    assert single.tied
    assert not model.to(torch.float32).tied
    assert single.blocks[0].attn.rotary.cos.dtype == torch.float32
    assert single.blocks[1].ln2.weight.dtype == torch.float32
    logits = unembed(single, trace(single, TOKENS, LENGTHS))
    wanted = unembed(tied, trace(tied, TOKENS, LENGTHS))
    real = torch.arange(6) < LENGTHS[:, None]
    torch.testing.assert_close(logits[real].double(), wanted[real], rtol=1e-4, atol=1e-4)


def test_shared_tables_stay_shared_when_moved() -> None:
    model, shared = some_model(), some_rotary()
    blocks = tuple(attrs.evolve(b, attn=attrs.evolve(b.attn, rotary=shared)) for b in model.blocks)
    moved = attrs.evolve(model, blocks=blocks).to(torch.float32)
    assert moved.blocks[0].attn.rotary is moved.blocks[1].attn.rotary
