"""What commands stored in one directory as one HTML file, and the drawings that are stored for it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import asdict

from scrub.claims.resolved import Claim
from scrub.errors import ClaimError
from scrub.storage import files, stored
from scrub.storage.version import VERSION

if TYPE_CHECKING:
    from scrub.report.page.blocks import Section
    from scrub.report.page.sections import StoredPicture

PAGE = "report.html"


def save_run(out: Path, claims: Sequence[Claim], results: Sequence[dict[str, Any]], options: str) -> None:
    """Store results of `scrub test` as `run.json`, and figures, trees, sites and edges of their claims beside them.

    `options` are those with which the command was given, for whoever runs it again.
    """
    drawings = [_drawn(claim, result) for claim, result in zip(claims, results, strict=True)]
    text = stored.seal(json.loads(files.as_json(results)))
    stored.save(out, stored.DRAWINGS, [asdict(drawing) for drawing in drawings], options, run=text)
    files.save(out, results)


def options_of(**asked: Any) -> str:
    """The options of the command that does what `scrub.test` was asked to do: ` --rows 40 --exact`."""
    usual = {"draws": 20, "dtype": "auto", "controls": "shuffled", "parts": "all"}
    given = {name: value for name, value in asked.items() if value and value != usual.get(name)}
    flags = [f" --{name}" for name, value in given.items() if value is True]
    flags += [f" --no-{name}" for name, value in asked.items() if value is False and name == "explain"]
    words = {name: str(value) for name, value in given.items() if isinstance(value, str | Path | int)}
    return "".join(flags + [f" --{name} {shlex.quote(word)}" for name, word in words.items() if word != "True"])


def _drawn(claim: Claim, result: dict[str, Any]) -> StoredPicture:
    from scrub.engine.unroll import unroll
    from scrub.report.drawn import figure_of
    from scrub.report.page.sections import StoredPicture
    from scrub.report.places import edges, hover_words, places
    from scrub.report.told import told

    tree = unroll(claim)
    there, read = places(claim, tree), edges(tree)
    figure = asdict(figure_of(claim, hover_words(there, read, result)))
    words = asdict(told(claim.hypothesis))
    return StoredPicture(
        claim.digest, figure, str(tree), [asdict(p) for p in there], [asdict(e) for e in read], words
    )


def write_page(out: Path) -> Path:
    """Write the page of a stored run beside it. Raises ClaimError as `page_of` does, or where none can be written."""
    files.write_text(out / PAGE, page_of(out).rstrip(), follow=False)
    return out / PAGE


def page_of(out: Path) -> str:
    """The page of a stored run. Raises ClaimError where nothing is stored, or what is stored cannot be used."""
    from scrub.report.page.beside import summed
    from scrub.report.page.whole import page
    from scrub.report.page.words import titled

    if out.is_file():
        raise ClaimError(f"{out} is a file: name the directory that --out named.")
    tested = stored.read(out, files.RUN)["results"] if (out / files.RUN).exists() else []
    summary, sections = _tested(out, tested)
    sections += [section for name in _SECTIONS for section in _others(out, name, tested)]
    if not sections:
        *others, last = dict.fromkeys(stored.WRITTEN_BY.values())
        commands = ", ".join(f"`scrub {name}`" for name in others)
        raise ClaimError(
            f"{out} holds no results. They are stored there by {commands} and `scrub {last}`, each with --out {out}."
        )
    title = titled([result["hypothesis"] for result in tested if not result.get("foil")]) or out.resolve().name
    said = (summary or _stored(sections)) + summed(sections)
    return page(title, said, sections, VERSION)


def _stored(sections: Sequence[Section]) -> str:
    return ", ".join(dict.fromkeys(section.kind for section in sections)) + " of a stored run"


def _tested(out: Path, found: list[dict[str, Any]]) -> tuple[str, list[Section]]:
    """The claims that were tested, with one line about all of them."""
    from scrub.report.page.claims import claim_section, summary
    from scrub.report.page.sections import StoredClaim, StoredPicture

    if not (out / files.RUN).exists():
        return "", []
    drawings = stored.read(out, stored.DRAWINGS)
    pictures = drawings["results"]
    if drawings.get("run") != stored.seal({"scrub": VERSION, "results": found}):
        raise ClaimError(
            f"{out}: {files.RUN} and {stored.DRAWINGS} are of different runs, or one was changed: run "
            f"`scrub test --out {out}` anew."
        )
    asked = drawings["command"]
    made = _made(out / files.RUN, lambda: [
        claim_section(StoredClaim(r, StoredPicture(**d), asked)) for r, d in zip(found, pictures, strict=True)
    ])  # fmt: skip
    return (summary(found) if found else ""), made


def _others(out: Path, name: str, tested: list[dict[str, Any]]) -> list[Section]:
    """What another command stored, with a note where it was of other claims or models than what was tested."""
    from scrub.report.page.beside import told_apart

    if not (out / name).exists():
        return []
    found = stored.read(out, name)
    command = found["command"]
    return _made(out / name, lambda: [
        told_apart(_SECTIONS[name](result, command), result, tested, stored.WRITTEN_BY[name])
        for result in found["results"]
    ])  # fmt: skip


def _made(file: Path, make: Callable[[], list[Section]]) -> list[Section]:
    try:
        return make()
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        again = stored.WRITTEN_BY[file.name]
        raise ClaimError(
            f"{file} is damaged: its results are not those of `scrub {again}` ({error!r}). Run it anew."
        ) from None


def _compared(result: dict[str, Any], command: str) -> Section:
    from scrub.report.page.comparisons import comparison_section

    return comparison_section(result, command)


def _judged(result: dict[str, Any], command: str) -> Section:
    from scrub.report.page.circuits import criteria_section

    return criteria_section(result, command)


def _proposed(result: dict[str, Any], command: str) -> Section:
    from scrub.report.page.curves import curve_section
    from scrub.report.page.proposals import proposal_section

    return (curve_section if "points" in result else proposal_section)(result, command)


def _viewed(result: dict[str, Any], command: str) -> Section:
    from scrub.report.page.viewed import views_section

    return views_section(result, command)


def _patched(name: str) -> Callable[[dict[str, Any], str], Section]:
    def section(result: dict[str, Any], command: str) -> Section:
        from scrub.report.page import patched

        return getattr(patched, name)(result, command)

    return section


_SECTIONS = {
    stored.COMPARISON: _compared,
    stored.CRITERIA: _judged,
    stored.PROPOSALS: _proposed,
    stored.INTERCHANGE: _patched("interchange_section"),
    stored.SWEEP: _patched("sweep_section"),
    stored.PATHS: _patched("paths_section"),
    stored.POWER: _patched("power_section"),
    stored.VIEWS: _viewed,
}
