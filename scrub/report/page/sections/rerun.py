"""How to run a claim again, and on what it was run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from scrub.report.page.blocks import Block, Code, Folded, facts
from scrub.report.page.provenance import provenance
from scrub.report.page.sections import ClaimSection, StoredClaim


def blocks(stored: StoredClaim) -> list[Block | None]:
    """The command of one claim, what it ran on, and the stored numbers."""
    result, command = stored.result, stored.command
    model = result["provenance"]["model"]
    asked = f"scrub test {shlex.quote(result['hypothesis'])}{command}"
    return [
        Code(asked + _device(model, command), command=True),
        facts(provenance(result)),
        Folded("The result as JSON (in run.json; not printed)", (Code(json.dumps(result, indent=2)),), printed=False),
    ]


def _device(model: Mapping[str, Any], command: str) -> str:
    """A device that was found, not asked for, is named where it is not the one that all machines have."""
    device = str(model.get("device", "cpu")).partition(":")[0]
    return "" if device == "cpu" or "--device" in command else f" --device {device}"


SECTION = ClaimSection("Run it again", blocks, place=8)
