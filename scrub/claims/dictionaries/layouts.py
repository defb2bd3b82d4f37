"""The layouts in which dictionaries lie on disk, and which of them a directory has."""

from __future__ import annotations

from pathlib import Path

from scrub.claims.dictionaries import circuit_tracer, dictionary_learning, gemma_scope, saelens
from scrub.claims.dictionaries.card import StoredDictionary
from scrub.errors import ClaimError

LAYOUTS = (saelens, gemma_scope, dictionary_learning, circuit_tracer)
FILES = "cfg.json (SAELens), params.npz (Gemma Scope), ae.pt (dictionary_learning), or .safetensors and a yaml"


def read(path: Path) -> StoredDictionary:
    """The dictionary of a directory, or of one file of it. Raises ClaimError for what is none."""
    if not path.exists():
        raise ClaimError(f"dictionary {path}: there is no such file or directory.")
    folder = path.parent if path.name in (saelens.WEIGHTS, gemma_scope.WEIGHTS, dictionary_learning.WEIGHTS) else path
    for layout in LAYOUTS:
        if (found := layout.read(folder)) is not None:
            return found
    raise ClaimError(f"dictionary {path}: no dictionary that is known lies there: {FILES}.")
