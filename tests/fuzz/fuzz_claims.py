"""The claims that are mutated: small graphs of functions, so that a case takes milliseconds."""

from __future__ import annotations

from pathlib import Path

from scrub import Hypothesis
from scrub.claims.collect import collect

FILE = """
import networkx as nx
from scrub import Dataset, Interpretation, claim, embed, heads, logits, nodes, protocol, recovers

story = Interpretation()

@story.variable
def half(a):
    return a // 2

@story.variable(round=0.5)
def answer(half, b):
    return half + b

def graph():
    made = nx.DiGraph()
    made.add_nodes_from("ab")
    made.add_node("h", function=lambda a: a // 2)
    made.add_node("g", function=lambda a: a % 2)
    made.add_node("out", function=lambda h, g, b: tuple(float(v == h + b) for v in range(8)))
    made.add_edges_from([("a", "h"), ("a", "g"), ("h", "out"), ("g", "out"), ("b", "out")])
    return made

def rows():
    pairs = [(i % 6, i % 4) for i in range(12)]
    return Dataset.from_rows([{"columns": {"a": a, "b": b, "sum": a // 2 + b, "low": a < 3}} for a, b in pairs])

@claim(story, model=graph, data=rows, metric="loss(sum)", expect=recovers(0.5), within="low",
       criteria=protocol(published="0.9 of it"))
def good(wide=True):
    return dict(half=nodes("h"), b=nodes("b"), answer=nodes("out").reads(h="half", b="b"))

other = good.but(half=nodes("g"), answer=nodes("out").reads(g="half", b="b")).foil("the remainder")
"""


def written(folder: Path) -> Path:
    file = folder / "claims.py"
    file.write_text(FILE)
    return file


def good(folder: Path) -> Hypothesis:
    return collect([f"{written(folder)}::good"]).hypotheses[0]
