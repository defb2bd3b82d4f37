"""Pages over many runs: all runs and claims, and one claim over time. No scripts, and nothing is fetched."""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Sequence

from attrs import frozen

from scrub.report.page.whole import rendered
from scrub.report.page.words import MARKS
from scrub.storage.below import RunBelow, TriedClaim
from scrub.storage.version import VERSION

INDEX = "index.html"
SHOWN = 12  # verdicts of a claim that the list shows


@frozen
class Tried:
    """A claim in a run, with what was asked otherwise than the time before."""

    run: RunBelow
    claim: TriedClaim
    changes: tuple[str, ...]


def histories(runs: Sequence[RunBelow]) -> dict[str, list[Tried]]:
    """By claim: each time that it was tested, the latest first."""
    found: dict[str, list[Tried]] = defaultdict(list)
    for run in reversed(runs):  # the oldest first
        for claim in run.claims:
            before = found[claim.hypothesis]
            found[claim.hypothesis].append(Tried(run, claim, changes(before[-1].claim, claim) if before else ()))
    return {name: tried[::-1] for name, tried in sorted(found.items())}


def changes(before: TriedClaim, after: TriedClaim) -> tuple[str, ...]:
    """What differs between two runs of one claim: how it was asked, its verdict, and how far the share moved."""
    old, said = dict(before.setting), []
    for name, value in after.setting:
        if old[name] != value:
            words = f"{name}: {old[name] or '-'} → {value or '-'}"
            said.append("another claim (digest)" if name == "digest" else words)
    if before.verdict != after.verdict:
        said.append(f"verdict: {before.verdict} → {after.verdict}")
    was, now = before.recovered[1], after.recovered[1]
    if was is not None and now is not None and f"{now - was:+.2f}" not in ("+0.00", "-0.00"):
        said.append(f"recovered {now - was:+.2f}")
    return tuple(said)


def index_page(title: str, runs: Sequence[RunBelow]) -> str:
    """All claims with their verdicts over time, and all runs."""
    return rendered("runs.html", title=title, runs=runs, histories=histories(runs), shown=SHOWN, **_WORDS)


def claim_page(name: str, tried: Sequence[Tried]) -> str:
    """One claim: each run with its verdict, what was recovered, and what differs from the run before."""
    return rendered("history.html", name=name, tried=tried, **_WORDS)


def sorry_page(title: str, sentence: str) -> str:
    """A page that says why there is none."""
    return rendered("sorry.html", title=title, sentence=sentence, **_WORDS)


def run_name(run: RunBelow) -> str:
    return f"run-{_digest(run.folder)}.html"


def claim_name(hypothesis: str) -> str:
    return f"claim-{_digest(hypothesis)}.html"


def _digest(text: str) -> str:
    """A name for a page that stays the same while runs come and go, and holds nothing of the text."""
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).hexdigest()


def _when(run: RunBelow) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(run.when))


def _share(claim: TriedClaim) -> str:
    low, value, high = ("?" if number is None else f"{number:.2f}" for number in claim.recovered)
    return f"{value} [{low}, {high}]"


_WORDS = {
    "marks": MARKS, "when": _when, "share": _share, "run_name": run_name, "claim_name": claim_name, "index": INDEX,
    "version": VERSION,
}  # fmt: skip
