"""`scrub.freeze`: a claim written as data."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4

from scrub.claims.freeze import Frozen, freeze_claim
from scrub.claims.hub import Pinned
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.published import Published
from scrub.claims.thaw import read_frozen
from scrub.claims.thaw import thaw as thaw
from scrub.claims.titles import name_of
from scrub.errors import ClaimError, path_of
from scrub.model.computation import Computation
from scrub.model.memory import Backend
from scrub.model.resolve import data_of, given_model, sound
from scrub.model.source import Source, has_weights, of_digest, revision_of
from scrub.storage import files


def freeze(hypothesis: Hypothesis, out: str | Path, model: Any = None, stream: bool = False) -> Published:
    """Write a claim as pure data into a new directory: `claim.txt`, `claim.json`, `rows.jsonl`, `values.json`,
    and `vocab.json` where the data bring words for their tokens.

    `model` overrides the claim's own. One given by name stands in the files; a graph of functions, or a loaded
    model, cannot, and the claim is frozen without it. `stream` is as in `test`. Raises ClaimProblems for a claim that
    `check` refuses, ClaimError for a directory that exists or cannot be written, and for a claim that is more than
    data: a metric of one's own, a variable that is no function of its parents, values of other types.
    """
    folder = path_of(out, "freeze(hypothesis, out)")
    if folder.exists() or folder.is_symlink():
        raise ClaimError(f"{folder} exists already: a frozen claim is never written over. Name another --out.")
    files.writable(folder)
    claim, source = sound(hypothesis, given_model(hypothesis, model, stream), expecting=False)
    chosen = hypothesis.model if model is None else model
    name = model_name(chosen)
    found = freeze_claim(claim, data_of(hypothesis, source), name, revision_told(source, chosen))
    _write(found, folder)
    without = claim.graph.name if name is None else None
    return Published(name_of(hypothesis), found.digest, folder, without, not claim.graph.sequence)


def model_name(model: Any) -> str | None:
    return str(model) if isinstance(model, str | Path) else None


def revision_told(source: Source, model: Any) -> str | None:
    """The hub's revision of what is in its local cache, else the digest of the weights, which are loaded for it.

    None for a computation graph, and for a model whose weights are not here.
    """
    if isinstance(model, Pinned):
        return model.revision
    if isinstance(model, str | Path) and not of_digest(str(model)):
        return revision_of(str(model))
    return _digest(source, model)


def _digest(source: Source, model: Any) -> str | None:
    if isinstance(source.graph, Computation) or (isinstance(model, str | Path) and not has_weights(str(model))):
        return None
    from scrub.model.open import open_weights

    return open_weights(source, Backend()).revision or None


def _write(found: Frozen, folder: Path) -> None:
    """The whole directory or nothing: written beside, read back, renamed."""
    beside = folder.with_name(f".{folder.name[: files.NAME]}.{uuid4().hex}")
    try:
        beside.mkdir(parents=True)
        for name, text in found.files.items():
            (beside / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        read_frozen(beside)
        beside.rename(folder)
    except ClaimError as error:
        raise ClaimError(str(error).replace(str(beside), str(folder))) from None
    except OSError as error:
        raise ClaimError(f"{folder} cannot be written: {error.strerror}.") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
