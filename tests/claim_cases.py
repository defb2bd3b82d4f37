"""A small claim that is sound, for tests that break one thing in it at a time."""

from __future__ import annotations

from typing import Any

from scrub.anatomy.graphs import ModelGraph
from scrub.anatomy.shape import Shape
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.check import Checked, Subject, check_claim
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Hypothesis, claim, recovers
from scrub.claims.interpretation import Interpretation
from scrub.claims.sites import embed, heads, logits

TINY = TransformerGraph("tiny", Shape("gpt2", 4, 2, 2, 8, 4, 32, 50, 16))
NAMES = 10, 11, 12


def names_story() -> Interpretation:
    """Of two names, say the one that is not repeated."""
    story = Interpretation()

    @story.variable
    def doubled(s1: int, s2: int) -> int | None:
        return s2 if s1 == s2 else None

    @story.variable
    def name(doubled: int | None, io: int) -> int | None:
        return io if io != doubled else None

    @story.variable
    def answer(name: int | None) -> int | None:
        return name

    return story


def names_rows(count: int = 12) -> list[dict[str, Any]]:
    """`BOS io x s1 s2 END`, every third row one token longer."""
    rows: list[dict[str, Any]] = []
    for i in range(count):
        io, s1 = NAMES[i % 3], NAMES[(i + 1) % 3]
        tokens = [1, io, 2, s1, s1, 3] + [4] * (i % 3 == 0)
        positions = {"IO": 1, "S1": 3, "S2": 4, "END": -1}
        columns = {"io": io, "s1": s1, "s2": s1, "length": len(tokens), "even": i % 2 == 0}
        rows.append({"tokens": tokens, "positions": positions, "columns": columns})
    return rows


def names_sites(**changes: Any) -> dict[str, Any]:
    sites: dict[str, Any] = {
        "io": embed("IO"),
        "s1": embed("S1"),
        "s2": embed("S2"),
        "doubled": heads("0.1", at="S2").reads(q="s2", k="s1", v="s1"),
        "name": heads("2.0 2.1", at="END").reads(k="doubled io", v="io doubled"),
        "answer": logits("END"),
    }
    return {**sites, **changes}


def names_claim(
    story: Interpretation | None = None, sites: dict[str, Any] | None = None, **options: Any
) -> Hypothesis:
    setting: dict[str, Any] = {
        "model": "tiny",
        "data": Dataset.from_rows(names_rows()),
        "metric": "logit_diff(io, s1)",
        "expect": recovers(0.8),
        **options,
    }

    def build() -> dict[str, Any]:
        return names_sites() if sites is None else sites

    return claim(story or names_story(), **setting)(build)


def checked(
    sites: dict[str, Any] | None = None,
    *,
    story: Interpretation | None = None,
    graph: ModelGraph = TINY,
    **options: Any,
) -> Checked:
    """The static check of the sound claim with other sites, another story or other options."""
    hypothesis = names_claim(story, sites, **options)
    return check_claim(hypothesis, Subject(graph, vocabulary=50, context=16), hypothesis.data)  # pyright: ignore


def told(result: Checked) -> str:
    return "\n".join(str(problem) for problem in result.problems)
