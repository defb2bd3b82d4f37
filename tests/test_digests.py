"""Digests that were published stay what they were: a frozen claim re-runs on the same rows, with the same draws."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import scrub
from scrub import Dataset
from scrub.claims.collect import collect
from scrub.engine.draw import Calls, words
from test_gallery import GALLERY, TOKENIZER, needs_tokenizer

ORDINARY = {
    "none": None, "flag": True, "count": 3, "share": 0.1, "far": -1e300, "word": "it's\n", "part": Fraction(1, 3),
    "pair": (1, (2, "b")), "list": [1, [2.5]], "raw": b"\x00a", "map": {"b": 1, "a": [2]}, "set": {"x", "y"},
    "z": 1 + 2j,
}  # fmt: skip
ROWS = [{"columns": {**ORDINARY, "count": number % 2}} for number in range(3)]  # the first and the last are equal
DATA = {  # file -> the digest of its rows
    "brackets": "afa32b05869c0fa0dfdae54f852cc5eb",
    "compose": "32d66b432439c15a5d6dfd5b23dc9e2c",
    "either": "32d66b432439c15a5d6dfd5b23dc9e2c",
    "induction": "057ec810e610f789aa143031b7b69556",
    "ioi": "d6cec709c104e2980cd8c93af1e40f0d",
    "names": "af2a3aa4b48021c516eb4d333d655724",
}
CLAIMS = {
    "brackets::brackets": "285db8fcda6702575b58fba826bdff3d",
    "brackets::wrong_head": "f06fda5b874ce266b04c34f8a8812f73",
    "brackets::no_values": "f1ab5550fce5059628b987f4f01b6a84",
    "brackets::count_only": "012bef715e2adb6879ade290cee61905",
    "compose::compose": "cf096cace2bbf6c749ab90e31cf4a051",
    "compose::no_query": "684253adccca0f774438bbbe19ebfac5",
    "compose::no_key": "fcc2a5eada48d978dda61fa176c83643",
    "either::either": "cc161d1ad88325ed71597ccf8d87b9d5",
    "either::neither": "6647759cec3d47769bf9786ca3a28d41",
    "either::no_label": "e182650d9b83aca3e7427b489ff83270",
    "induction::induction": "66bc267dfd3a572d71a28c7e7425b6d3",
    "induction::wrong_head": "2bed03b445d63f009e71772e645ed655",
    "induction::one_head": "a30202bad025b0aad86f1c3d8f6d5aad",
    "induction::no_match": "90918770d6dd3b803043e1c0fa8ec95e",
    "ioi::ioi": "83a2e45d22467422f29ca6a2d0fbfffa",
    "ioi::one_inhibition_head": "f5f3f7dc3834effcb7a410202fd0506b",
    "names::names": "f4b6e0269cf430c10ec7957a97d5db53",
    "names::wrong_mover": "3c1809b9a3ec1f69e46cd73d6ab15538",
    "names::no_query": "d1f09f1bebaa74324a9c09db0f7bedb1",
    "names::doubled_only": "8a74fe25e596086c9ec10595791131e9",
}


@pytest.mark.parametrize("file", [f for f in DATA if f != "ioi"] + [pytest.param("ioi", marks=needs_tokenizer)])
def test_the_gallery_keeps_its_digests(file: str) -> None:
    found: dict[str, str] = {}
    for hypothesis in collect([GALLERY / f"{file}.py"]).hypotheses:
        claim = scrub.check(hypothesis, str(TOKENIZER) if file == "ioi" else None).claim
        assert claim is not None
        assert claim.data.digest == DATA[file]
        found[f"{file}::{hypothesis.title}"] = claim.digest
    assert found == {name: digest for name, digest in CLAIMS.items() if name.startswith(f"{file}::")}


def test_rows_of_ordinary_values_keep_their_identities_and_their_draws() -> None:
    data = Dataset.from_rows(ROWS)
    assert data.digest == "1dab1b5cc3b854c942a427e74154311c"
    assert data.rows[0].input_digest == "0ecd11649e8e361c"
    assert [f"{i:016x}" for i in data.identities.tolist()] == [
        "b294838cc40cef07",
        "0714dea00a49c1fa",
        "e34ef04e4f3948cd",
    ]
    word = words(data, Calls(np.arange(3), np.arange(3)), 7, "answer/x:embed @ A", "donor")
    assert [f"{w:016x}" for w in word.tolist()] == ["e1fc7966e7556e0a", "74746353f6c0c11f", "129bae824827c335"]


def test_rows_of_tokens_keep_their_digests() -> None:
    data = Dataset.from_rows([{"tokens": [5, 9], "positions": {"END": -1}, "columns": ORDINARY}])
    assert data.digest == "c615f6676c48d3622d3a7ffc0b34ec2e"
    assert data.rows[0].input_digest == "f4e700d7e0c7abe1"
