"""The page that the bench writes: tables by family and by kind of change, and what was missed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from attrs import frozen

from planted.changes import KINDS
from planted.judging import EQUIVALENT, LOOSE, UNSOUND, WORTH, Judged
from planted.told import Planted

WHY = {
    "story": "Classes and sites are right, what the story says is not, on a few rows in a hundred: it is right on a "
    "share that lies above the bar, or these rows are too few to tell (`undefined`).",
    "less": "Less survives its swaps, and what does lies at or above the bar that the claim states; or it survives "
    "only while unclaimed inputs that cancel come from one row.",
    "idle part": "As much is recovered as by the true claim, and a part holds nothing: the verdict does not say so.",
}
HEAD = """# Do the verdicts mean it?

`python benchmarks/truth.py` writes this page. It makes models whose circuits are known because they were put there
(`benchmarks/planted/`: compiled transformers and computation graphs, both random, the textbook's induction on a
model whose queries hold more, and the models of the zoo), tests the true claim of each, and claims that differ from
it in one thing: a wrong component, an edge that is missing or needless, other values, another position, another
answer. `--seed N` makes other models and draws other changes: what is said of models generated after the code was
frozen comes from a seed that nobody had looked at.

A changed claim is *false* where it predicts another thing than the true one: where more than {worth} less is
recovered (every draw enumerated on computation graphs; more rows and draws on transformers), where the story's answer
is another on more than {worth} of the rows, or where it names a part that holds nothing, known from the construction.
It should be refuted or inconclusive; else it is *missed*, `undefined` ones too.
*Equivalent* claims predict the same: a spare left out,
other names for the same values, a needless edge, a value finer than need be. *Unsound* ones `check` refuses; they are
no test. The bar is {expect} where the true claim recovers everything, and just under what it recovers on other rows
in trained models; *at {loose}* counts the false claims whose interval lies above {loose}, which that bar would let
pass.
"""


@frozen
class Setting:
    """What the page was made from."""

    seed: int
    each: int
    seconds: float
    versions: dict[str, str]


def page(found: Sequence[Judged], cases: Sequence[Planted], setting: Setting) -> str:
    parts = [
        HEAD.format(worth=WORTH, expect=0.99, loose=LOOSE), _summary(found, cases, setting),
        "## By family", _table(found, "family", lambda j: j.family, dict.fromkeys(case.family for case in cases)),
        "## By kind of change", _table(found, "change", lambda j: j.kind, ["rival", *KINDS]),
        "## Why a claim is false", _table(
            [j for j in found if j.is_false], "because", lambda j: j.deserves, WHY
        ),
        "## What is missed", _missed(found), "## Equivalent claims", _equivalent(found),
        "## True claims that are not supported", _unsupported(found), "## What the models have", _features(cases),
    ]  # fmt: skip
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _summary(found: Sequence[Judged], cases: Sequence[Planted], setting: Setting) -> str:
    true = Counter(j.verdict for j in found if j.deserves == "true")
    false = [j for j in found if j.is_false]
    missed, changed = sum(j.missed for j in false), [j for j in found if j.deserves not in ("true", UNSOUND)]
    versions = ", ".join(f"{name} {version}" for name, version in setting.versions.items())
    lines = [
        f"**{len(cases)} models, {len(changed):,} changed claims.** True claims: "
        + ", ".join(f"{number} {word}" for word, number in true.most_common())
        + f". Of {len(false):,} false claims {len(false) - missed:,} are caught and {missed:,} missed "
        f"({_share(missed, len(false))}); {sum(j.deserves == EQUIVALENT for j in found):,} are equivalent.",
        f"Seed {setting.seed}, at most {setting.each} claims for each kind of change and model; "
        f"{setting.seconds:.0f} CPU seconds on one thread; {versions}.",
    ]
    return "\n\n".join(lines)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"


def _table(found: Iterable[Judged], title: str, key: Callable[[Judged], str], order: Iterable[str]) -> str:
    head = f"| {title} | unsound | equivalent | false | refuted | inconclusive | missed | at {LOOSE} |"
    lines = [head, "|---" + "|---:" * 7 + "|"]
    mine = [j for j in found if j.deserves != "true"]
    for name in order:
        if those := [j for j in mine if key(j) == name]:
            lines.append(_line(name, those))
    return "\n".join([*lines, _line("all", mine)])


def _line(name: str, those: Sequence[Judged]) -> str:
    false = [j for j in those if j.is_false]
    numbers = [
        sum(j.deserves == UNSOUND for j in those), sum(j.deserves == EQUIVALENT for j in those), len(false),
        *(sum(j.verdict == word for j in false) for word in ("refuted", "inconclusive")),
        sum(j.missed for j in false), sum(j.low is not None and j.low >= LOOSE for j in false),
    ]  # fmt: skip
    return f"| {name} | " + " | ".join(map(str, numbers)) + " |"


def _missed(found: Sequence[Judged]) -> str:
    lines: list[str] = []
    for why, words in WHY.items():
        those = [j for j in found if j.missed and j.deserves == why]
        lines.append(f"**{why}**, {len(those)}. {words}")
        lines += [f"- {line}" for line in _examples(those)]
    return "\n".join(_spaced(lines))


def _examples(those: Sequence[Judged]) -> Iterator[str]:
    """One line for every kind and family, with up to two of its claims."""
    for (kind, family), number in Counter((j.kind, j.family) for j in those).most_common():
        some = [j for j in those if (j.kind, j.family) == (kind, family)]
        shown = "; ".join(
            f"{j.case}: {j.what}, {j.verdict} at {_number(j.recovered)}{_predicts(j)}" for j in some[:2]
        )
        yield f"{kind}, {family}: {number}, such as {shown}"


def _predicts(judged: Judged) -> str:
    return f", predicts {_number(judged.predicts)}" if judged.deserves == "less" else ""


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"


def _equivalent(found: Sequence[Judged]) -> str:
    those = [j for j in found if j.deserves == EQUIVALENT]
    lines = ["| change | equivalent | supported | inconclusive | refuted |", "|---|---:|---:|---:|---:|"]
    for kind in KINDS:
        if mine := [j.verdict for j in those if j.kind == kind]:
            counts = [mine.count(word) for word in ("supported", "inconclusive", "refuted")]
            lines.append(f"| {kind} | {len(mine)} | " + " | ".join(map(str, counts)) + " |")
    wrong = [j for j in those if j.verdict != "supported"]
    return "\n".join([*lines, "", *(f"- {line}" for line in _examples(wrong))])


def _unsupported(found: Sequence[Judged]) -> str:
    those = [j for j in found if j.deserves == "true" and j.verdict != "supported"]
    return "\n".join(f"- {j.case}: {j.verdict}, {j.reason}" for j in those) or "None."


def _features(cases: Sequence[Planted]) -> str:
    counts = Counter((case.family, feature) for case in cases for feature in case.features)
    families = dict.fromkeys(case.family for case in cases)
    return "\n".join(f"- {family}: {_listed(counts, family)}" for family in families)


def _listed(counts: Counter[Any], family: str) -> str:
    return ", ".join(f"{name} {number}" for (of, name), number in counts.most_common() if of == family)


def _spaced(lines: Iterable[str]) -> Iterator[str]:
    """A blank line before and after what is no item of a list."""
    for line in lines:
        yield from [line] if line.startswith("-") else ["", line, ""]
