"""The house: imports point one way, files stay small, and checking a claim stays light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import networkx as nx
import pytest

import scrub
from scrub.anatomy.table import TABLE
from scrub.claims.extension import ExtensionPoint
from scrub.claims.wording import POINTS

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
    "evidence": "what claimed components look like from inside; no score",
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


def test_a_class_name_stands_once() -> None:
    """A name is found again, and a text that speaks of it means one thing."""
    made = [(node.name, path) for path in FILES for node in tree_of(path).body if isinstance(node, ast.ClassDef)]
    names = [name for name, _ in made if not name.startswith("_")]
    assert not {(name, str(path)) for name, path in made if names.count(name) > 1}


def test_checking_a_claim_imports_nothing_heavy() -> None:
    light = [name for name in MODULES if room(name) in ("claims", "errors")] + [
        "scrub.anatomy.transformer",
        "scrub.model.computation",
    ]
    code = f"import {', '.join(light)}, sys; print([m for m in {HEAVY} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_scrub_itself_imports_nothing_before_a_name_is_asked_for() -> None:
    code = "import scrub, sys; print(*(m for m in sys.modules if m[:6] == 'scrub.' or m in ('numpy', 'networkx')))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {room(name) for name in found.stdout.split()} == {"storage"}  # the version


def compared(path: Path) -> Iterator[tuple[object, str]]:
    """The constants that something is compared with, or matched, each with the text of the comparison."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Compare):
            parts = [part for side in (node.left, *node.comparators) for part in ast.walk(side)]
            yield from ((part.value, ast.unparse(node)) for part in parts if isinstance(part, ast.Constant))
        if isinstance(node, ast.Match):
            parts = [part for case in node.cases for part in ast.walk(case.pattern)]
            yield from ((part.value, ast.unparse(node.subject)) for part in parts if isinstance(part, ast.Constant))


# What a comparison with the same words is about, where it is about something else.
OTHERS = {
    "ablation": re.compile(r"\brest\b"),  # the rests of scrubbing have the same words
    "attribution method": re.compile(r"\['exact'\]"),  # the field of a result that holds the exact effect
}


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.noun)
def test_what_one_file_alone_is_stands_in_that_file(point: ExtensionPoint) -> None:
    """What may be added as a file is asked for what it is, not for its name."""
    home, names = ROOT / point.folder, {*point.names(), *(name.replace("_", "-") for name in point.names())}
    about_others = OTHERS.get(point.noun)
    found = [
        (str(path.relative_to(ROOT)), text)
        for path in FILES
        if not path.is_relative_to(home)
        for value, text in compared(path)
        if value in names and not (about_others and about_others.search(text))
    ]
    assert not found


KIND_WORDS = {*TABLE} - {"q", "k", "v"}  # these are words of channels too
SPOKEN = {  # files that compare with a word of a kind, and why
    "proposals/edges.py": "arrays of a pass are kept by (kind, layer), and senders are sums over kinds",
    "proposals/forward.py": "the embedding begins a pass",
    "proposals/patching.py": "the embedding begins a pass",
    "proposals/methods/eap_ig.py": "which activations move is the method's own",
    "proposals/methods/graddrop.py": "which writes are dropped is the method's own",
    "proposals/write.py": "embed is a function that a written claim imports",
}


def test_no_kind_word_outside_the_table() -> None:
    """What one kind of component is and another is not, a file asks of `.traits`."""
    speaking = {str(path.relative_to(ROOT)) for path in FILES if any(v in KIND_WORDS for v, _ in compared(path))}
    assert speaking == {*SPOKEN}


REACHED = {  # what others call by its name
    "pytest_addoption": "pytest", "pytest_collect_file": "pytest", "runtest": "pytest", "reportinfo": "pytest",
    "convert": "click", "list_commands": "click", "get_command": "click", "_repr_html_": "notebooks",
    "find_class": "pickle", "persistent_load": "pickle", "log_message": "http.server",
    "from_networkx": "users: a story that is a graph", "pruned": "users: a circuit without its dead ends",
}  # fmt: skip


def words_of(tree: ast.Module) -> Iterator[str]:
    """The names that code uses, and the words of its strings; docstrings and imports use nothing."""
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield from re.findall(r"\w+", node.value)


