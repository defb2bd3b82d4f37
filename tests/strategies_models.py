"""Random small models and random rows for them: computation graphs, and fp64 transformers of every kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from random import Random
from typing import Any

import networkx as nx
import torch
from torch import Tensor

from scrub.anatomy.shape import Shape
from scrub.claims.dataset import Dataset
from scrub.model.weights import Attn, Block, Mlp, Norm, Rotary, Transform, Transformer

N_CTX, VOCABULARY = 10, 9


def named(name: str, arguments: list[str], function: Callable[[list[Any]], Any]) -> Callable[..., Any]:
    """A function of keyword arguments of the given names, out of a function of the list of their values."""

    def call(**known: Any) -> Any:
        return function([known[argument] for argument in arguments])

    call.__name__ = name
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    vars(call)["__signature__"] = inspect.Signature([inspect.Parameter(a, kind) for a in arguments])
    return call


def random_graph(rng: Random) -> nx.DiGraph[str]:
    """Three to seven nodes with one end, `out`; every function is smooth and tells its arguments apart."""
    inputs = [f"x{i}" for i in range(rng.randint(1, 3))]
    graph: nx.DiGraph[str] = nx.DiGraph()
    made = list(inputs)
    graph.add_nodes_from(inputs)
    for i in range(rng.randint(1, 3)):
        _add(graph, f"h{i}", rng.sample(made, rng.randint(1, min(3, len(made)))), rng)
        made.append(f"h{i}")
    unread = [node for node in made if not graph.out_degree(node)]
    _add(graph, "out", sorted({*unread, *rng.sample(made, rng.randint(1, len(made)))}), rng)
    return graph


def _add(graph: nx.DiGraph[str], name: str, arguments: list[str], rng: Random) -> None:
    weights = [rng.choice([-2.0, -1.0, 0.5, 1.0, 3.0]) for _ in arguments]

    def mix(values: list[Any]) -> float:
        linear = sum(w * v for w, v in zip(weights, values, strict=True))
        return linear + values[0] * 1.5 / (1 + values[-1] ** 2)

    graph.add_node(name, function=named(name, arguments, mix))
    graph.add_edges_from((argument, name) for argument in arguments)


def random_rows(rng: Random, inputs: tuple[str, ...], tokens: bool) -> Dataset:
    """Six to twelve rows: `c0 c1` for stories, `p0 p1 p2` to be placed, and what options and metrics name."""
    rows = rng.randint(6, 12)
    lengths = [rng.randint(5, 6) for _ in range(rows)]
    groups = [rng.randint(0, 1) for _ in range(rows)]
    made: list[dict[str, Any]] = []
    for i in range(rows):
        like = [j for j in range(rows) if (lengths[j], groups[j]) == (lengths[i], groups[i])]
        columns: dict[str, Any] = {name: rng.randint(0, 3) for name in inputs}
        columns |= {name: rng.randint(0, 2) for name in ("c0", "c1", "p0", "p1", "p2")}
        columns |= {"length": lengths[i], "group": groups[i], "both": (lengths[i], groups[i]), "label": 1}
        columns |= {"scored": i == 0 or rng.random() < 0.6, "spare": i == 1 or rng.random() < 0.5}
        columns |= {"mate": rng.choice(like), "mate_or_none": rng.choice([*like, None])}
        made.append({"columns": columns} | (_text(rng, lengths[i]) if tokens else {}))
    return Dataset.from_rows(made)


def _text(rng: Random, length: int) -> dict[str, Any]:
    first, second = sorted(rng.sample(range(length - 1), 2))
    near = second if rng.random() < 0.9 else first
    tokens = [rng.randrange(VOCABULARY) for _ in range(length)]
    return {"tokens": tokens, "positions": {"A": first, "B": second, "NEAR": near, "END": length - 1}}


def random_transformer(rng: Random) -> Transformer:
    """Two or three layers and two to four heads, of any architecture that the layers know."""
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    n_kv, times, d, e = (*rng.choice([(1, 2), (2, 1), (2, 2), (4, 1)]), 8, 4)
    n_layers, d_mlp = rng.randint(2, 3), rng.choice([0, 10, 10])
    positions, causal = rng.choice(["learned", "rotary", "none"]), rng.random() < 0.75
    kind, parallel = rng.choice(["layer", "rms", "none"]), d_mlp > 0 and rng.random() < 0.3
    window, biased, own, gated = (rng.random() < p for p in (0.2, 0.6, 0.2, 0.4))

    usual = 0.2 if kind == "none" else 0.5  # without norms, larger weights would let values explode

    def weight(*shape: int, scale: float = usual) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64) * scale

    def bias(*shape: int) -> Tensor | None:
        return weight(*shape) if biased else None

    def norm(size: int) -> Norm:
        if kind == "none":
            return Norm("none")
        return Norm(kind, 1 + weight(size, scale=0.3), bias(size) if kind == "layer" else None)

    other = Random(rng.randrange(2**31))  # of the forms that came later
    post, cap, clip, alibi, late, bent = (other.random() < p for p in (0.35, 0.2, 0.15, 0.2, 0.5, 0.2))
    before = not (post and kind != "none" and other.random() < 0.4)
    sunk = other.random() < 0.15
    normed = d_mlp > 0 and kind != "none" and not (post or parallel) and other.random() < 0.4  # the stream itself
    before &= not normed
    typed, headed = (normed and other.random() < 0.7 for _ in range(2))
    rotary = _rotary(rng.choice([2, 4]), rng.random() < 0.5) if positions == "rotary" else None

    def block() -> Block:
        heads = n_kv * times
        attn = Attn(
            weight(heads, d, e), weight(n_kv, d, e), weight(n_kv, d, e), weight(heads, e, d),
            bias(heads, e), bias(n_kv, e), bias(n_kv, e), bias(d), scale=e**-0.5, causal=causal,
            window=3 if window else None, rotary=rotary,
            q_norm=norm(e) if own else None, k_norm=norm(e) if own else None, norm_last=late,
            cap=1.5 if cap else None, clip=1.0 if clip else None,
            slopes=weight(heads, scale=0.3).abs() if alibi else None, sinks=weight(heads) if sunk else None,
        )  # fmt: skip
        first, posts = norm(d) if before else Norm("none"), [norm(d) if post else None for _ in range(2)]
        if not d_mlp:
            return Block(first, attn, post_attn=posts[0])
        gate = weight(d, d_mlp) if gated else None
        mlp = Mlp(weight(d, d_mlp), weight(d_mlp, d), "gelu_tanh", bias(d_mlp), bias(d), W_gate=gate)
        inside = [norm(d) if normed else None for _ in range(2)]
        return Block(first, attn, norm(d) if before else None, mlp, parallel, *posts, *inside)

    shape = Shape(
        "random",
        n_layers,
        n_kv * times,
        n_kv,
        d,
        e,
        d_mlp,
        VOCABULARY,
        N_CTX,
        positions,
        parallel,
        causal,
        gated,
        post,
        normed,
    )
    return Transformer(
        shape,
        weight(VOCABULARY, d, scale=1.0),
        weight(N_CTX, d, scale=1.0) if positions == "learned" else None,
        tuple(block() for _ in range(n_layers)),
        norm(d),
        weight(d, VOCABULARY),
        bias(VOCABULARY),
        name="random",
        logit_cap=2.0 if bent else None,
        stream_embed=norm(d) if typed else None,
        b_E=weight(d) if typed else None,
        transform=Transform(weight(d, d), weight(d), "gelu") if headed else None,
    )


def _rotary(turning: int, interleaved: bool) -> Rotary:
    angles = torch.arange(N_CTX, dtype=torch.float64)[:, None] * 0.3 ** torch.arange(turning // 2)[None, :]
    angles = angles.repeat_interleave(2, dim=1) if interleaved else angles.repeat(1, 2)
    return Rotary(angles.cos(), angles.sin(), interleaved)
