"""Random compiled transformers: a random program, its heads among others that do nothing, decoys and noise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from planted.sketch import ASK, N_CTX, START, Draft, Held, PlannedHead
from planted.told import Planted, Spot, Told
from planted.weights import Array, Blueprint, Head, StreamLayout, build
from scrub import Dataset, recovers

ROWS = 64  # in the pool
EXPECT = 0.99  # the true claim recovers everything
NORMS = (None, "LN", "RMS")


def program(seed: int) -> Planted:
    """The compiled transformer of a seed. Its true claim recovers everything, and each part of it is needed."""
    rng = np.random.default_rng([7, seed])
    draft = Draft(rng, n=int(rng.integers(5, 8)))
    norm, mlp, gated = NORMS[rng.integers(3)], bool(rng.random() < 2 / 3), bool(rng.random() < 0.5)
    answer = _steps(draft, mlp)
    words = draft.words(draft.n)
    draft.variable("answer", (answer.name,), lambda value: -1 if value is None else words[value])
    draft.spots["answer"] = lambda _: Spot("logits", (), "END", {"input": (answer.name,)})
    layers = 1 + max([head.layer for head in draft.heads] + [layer for layer, _, _ in draft.lookups])
    heads = _numbered(draft, layers)
    stream = StreamLayout({**draft.sizes, "unread": draft.n, "token": draft.tokens}, norm)
    blueprint = Blueprint(
        stream, layers, max(number for _, number in heads) + 1, N_CTX, draft.tokens,
        {place: head.made(stream) for place, head in heads.items()},
        {layer: [made(stream) for at, _, made in draft.lookups if at == layer] for layer in range(layers)},
        (words, answer.space), hard=float(rng.choice([60.0, 14.0])), gated=gated, mlp=mlp,
    )  # fmt: skip
    features = [*draft.features, norm or "no norm", "attention only" if not mlp else "gated" if gated else "MLPs"]
    return _planted(f"program {seed}", draft, heads, build(blueprint, f"program-{seed}"), features)


def _steps(draft: Draft, mlp: bool) -> Held:
    """One to four steps after what is asked for is at the end."""
    rng, letters, tables = draft.rng, iter("abc"), iter((1, 2))
    at_end = draft.own("own") if rng.random() < 0.25 else _brought(draft, next(letters), mlp, query=True)
    kinds = ["find", *rng.permutation(["join", "convert", "find"] if mlp else ["find", "find"])[: rng.integers(3)]]
    for number, kind in enumerate([str(found) for found in kinds]):
        if kind == "find" and (table := next(tables, None)):
            at_end = _found(draft, table, at_end)
        elif kind == "join":
            at_end = draft.join(f"joined{number}", at_end, _brought(draft, next(letters), mlp))
        elif kind == "convert":
            at_end = draft.convert(f"converted{number}", at_end)
    return at_end


def _brought(draft: Draft, name: str, mlp: bool, query: bool = False) -> Held:
    """A field brought to the end: as it stands, converted where it stands, or relayed by its successor."""
    rng, relayed = draft.rng, draft.rng.random() < 0.3
    found = draft.field(name, marked=relayed)
    words = found.index
    if relayed:
        words = (words[-1] + 1,)
        found = draft.previous(f"{name}_relayed", found, f"{name.upper()}1")
    elif mlp and rng.random() < 0.4:
        found = draft.convert(f"{name}_converted", found)
    # either of two suffices only where what reads it is a query for something that stands once in the row
    how = str(rng.choice(["alone", "halves", "either"] if query else ["alone", "halves"]))
    return draft.bring(f"{name}_end", found, words, how)


def _found(draft: Draft, number: int, wanted: Held) -> Held:
    key, value, decoys = draft.pairs(number, wanted.name)
    label = draft.previous(f"label{number}", key, f"V{number}", decoys, spare=bool(draft.rng.random() < 0.25))
    return draft.find(f"found{number}", wanted, label, value)


def _numbered(draft: Draft, layers: int) -> dict[tuple[int, int], PlannedHead]:
    """Every head's place; what the program leaves free is filled with heads that matter to nobody."""
    used = Counter(head.layer for head in draft.heads)
    n_heads = max(3, max(used.values(), default=0) + 1)
    draft.heads += [head for layer in range(layers) for head in _idle(draft, layer, n_heads - used[layer])]
    found: dict[tuple[int, int], PlannedHead] = {}
    for layer in range(layers):
        mine = [head for head in draft.heads if head.layer == layer]
        found |= {(layer, int(n)): head for n, head in zip(draft.rng.permutation(n_heads), mine, strict=True)}
    return found


