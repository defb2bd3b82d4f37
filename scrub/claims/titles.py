"""Names of claims, `path/to/file.py::name[variant]`, as much of them as it takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scrub.claims.hypothesis import Hypothesis


def name_of(hypothesis: Hypothesis) -> str:
    """`file.py::name[variant]`."""
    return f"{hypothesis.file}::{hypothesis.title}" if hypothesis.file else hypothesis.title


def short_name(name: str) -> str:
    """`ioi[backups=False]` for `hypotheses/ioi.py::ioi[backups=False]`."""
    return name.rsplit("::", 1)[-1]


def with_file(name: str) -> str:
    """The name with its file, without the path: where a command is started makes no difference."""
    file, _, title = name.rpartition("::")
    return f"{Path(file).name}::{title}" if file else title


def in_cell(file: str | Path) -> bool:
    """Whether a file is a cell of a notebook, which is named anew whenever the cell is changed."""
    return Path(file).parent.name.startswith("ipykernel_")
