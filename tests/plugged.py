"""Folders of files that are plugged in for a test, and CONTRIBUTING.md's examples of such files."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from scrub.claims.wording import POINTS

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
EXAMPLES = dict(re.findall(r"## Adding an? .*?`(\w+)\.py`.*?```python\n(.*?)```", TEXT, re.DOTALL))


@contextmanager
def kept_apart() -> Iterator[None]:
    """What is plugged in meanwhile is taken out again."""
    before = [len(point.path) for point in POINTS]
    yield
    for point, count in zip(POINTS, before, strict=True):
        for folder in point.path[count:]:
            for file in Path(folder).glob("*.py"):
                forgotten(file.stem)
        del point.path[count:]


def forgotten(name: str) -> None:
    """The modules of a file that was plugged in, to be run anew."""
    for point in POINTS:
        package = f"scrub.{point.folder.replace('/', '.')}"
        if package in sys.modules and sys.modules.pop(f"{package}.{name}", None):
            delattr(import_module(package), name)


def written(place: Path, **files: str) -> Path:
    """A folder with files of these names and texts."""
    place.mkdir(exist_ok=True)
    for name, text in files.items():
        (place / f"{name}.py").write_text(text)
    return place
