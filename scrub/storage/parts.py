"""Parts of a run: each computes its share of the blocks, alone on its machine, and their directories are merged.

    RUN/parts/2-of-8.json    which command this is a part of, and what its numbers depend on

A part computes the blocks of a pass whose numbers in the pass are its own, and ends where it needs those of others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from scrub.claims.strangers import content, parsed
from scrub.errors import ClaimError, some
from scrub.storage import files
from scrub.storage.blocks import read_arrays
from scrub.storage.share import JobPart
from scrub.storage.version import VERSION

PARTS = "parts"


@frozen
class AskedPart:
    """What a directory says of a part: its command without --part, the claims, and what their numbers depend on."""

    of: int
    command: str
    claims: tuple[str, ...]
    depends: dict[str, str]
    how: str = ""  # options that change no number, which each machine has its own of


def write_part(folder: Path, part: JobPart, asked: AskedPart) -> None:
    """Raises ClaimError where the directory holds a part of another command, and where it cannot be written."""
    for name, other in _known(folder):
        if (difference := _difference(asked, other)) and name != _name(part):
            raise ClaimError(f"{folder} holds a part of another run ({difference}): name another directory.")
    described = {"scrub": VERSION, **asdict(asked)}
    files.write_text(folder / PARTS / _name(part), json.dumps(described, indent=1), follow=False)


def _name(part: JobPart) -> str:
    return f"{part.number}-of-{part.of}.json"


def _known(folder: Path) -> Iterator[tuple[str, AskedPart]]:
    """The parts of a directory. Raises ClaimError for one that is damaged, or of another version."""
    for path in sorted((folder / PARTS).glob("*.json")):
        try:
            found: Any = parsed(content(path))
            version, claims = str(found["scrub"]), tuple(map(str, found["claims"]))
            depends = {str(claim): str(digest) for claim, digest in found["depends"].items()}
            asked = AskedPart(int(found["of"]), str(found["command"]), claims, depends, str(found.get("how", "")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ClaimError(f"{path} is damaged ({error!r}): run this part anew.") from None
        if version != VERSION:
            raise ClaimError(
                f"{path} was kept by scrub {version}, and this is {VERSION}: run all parts by one version."
            )
        yield path.name, asked


def _difference(one: AskedPart, other: AskedPart) -> str:
    """The first thing in which two parts are not of one run; nothing where they are."""
    if set(one.claims) != set(other.claims):
        return f"it is of {some(other.claims)}, not of {some(one.claims)}"
    if one.command != other.command:
        return f"it is of `scrub {other.command}`, not of `scrub {one.command}`"
    if one.of != other.of:
        return f"it is one of {other.of} parts, not of {one.of}"
    changed = [claim for claim in one.depends if one.depends[claim] != other.depends.get(claim, one.depends[claim])]
    return "weights, versions or the code of a claim differ" if changed else ""


@frozen
class Merged:
    """Blocks that are together now, how many of them are new there, and the parts that are missing."""

    blocks: int
    new: int
    command: str
    missing: tuple[str, ...]


def merge_parts(folders: Sequence[Path], out: Path) -> Merged:
    """The blocks and rows of parts of one run in one directory, each looked at before it is taken.

    Raises ClaimError for a directory that is none or holds no part, for parts of different runs, for what is damaged.
    """
    found = [(folder, name, asked) for folder in folders for name, asked in _parts_of(folder)]
    first, _, wanted = found[0]
    for folder, _, asked in found:
        if difference := _difference(wanted, asked):
            raise ClaimError(f"{folder} holds no part of the run that {first} is of: {difference}.")
    new = sum(_taken(folder, out) for folder in folders)
    for folder, name, _ in found:
        _copied(folder / PARTS / name, out / PARTS / name)
    _copied(folders[0] / "kept.json", out / "kept.json")
    names = {name for _, name, _ in found}
    missing = [f"{n}/{wanted.of}" for n in range(1, wanted.of + 1) if _name(JobPart(n, wanted.of)) not in names]
    return Merged(
        len(list((out / "blocks").glob("*.safetensors"))), new, f"{wanted.command}{wanted.how}", tuple(missing)
    )


def _parts_of(folder: Path) -> list[tuple[str, AskedPart]]:
    if not folder.is_dir():
        raise ClaimError(
            f"there is no directory {folder}: give those in which parts were kept with --part and --out."
        )
    if not (found := list(_known(folder))):
        raise ClaimError(f"{folder} holds no part of a run: parts are kept by --part I/N with --out {folder}.")
    return found


def _taken(folder: Path, out: Path) -> int:
    """How many blocks of a directory were not there."""
    new = 0
    for path in sorted((folder / "blocks").glob("*.safetensors")):
        if read_arrays(path)[1].get("block") != path.stem:
            raise ClaimError(f"{path} is damaged: it holds another block.")
        new += _copied(path, out / "blocks" / path.name)
    for path in (folder / "rows").glob("*/*.safetensors"):  # what is damaged there counts as not there
        _copied(path, out / "rows" / path.parent.name / path.name)
    return new


def _copied(path: Path, to: Path) -> bool:
    """Whether a file was copied: one that is there is the same."""
    if to.exists() or not path.exists():
        return False
    files.write_bytes(to, path.read_bytes(), follow=False)
    return True