def _idle(draft: Draft, layer: int, count: int) -> list[PlannedHead]:
    """Heads that look as if: nice patterns that write nothing, copies that nobody reads, noise, a cancelling pair."""
    kinds = [str(kind) for kind in draft.rng.choice(["pattern", "decoy", "noise", "zero"], count)]
    made = [(kind, _IDLE[kind](draft)) for kind in kinds]
    if count > 1 and draft.rng.random() < 0.5:
        made[:2] = zip(("cancelling", "cancelling"), _cancelling(draft), strict=True)
    draft.features += [kind for kind, _ in made]
    return [PlannedHead(layer, function, role=kind) for kind, function in made]


Made = Callable[[StreamLayout], Head]


def _pattern(draft: Draft) -> Made:
    def made(s: StreamLayout) -> Head:
        here = np.arange(1, N_CTX)
        nothing = np.zeros((1, s.width), np.float32)
        return Head(s.rows("position", here), s.rows("position", here - 1), v=s.rows("token", [START]), o=nothing)

    return made


def _decoy(draft: Draft) -> Made:
    """Brings a class of tokens to the end, where nobody reads it."""
    classes = range(ASK + 1, draft.tokens)
    words = draft.rng.choice(classes, draft.n, replace=False)

    def made(s: StreamLayout) -> Head:
        q, k = s.rows("token", draft.asks).sum(0, keepdims=True), s.rows("token", words).sum(0, keepdims=True)
        return Head(q, k, v=s.rows("token", words), o=s.rows("unread"))

    return made


def _noise(draft: Draft) -> Made:
    seed = int(draft.rng.integers(2**31))

    def made(s: StreamLayout) -> Head:
        q, k, v = np.random.default_rng(seed).normal(0, 0.05, (3, draft.n, s.width)).astype(np.float32)
        return Head(q, k, v, s.rows("unread"))

    return made


def _zero(draft: Draft) -> Made:
    def made(s: StreamLayout) -> Head:
        return Head(*np.zeros((4, 1, s.width), np.float32))

    return made


def _cancelling(draft: Draft) -> tuple[Made, Made]:
    """Two heads that write what the answer is read from, one with the other's opposite."""
    space = str(draft.rng.choice([name for name in draft.sizes if name not in ("one", "position")]))
    size = min(draft.sizes[space], draft.tokens)
    words = draft.rng.choice(draft.tokens, size, replace=False)

    def one(sign: int) -> Made:
        def made(s: StreamLayout) -> Head:
            o: Array = sign * s.rows(space)[:size]
            return Head(
                q=s.rows("one"), k=s.rows("token", words).sum(0, keepdims=True), v=s.rows("token", words), o=o
            )

        return made

    return one(1), one(-1)


_IDLE: dict[str, Callable[[Draft], Made]] = {"pattern": _pattern, "decoy": _decoy, "noise": _noise, "zero": _zero}


def _planted(
    name: str, draft: Draft, heads: dict[tuple[int, int], PlannedHead], model: Any, features: list[str]
) -> Planted:
    holding = {variable: tuple(sorted(_holders(heads, variable))) for variable in draft.spots}
    spots = {variable: (made(holding),) for variable, made in draft.spots.items()}
    rows = [draft.row() for _ in range(ROWS)]
    told = Told(draft.steps, spots, {})
    for row in rows:
        row["columns"]["label"] = told.values(row["columns"])["answer"]
    setting = {"model": model, "data": Dataset.from_rows(rows), "metric": "loss(label)", "expect": recovers(EXPECT)}
    others = {"heads": tuple(f"{layer}.{number}" for layer, number in sorted(heads))}
    if any(spot.kind == "mlps" for (spot,) in spots.values()):
        others["mlps"] = tuple(str(layer) for layer in range(max(layer for layer, _ in heads) + 1))
    places = tuple(sorted({at for row in rows for at in row["positions"]}))
    return Planted(
        name, "program", told.but(**setting), others, places,
        spare={"noise": Spot("embed", (), "F")}, features=tuple(dict.fromkeys(features)),
    )  # fmt: skip


def _holders(heads: dict[tuple[int, int], PlannedHead], variable: str) -> Iterator[str]:
    return (f"{layer}.{number}" for (layer, number), head in heads.items() if head.holds == variable)
