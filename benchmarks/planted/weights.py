"""Circuits written into weights: a head moves what it finds where its query meets a key, an MLP is a lookup.

The stream is cut into named spaces, each a code of one unit vector for every value. Scores are large, so that a
softmax picks one position. With a norm, one constant of the stream outweighs everything else, so that the norm
scales by nearly the same on every row and its weight undoes that; LayerNorm's centring is undone by a second half
of the stream that holds everything negated and that nobody reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from attrs import frozen

Array = np.ndarray
State = dict[str, Array]

SURE = 8.0  # the logit of the answer
FAINT = 0.02
REST = 0.65  # the score of the first token, of which a match scores 1
LOUD = 30.0  # the constant that outweighs all else where there are norms


@frozen
class StreamLayout:
    """Named spaces of the residual stream, one after the other; `one` is a constant on every position."""

    sizes: Mapping[str, int]
    norm: str | None

    @property
    def width(self) -> int:
        return sum(self.sizes.values())

    @property
    def d_model(self) -> int:
        return 2 * self.width if self.norm == "LN" else self.width

    @property
    def loud(self) -> float:
        return LOUD if self.norm else 1.0

    def rows(self, space: str, index: Sequence[int] | Array | None = None) -> Array:
        """The unit vectors of a space (all of them, or those at `index`), [n, width]."""
        names = list(self.sizes)
        first = sum(self.sizes[name] for name in names[: names.index(space)])
        chosen = np.arange(self.sizes[space]) if index is None else np.asarray(index, int)
        return np.eye(self.width, dtype=np.float32)[first + chosen]

    def read(self, rows: Array) -> Array:
        """Weights that read, [n, d_model]: a mirrored stream is read by its first half."""
        return np.concatenate([rows, np.zeros_like(rows)], 1) if self.norm == "LN" else rows

    def written(self, rows: Array) -> Array:
        """Weights that write, [n, d_model]: a mirrored stream has the mean 0."""
        return np.concatenate([rows, -rows], 1) if self.norm == "LN" else rows

    @property
    def gain(self) -> float:
        """The weight of a norm that undoes its scale."""
        return self.loud * float(np.sqrt((2 if self.norm == "LN" else 1) / self.d_model))


@frozen
class Head:
    """Compares `q @ x` with `k @ y`, and moves `v @ y` to the rows of `o`; all are [n, width]."""

    q: Array
    k: Array
    v: Array
    o: Array


def resting(stream: StreamLayout, query: Array, key: Array) -> tuple[Array, Array]:
    """The query and key of a head that rests at the first token, number 0, where nothing else scores above `REST`.

    Without it a head that finds nothing would write the mean of all that is there, in which the next head may find
    what it looks for.
    """
    rest = (REST / stream.loud) * stream.rows("one")
    return np.concatenate([query, rest]), np.concatenate([key, stream.rows("token", [0])])


@frozen
class Lookup:
    """An MLP's table: for each unit the directions that must all be there, [n, terms, width], and what it writes."""

    keys: Array
    out: Array


