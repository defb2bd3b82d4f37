"""The claims that are mutated: small graphs of functions, so that a case takes milliseconds."""

from __future__ import annotations

from pathlib import Path

from cli_cases import HEAD
from scrub import Hypothesis
from scrub.claims.collect import collect

FILE = (
    HEAD.replace("@story.variable\ndef answer", "@story.variable(round=0.5)\ndef answer")
    + """
from scrub import protocol

def scores():
    made = graph()
    made.nodes["out"]["function"] = lambda h, g, b: tuple(float(v == h + b) for v in range(8))
    return made

def few():
    return Dataset.from_rows([{"columns": {**row.columns, "low": row.columns["a"] < 3}} for row in rows(12).rows])

@claim(story, model=scores, data=few, metric="loss(sum)", expect=recovers(0.5), within="low",
       criteria=protocol(published="0.9 of it"))
def good(wide=True):
    return places()

other = good.but(half=nodes("g"), answer=nodes("out").reads(g="half", b="b")).foil("the remainder")
"""
)


def written(folder: Path) -> Path:
    file = folder / "claims.py"
    file.write_text(FILE)
    return file


def good(folder: Path) -> Hypothesis:
    return collect([f"{written(folder)}::good"]).hypotheses[0]
