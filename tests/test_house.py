"""The house: imports point one way, files stay small, and checking a claim stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import networkx as nx

import scrub
from scrub.claims.wording import names

ROOT = Path(scrub.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
PATHS = {path: ".".join(("scrub", *path.relative_to(ROOT).with_suffix("").parts)) for path in FILES}
MODULES = {name.removesuffix(".__init__"): path for path, name in PATHS.items()}
ROOMS = {  # from below to above: a room imports what stands before it, and nothing else
    "errors": "sentences for mistakes",
    "shown": "the one look upward: values ask to be shown",
    "anatomy": "what a model is made of, without torch",
    "claims": "what is claimed, pure data, without torch",
    "zoo": "small models with their data",
    "model": "what is explained; the one file that imports transformer_lens",
    "engine": "from a claim to values",
    "metrics": "what is measured, one file a metric",
    "score": "from values to a verdict",
    "circuit": "circuits, paths and the three criteria",
    "proposals": "what may be worth claiming",
    "storage": "numbers on disk",
    "report": "what people look at",
    "verbs": "what users call, one file a verb",
    "cli": "one file a command",
}
LOOSE = {"__main__", "pytest_plugin"}  # beside scrub/__init__.py, errors and shown
UPWARD = {("scrub.shown", "scrub.report.faces")}
HEAVY = ("torch", "transformers", "transformer_lens", "pandas", "rich")
PLACE = {name: place for place, name in enumerate(ROOMS)}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports(path: Path, late: bool) -> frozenset[str]:
    """The modules that a file imports as it is imported, or, late, those that its functions import."""
    tree = tree_of(path)
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    inner = {id(n) for function in functions for n in ast.walk(function)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if (id(node) in inner) != late:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in MODULES else str(node.module) for name in whole}
    return frozenset(found)


def room(module: str) -> str:
    return module.split(".")[1] if module.startswith("scrub.") else ""


def test_a_room_imports_only_what_lies_below_it() -> None:
    """At import and, as strictly, late in functions."""
    inside = [name for name in MODULES if room(name) in ROOMS]
    edges = {(name, other) for name in inside for late in (False, True) for other in imports(MODULES[name], late)}
    ours = {(name, other) for name, other in edges if room(other)}
    assert {(a, b) for a, b in ours if PLACE.get(room(b), len(PLACE)) > PLACE[room(a)]} == UPWARD


def test_every_module_has_a_room() -> None:
    assert {room(name) for name in MODULES} == {"", *ROOMS, *LOOSE}


def test_imports_have_no_cycle() -> None:
    """Late ones counted, and those that are for types alone."""
    edges = [
        (name, other) for name, path in MODULES.items() for late in (False, True) for other in imports(path, late)
    ]
    graph = nx.DiGraph(edge for edge in edges if edge[1] in MODULES)
    assert nx.is_directed_acyclic_graph(graph), nx.find_cycle(graph)


def test_no_file_is_long() -> None:
    assert not {path: lines for path in FILES if (lines := len(path.read_text().splitlines())) > 400}


def caches(tree: ast.Module) -> Iterator[int]:
    """The lines at which functions, modules and values begin to keep what they have computed."""
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        names = {ast.unparse(d).split("(")[0]: d.lineno for d in node.decorator_list}
        yield from (line for name, line in names.items() if name in ("cache", "lru_cache"))
    for owner in (tree, *(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))):
        for node in owner.body:
            if isinstance(node, ast.AnnAssign) and node.value is not None:
                name, value = ast.unparse(node.target), ast.unparse(node.value)
                if (name.startswith("_") and ("factory=dict" in value or value == "{}")) or name in ("known", "memo"):
                    yield node.lineno


def test_what_is_kept_says_by_what() -> None:
    """A cache is keyed by all that its values depend on: what that is stands beside it, `# kept by ...`.

    A `cached_property` is kept by its value, whose fields stay what they are because its class is frozen.
    """
    lines = {path: path.read_text().splitlines() for path in FILES}
    kept = [(path, line) for path in FILES for line in caches(tree_of(path))]
    assert kept
    assert not [(p, line) for p, line in kept if "ept " not in " ".join(lines[p][max(0, line - 4) : line])]
    made = [(path, node) for path in FILES for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef)]
    assert not [(path, node.name) for path, node in made if keeps(node) and not frozen(node)]


def keeps(made: ast.ClassDef) -> bool:
    decorators = {ast.unparse(d) for f in made.body if isinstance(f, ast.FunctionDef) for d in f.decorator_list}
    return "cached_property" in decorators


def frozen(made: ast.ClassDef) -> bool:
    return any("frozen" in ast.unparse(d) for d in made.decorator_list)


def test_checking_a_claim_imports_nothing_heavy() -> None:
    light = [name for name in MODULES if room(name) in ("claims", "errors")] + [
        "scrub.anatomy.transformer",
        "scrub.model.computation",
    ]
    code = f"import {', '.join(light)}, sys; print([m for m in {HEAVY} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def compared(tree: ast.Module) -> Iterator[object]:
    """The constants that something is compared with, or matched."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            parts = [part for side in (node.left, *node.comparators) for part in ast.walk(side)]
            yield from (part.value for part in parts if isinstance(part, ast.Constant))
        if isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant):
            yield node.value.value


def test_what_a_metric_alone_is_stands_in_its_file() -> None:
    outside = [path for name, path in MODULES.items() if room(name) != "metrics"]
    assert not {path: found for path in outside if (found := {*names()} & {*compared(tree_of(path))})}


def test_one_file_knows_transformer_lens() -> None:
    imported = {path: imports(path, late=False) | imports(path, late=True) for path in FILES}
    knowing = [p for p, names in imported.items() if "transformer_lens" in {n.split(".")[0] for n in names}]
    assert knowing == [ROOT / "model" / "transformer.py"]
