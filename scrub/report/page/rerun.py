"""How to run a claim again, and on what it was run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from scrub.report.page.blocks import Block, Code, Folded, facts


def rerun(result: Mapping[str, Any], command: str) -> list[Block | None]:
    """The command of one claim, what it ran on, and the stored numbers. Raises KeyError for what is no result."""
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


def provenance(result: Mapping[str, Any]) -> list[tuple[str, str] | None]:
    """Model, data, digests and versions, a name with each."""
    found = result["provenance"]
    model = found["model"]
    return [
        ("model", str(model["name"])),
        *[(name, str(model[name])) for name in ("revision", "processing", "dtype", "device") if model.get(name)],
        ("claim", f"digest {result['digest']}") if "digest" in result else None,
        ("data", f"digest {found['data']}") if "data" in found else None,
        ("intervals", str(found["interval"])) if "interval" in found else None,
        ("versions", ", ".join(f"{name} {number}" for name, number in found.get("versions", {}).items())),
    ]
