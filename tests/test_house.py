"""The house: imports point one way, files stay small, and checking a claim stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest

import scrub

ROOT = Path(scrub.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
PATHS = {path: ".".join(("scrub", *path.relative_to(ROOT).with_suffix("").parts)) for path in FILES}
MODULES = {name.removesuffix(".__init__"): path for path, name in PATHS.items()}
ABOVE = {  # room -> the rooms that it may import
    "errors": set[str](),
    "claims": {"errors"},
    "model": {"errors", "claims"},
    "engine": {"errors", "claims", "model"},
    "score": {"errors", "claims", "model", "engine"},
    "circuit": {"errors", "claims", "model", "engine", "score"},
    "proposals": {"errors", "claims", "model", "engine", "score", "circuit"},
    "report": {"errors", "claims", "engine", "score", "circuit", "proposals"},
    "runs": {"errors", "store", "claims", "model", "engine", "score"},
    "zoo": {"errors", "claims", "model"},
}
LATE = {  # what functions may import besides: a result shows itself, a name or a claim finds its model
    "claims": {"report", "model"},
    "engine": {"report"},
    "score": {"report"},
    "circuit": {"report"},
    "proposals": {"report"},
    "model": {"zoo"},
}
HEAVY = ("torch", "transformers", "transformer_lens", "pandas", "rich")
TOP = {
    "benches",
    "reporting",
    "run",
    "experiments",
    "beginning",
    "interventions",
    "comparing",
    "proposing",
    "settings",
    "cli",
    "cli_circuits",
    "cli_compare",
    "cli_endings",
    "cli_options",
    "cli_proposals",
    "cli_report",
    "cli_publish",
    "freezing",
    "judging",
    "pytest_plugin",
    "store",
    "template",
    "__main__",
}  # with scrub/__init__.py they compose the rooms; no room imports them


def imports(path: Path, late: bool) -> set[str]:
    """The modules that a file imports as it is imported, or, late, those that its functions import."""
    tree = ast.parse(path.read_text())
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
    return found


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("module", [name for name in MODULES if room(name) in ABOVE])
def test_a_room_imports_only_what_lies_above_it(module: str) -> None:
    own = room(module)
    for late, allowed in ((False, ABOVE[own] | {own}), (True, ABOVE[own] | {own} | LATE.get(own, set()))):
        ours = {name for name in imports(MODULES[module], late) if name.split(".")[0] == "scrub"}
        wrong = {name for name in ours if room(name) not in allowed}
        assert not wrong, f"{module} imports {wrong}"


def test_every_module_has_a_room() -> None:
    assert {room(name) for name in MODULES} <= {"", *ABOVE, *TOP}


def test_imports_have_no_cycle() -> None:
    edges = [(name, other) for name, path in MODULES.items() for other in imports(path, late=False)]
    graph = nx.DiGraph(edge for edge in edges if edge[1] in MODULES)
    assert nx.is_directed_acyclic_graph(graph), nx.find_cycle(graph)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


def test_checking_a_claim_imports_nothing_heavy() -> None:
    light = [name for name in MODULES if room(name) in ("claims", "errors")] + [
        "scrub.model.graph",
        "scrub.model.computation",
    ]
    code = f"import {', '.join(light)}, sys; print([m for m in {HEAVY} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_one_file_knows_transformer_lens() -> None:
    imported = {path: imports(path, late=False) | imports(path, late=True) for path in FILES}
    knowing = [p for p, names in imported.items() if "transformer_lens" in {n.split(".")[0] for n in names}]
    assert knowing == [ROOT / "model" / "transformer.py"]
