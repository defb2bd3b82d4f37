"""The files of a stored run: results as JSON, with the command that made them.

A run may come from someone else: its pictures are drawn anew from the results, and its command is quoted anew.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scrub.claims.strangers import content, parsed
from scrub.errors import ClaimError
from scrub.storage import files
from scrub.storage.version import VERSION

DRAWINGS, COMPARISON, CRITERIA = "drawings.json", "comparison.json", "criteria.json"
PROPOSALS, VIEWS = "proposals.json", "views.json"
INTERCHANGE, POWER, SWEEP, PATHS = "interchange.json", "power.json", "sweep.json", "paths.json"
SEAL = "seal"
WRITTEN_BY = {
    files.RUN: "test", DRAWINGS: "test", COMPARISON: "compare", CRITERIA: "criteria", PROPOSALS: "propose",
    VIEWS: "views", INTERCHANGE: "interchange", POWER: "power", SWEEP: "sweep", PATHS: "patch",
}  # fmt: skip


def save(out: Path, name: str, results: Sequence[dict[str, Any]], command: str, **beside: Any) -> None:
    """Store results beside those of other commands, whole or not at all; `beside` are further fields.

    Raises ClaimError.
    """
    content = json.loads(files.as_json(results, command=command, **beside))
    files.write_text(out / name, json.dumps(sealed(content), indent=2), follow=False)


def sealed(content: dict[str, Any]) -> dict[str, Any]:
    """What is stored, with a digest of it: numbers that changed since are found."""
    return {**content, SEAL: seal(content)}


def seal(content: dict[str, Any]) -> str:
    """The digest of what JSON holds, however it is written."""
    text = json.dumps({name: part for name, part in content.items() if name != SEAL}, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def read(out: Path, name: str) -> dict[str, Any]:
    """What was stored. Raises ClaimError naming the file that is missing, damaged, or of another version."""
    file = out / name
    again = f"`scrub {WRITTEN_BY[name]} ... --out {out}`"
    try:
        found = parsed(content(file))
    except OSError as error:
        raise ClaimError(f"{file} cannot be read: {error.strerror}. It is stored by {again}.") from None
    except ValueError:
        raise ClaimError(f"{file} is damaged: it holds no JSON. Run {again} anew.") from None
    if not isinstance(found, dict) or not isinstance(found.get("results"), list):
        raise ClaimError(f"{file} is damaged: it holds no results. Run {again} anew.")
    if found.get("scrub") != VERSION:
        raise ClaimError(
            f"{file} was stored by scrub {str(found.get('scrub'))[:20]}, and this is scrub {VERSION}: "
            f"run {again} anew."
        )
    if name != files.RUN and found.get(SEAL) != seal(found):
        raise ClaimError(f"{file} is damaged: its content does not match its digest. Run {again} anew.")
    return found | {"command": _quoted(found.get("command", ""))}


def _quoted(command: Any) -> str:
    """A command as a shell may have it: what would end it, or begin another one, is quoted."""
    try:
        words = shlex.split(str(command))
    except ValueError:
        return ""
    return f"{' ' * str(command).startswith(' ')}{shlex.join(words)}"
