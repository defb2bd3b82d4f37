"""Data sets in files that were changed: every row that is wrong is told, and what is read can be tested."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

import scrub as package
from claim_cases import names_rows
from fuzz.fuzz_claims import good
from fuzz.fuzzing import changed, counted, damaged, limited, runs
from scrub import Dataset
from scrub.errors import ScrubError

TOKENS = names_rows(6)


@pytest.fixture
def own(tmp_path: Path) -> Any:
    return good(tmp_path)


def lines(rng: Random, rows: list[dict[str, Any]]) -> bytes:
    """A file of rows, changed as JSON or as bytes."""
    if rng.random() < 0.6:
        found = changed(rng, rows)
        rows = found if isinstance(found, list) else [found]
    text = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    return damaged(rng, text) if rng.random() < 0.4 else text


@runs(60)
def test_data_sets(own: Any, tmp_path: Path, cases: int) -> None:
    file = tmp_path / "rows.jsonl"
    columns = [{"columns": dict(row.columns)} for row in own.data().rows]

    def case(name: str, rng: Random) -> str:
        of_graph = rng.random() < 0.6
        file.write_bytes(lines(rng, columns if of_graph else TOKENS))
        with limited():
            try:
                data = Dataset.from_jsonl(file)
                assert len(data.identities) == len(data), name
                if not of_graph:
                    return "read"
                claim = own.but(data=data)
                if package.check(claim).problems:
                    return "told by check"
                package.test(claim, draws=2, controls="none")
                return "tested"
            except ScrubError as error:
                return "refused" if str(error) else "refused without a word"

    ends = counted("data sets", cases, case)
    assert "refused without a word" not in ends
