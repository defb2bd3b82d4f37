"""The textbook's induction, told of a model whose queries hold more than the textbook says.

`<start> c p F q c F` continues with `q`. Head 0.0 writes at every token what stood before it; head 1.0 looks at the
end for the place whose previous token is the present one, and copies what stands there. But the query of 1.0 is
mostly what head 0.2 has written at the end, which attends to the end itself, and only a little the token there;
where nothing matches well enough, 1.0 rests at `<start>`.

So the usual claim, right head 0.0 and a query that holds the token alone, is false: with everything else on another
row the query asks for that row's token, and what 0.0 was given is not it. And the same claim with a *wrong* head,
0.1, which attends to the previous token and writes where nobody reads, recovers nearly everything: keys and the
part of the query that the claim forgets stay together on the other row, find the place there, and the right token
is put into it. Cutting that head changes nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import evolve, frozen

from planted.told import Planted, Spot, Step, Told
from planted.weights import Array, Blueprint, Head, StreamLayout, build, resting
from scrub import Dataset, recovers

N_CTX, FIRSTS, FILLERS, ROWS = 20, 8, 12, 64
TOKENS = 1 + FIRSTS + FILLERS
A_LITTLE = 0.3  # of the query is the token itself: less than it takes to leave `<start>`
EXPECT = 0.8


@frozen
class Textbook:
    """`right` is true; `usual` forgets the query edge that head 0.2 makes; `wrong` names head 0.1 besides."""

    right: Planted
    usual: Told
    wrong: Told
    query_edge: str = "0.2 -> 1.0.q"


def textbook() -> Textbook:
    """The model with its true claim, the textbook's, and the textbook's with a wrong head."""
    right = _planted(build(_blueprint(), "textbook"))
    found = Spot("heads", ("1.0",), "END", {"q": ("current",), "k": ("before",), "v": ("b",)})
    kept = {name: spots for name, spots in right.told.spots.items() if name != "asked"}
    steps = {name: step for name, step in right.told.steps.items() if name != "asked"}
    match = Step(("current", "before", "b"), lambda current, before, b: b if current == before else None)
    usual = evolve(right.told, steps={**steps, "found": match}, spots={**kept, "found": (found,)})
    (before,) = usual.spots["before"]
    wrong = usual.placed("before", [evolve(before, names=("0.1",))])
    rivals = {"no query edge": usual, "no query edge, wrong head": wrong}
    return Textbook(evolve(right, rivals=rivals), usual, wrong)


def _blueprint() -> Blueprint:
    sizes = {"one": 1, "position": N_CTX, "previous": TOKENS, "asked": TOKENS, "answer": TOKENS, "unread": TOKENS}
    stream = StreamLayout({**sizes, "token": TOKENS}, "LN")
    token = stream.rows("token")
    here = np.arange(1, N_CTX)
    before = stream.rows("position", here), stream.rows("position", here - 1)
    same = stream.rows("position"), stream.rows("position")
    query: Array = stream.rows("asked") + A_LITTLE * token
    match = resting(stream, query, stream.rows("previous"))
    heads = {
        (0, 0): Head(*before, v=token, o=stream.rows("previous")),
        (0, 1): Head(*before, v=token, o=stream.rows("unread")),
        (0, 2): Head(*same, v=token, o=stream.rows("asked")),
        (1, 0): Head(*match, v=token, o=stream.rows("answer")),
    }
    return Blueprint(stream, 2, 3, N_CTX, TOKENS, heads, {}, (range(TOKENS), "answer"), mlp=False)


def _planted(model: Any) -> Planted:
    rng = np.random.default_rng(0)
    steps = {
        "before": Step(("first",), lambda first: first),
        "asked": Step(("current",), lambda current: current),
        "found": Step(("asked", "current", "before", "b"), lambda a, c, f, b: b if a == c == f else None),
        "answer": Step(("found",), lambda found: -1 if found is None else found),
    }
    spots = {
        "first": Spot("embed", (), "A1"), "current": Spot("embed", (), "END"), "b": Spot("embed", (), "B1"),
        "before": Spot("heads", ("0.0",), "B1", {"v": ("first",)}),
        "asked": Spot("heads", ("0.2",), "END", {"v": ("current",)}),
        "found": Spot("heads", ("1.0",), "END", {"q": ("asked", "current"), "k": ("before",), "v": ("b",)}),
        "answer": Spot("logits", (), "END", {"input": ("found",)}),
    }  # fmt: skip
    setting = {
        "model": model, "data": Dataset.from_rows([_row(rng) for _ in range(ROWS)]), "metric": "loss(b)",
        "expect": recovers(EXPECT),
    }  # fmt: skip
    heads = tuple(f"{layer}.{head}" for layer in range(2) for head in range(3))
    told = Told(steps, {name: (spot,) for name, spot in spots.items()}, setting)
    return Planted(
        "textbook", "textbook", told, {"heads": heads}, ("A1", "B1", "END", "F"),
        {"noise": Spot("embed", (), "F")}, features=("induction", "LN", "attention only", "pattern", "zero"),
    )  # fmt: skip


def _row(rng: np.random.Generator) -> dict[str, Any]:
    """Fillers, a first token and its successor among them, and the first token again."""
    a = 1 + int(rng.integers(FIRSTS))
    line = [0, *(1 + FIRSTS + int(f) for f in rng.integers(FILLERS, size=rng.integers(6, 14)))]
    at = int(rng.integers(2, len(line) - 1))
    line = [*line[:at], a, *line[at:], a]
    columns = {"first": a, "current": a, "b": line[at + 1], "noise": line[1]}
    return {"tokens": line, "positions": {"F": 1, "A1": at, "B1": at + 1, "END": len(line) - 1}, "columns": columns}
