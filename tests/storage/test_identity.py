"""Equal things have equal identities in every process, and a thing that computes otherwise has another."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from attrs import evolve, frozen

from scrub.storage.identity import identity, known_identity, of_scrub
from strategies_models import random_transformer

FACTOR = 2
TABLE = np.arange(3)


@frozen
class Pair:
    a: Any
    b: Any


class Scale:
    def __init__(self, by: float) -> None:
        self.by = by

    def __call__(self, x: float) -> float:
        return self.by * x


class Counted(int):
    """A number with something beside it."""

    def __init__(self, number: int) -> None:
        self.beside = number


class Day(IntEnum):
    MONDAY = 1


class Lazy:
    @cached_property
    def value(self) -> int:
        return 1


def closed(over: Any) -> Callable[[float], Any]:
    return lambda x: x + over


def by_factor(x: float) -> float:
    return FACTOR * x


def calls_by_factor(x: float) -> float:
    return by_factor(x) + 1


THINGS: dict[str, Callable[[], Any]] = {
    "int": lambda: 1, "true": lambda: True, "text": lambda: "1", "tuple": lambda: (1, 2), "list": lambda: [1, 2],
    "nested": lambda: ((1,), 2), "dict": lambda: {"a": 1}, "other dict": lambda: {"a": 2}, "set": lambda: {"a", "b"},
    "array": lambda: np.arange(4), "floats": lambda: np.arange(4.0), "shape": lambda: np.arange(4).reshape(2, 2),
    "tensor": lambda: torch.arange(4), "half": lambda: torch.ones(2, dtype=torch.bfloat16),
    "pair": lambda: Pair(1, 2), "swapped": lambda: Pair(2, 1), "closed": lambda: closed(1),
    "closed otherwise": lambda: closed(2), "object": lambda: Scale(1.0), "other object": lambda: Scale(2.0),
    "method": lambda: Scale(1.0).__call__, "plus": lambda: lambda x: x + 1, "minus": lambda: lambda x: x - 1,
    "default": lambda: lambda x, y=1: x + y, "other default": lambda: lambda x, y=2: x + y,
    "inner": lambda: lambda x: [y + 1 for y in x], "other inner": lambda: lambda x: [y + 2 for y in x],
    "counted": lambda: Counted(1), "counted more": lambda: Counted(2), "factory": lambda: defaultdict(lambda: 1),
    "other factory": lambda: defaultdict(lambda: 2), "masked": lambda: np.ma.array([1, 2], mask=[0, 1]),
    "unmasked": lambda: np.ma.array([1, 2], mask=[0, 0]), "pattern": lambda: re.compile("a"),
    "other pattern": lambda: re.compile("b"), "kept": lambda: Lazy().__class__, "weekday": lambda: Day.MONDAY,
    "attribute": lambda: lambda x: np.sin(x), "other attribute": lambda: lambda x: np.cos(x), "ufunc": lambda: np.sin,
}  # fmt: skip


def test_things_that_differ_have_identities_that_differ_and_equal_ones_are_equal() -> None:
    found = {name: identity(make()) for name, make in THINGS.items()}
    assert found == {name: identity(make()) for name, make in THINGS.items()}
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize("function", [by_factor, calls_by_factor])
def test_a_global_that_a_function_reads_is_part_of_it(function: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity(function)
    monkeypatch.setitem(globals(), "FACTOR", 3)
    assert identity(function) != before


def test_a_changed_weight_is_seen_and_a_name_is_none() -> None:
    model = random_transformer(Random(0))
    changed = model.W_E.clone()
    changed[0, 0] = torch.nextafter(changed[0, 0], torch.tensor(9.0, dtype=changed.dtype))
    assert identity(model) == identity(evolve(model, W_E=model.W_E.clone()))
    assert identity(model) != identity(evolve(model, W_E=changed))


def test_an_object_without_data_is_like_no_other() -> None:
    assert identity(iter([1])) != identity(iter([2]))
    with open(__file__) as file:
        assert identity(file) != identity(file)


def test_what_refers_to_itself_ends() -> None:
    around: list[Any] = []
    around.append(around)
    assert identity(around) != identity([[]])


CODE = """
import sys, helper
import numpy as np
from scrub.storage.identity import identity
def f(x, y=(1, 2)):
    return [helper.g(v) for v in x if v in {"a", "b"}], np.sin(1), y
