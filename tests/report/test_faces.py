"""Every kind of value that asks to be shown has a row, and a row has the faces that are asked for, no other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from attrs import asdict

import scrub
from scrub.report.faces import FACES, Faces, face_of
from scrub.score.statistics import Interval

ROOT = Path(scrub.__file__).parent


def asked() -> Iterator[tuple[str, str]]:
    """The class and the face of every `shown(self, "face")` in the code."""
    for path in ROOT.rglob("*.py"):
        module = ".".join(("scrub", *path.relative_to(ROOT).with_suffix("").parts))
        for kind in (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ClassDef)):
            for call in (n for n in ast.walk(kind) if isinstance(n, ast.Call)):
                if isinstance(call.func, ast.Name) and call.func.id == "shown" and len(call.args) == 2:
                    face = call.args[1]
                    assert isinstance(face, ast.Constant)
                    yield f"{module}.{kind.name}", str(face.value)


def test_what_is_asked_is_what_there_is() -> None:
    there = {(name, face) for name, row in FACES.items() for face, function in asdict(row).items() if function}
    assert set(asked()) == there


@pytest.mark.parametrize("name", FACES)
def test_a_row_names_a_class_and_functions_that_exist(name: str) -> None:
    module, _, kind = name.rpartition(".")
    found = getattr(import_module(module), kind)
    for face, function in asdict(FACES[name]).items():
        if function is not None:
            assert callable(face_of(found.__new__(found), face))


def test_a_value_without_a_row_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="Interval has no html"):
        face_of(Interval(0.0, 0.0, 0.0, 0.95), "html")


def test_a_subclass_is_shown_as_its_base_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Base: ...

    class Special(Base): ...

    monkeypatch.setitem(FACES, f"{__name__}.{Base.__qualname__}", Faces(html="notebook.words_html"))
    assert face_of(Special(), "html")("a < b").endswith("a &lt; b</pre>")