def test_what_is_written_is_reached() -> None:
    """What is defined is named by code other than tests, by a template, or by the documentation.

    Functions and methods, the classes of a module, and the names that it gives to types and constants.
    """
    trees = [tree_of(path) for path in FILES]
    pages = [ROOT.parent / "README.md", ROOT.parent / "CONTRIBUTING.md", *(ROOT.parent / "docs").glob("*.md")]
    told = [path.read_text() for path in (*pages, *ROOT.rglob("*.html"))]
    known = {word for tree in trees for word in words_of(tree)} | {w for t in told for w in re.findall(r"\w+", t)}
    owners = [node for tree in trees for node in (tree, *(n for n in ast.walk(tree) if isinstance(n, ast.ClassDef)))]
    written = {
        node.name for owner in owners for node in owner.body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    given = [
        target for tree in trees for node in tree.body if isinstance(node, ast.Assign) for target in node.targets
    ]
    written |= {name.id for target in given for name in ast.walk(target) if isinstance(name, ast.Name)}
    unreached = {name for name in written - known if not (name.startswith("__") and name.endswith("__"))}
    assert unreached == set(REACHED) & written - known
    assert set(REACHED) <= written


ONE_PASS = "one step of a pass over tensors"
OPTIONS = "what users call: its options are told by their names"
MANY = {  # functions with more than five arguments, and why they have them
    "claims": {"claim": OPTIONS},
    "verbs": {
        "test": OPTIONS, "compare": OPTIONS, "criteria": OPTIONS, "propose": OPTIONS, "sweep": OPTIONS,
        "explain": OPTIONS, "power": OPTIONS, "patch_paths": OPTIONS, "run_circuit": OPTIONS, "interchange": OPTIONS,
        "shrink": OPTIONS, "grow": OPTIONS, "cpr_cmd": OPTIONS, "views": OPTIONS, "plan": OPTIONS,
    },
    "cli": {
        "test": OPTIONS, "compare": OPTIONS, "criteria": OPTIONS, "propose": OPTIONS, "explain": OPTIONS,
        "plan": OPTIONS, "shrink": OPTIONS, "grow": OPTIONS, "views": OPTIONS,
    },
    "circuit": {
        "resolve": "the words of a setting, each told by its name",
        "wins": "a test's words, which it repeats in its finding",
        "run_wiring": ONE_PASS, "_mlps": ONE_PASS,
    },
    "model": {
        "adapt": "what a model is opened with, as the bridge takes it",
        "rounding_check": "the three models that it compares, and their rows",
        "project": ONE_PASS, "trace": ONE_PASS, "run_layers": ONE_PASS, "mixed": ONE_PASS, "_attend": ONE_PASS,
    },
    "proposals": {
        "reads_of": "one step of a search that holds no state",
        "_carried": "tensors of one layer",
    },
}  # fmt: skip


@pytest.mark.parametrize("room_", ROOMS)
def test_more_than_five_arguments_are_a_value(room_: str) -> None:
    """A function that takes more stands in the list with its reason, and the list has no other."""
    found = set[str]()
    for path in (path for path, name in PATHS.items() if room(name) == room_):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef):
                given = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
                if len([name for name in given if name not in ("self", "cls")]) > 5:
                    found.add(node.name)
    assert found == set(MANY.get(room_, {}))


def test_the_glossary_speaks_of_classes_that_exist() -> None:
    text = (ROOT.parent / "docs" / "glossary.md").read_text()
    made = {node.name for path in FILES for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef)}
    told = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)*)`", text))
    assert "SiteShape" in told
    assert not told - made


TOLERANCES = ROOT / "anatomy" / "tolerances.py"
SMALL_NUMBERS = {  # files with numbers as small as a tolerance, and what they are
    "circuit/ranking.py": "shares of all parts, at which a curve is read",
    "model/checkpoints/settings.py": "what a norm adds to a variance, where a checkpoint does not say it",
    "model/latents.py": "what a dictionary adds to a deviation: a part of it",
    "model/weights.py": "what a norm adds to a variance: a part of the model",
    "report/criteria.py": "numbers below it are written with an exponent",
    "report/page/words.py": "numbers below it are written with an exponent",
}


def tolerances(tree: ast.Module) -> Iterator[int]:
    """The lines of numbers up to a thousandth, and of roundings to as many digits."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float) and 0 < node.value <= 1e-3:
            yield node.lineno
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "round" and len(node.args) == 2:
            digits = node.args[1]
            if isinstance(digits, ast.Constant) and isinstance(digits.value, int) and digits.value > 3:
                yield node.lineno


def test_every_tolerance_stands_in_one_file_with_its_reason() -> None:
    found = {str(path.relative_to(ROOT)) for path in FILES if path != TOLERANCES and any(tolerances(tree_of(path)))}
    assert found == {*SMALL_NUMBERS}
    lines = TOLERANCES.read_text().splitlines()
    given = [node for node in tree_of(TOLERANCES).body if isinstance(node, ast.Assign)]
    assert all(lines[node.lineno - 2].startswith("# ") for node in given)
    names = {n.id for node in given for n in ast.walk(node) if isinstance(n, ast.Name)}
    used = {word for path in FILES if path != TOLERANCES for word in words_of(tree_of(path))}
    assert names <= used


def test_one_file_knows_transformer_lens() -> None:
    imported = {path: imports(path, late=False) | imports(path, late=True) for path in FILES}
    knowing = [p for p, names in imported.items() if "transformer_lens" in {n.split(".")[0] for n in names}]
    assert knowing == [ROOT / "model" / "transformer.py"]
