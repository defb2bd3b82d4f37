"""What may be compared for equality, and how rows fall into classes by it."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrub.claims.content import stable
from scrub.claims.values import Value, binned, canonical, codes, digest, equal, joint_codes, key

PLAIN = st.none() | st.booleans() | st.integers() | st.text() | st.fractions()
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)


@given(VALUES)
def test_a_value_is_its_own_canonical_form(value: Value) -> None:
    assert canonical(value) == value
    assert equal(canonical(value), value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        ((np.int8(1), (np.bool_(False),)), (1, (False,))),
    ],
)
def test_numpy_scalars_become_plain(value: Any, expected: Value) -> None:
    found = canonical(value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("value", [0.5, np.float32(1), float("nan"), (1, 2.0)])
def test_a_float_is_refused_with_what_to_do(value: Any) -> None:
    with pytest.raises(ValueError, match=r"is a float: say how it is rounded.*round=0\.25"):
        canonical(value)


@pytest.mark.parametrize(("value", "kind"), [([1], "list"), ({1: 2}, "dict"), (object(), "object"), (b"a", "bytes")])
def test_what_is_no_value_is_named_with_its_type(value: Any, kind: str) -> None:
    with pytest.raises(ValueError, match=rf"\({kind}\) is no value: use None, bool, int, str, Fraction or tuples"):
        canonical(value)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ((10**5000,), "more than 4,200 digits"),
        ((1, Fraction(10**5000, 3)), "more than 4,200 digits"),
        (("a", "\ud800"), "half of a character"),
        (np.str_("\udfff"), "half of a character"),
    ],
)
def test_what_cannot_be_printed_is_no_value(value: Any, why: str) -> None:
    for read in (canonical, lambda v: binned(v, 1)):
        with pytest.raises(ValueError, match=why):
            read(value)


def test_what_is_nested_without_end_is_no_value() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = (deep,)
    for read in (canonical, lambda v: binned(v, 1)):
        with pytest.raises(ValueError, match="nested more than 100 deep"):
            read(deep)


def test_true_and_one_differ_at_every_depth() -> None:
    assert not equal(True, 1)
    assert not equal((0, (False,)), (0, (0,)))
    assert equal(Fraction(2), 2)
    assert equal((1, "a"), (1, "a"))
    assert codes(map(key, [True, 1, Fraction(1), "1", None, True])).tolist() == [0, 1, 1, 2, 3, 0]


@pytest.mark.parametrize(
    ("raw", "step", "bin_"),
    [
        (0.3, 0.25, Fraction(1, 4)),
        (0.1, 0.1, Fraction(1, 10)),
        (-0.9, 0.5, -1),
        (7, 2, 8),
        (np.float64(0.62), 0.25, Fraction(1, 2)),
        (None, 0.5, None),
        ("a", 0.5, "a"),
        (True, 0.5, True),
        ((0.3, "a"), 0.25, (Fraction(1, 4), "a")),
    ],
)
def test_a_rounded_value_is_its_bin(raw: Any, step: float, bin_: Value) -> None:
    assert equal(binned(raw, step), bin_)


@given(st.floats(-1e6, 1e6), st.sampled_from([0.1, 0.25, 1.0, 3.0]))
def test_a_bin_is_a_multiple_within_half_a_step(raw: float, step: float) -> None:
    found, width = binned(raw, step), Fraction(str(step))
    assert isinstance(found, Fraction)
    assert (found / width).denominator == 1
    assert abs(found - Fraction(raw)) <= width / 2


@pytest.mark.parametrize("raw", [float("inf"), float("nan")])
def test_no_bin_without_a_finite_number(raw: float) -> None:
    with pytest.raises(ValueError, match="cannot be rounded: a value must be finite"):
        binned(raw, 0.5)


def test_joint_classes() -> None:
    first, second = codes(["a", "a", "b", "b"]), codes([1, 2, 1, 1])
    found = joint_codes([first, second], 4)
    assert len(set(found.tolist())) == 3
    assert found[2] == found[3]
    assert joint_codes([], 3).tolist() == [0, 0, 0]


@given(VALUES, VALUES)
def test_texts_tell_values_apart(a: Value, b: Value) -> None:
    assert (stable(a) == stable(b)) == (equal(a, b) and stable(a) == stable(b))
    if not equal(a, b):
        assert stable(a) != stable(b)


def test_texts_of_other_columns_are_stable() -> None:
    assert stable({"b": 1, "a": [2]}) == stable({"a": (2,), "b": np.int64(1)})
    assert stable(np.arange(2000)) != stable(np.r_[np.arange(1000), 0, np.arange(1001, 2000)])
    assert stable(np.zeros((2, 3))) != stable(np.zeros((3, 2)))
    code = "from scrub.claims.content import stable; print(stable({'a', 'b', 'c', 'd', 'e'}))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == stable(frozenset("abcde"))


def test_digests_differ_by_type() -> None:
    assert digest(1) != digest("1") != digest(True)
    assert digest((1, 2)) == digest([1, 2])
