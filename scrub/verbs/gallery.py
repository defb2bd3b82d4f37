"""The claims of the gallery and the examples, wherever they are: in the checkout, or within an installed package.

A wheel has both below `scrub/gallery` (pyproject.toml); in a checkout they stand beside `scrub`. What a file needs is
known by its text: modules beside it that it imports, and files whose names begin as one of its strings does.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
PACKED = PACKAGE / "gallery"
HOME = PACKED if PACKED.is_dir() else PACKAGE.parent
FOLDERS = ("hypotheses", "examples")
SUFFIXES = (".py", ".ipynb")


def starts() -> dict[str, Path]:
    """Files to start from by their names: claims first, then examples."""
    found = [file for folder in FOLDERS for file in sorted((HOME / folder).glob("*")) if file.suffix in SUFFIXES]
    return {file.stem: file for file in found}


def needed(file: Path) -> list[Path]:
    """What must stand beside a file: modules it imports, theirs, and the data that they all name."""
    found: list[Path] = []
    for other in (*_modules(file), *_data(file)):
        found += [other, *needed(other)] if other.suffix == ".py" else [other]
    return list(dict.fromkeys(found))


def _modules(file: Path) -> Iterator[Path]:
    known = starts()
    return (known[name] for name in dict.fromkeys(_imported(file)) if name in known)


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def _data(file: Path) -> Iterable[Path]:
    """Files and folders beside a claim whose names begin as a string given to `with_name` does."""
    begun = re.findall(r'with_name\(f?"([^"{]+)', file.read_text(encoding="utf-8"))
    others = [other for other in sorted(file.parent.iterdir()) if other.suffix not in SUFFIXES]
    return [other for other in others if begun and other.name.startswith(tuple(begun))]


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8") if file.suffix == ".py" else "")
