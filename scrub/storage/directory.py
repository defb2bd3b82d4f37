"""A run directory: which claims it is of, their blocks, and what each claim's last run found.

    kept.json                 the format, the version of scrub, and the names of the claims
    blocks/KEY.safetensors    numbers in blocks
    claims/NAME.safetensors   the rows of a claim's last run, with its result and its text

Claims are known by their file's name and their own. A claim that was changed is the same claim, and the next run
says what changed; a directory of another claim, or of another version, is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attrs import evolve, field, frozen

from scrub.claims.facts import canonical_text, facts_of
from scrub.claims.metric import NamedMetric
from scrub.claims.resolved import Claim
from scrub.claims.strangers import content, parsed, printable, texts
from scrub.claims.titles import in_cell, short_name, with_file
from scrub.engine.on_transformer import TransformerRows
from scrub.errors import ClaimError, ScrubError, path_of, some
from scrub.metrics import find
from scrub.model.workers import ALONE, Workers
from scrub.score.blocks import Arrays
from scrub.score.result import Result
from scrub.score.sample import ClaimBench
from scrub.score.since import Since
from scrub.storage import files
from scrub.storage.blocks import Blocks, read_arrays, sweep, write_arrays
from scrub.storage.changes import SETTINGS, facts, since
from scrub.storage.identity import identity, of_scrub
from scrub.storage.rows import weights_key
from scrub.storage.share import JobPart
from scrub.storage.version import VERSION

FORMAT = 1
KEPT = "kept.json"
ROWS = ("identity", "scrubbed", "random", "model")
CODE = "the code of the model, of the metric or of scrub is another, or words of the data have other token ids"


Record = tuple[Path, Arrays, dict[str, str]]


@frozen
class Run:
    """An opened run directory: `blocks` are those that were asked for so far, `records` the results to be stored,
    `claims` those that they are of.

    `depends` has, for the digest of each claim, that of all that its numbers depend on; what is no block of a `part`
    is left to other parts.
    """

    folder: Path
    recompute: bool = False
    blocks: list[Blocks] = field(factory=list[Blocks])
    depends: dict[str, str] = field(factory=dict[str, str])
    records: list[Record] = field(factory=list[Record])
    claims: list[Claim] = field(factory=list[Claim])
    part: JobPart | None = None

    def keep(self, bench: ClaimBench, workers: Workers = ALONE) -> ClaimBench:
        """The same claim on the same model, its blocks kept in this directory."""
        depends = identity(of_scrub(), torch.__version__, np.__version__, bench.claim.digest, *_computing(bench))
        self.depends.setdefault(bench.claim.digest, depends)  # the claim's own model comes before its controls
        made = self.blocks[0].made if self.blocks else set[Path]()
        self.blocks.append(Blocks(self.folder / "blocks", depends, self.recompute, made, workers, self.part))
        return evolve(bench, keep=self.blocks[-1])

    def record(self, claim: Claim, result: Result) -> Result:
        """A result that says what changed since the claim's last run; it is the last one once the run is finished."""
        known = short(result.hypothesis)
        path = self.folder / "claims" / f"{_slug(known)}.safetensors"
        table: Arrays = {"identity": claim.data.identities[result.table["row"]]}
        top = "ceiling" if "ceiling" in result.table else "model"  # where the scale of what is recovered ends
        sources = {"scrubbed": "scrubbed", "random": "random", "model": top}
        table |= {name: np.asarray(result.table[source], dtype=np.float64) for name, source in sources.items()}
        text = list(canonical_text(facts_of(claim, None), claim.values, claim.data))
        depends = self.depends.get(claim.digest, "")
        changed = self._since(path, result, text, table, depends)
        stored = {"result": files.as_json([result.to_dict()]), "text": json.dumps(text), "depends": depends}
        self.records.append((path, table, stored))
        self.claims.append(claim)
        return evolve(result, since=changed)

    def finish(self) -> None:
        """Store what was recorded. A run that was broken off before leaves its blocks alone."""
        for path, table, stored in self.records:
            write_arrays(path, table, stored)
        self.records.clear()
        self.claims.clear()

    def __str__(self) -> str:
        found, computed = (sum(getattr(blocks, name) for blocks in self.blocks) for name in ("found", "computed"))
        return f"kept in {self.folder}: {computed} blocks computed, {found} were there"

    def _since(self, path: Path, result: Result, text: list[str], table: Arrays, depends: str) -> Since | None:
        if not path.exists():
            return None
        try:
            then, old, before, code = _last(path)
        except ClaimError as error:
            if self.recompute:
                return None
            raise ClaimError(
                f"{error} It is the last run of a claim: run again with --recompute to go without."
            ) from None
        changed = facts(before, text, old, result.to_dict())
        if not changed and code != depends:
            changed = (CODE,)
        return since(then, table, old, changed, result.seed)


def _last(path: Path) -> tuple[Arrays, dict[str, Any], list[str], str]:
    """The last run of a claim: its rows, its result, its text, what its numbers depend on.

    Raises ClaimError for a file that is damaged, or that is no such record, though its digest be right.
    """
    table, words = read_arrays(path)
    try:
        found, before = parsed(words["result"].encode()), parsed(words["text"].encode())
        old = _known(found["results"][0])
        rows = {len(table[name]) for name in ROWS if table[name].ndim == 1}
        same = len(rows) == 1 and set(table) == set(ROWS) and table["identity"].dtype == np.uint64
        if not same or not all(table[name].dtype == np.float64 for name in ROWS[1:]):
            raise ValueError("other arrays")
        if not all(map(printable, [*before, *texts([old[part] for part in ("verdict", "provenance")])])):
            raise ValueError("text that cannot be printed")
        return table, old, before, words["depends"]
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise ClaimError(f"{path} is damaged: it is no record of a claim's last run ({error!r}).") from None


