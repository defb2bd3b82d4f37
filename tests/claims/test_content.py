"""Equal content has one text, other content another, whatever a thing prints; what shows no content is refused."""

from __future__ import annotations

import subprocess
import sys
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, IntEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from attrs import field, frozen

from scrub.claims.content import alike, stable
from scrub.claims.values import printed


@dataclass(repr=False)
class Silent:
    """It prints its address, or, as `Quiet`, nothing at all."""

    x: Any


@frozen
class Quiet:
    x: Any = field(repr=False)


class Colour(Enum):
    RED = 0
    GREEN = 1


class Counted(int):
    """A number with something beside it."""

    def __new__(cls, number: int) -> Counted:
        return int.__new__(cls, 3)

    def __init__(self, number: int) -> None:
        self.beside = number

    def __repr__(self) -> str:
        return "3"


def spread(i: int, size: int = 1500) -> Any:
    """All zero but for one entry in the middle, where prints leave it out."""
    x = np.zeros(size)
    x[size // 2] = i
    return x


MADE: dict[str, Callable[[int], Any]] = {
    "array": spread,
    "array of objects": lambda i: np.array([None, {"a": i}], dtype=object),
    "array of texts": lambda i: np.array(["a" * 50 + str(i)], dtype=np.dtypes.StringDType()),
    "masked array": lambda i: np.ma.array([1, 2], mask=[0, i]),
    "record": lambda i: np.array([(1, i)], dtype=[("a", int), ("b", float)])[0],
    "tensor": lambda i: torch.from_numpy(spread(i)),
    "near tensor": lambda i: torch.tensor([1.0 + i * 1e-6]),
    "half a tensor": lambda i: torch.tensor([i]).bfloat16(),
    "parameter": lambda i: torch.nn.Parameter(torch.tensor([1.0 * i])),
    "dtype": lambda i: (torch.float32, torch.float64)[i],
    "series": lambda i: pd.Series(spread(i)),
    "series of texts": lambda i: pd.Series(["a"] * 90 + [str(i)] + ["a"] * 90),
    "categories": lambda i: pd.Series(["a", "b"], dtype=pd.CategoricalDtype(["a", "b"], ordered=bool(i))),
    "frame": lambda i: pd.DataFrame({"a": spread(i), "b": 1}),
    "sparse": lambda i: sp.csr_matrix(spread(i + 1)[None]),
    "sparse array": lambda i: sp.coo_array(spread(i + 1)[None]),
    "dataclass": lambda i: Silent(spread(i)),
    "attrs": lambda i: Quiet((i,)),
    "enumeration": lambda i: (Colour.RED, Colour.GREEN)[i],
    "derived number": Counted,
    "date": lambda i: datetime(2020, 1, 1 + i, tzinfo=UTC),
    "queue": lambda i: deque([i]),
    "nothing in it": lambda i: (OrderedDict, deque)[i](),
    "integer of 5,000 digits": lambda i: 10**5000 + i,
    "inside others": lambda i: {"a": [spread(i)], "b": {1, 2}},
}


@pytest.mark.parametrize("name", MADE)
def test_a_text_is_of_the_content(name: str) -> None:
    make = MADE[name]
    assert stable(make(0)) == stable(make(0))
    assert stable(make(0)) != stable(make(1))


def test_dtype_and_shape_are_content_and_the_place_in_memory_is_none() -> None:
    x = torch.arange(6.0).reshape(2, 3)
    assert stable(x) == stable(x.T.contiguous().T)
    assert len({stable(y) for y in (x, x.T, x.reshape(3, 2), x.double(), x.double().numpy())}) == 5
    matrix = sp.csr_matrix(([1.0, 2.0], ([0, 0], [5, 1])), shape=(1, 9))
    before = stable(matrix)
    matrix.sort_indices()
    assert stable(matrix) == before
    series = pd.Series([1, 2, 3])
    assert stable(series[:2]) == stable(pd.Series([1, 2]))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (object(), "it holds nothing"),
        (lambda: 0, "it is code"),
        ([np], "it is code"),
        ((i for i in "a"), "it cannot be copied"),
        (Silent(lambda: 0), "it is code"),
        (torch.eye(2).to_sparse(), "its numbers cannot be read"),
        (torch.eye(2, device="meta"), "its numbers cannot be read"),
    ],
)
def test_what_shows_no_content_has_no_text(value: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        stable(value)
    assert alike(value) == alike(value)
    assert alike(value) != alike(i for i in "a")


def test_what_holds_itself_has_no_text() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValueError, match="holds itself"):
        stable(circle)


def test_texts_are_the_same_in_every_process() -> None:
    code = (
        "import numpy as np, pandas as pd, sys; sys.path.insert(0, 'tests');"
        "from claims.test_content import Silent; from scrub.claims.content import stable;"
        "print(stable([Silent({'b', 'a'}), pd.Series(['x']), np.eye(2)]))"
    )
    here = Path(__file__).parents[2]
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=here)
    assert other.stdout.strip() == stable([Silent({"b", "a"}), pd.Series(["x"]), np.eye(2)])


class Day(IntEnum):
    MONDAY = 1


def test_an_enumeration_is_its_number_where_values_are_digested() -> None:
    assert printed((Day.MONDAY, True, "a", Fraction(1, 2))) == "(1, True, 'a', Fraction(1, 2))"


def test_what_a_function_can_tell_apart_is_shared_by_no_two_rows() -> None:
    """Equal values whose keys stand in another order, or whose numbers have another type, have one digest."""
    a, b = {"x": 1, "y": [{"p": 0, "q": 1}]}, {"y": [{"q": 1, "p": 0}], "x": 1}
    assert stable(a) == stable(b)
    assert alike(a) != alike(b)
    assert alike(np.int8(100)) != alike(100)
    assert alike([1, "x"]) == stable([1, "x"])  # plain values are known by what they are
