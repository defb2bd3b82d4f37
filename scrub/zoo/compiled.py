"""Models whose weights are set by hand, so that their circuit is known exactly. No training, no torch.

The residual stream is cut into named spaces, and a head is four matrices that read some and write another.
There are no norms, and scores are so large that the softmax picks one position exactly (in fp32).

`compiled-induction`: 0.0 writes the previous token, 1.0 attends to the position whose previous token is the
present one and copies what stands there. 0.1 computes something that nobody reads, 1.1 is zero.

`compiled-compose`: at the end, 0.1 fetches what is asked for (the query side); after each key, 0.0 writes
that key (the key side); 1.0 attends to where both agree and copies the value. 1.1 is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from scrub.zoo import words

if TYPE_CHECKING:
    from jaxtyping import Float32

Array = np.ndarray
State = dict[str, Array]

HARD = 60.0  # the score of a match: exp(-60) vanishes beside 1 in fp32
SURE = 10.0  # the logit of the answer


@frozen
class Compiled:
    """A model made by `build`; `digest` is that of the weights, as recorded when they were checked."""

    note: str
    config: Mapping[str, Any]
    vocabulary: tuple[str, ...]
    chance: float
    digest: str
    build: Callable[[], State]


@frozen
class Spaces:
    """Named stretches of the residual stream, one after the other."""

    sizes: dict[str, int]

    @property
    def width(self) -> int:
        return sum(self.sizes.values())

    def rows(self, space: str, index: Array | None = None) -> Float32[Array, "n d_model"]:
        """The unit vectors of a space (all of them, or those at `index`)."""
        before = list(self.sizes).index(space)
        first = sum(list(self.sizes.values())[:before])
        chosen = np.arange(self.sizes[space]) if index is None else index
        return np.eye(self.width, dtype=np.float32)[first + chosen]


def _config(spaces: Spaces, d_head: int, n_ctx: int, d_vocab: int) -> dict[str, Any]:
    return {
        "n_layers": 2,
        "n_heads": 2,
        "d_model": spaces.width,
        "d_head": d_head,
        "n_ctx": n_ctx,
        "d_vocab": d_vocab,
        "attn_only": True,
        "normalization_type": None,
    }


def _silent(config: Mapping[str, Any]) -> State:
    """All weights of a model that computes nothing."""
    d, inner = config["d_model"], config["n_heads"] * config["d_head"]
    found = {
        "embed.weight": np.zeros((config["d_vocab"], d), np.float32),
        "pos_embed.weight": np.zeros((config["n_ctx"], d), np.float32),
        "unembed.weight": np.zeros((config["d_vocab"], d), np.float32),
    }
    for layer in range(config["n_layers"]):
        for channel, rows, columns in (("q", inner, d), ("k", inner, d), ("v", inner, d), ("o", d, inner)):
            found[f"blocks.{layer}.attn.{channel}.weight"] = np.zeros((rows, columns), np.float32)
            found[f"blocks.{layer}.attn.{channel}.bias"] = np.zeros(rows, np.float32)
    return found


def _set_head(
    state: State,
    name: str,
    d_head: int,
    *,
    q: Float32[Array, "match d_model"],
    k: Float32[Array, "match d_model"],
    v: Float32[Array, "moved d_model"],
    o: Float32[Array, "moved d_model"],
) -> None:
    """Head `name` compares `q @ x` with `k @ y`, and moves `v @ y` to the rows of `o`."""
    layer, head = (int(part) for part in name.split("."))
    at, first = f"blocks.{layer}.attn", head * d_head
    # The model divides scores by sqrt(d_head).
    state[f"{at}.q.weight"][first : first + len(q)] = q * np.float32(HARD * np.sqrt(d_head))
    state[f"{at}.k.weight"][first : first + len(k)] = k
    state[f"{at}.v.weight"][first : first + len(v)] = v
    state[f"{at}.o.weight"][:, first : first + len(o)] = o.T


def _set_previous(state: State, name: str, d_head: int, spaces: Spaces, v: Array, o: Array) -> None:
    """A head that reads the position before its own."""
    here = np.arange(1, spaces.sizes["position"])
    _set_head(state, name, d_head, q=spaces.rows("position", here), k=spaces.rows("position", here - 1), v=v, o=o)


_INDUCTION_WIDTH = len(words.COMPILED_INDUCTION)
_INDUCTION_SPACES = Spaces(
    {
        "token": _INDUCTION_WIDTH,
        "position": 24,
        "previous": _INDUCTION_WIDTH,
        "answer": _INDUCTION_WIDTH,
        "unread": 8,
    }
)
_INDUCTION = _config(_INDUCTION_SPACES, 32, 24, _INDUCTION_WIDTH)


def _induction() -> State:
    spaces, size, state = _INDUCTION_SPACES, _INDUCTION["d_head"], _silent(_INDUCTION)
    token, previous, answer = (spaces.rows(name) for name in ("token", "previous", "answer"))
    state["embed.weight"][:] = token
    state["pos_embed.weight"][:] = spaces.rows("position")
    state["unembed.weight"][:] = SURE * answer
    _set_previous(state, "0.0", size, spaces, v=token, o=previous)
    _set_head(state, "1.0", size, q=token, k=previous, v=token, o=answer)
    junk = np.random.default_rng(0).integers(-2, 3, size=(3, 8, spaces.width)).astype(np.float32) / 64
    _set_head(state, "0.1", size, q=junk[0], k=junk[1], v=junk[2], o=spaces.rows("unread"))
    return state


_COMPOSE_SPACES = Spaces(
    {
        "token": len(words.COMPILED_COMPOSE),
        "position": 24,
        "previous": len(words.KEYS) + len(words.DECOYS),
        "asked": len(words.KEYS) + len(words.DECOYS),
        "answer": len(words.VALUES),
    }
)
_COMPOSE = _config(_COMPOSE_SPACES, 32, 24, len(words.COMPILED_COMPOSE))


def _compose() -> State:
    spaces, size, state = _COMPOSE_SPACES, _COMPOSE["d_head"], _silent(_COMPOSE)

    def ids(group: tuple[str, ...]) -> Array:
        return np.array([words.COMPILED_COMPOSE.index(word) for word in group])

    def token(group: tuple[str, ...]) -> Array:
        return spaces.rows("token", ids(group))

    asked, answer = spaces.rows("asked"), spaces.rows("answer")
    state["embed.weight"][:] = spaces.rows("token")
    state["pos_embed.weight"][:] = spaces.rows("position")
    state["unembed.weight"][ids(words.VALUES)] = SURE * answer
    _set_previous(state, "0.0", size, spaces, v=token((*words.KEYS, *words.DECOYS)), o=spaces.rows("previous"))
    fetch = spaces.rows("position", np.array([1]))
    _set_head(state, "0.1", size, q=token((words.ASK,)), k=fetch, v=token(words.ASKS), o=asked[: len(words.ASKS)])
    _set_head(state, "1.0", size, q=asked, k=spaces.rows("previous"), v=token(words.VALUES), o=answer)
    return state


COMPILED = {
    "compiled-induction": Compiled(
        note="Previous-token head 0.0, induction head 1.0; 0.1 is never read and 1.1 is zero. No norms.",
        config=_INDUCTION,
        vocabulary=words.COMPILED_INDUCTION,
        chance=1 / len(words.FILLERS),
        digest="d9ca55a7055f75a4dabb805f48a50a0b",
        build=_induction,
    ),
    "compiled-compose": Compiled(
        note="Looks up a key: 0.1 brings what is asked to the query of 1.0, 0.0 brings the keys to its keys.",
        config=_COMPOSE,
        vocabulary=words.COMPILED_COMPOSE,
        chance=1 / len(words.VALUES),
        digest="8e63d9b31c11cba0fcdc0f01399f540c",
        build=_compose,
    ),
}