print(identity(f, {"k": {"p", "q", "r"}}))
"""


MADE = """
import re, torch
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from attrs import frozen
from scrub.storage.identity import known_identity as k

@dataclass
class A:
    x: int = 1

@frozen
class B:
    x: int = 1

class C:
    @cached_property
    def y(self):
        return re.compile("a")

@contextmanager
def d():
    yield 1

@torch.no_grad()
def e(x):
    return x

print([k(A(2)), k(B(2)), k(C()), k(d), k(e), k(lambda: (A, B, C, d, e))])
"""


def test_other_processes_and_compiled_modules_agree_and_a_module_of_ones_own_counts(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("def g(x):\n    return x\n")
    (tmp_path / "user.py").write_text(CODE)
    (tmp_path / "made.py").write_text(MADE)

    def run() -> tuple[str, str]:
        """Of what was written, and of generated and decorated classes."""
        command = [sys.executable, "-c", "import user, made"]
        told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
        written, made = told.splitlines()
        return written, made

    first, compiled = run(), run()  # the second reads what the first compiled
    assert first == compiled
    assert "None" not in first[1]
    (tmp_path / "helper.py").write_text("def g(x):\n    return x + x\n")
    changed = run()
    assert changed[0] != first[0]
    assert changed[1] == first[1]


def test_the_code_of_scrub_has_one_identity() -> None:
    assert of_scrub() == of_scrub()


USER = """
import functools, json
import other
from enum import Enum
from other import Config

class Shade(Enum):
    LIGHT = {number}

class Base:
    K = {number}
    @property
    def k(self):
        return self.K
    @staticmethod
    def still():
        return 1

class Child(Base):
    pass

@functools.lru_cache
def cached():
    return {number}

def tagged(): pass
tagged.number = {number}

def imports_late():
    from late import T
    return T

MODEL = {{
    "class of a neighbour": lambda: Config.T, "cached": lambda: cached(), "attribute": lambda: tagged.number,
    "deep": lambda: other.T, "enum": lambda: Shade.LIGHT, "property": lambda: Child().k, "late": imports_late,
    "instance": functools.partial(lambda x: x, Child()), "method": Child().still,
}}
"""
OTHER = "from deep import T\nclass Config:\n    T = {number}\n"
TOLD = """
import sys; sys.path.insert(0, {path!r})
import importlib.util, late
spec = importlib.util.spec_from_file_location({name!r}, {path!r} + "/user.py")
user = importlib.util.module_from_spec(spec); sys.modules[{name!r}] = user; spec.loader.exec_module(user)
from scrub.storage.identity import identity, known_identity
for name, thing in user.MODEL.items(): print(name + "=" + str(known_identity(thing)))
"""


def test_whatever_code_names_is_part_of_it_and_the_name_of_its_module_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "scrub_mine"  # begins like the package, and is none

    def told(number: int, name: str) -> dict[str, str]:
        folder.mkdir(exist_ok=True)
        (folder / "user.py").write_text(USER.format(number=number))
        (folder / "other.py").write_text(OTHER.format(number=number))
        for module in ("deep", "late"):
            (folder / f"{module}.py").write_text(f"T = {number}\n")
        shown = subprocess.run(
            [sys.executable, "-B", "-c", TOLD.format(path=str(folder), name=name)],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        return dict(line.split("=") for line in shown.splitlines())

    first, again, other = told(1, "user_1"), told(1, "user_2"), told(22, "user_1")
    assert "None" not in first.values()
    assert first == again
    # a static method that reads nothing, of an object whose class has changed, counts as changed: nothing is lost
    assert {name for name in first if first[name] == other[name]} <= {"method"}


def test_a_path_that_begins_like_the_package_is_no_package(tmp_path: Path) -> None:
    from scrub.storage.code import OURS, installed

    assert installed(str(OURS / "run.py"))
    assert not installed(str(OURS) + "_mine/model.py")
    assert not installed(str(tmp_path / "model.py"))


def test_what_cannot_be_walked_through_is_like_nothing_else() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    assert known_identity(deep) is None
    assert known_identity(torch.eye(2).to_sparse()) is None


def test_what_cannot_be_told_has_no_identity() -> None:
    assert known_identity(THINGS["plus"]()) is not None
    assert known_identity(n for n in range(3)) is None
