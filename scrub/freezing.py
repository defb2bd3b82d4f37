"""The verbs of publishing: a claim written as data, read back, and compared with another, one fact a line."""

from __future__ import annotations

import shlex
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from attrs import frozen

from scrub import store
from scrub.claims.check import name_of
from scrub.claims.facts import canonical_text, facts_of
from scrub.claims.freeze import CLAIM, Frozen, freeze_claim
from scrub.claims.hub import Pinned
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.thaw import read_frozen
from scrub.claims.thaw import thaw as thaw
from scrub.errors import ClaimError, is_file, path_of
from scrub.model.resolve import data_of, sound
from scrub.model.source import Source, revision_of

if TYPE_CHECKING:
    import pandas as pd


@frozen
class Published:
    """What `scrub.freeze` wrote, and where.

    `without` names a model that is no data, and is not part of it; `computed` says that it is a graph of functions.
    """

    hypothesis: str
    digest: str
    out: Path
    without: str | None
    computed: bool = False

    def __str__(self) -> str:
        told = f"wrote {self.out}, digest {self.digest}."
        command = f"scrub test {shlex.quote(str(self.out))}"
        if self.without is None:
            return f"{told} Test it with: {command}"
        absent = f"Its model, {self.without}, is a thing in Python and no part of it."
        if self.computed:
            return f'{told} {absent} Test it in Python: scrub.test(scrub.thaw("{self.out}"), model=graph)'
        return f"{told} Test it with: {command} --model DIR. {absent}"

    def to_dict(self) -> dict[str, Any]:
        return {"hypothesis": self.hypothesis, "digest": self.digest, "out": str(self.out), "without": self.without}

    def _repr_html_(self) -> str:
        from scrub.report.notebook import published_html

        return published_html(str(self), self.out)


@frozen
class Difference:
    """The facts that only one of two claims states, as lines of their canonical texts."""

    a: str
    b: str
    removed: tuple[str, ...]
    added: tuple[str, ...]

    @property
    def same(self) -> bool:
        return not self.removed and not self.added

    def __str__(self) -> str:
        if self.same:
            return f"{self.a} and {self.b} claim the same."
        lines = sorted([(line, "-") for line in self.removed] + [(line, "+") for line in self.added])
        return "\n".join([f"--- {self.a}", f"+++ {self.b}", *(f"{sign} {line}" for line, sign in lines)])

    def to_dict(self) -> dict[str, Any]:
        removed, added = list(self.removed), list(self.added)
        return {"a": self.a, "b": self.b, "removed": removed, "added": added, "same": self.same}

    def frame(self) -> pd.DataFrame:
        """A pandas table, one line a fact that one claim alone states: `only_in` is that claim."""
        import pandas as pd

        lines = [(self.a, fact) for fact in self.removed] + [(self.b, fact) for fact in self.added]
        return pd.DataFrame(lines, columns=["only_in", "fact"])

    def _repr_html_(self) -> str:
        from scrub.report.notebook import difference_html

        return difference_html(str(self))


def freeze(hypothesis: Hypothesis, out: str | Path, model: Any = None) -> Published:
    """Write a claim as pure data into a new directory: `claim.txt`, `claim.json`, `rows.jsonl`, `values.json`.

    `model` overrides the claim's own. One given by name stands in the files; a graph of functions, or a loaded
    model, cannot, and the claim is frozen without it. Raises ClaimProblems for a claim that `check` refuses,
    ClaimError for a directory that exists or cannot be written, and for a claim that is more than data: a metric
    of one's own, a variable that is no function of its parents, values of other types.
    """
    folder = path_of(out, "freeze(hypothesis, out)")
    if folder.exists() or folder.is_symlink():
        raise ClaimError(f"{folder} exists already: a frozen claim is never written over. Name another --out.")
    store.writable(folder)
    claim, source = sound(hypothesis, model, expecting=False)
    chosen = hypothesis.model if model is None else model
    name = _model_name(chosen)
    found = freeze_claim(claim, data_of(hypothesis, source), name, _revision(source, chosen))
    _write(found, folder)
    without = claim.graph.name if name is None else None
    return Published(name_of(hypothesis), found.digest, folder, without, not claim.graph.sequence)


def _model_name(model: Any) -> str | None:
    return str(model) if isinstance(model, str | Path) else None


def _revision(source: Source, model: Any) -> str | None:
    """The revision of weights that are at hand, or in the local cache of the hub, which are not loaded for it."""
    if isinstance(model, Pinned):
        return model.revision
    if isinstance(model, str):
        return revision_of(model)
    found = getattr(source.loaded, "revision", None)
    return found if isinstance(found, str) and found else None


def _write(found: Frozen, folder: Path) -> None:
    """The whole directory or nothing: written beside, read back, renamed."""
    beside = folder.with_name(f".{folder.name[: store.NAME]}.{uuid4().hex}")
    try:
        beside.mkdir(parents=True)
        for name, text in found.files.items():
            (beside / name).write_bytes(text.encode())
        read_frozen(beside)
        beside.rename(folder)
    except ClaimError as error:
        raise ClaimError(str(error).replace(str(beside), str(folder))) from None
    except OSError as error:
        raise ClaimError(f"{folder} cannot be written: {error.strerror}.") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def diff(a: Hypothesis | str | Path, b: Hypothesis | str | Path) -> Difference:
    """What one claim says and the other does not; a path is the directory of a frozen claim.

    Raises ClaimProblems for a claim that `check` refuses, ClaimError for a directory that holds none.
    """
    first, second = Counter(_text(a)), Counter(_text(b))
    alone = [tuple(sorted(lines.elements())) for lines in (first - second, second - first)]
    return Difference(_called(a), _called(b), alone[0], alone[1])


def _called(one: Hypothesis | str | Path) -> str:
    return name_of(one) if isinstance(one, Hypothesis) else str(one)


def _text(one: Hypothesis | str | Path) -> tuple[str, ...]:
    if isinstance(one, str | Path):
        folder = path_of(one, "diff(a, b)")
        if not is_file(folder / CLAIM):
            raise ClaimError(f"{one} holds no {CLAIM}: it is no frozen claim.")
        return read_frozen(folder).text
    claim, source = sound(one, expecting=False)
    facts = facts_of(claim, _model_name(one.model), _revision(source, one.model))
    return canonical_text(facts, claim.values, claim.data)