@frozen
class Blueprint:
    """A transformer to be written: `heads` by (layer, index), `lookups` by layer; both of the stream's spaces."""

    stream: StreamLayout
    n_layers: int
    n_heads: int
    n_ctx: int
    d_vocab: int
    heads: Mapping[tuple[int, int], Head]
    lookups: Mapping[int, Sequence[Lookup]]
    answers: tuple[Sequence[int], str]  # token ids, and the space whose values they are
    hard: float = 60.0  # the score of a match
    gated: bool = False
    mlp: bool = True

    @property
    def d_head(self) -> int:
        return max(max(len(head.q), len(head.v)) for head in self.heads.values())

    @property
    def d_mlp(self) -> int:
        return max([1, *(sum(len(table.keys) for table in tables) for tables in self.lookups.values())])

    def config(self) -> dict[str, Any]:
        """The fields of a native TransformerLens configuration."""
        inner = {"d_mlp": self.d_mlp, "act_fn": "relu", "gated_mlp": self.gated} if self.mlp else {"attn_only": True}
        return {
            "n_layers": self.n_layers, "n_heads": self.n_heads, "d_model": self.stream.d_model,
            "d_head": self.d_head, "n_ctx": self.n_ctx, "d_vocab": self.d_vocab,
            "normalization_type": self.stream.norm, "positional_embedding_type": "standard", **inner,
        }  # fmt: skip

    def state(self, shapes: Mapping[str, tuple[int, ...]]) -> State:
        """All weights, under the bridge's names; `shapes` are those of the model that will hold them."""
        found = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        for name, value in found.items():
            if "ln" in name and name.endswith("weight"):
                value[:] = self.stream.gain
        self._ends(found)
        for place, head in self.heads.items():
            self._head(found, place, head)
        for layer, tables in self.lookups.items():
            self._mlp(found, layer, tables)
        return found

    def _ends(self, state: State) -> None:
        stream, (tokens, space) = self.stream, self.answers
        state["embed.weight"][:] = stream.written(stream.rows("token"))
        position = stream.rows("position") + stream.loud * stream.rows("one")
        state["pos_embed.weight"][:] = stream.written(position)
        # a little of the present token in every logit: where nothing is found, logits still differ
        faint = np.random.default_rng(0).normal(0, FAINT, (self.d_vocab, self.d_vocab)).astype(np.float32)
        state["unembed.weight"][:] = stream.read(faint @ stream.rows("token"))
        state["unembed.weight"][np.asarray(tokens)] += SURE * stream.read(stream.rows(space))

    def _head(self, state: State, place: tuple[int, int], head: Head) -> None:
        (layer, number), stream = place, self.stream
        at, first = f"blocks.{layer}.attn", number * self.d_head
        match, moved = slice(first, first + len(head.q)), slice(first, first + len(head.v))
        # The model divides scores by sqrt(d_head).
        state[f"{at}.q.weight"][match] = stream.read(head.q) * np.float32(self.hard * np.sqrt(self.d_head))
        state[f"{at}.k.weight"][match] = stream.read(head.k)
        state[f"{at}.v.weight"][moved] = stream.read(head.v)
        state[f"{at}.o.weight"][:, moved] = stream.written(head.o).T

    def _mlp(self, state: State, layer: int, tables: Sequence[Lookup]) -> None:
        stream, at, first = self.stream, f"blocks.{layer}.mlp", 0
        one = stream.rows("one") / stream.loud
        for table in tables:
            units, terms = slice(first, first + len(table.keys)), table.keys.shape[1]
            if self.gated:  # the first term gates, the others and a constant multiply
                rest = table.keys[:, 1:].sum(1) if terms > 1 else np.repeat(one, len(table.keys), 0)
                state[f"{at}.gate.weight"][units] = stream.read(table.keys[:, 0])
                state[f"{at}.in.weight"][units] = stream.read(rest)
            else:  # 1 where all terms are there, below 0 where one is missing
                state[f"{at}.in.weight"][units] = stream.read(2 * table.keys.sum(1) - (2 * terms - 1) * one)
            state[f"{at}.out.weight"][:, units] = stream.written(table.out).T
            first = units.stop


def build(blueprint: Blueprint, name: str) -> Any:
    """The model, a TransformerBridge in eval mode."""
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge.sources.native import boot

    with torch.random.fork_rng(devices=[]):
        made = boot(TransformerBridgeConfig(**blueprint.config(), init_weights=False), model_name=name)
    shapes = {key: tuple(value.shape) for key, value in made.state_dict().items()}
    state = {key: torch.from_numpy(value) for key, value in blueprint.state(shapes).items()}
    made.load_state_dict(state, strict=True)
    return made.eval()


def answered(model: Any, rows: Sequence[Any]) -> list[int]:
    """The model's best token after each row."""
    best: Callable[[Any], int] = lambda row: int(model(torch.tensor([row.tokens]))[0, -1].argmax())  # noqa: E731
    with torch.inference_mode():
        return [best(row) for row in rows]
