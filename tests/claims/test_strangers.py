"""Frozen claims of someone else: nothing waits, nothing leaks, nothing is forged; what is refused is told."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from claim_cases import names_claim
from claims.test_freeze import frozen, written
from cli_cases import scrub
from scrub.claims import strangers
from scrub.claims.plain import from_plain
from scrub.claims.strangers import content, parsed
from scrub.claims.thaw import thaw
from scrub.errors import ClaimError


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(frozen(names_claim(model="gpt2"))[0], tmp_path_factory.mktemp("published") / "claim")


@pytest.fixture
def folder(published: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published, tmp_path / "claim"))


def forge(folder: Path, name: str, text: str) -> None:
    """Change a file, and the digest of it that the claim has."""
    (folder / name).write_text(text)
    claim = json.loads((folder / "claim.json").read_text())
    claim["files"][name] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "claim.json").write_text(json.dumps(claim))


@pytest.mark.parametrize("text", ["1e999999999", "1.5", " 1", "1_0", "\u0661", "1/0", "-", "1/-2", "9" * 5000])
def test_a_fraction_is_digits(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_plain({"fraction": text})


@pytest.mark.parametrize("name", ["claim.json", "claim.txt", "rows.jsonl", "values.json"])
def test_pipes_links_and_large_files_are_not_read(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = folder.parent / "secret"
    secret.write_text("a line of another file")
    file = folder / name
    kept = file.read_bytes()
    for make, told in (
        (lambda: file.symlink_to(secret), "it is a link"),
        (lambda: os.mkfifo(file), "it is no regular file"),
        (lambda: file.mkdir(), "it is no regular file|Is a directory"),
    ):
        file.unlink()
        make()
        with pytest.raises(ClaimError, match=rf"{name} cannot be read: {told}") as found:
            thaw(folder)
        assert "another file" not in str(found.value)
        file.rmdir() if file.is_dir() else file.unlink()
        file.write_bytes(kept)
    monkeypatch.setattr(strangers, "MOST", 1)
    with pytest.raises(OSError, match="and at most 1 are read"):
        content(file, strangers.MOST)


@pytest.mark.parametrize("field", ["name", "foil", "metric", "variables", "sites", "model"])
def test_what_would_forge_a_terminal_is_refused(folder: Path, field: str) -> None:
    claim = json.loads((folder / "claim.json").read_text())
    bad = "x\x1b]0;owned\x07"
    worse: dict[str, Any] = {
        "model": {**claim["model"], "graph": bad}, "sites": {bad: [], **claim["sites"]},
        "variables": [{"name": bad, "parents": [], "round": None}],
    }  # fmt: skip
    (folder / "claim.json").write_text(json.dumps(claim | {field: worse.get(field, bad)}))
    with pytest.raises(ClaimError, match=rf"field '{field}' holds .*, which cannot be printed"):
        thaw(folder)
    for command in ("list", "check", "show", "test"):
        found = scrub(command, folder)
        assert (found.exit_code, "\x1b" in found.output) == (2, False)
    (folder / "claim.json").write_text(json.dumps(claim | {field: "a\nb"} if field == "name" else claim))
    if field == "name":
        with pytest.raises(ClaimError, match="cannot be printed"):
            thaw(folder)


def test_names_in_rows_are_printable_and_text_is_text(folder: Path) -> None:
    rows = (folder / "rows.jsonl").read_text()
    for text, told in (
        (rows.replace('"io"', '"i\\u001bo"'), "cannot be printed"),
        (rows.replace('"even": true', '"even": "\\ud800"'), "surrogates not allowed"),
        (rows.replace("[1, 10", f"[{'[' * 300}{']' * 300}, 10", 1), "nested more than 100 deep"),
        (rows.replace("[1, 10", f"[{'[' * 10**5}{']' * 10**5}, 10", 1), "nested too deeply"),
    ):
        assert text != rows
        forge(folder, "rows.jsonl", text)
        with pytest.raises(ClaimError, match=told):
            thaw(folder)


def test_depth_is_bounded_and_pairs_of_surrogates_are_text() -> None:
    assert parsed(b'["\\ud83d\\ude00"]') == ["\U0001f600"]
    assert parsed(b"[" * 50 + b"]" * 50)
    for bad in (b'{"\\ud83d": 1}', b"[" * 102 + b"]" * 102, b"[" * 10**5, b"\xff", b"{"):
        with pytest.raises(ValueError, match=r".+"):
            parsed(bad)


def test_a_reason_is_one_line() -> None:
    assert names_claim().foil(" it is\n\tfalse ").foil_reason == "it is false"


def test_a_name_that_cannot_be_printed_is_not_frozen(tmp_path: Path) -> None:
    import scrub as package

    with pytest.raises(ClaimError, match=r"out/claim.json: field 'foil' holds '.x1b\[2J'"):
        package.freeze(names_claim(model="gpt2").foil("\x1b[2J"), tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("field", "change", "told"),
    [
        ("sites", {"answer": "inside"}, "field 'variables' is no story with one placed output"),
        ("options", {"together": [["name", "nobody"]]}, "together names 'nobody', which has no site"),
    ],
)
def test_what_has_no_site_is_told(folder: Path, field: str, change: dict[str, Any], told: str) -> None:
    claim = json.loads((folder / "claim.json").read_text())
    (folder / "claim.json").write_text(json.dumps(claim | {field: claim[field] | change}))
    with pytest.raises(ClaimError, match=told):
        thaw(folder)
