"""Claims as tests of pytest: `pytest hypotheses/` scrubs every claim in the files there.

A claim passes when it is supported, a foil when it is refuted; a claim whose model cannot be loaded is skipped with
the reason. Files are looked at where a folder above them is called `hypotheses`, or with `--scrub`, and imported
only where they import scrub themselves. Switched off by `-p no:scrub`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scrub.errors import ModelError, ScrubError

if TYPE_CHECKING:
    from scrub.claims.hypothesis import Hypothesis
    from scrub.score.result import Result

FOLDER = "hypotheses"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("scrub", "claims about neural networks")
    group.addoption("--scrub", action="store_true", help=f"collect claims outside of {FOLDER}/ as well")
    group.addoption("--scrub-rows", type=int, metavar="N", help="a seeded subset of N reference rows for each claim")
    group.addoption("--scrub-draws", type=int, default=20, metavar="N", help="draws for each row (default: 20)")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ClaimFile | None:
    """The claims of a file of Python that may hold some."""
    if file_path.suffix != ".py" or file_path.name.startswith((".", "_")) or file_path.name == "conftest.py":
        return None
    inside = FOLDER in file_path.relative_to(_root(file_path, parent)).parts[:-1]
    if not (inside or parent.config.getoption("--scrub")) or not _imports_scrub(file_path):
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
    """A file of claims. Importing it loads no model and builds no data."""

    def collect(self) -> Iterable[ClaimItem]:
        from scrub.claims.collect import load

        found = load(self.path)
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
        from scrub.run import test

        self._find_model()
        rows: int | None = self.config.getoption("--scrub-rows")
        draws: Any = self.config.getoption("--scrub-draws")
        try:
            result = test(self.hypothesis, rows=rows, draws=draws)
        except ModelError as error:
            if _computed(self.hypothesis):  # it was there and failed
                raise
            pytest.skip(str(error))
        self.user_properties += [("verdict", result.verdict), ("recovered", result.recovered.value)]
        if not result.passed:
            raise NotPassed(result)

    def _find_model(self) -> None:
        from scrub.model.source import find

        try:
            find(self.hypothesis.model)
        except ModelError as error:
            pytest.skip(str(error))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *given: Any, **named: Any) -> Any:
        """What `scrub test` would say; a traceback for what is no error of a claim."""
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
    """A claim that is not supported, or a foil that is not refuted; the message is the whole result."""

    def __init__(self, result: Result) -> None:
        foil = "A foil passes only when it is refuted: data and metric cannot tell that it is false.\n"
        super().__init__((foil if result.foil else "") + str(result))
