"""The files of a stored run: results as JSON, with the pictures and the command that a report is made of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scrub.errors import ClaimError
from scrub.storage import files
from scrub.storage.version import VERSION

DRAWINGS, COMPARISON, CRITERIA, PROPOSALS = "drawings.json", "comparison.json", "criteria.json", "proposals.json"
WRITTEN_BY = {files.RUN: "test", DRAWINGS: "test", COMPARISON: "compare", CRITERIA: "criteria", PROPOSALS: "propose"}


def save(out: Path, name: str, results: Sequence[dict[str, Any]], command: str, pictures: Sequence[str] = ()) -> None:
    """Store results beside those of other commands, whole or not at all. Raises ClaimError."""
    files.write_text(out / name, files.as_json(results, command=command, pictures=list(pictures)))


def read(out: Path, name: str) -> dict[str, Any]:
    """What was stored. Raises ClaimError naming the file that is missing, damaged, or of another version."""
    file = out / name
    again = f"`scrub {WRITTEN_BY[name]} ... --out {out}`"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ClaimError(f"{file} cannot be read: {error.strerror}. It is stored by {again}.") from None
    except ValueError:
        raise ClaimError(f"{file} is damaged: it holds no JSON. Run {again} anew.") from None
    if not isinstance(found, dict) or not isinstance(found.get("results"), list):
        raise ClaimError(f"{file} is damaged: it holds no results. Run {again} anew.")
    if found.get("scrub") != VERSION:
        raise ClaimError(
            f"{file} was stored by scrub {found.get('scrub')}, and this is scrub {VERSION}: run {again} anew."
        )
    return found
