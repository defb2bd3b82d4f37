"""Claims as tests of pytest: `pytest hypotheses/` scrubs every claim in the files there.

A claim passes when it is supported, a foil when it is refuted; a claim whose model cannot be loaded is skipped with
the reason. What fails is explained. Files are looked at where a folder above them is called `hypotheses`, or with
`--scrub`, and imported only where they import scrub themselves; a directory with a `claim.json` is a frozen claim.
Switched off by `-p no:scrub`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from attrs import evolve

from scrub.claims.frozen_files import CLAIM
from scrub.errors import ModelError, ScrubError

if TYPE_CHECKING:
    from scrub.claims.hypothesis import Hypothesis
    from scrub.score.result import Result

FOLDER = "hypotheses"
ROWS, DRAWS, SWAPS = 64, 4, 12  # that a failure is explained with


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("scrub", "claims about neural networks")
    group.addoption("--scrub", action="store_true", help=f"collect claims outside of {FOLDER}/ as well")
    group.addoption("--scrub-rows", type=int, metavar="N", help="a seeded subset of N reference rows for each claim")
    group.addoption("--scrub-draws", type=int, default=20, metavar="N", help="draws for each row (default: 20)")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ClaimFile | None:
    """The claims of a file of Python that may hold some, or the frozen claim of a directory."""
    frozen = file_path.name == CLAIM
    if not frozen and (file_path.suffix != ".py" or file_path.name.startswith((".", "_", "conftest."))):
        return None
    inside = FOLDER in file_path.relative_to(_root(file_path, parent)).parts[:-1]
    if not (inside or parent.config.getoption("--scrub")) or not (frozen or _imports_scrub(file_path)):
        return None
    return ClaimFile.from_parent(parent, path=file_path)


def _root(file: Path, parent: pytest.Collector) -> Path:
    """Folders above the project do not count; those of a file outside of it do."""
    root = parent.config.rootpath
    if not file.is_relative_to(root):
        return Path(file.anchor)
    return root.parent if root.name == FOLDER else root


def _imports_scrub(file: Path) -> bool:
    """Whether a file says that it imports scrub; it is not run to find out."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    nodes = list(ast.walk(tree))
    named = [str(n.module) for n in nodes if isinstance(n, ast.ImportFrom) and n.level == 0]
    named += [alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names]
    return any(name.split(".")[0] == "scrub" for name in named)


class ClaimFile(pytest.File):
    """A file of claims, or the `claim.json` of a frozen one. Importing it loads no model and builds no data."""

    def collect(self) -> Iterable[ClaimItem]:
        from scrub.claims.collect import load

        found = load(self.path.parent if self.path.name == CLAIM else self.path)
        if found.problems:
            raise self.CollectError("\n".join(map(str, found.problems)))
        for hypothesis in found.hypotheses:
            yield ClaimItem.from_parent(self, name=hypothesis.name, hypothesis=hypothesis)


class ClaimItem(pytest.Item):
    """A claim that is scrubbed and judged."""

    def __init__(self, *, hypothesis: Hypothesis, **given: Any) -> None:
        super().__init__(**given)
        self.hypothesis = hypothesis

    def runtest(self) -> None:
        from scrub.verbs.test import test

        self._find_model()
        rows: int | None = self.config.getoption("--scrub-rows")
        draws: Any = self.config.getoption("--scrub-draws")
        try:
            result = test(self.hypothesis, rows=rows, draws=draws)
        except ModelError as error:
            if _computed(self.hypothesis):  # it was there and failed
                raise
            self._skip(error)
        self.user_properties += [("verdict", result.verdict), ("recovered", result.recovered.value)]
        if not result.passed:
            raise NotPassed(failure_text(result, _explained(self.hypothesis, result, rows, draws)))

    def _find_model(self) -> None:
        from scrub.model.source import find

        try:
            find(self.hypothesis.model)
        except ModelError as error:
            self._skip(error)

    def _skip(self, error: ModelError) -> NoReturn:
        """A summary of skips names the line of this file, so that the reason has to name the claim."""
        pytest.skip(f"{self.nodeid}: {error}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *given: Any, **named: Any) -> Any:
        """What `scrub explain` would say; a traceback for what is no error of a claim."""
        if isinstance(excinfo.value, ScrubError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, *given, **named)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        line = self.hypothesis.line
        return self.path, None if line is None else line - 1, self.name


def _computed(hypothesis: Hypothesis) -> bool:
    """Whether the model is a graph of functions, which is there as soon as it is found."""
    from scrub.model.computation import Computation
    from scrub.model.source import find

    return isinstance(find(hypothesis.model).graph, Computation)


class NotPassed(ScrubError):
    """A claim that is not supported, or a foil that is not refuted; the message says what breaks it."""


def failure_text(result: Result, explained: str) -> str:
    """The verdict with its reason, for a foil what to learn of it, then the explanation, or all that was measured."""
    from scrub.report.text import details, headline

    lines = [headline(result)]
    if result.foil:
        lines += [f"    foil: {result.foil}", *_taught(result)]
    if explained:
        return "\n".join([*lines, f"    {result.reason}", "", explained])
    return "\n".join([*lines, *details(result)])


def _taught(result: Result) -> list[str]:
    """What a foil that is not refuted teaches."""
    known = "A foil passes only when it is refuted. This one is said to be false, and data and metric cannot tell"
    if result.verdict != "supported":
        return [f"    {known}: it takes more rows or draws."]
    return [
        f"    {known}: its swaps make no difference that they show.",
        "    Add rows on which the false claim and the true one differ, choose a metric that sees the difference,",
        "    or ask whether the foil is false at all.",
    ]


def _explained(hypothesis: Hypothesis, result: Result, rows: int | None, draws: int) -> str:
    """What `scrub explain` prints, of some rows; nothing where nothing can be recovered."""
    from scrub.verbs.explain import explain

    if result.verdict == "undefined":
        return ""
    found = explain(hypothesis, rows=min(rows or ROWS, ROWS), draws=min(draws, DRAWS))
    more = len(found.swaps) - SWAPS
    note = f"\n\n{more} swaps that gain less are left out; `scrub explain` shows all." if more > 0 else ""
    return f"{evolve(found, swaps=found.swaps[:SWAPS])}{note}"
