"""On what a result was made: model, data, digests and versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def provenance(result: Mapping[str, Any]) -> list[tuple[str, str] | None]:
    """Model, data, digests and versions, a name with each."""
    found = result["provenance"]
    model = found["model"]
    return [
        ("model", str(model["name"])),
        *[
            (name, str(model[name]))
            for name in ("revision", "processing", "dtype", "device", "checked")
            if model.get(name)
        ],
        ("claim", f"digest {result['digest']}") if "digest" in result else None,
        ("data", f"digest {found['data']}") if "data" in found else None,
        ("intervals", str(found["interval"])) if "interval" in found else None,
        ("versions", ", ".join(f"{name} {number}" for name, number in found.get("versions", {}).items())),
    ]
