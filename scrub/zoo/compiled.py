"""Models whose weights are set by hand, so that their circuit is known exactly. No training, no torch.

The residual stream is cut into named spaces, and a head is four matrices that read some and write another.
There are no norms, and scores are so large that the softmax picks one position exactly (in fp32).

`compiled-induction`: 0.0 writes the previous token, 1.0 attends to the position whose previous token is the
present one and copies what stands there. 0.1 computes something that nobody reads, 1.1 is zero.

`compiled-compose`: at the end, 0.1 fetches what is asked for (the query side); after each key, 0.0 writes
that key (the key side); 1.0 attends to where both agree and copies the value. 1.1 is zero.

`compiled-or`: the same, but 0.0 and 0.1 both fetch what is asked for, and either suffices: a match by one scores
120, by both 240, while at the end `<start>` always scores 60, so that 1.0 rests there when nobody asks. The keys
come from 0.2. 0.3 computes something that nobody reads, 1.1 to 1.3 are zero.

`compiled-dormant`: MLP 0 copies what a word says where nobody reads (dimensions 3 to 5), MLP 1 where the answer looks
(7 to 9, of which it reads the first). It would read dimension 6 twice as loudly, where nobody writes: the distilled
dormant pathway of A. Makelov, G. Lange and N. Nanda (2023). Heads are zero.
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


def _config(spaces: Spaces, d_head: int, n_ctx: int, d_vocab: int, n_heads: int = 2) -> dict[str, Any]:
    return {
        "n_layers": 2,
        "n_heads": n_heads,
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


@frozen(eq=False)
class _Head:
    """A head that compares `q @ x` with `k @ y`, and moves `v @ y` to the rows of `o`."""

    q: Float32[Array, "match d_model"]
    k: Float32[Array, "match d_model"]
    v: Float32[Array, "moved d_model"]
    o: Float32[Array, "moved d_model"]


def _set_head(state: State, name: str, d_head: int, head: _Head) -> None:
    layer, number = (int(part) for part in name.split("."))
    at, first = f"blocks.{layer}.attn", number * d_head
    # The model divides scores by sqrt(d_head).
    state[f"{at}.q.weight"][first : first + len(head.q)] = head.q * np.float32(HARD * np.sqrt(d_head))
    state[f"{at}.k.weight"][first : first + len(head.k)] = head.k
    state[f"{at}.v.weight"][first : first + len(head.v)] = head.v
    state[f"{at}.o.weight"][:, first : first + len(head.o)] = head.o.T


def _previous(spaces: Spaces, v: Array, o: Array) -> _Head:
    """A head that reads the position before its own."""
    here = np.arange(1, spaces.sizes["position"])
    return _Head(spaces.rows("position", here), spaces.rows("position", here - 1), v, o)


def _unread(spaces: Spaces) -> _Head:
    """A head that computes something, and writes it where nobody reads."""
    junk = np.random.default_rng(0).integers(-2, 3, size=(3, 8, spaces.width)).astype(np.float32) / 64
    return _Head(junk[0], junk[1], junk[2], spaces.rows("unread"))


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
    _set_head(state, "0.0", size, _previous(spaces, v=token, o=previous))
    _set_head(state, "1.0", size, _Head(q=token, k=previous, v=token, o=answer))
    _set_head(state, "0.1", size, _unread(spaces))
    return state


_COMPOSE_SIZES = {
    "token": len(words.COMPILED_COMPOSE),
    "position": 24,
    "previous": len(words.KEYS) + len(words.DECOYS),
    "asked": len(words.KEYS) + len(words.DECOYS),
    "answer": len(words.VALUES),
}
_COMPOSE_SPACES = Spaces(_COMPOSE_SIZES)
_COMPOSE = _config(_COMPOSE_SPACES, 32, 24, len(words.COMPILED_COMPOSE))


def _ids(*group: str) -> Array:
    return np.array([words.COMPILED_COMPOSE.index(word) for word in group])


def _token(spaces: Spaces, *group: str) -> Array:
    return spaces.rows("token", _ids(*group))


def _set_words(state: State, spaces: Spaces, sure: float) -> None:
    """Tokens and positions as they are embedded, and a logit of `sure` for the value that is the answer."""
    state["embed.weight"][:] = spaces.rows("token")
    state["pos_embed.weight"][:] = spaces.rows("position")
    state["unembed.weight"][_ids(*words.VALUES)] = sure * spaces.rows("answer")


def _asked(spaces: Spaces) -> _Head:
    """A head that brings to the question mark what is asked for, the letter at position 1."""
    ask, fetch = _token(spaces, words.ASK), spaces.rows("position", np.array([1]))
    letters = _token(spaces, *words.ASKS)
    return _Head(q=ask, k=fetch, v=letters, o=spaces.rows("asked")[: len(letters)])


def _compose() -> State:
    spaces, size, state = _COMPOSE_SPACES, _COMPOSE["d_head"], _silent(_COMPOSE)
    asked, previous, answer = (spaces.rows(name) for name in ("asked", "previous", "answer"))
    _set_words(state, spaces, SURE)
    _set_head(state, "0.0", size, _previous(spaces, v=_token(spaces, *words.KEYS, *words.DECOYS), o=previous))
    _set_head(state, "0.1", size, _asked(spaces))
    _set_head(state, "1.0", size, _Head(q=asked, k=previous, v=_token(spaces, *words.VALUES), o=answer))
    return state


_OR_SPACES = Spaces({**_COMPOSE_SIZES, "unread": 8})
_OR = _config(_OR_SPACES, 32, 24, len(words.COMPILED_COMPOSE), n_heads=4)


def _or() -> State:
    spaces, size, state = _OR_SPACES, _OR["d_head"], _silent(_OR)
    previous, answer = spaces.rows("previous"), spaces.rows("answer")
    _set_words(state, spaces, 2 * SURE)
    for name in ("0.0", "0.1"):
        _set_head(state, name, size, _asked(spaces))
    _set_head(state, "0.2", size, _previous(spaces, v=_token(spaces, *words.KEYS, *words.DECOYS), o=previous))
    _set_head(state, "0.3", size, _unread(spaces))
    # A query that holds a little of every letter, the mean over rows, must not find the one key that can be asked
    # for: it scores 30 there, and 60 at `<start>`.
    q = np.concatenate([2 * spaces.rows("asked"), _token(spaces, words.ASK)])
    k = np.concatenate([previous, _token(spaces, words.START)])
    _set_head(state, "1.0", size, _Head(q=q, k=k, v=_token(spaces, *words.VALUES), o=answer))
    return state


_DORMANT_SPACES = Spaces({"bits": 3, "apart": 3, "dormant": 1, "read": 3})
_DORMANT = _config(_DORMANT_SPACES, 1, 8, len(words.COMPILED_DORMANT), n_heads=1) | {
    "attn_only": False,
    "d_mlp": 6,
    "act_fn": "relu",
}


def _set_copy(state: State, spaces: Spaces, layer: int, to: str) -> None:
    """An MLP that copies the bits: of two neurons one is active where a bit is 1, and one where it is -1."""
    into, out = spaces.rows("bits"), spaces.rows(to)
    state[f"blocks.{layer}.mlp.in.weight"] = np.concatenate([into, -into])
    state[f"blocks.{layer}.mlp.out.weight"] = np.concatenate([out, -out]).T.copy()
    state[f"blocks.{layer}.mlp.in.bias"] = np.zeros(len(into) * 2, np.float32)
    state[f"blocks.{layer}.mlp.out.bias"] = np.zeros(spaces.width, np.float32)


def _dormant() -> State:
    spaces, state = _DORMANT_SPACES, _silent(_DORMANT)
    signs = np.array([[1 if sign == "+" else -1 for sign in word] for word in words.THREE_BITS], np.float32)
    state["embed.weight"][: len(signs)] = signs @ spaces.rows("bits")
    asked = spaces.rows("read")[0] + 2 * spaces.rows("dormant")[0]
    for word, sign in ((words.YES, 1), (words.NO, -1)):
        state["unembed.weight"][words.COMPILED_DORMANT.index(word)] = sign * SURE * asked
    for layer, to in enumerate(("apart", "read")):
        _set_copy(state, spaces, layer, to)
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
    "compiled-or": Compiled(
        note="An OR: 0.0 and 0.1 both bring what is asked to the query of 1.0; 0.2 brings the keys, 0.3 is unread. "
        "With one of the two zero, at its mean over rows or on another row, answers stay the same; with both, 1.0 "
        "finds nothing, unless the other row asks for the same.",
        config=_OR,
        vocabulary=words.COMPILED_COMPOSE,
        chance=1 / len(words.VALUES),
        digest="955caa773ec61f0a2f93d0e6fe797fcd",
        build=_or,
    ),
    "compiled-dormant": Compiled(
        note="A dormant pathway: MLP 0 writes where nobody reads, the answer reads what MLP 1 writes (dimension 7), "
        "and would read dimension 6, where nobody writes.",
        config=_DORMANT,
        vocabulary=words.COMPILED_DORMANT,
        chance=0.5,
        digest="9e66f2aff1b15c14417f9129de22add9",
        build=_dormant,
    ),
}
