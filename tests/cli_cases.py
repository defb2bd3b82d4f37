"""What tests of the command line share: files of claims about a small graph, and its commands in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import scrub as package
from scrub.claims.text import words
from scrub.cli.group import main
from scrub.storage import stored

HEAD = """
import math, os, signal, sys
import networkx as nx
from scrub import Dataset, Interpretation, Metric, claim, embed, heads, logits, nodes, recovers

story = Interpretation()

@story.variable
def half(a):
    return a // 2

@story.variable
def answer(half, b):
    return half + b

def graph():
    made = nx.DiGraph()
    made.add_nodes_from("ab")
    made.add_node("h", function=lambda a: a // 2)
    made.add_node("g", function=lambda a: a % 2)
    made.add_node("out", function=lambda h, g, b: h + b)
    made.add_edges_from([("a", "h"), ("a", "g"), ("h", "out"), ("g", "out"), ("b", "out")])
    return made

def rows(n=48):
    pairs = [(i % 6, i % 4) for i in range(n)]
    return Dataset.from_rows([{"columns": {"a": a, "b": b, "sum": a // 2 + b}} for a, b in pairs])

def right(output, row):
    return -abs(output - row.columns["sum"])

def places():
    return dict(half=nodes("h"), b=nodes("b"), answer=nodes("out").reads(h="half", b="b"))

def make(build=places, story=story, **changed):
    setting = dict(model=graph, data=rows, metric=Metric(right), predicts="sum", expect=recovers(0.9))
    return claim(story, **{**setting, **changed})(build)
"""
GOOD = "good = make()"
FOIL = 'foil = make(odd).foil("g is the remainder")'
NAN = "make(data=lambda: rows(24), metric=Metric(lambda o, r: math.{} if r.columns['a'] == 1 else 0.0))"
FALSE = """
def odd():
    return dict(half=nodes("g"), b=nodes("b"), answer=nodes("out").reads(g="half", b="b"))
"""
Write = Callable[..., Path]


def scrub(*arguments: object) -> Result:
    """Run the command line in this process; an exception that escapes is a failure of the test."""
    found = CliRunner().invoke(main, [str(a) for a in arguments])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


def results(output: str) -> list[dict[str, Any]]:
    found = json.loads(output, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert list(found) == ["scrub", "results"]
    assert found["scrub"] == package.__version__
    return found["results"]


def model_directory(path: Path, vocabulary: tuple[str, ...] | None = ("w0", "w1", "w2", "w3")) -> Path:
    """A directory with a config.json and, unless it is None, a tokenizer.json of whole words; no weights."""
    path.mkdir()
    config = {"model_type": "gpt2", "n_embd": 8, "n_head": 2, "n_layer": 2, "vocab_size": 20, "n_positions": 8}
    (path / "config.json").write_text(json.dumps(config))
    if vocabulary is not None:
        made: Any = words(("w0", *vocabulary[1:]) if vocabulary else ("w0",))
        raw = json.loads(made.to_str())
        raw["model"]["vocab"] = {word: i for i, word in enumerate(vocabulary)}
        (path / "tokenizer.json").write_text(json.dumps(raw))
    return path


def rewrite(folder: Path, name: str, content: dict[str, Any]) -> None:
    """Store other content in a file of a run, as if it had been found: its digest is right."""
    if name == "run.json":
        drawings = json.loads((folder / "drawings.json").read_text())
        rewrite(folder, "drawings.json", {**drawings, "run": stored.seal(content)})
    (folder / name).write_text(json.dumps(content if name == "run.json" else stored.sealed(content)))


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes `HEAD` and some lines into a file of the working directory, which is a fresh one."""
    monkeypatch.chdir(tmp_path)

    def written(text: str, name: str = "claims.py", head: str = HEAD + FALSE) -> Path:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(head + "\n" + text + "\n")
        return path

    return written
