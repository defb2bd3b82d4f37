"""What other commands stored beside a run: of the same claims and the same model, or made before these changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import evolve

from scrub.claims.titles import short_name, with_file
from scrub.report.page.blocks import Section, Words

Result = Mapping[str, Any]
LETTERS = 8  # of a digest
MODEL = ("name", "revision", "processing", "dtype")  # the device does not make it another model


def told_apart(section: Section, found: Result, tested: Sequence[Result], again: str) -> Section:
    """The section of a stored result; where it is not of the tested claims and model, this is what it starts with.

    `again` is the command that makes it anew.
    """
    other = [*_versions(found, tested), *_models(found, tested)]
    if not other:
        return section
    made = f"made with {' and '.join(name for name, _ in other)}"
    known = " and ".join(f"{name} ({words})" for name, words in other)
    note = Words(f"This section was made with {known}: run `scrub {again} ...` anew.", "stale")
    return evolve(section, before=(note, *section.before), brief=f"{made}; {section.brief}", stale=made)


def summed(sections: Iterable[Section]) -> str:
    """What the summary of a page says of sections that are not of its run."""
    return "".join(f"; the {section.kind} below was {section.stale}" for section in sections if section.stale)


def _versions(found: Result, tested: Sequence[Result]) -> list[tuple[str, str]]:
    """Claims of the result whose digest is not that of the claim of this name that was tested."""
    here = {with_file(r["hypothesis"]): str(r["digest"]) for r in tested}
    other: list[tuple[str, str]] = []
    for one in found.get("hypotheses", [found]):
        name, digest = one.get("hypothesis"), one.get("digest")
        now = here.get(with_file(name)) if name and digest else None
        if now is not None and digest != now:
            words = f"digest {digest[:LETTERS]}... there, {now[:LETTERS]}... here"
            other.append((f"another version of {short_name(name)}", words))
    return other


def _models(found: Result, tested: Sequence[Result]) -> list[tuple[str, str]]:
    """The result's model, where no tested claim has it. What one of them does not know tells nothing."""
    own: Mapping[str, Any] = found["provenance"]["model"]
    names = {with_file(one["hypothesis"]) for one in found.get("hypotheses", [found]) if one.get("hypothesis")}
    same = [r for r in tested if with_file(r["hypothesis"]) in names] or tested
    unlike = [other for r in same if (other := _unlike(own, r["provenance"]["model"]))]
    if not same or len(unlike) < len(same):
        return []
    part, was, now = unlike[0]
    return [("another model", f"{part} {was} there, {now} here")]


def _unlike(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """The first part in which two records of models differ."""
    for part in MODEL:
        if a.get(part) and b.get(part) and a[part] != b[part]:
            return part, str(a[part]), str(b[part])
    return None