def _known(old: dict[str, Any]) -> dict[str, Any]:
    """A result in its JSON form, as far as it is compared. Raises TypeError, LookupError for what is none."""
    value = old["recovered"]["value"]
    wanted = [(old["verdict"], str), (value, float | int | None), *((old[name], object) for name in SETTINGS)]
    wanted += [(old["provenance"][part], dict) for part in ("model", "versions")]
    for part, kind in wanted:
        if not isinstance(part, kind):
            raise TypeError(f"{part!r:.40} is no {kind}")
    return old


def _computing(bench: ClaimBench) -> list[object]:
    """What computes the numbers of a claim, as things that have an identity.

    The weights of a model say what it is, wherever they came from and in however much memory they run. Functions are
    told by their code, and by what they give on the pool.
    """
    measured = bench.measured
    if isinstance(bench.rows, TransformerRows):
        found: list[object] = [
            weights_key(bench.rows.model),
            measured.metric,
            measured.arguments,
        ]
    else:
        values = bench.rows.rows  # before its functions are told apart: what they import is imported by now
        found = [values, bench.rows.model, measured.metric, measured.arguments]
    metric = measured.metric  # one that was plugged in is told by the code of its file
    return [*found, find(metric)] if isinstance(metric, NamedMetric) else [*found, *_measured(bench)]


def _measured(bench: ClaimBench) -> list[object]:
    """What a metric of one's own says of the model's answers on the scored rows."""
    rows = np.flatnonzero(bench.claim.scored)
    try:
        return [bench.measured.of(bench.rows.outputs(rows), rows)]
    except ScrubError:  # rows that are not asked for may be none that it can measure
        return []


def open_run(out: str | Path, names: Sequence[str], recompute: bool = False) -> Run:
    """Open a directory for runs of these claims, all of them, or make it.

    Raises ClaimError for names that collide, a directory that holds claims that are not among them, one of another
    version, one with results that no run of this version kept, and one that cannot be written.
    """
    folder = path_of(out, "out")
    shorts = _distinct(names)
    files.writable(folder / KEPT)
    known = _kept(folder)
    if others := [name for name in known if name not in shorts]:
        raise ClaimError(
            f"{folder} is a run of another claim: it holds {some(others)}, and this run is of {some(shorts)}. "
            "Name another directory, or all the claims that it holds."
        )
    if set(known) != set(shorts):
        _write(folder, shorts)
    sweep(folder / "blocks")
    return Run(folder, recompute)


def beside_run(out: str | Path, names: Sequence[str], file: str = KEPT) -> Run:
    """Open a directory for what is found beside a test: a comparison, criteria, a proposal of claims that it holds.

    `file` is the one that will be written there.

    Raises ClaimError as `open_run`, but for a directory that holds some of these claims, and any others.
    """
    folder = path_of(out, "out")
    files.writable(folder / file)
    known, asked = _kept(folder), [short(name) for name in names]
    if known and asked and not set(known) & set(asked):
        raise ClaimError(
            f"{folder} is a run of another claim: it holds {some(known)}, not {some(asked)}. Name another directory."
        )
    if not (folder / KEPT).exists():
        _write(folder, [])
    return Run(folder)


def short(name: str) -> str:
    """`path/to/file.py::name` without the path: the directory from which a run is started leaves no trace.

    A cell of a notebook is a file that is named anew whenever the cell is changed: it is left out.
    """
    file = name.rpartition("::")[0]
    return short_name(name) if file.startswith("<") or in_cell(file) else with_file(name)


def _distinct(names: Sequence[str]) -> list[str]:
    count = Counter(map(short, names))
    if twice := [name for name, times in count.items() if times > 1]:
        raise ClaimError(
            f"several claims are called {some(twice)}: a run keeps claims by name. Rename them, or give each its own "
            "directory."
        )
    return list(count)


def _kept(folder: Path) -> list[str]:
    """The claims that a directory holds. Raises ClaimError where this version did not keep them."""
    file = folder / KEPT
    if not file.exists():
        if (folder / files.RUN).exists():
            raise ClaimError(
                f"{folder} holds a {files.RUN} that was not kept by this version of scrub: name another directory."
            )
        return []
    try:
        described = parsed(content(file))
        version, form, claims = described["scrub"], described["format"], [str(name) for name in described["claims"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ClaimError(f"{file} is damaged ({error}): name another directory.") from None
    if (version, form) != (VERSION, FORMAT):
        raise ClaimError(
            f"{folder} was kept by scrub {version} (format {form}), and this is {VERSION} (format {FORMAT}), "
            "whose numbers may differ: name another directory."
        )
    return claims


def _write(folder: Path, claims: Sequence[str]) -> None:
    described = {"scrub": VERSION, "format": FORMAT, "claims": sorted(claims)}
    files.write_text(folder / KEPT, json.dumps(described, indent=1), follow=False)


def _slug(name: str) -> str:
    """A name that every file system takes."""
    tag = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-')[:60]}-{tag}"
