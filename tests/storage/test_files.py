"""Results on disk: valid JSON, written whole or not at all."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from scrub.errors import ClaimError
from scrub.storage.files import RUN, as_json, save, writable, write_text


def test_undefined_numbers_are_null_and_numpy_is_plain() -> None:
    found = {
        "nan": float("nan"), "inf": -np.inf, "deep": [{"x": (np.float32("nan"), np.int64(3), np.bool_(True))}],
        "array": np.array([1.5, np.nan]), "other": Fraction(1, 2), 7: None,
    }  # fmt: skip
    [result] = json.loads(as_json([found]))["results"]
    assert result == {
        "nan": None, "inf": None, "deep": [{"x": [None, 3, True]}], "array": [1.5, None], "other": "1/2", "7": None,
    }  # fmt: skip
    assert isinstance(result["deep"][0]["x"][1], int)


def test_a_file_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = save(tmp_path / "runs", [])
    assert file.name == RUN
    before = file.read_text()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ClaimError, match="No space left"):
        write_text(file, "new")
    assert file.read_text() == before
    assert list(file.parent.iterdir()) == [file]


def test_a_link_stays_a_link_and_a_pipe_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "file").write_text("old")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new\n"
    write_text(Path(os.devnull), "gone")
    assert not Path(os.devnull).is_file()


def test_results_are_readable_by_others_as_the_mask_says(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        write_text(tmp_path / "file", "x")
    finally:
        os.umask(old)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_what_can_be_written_is_known_beforehand(tmp_path: Path) -> None:
    writable(tmp_path / "new" / "folder" / "file")
    writable(Path(os.devnull))
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    writable(tmp_path / "file")
    for wrong in (tmp_path, tmp_path / "file" / "below"):
        with pytest.raises(ClaimError, match="cannot be written"):
            writable(wrong)
    if os.getuid():
        tmp_path.chmod(0o500)
        with pytest.raises(ClaimError, match="Permission denied"):
            writable(tmp_path / "other")
