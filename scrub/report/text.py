"""Results in words: what stands in the terminal and in `str(result)`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scrub.claims.check import Checked
    from scrub.score.diagnostics import Swaps
    from scrub.score.explain import Donation, Explanation, RowStory, SwapEffect
    from scrub.score.result import Result

MARKS = {True: "✓", False: "✗"}


def result_text(result: Result) -> str:
    """One result: the verdict first, then what it rests on."""
    return "\n".join([headline(result), *details(result)])


def short_name(name: str) -> str:
    return name.rsplit("::", 1)[-1]


def headline(result: Result) -> str:
    """`✓ induction  supported  recovered 0.97 [0.97, 0.98], bar 0.90`."""
    kind = "  (foil)" if result.foil else ""
    share = f"recovered {result.recovered}" if result.recovered.value is not None else "recovered undefined"
    mark = MARKS[result.passed]
    return f"{mark} {short_name(result.hypothesis)}{kind}  {result.verdict}  {share}, bar {result.bar:.2f}"


def details(result: Result) -> list[str]:
    m, u = result.metric, result.unexplained
    explained = "" if u.explained is None else f", explained {u.explained:.2f}"
    constant = "undefined" if result.constant is None else f"{result.constant:.2f}"
    draws = "every draw" if result.draws is None else f"{result.draws} draws"
    accuracy = "" if result.accuracy is None else f"; the story alone is right on {result.accuracy:.1%}"
    lines = [
        *([f"foil: {result.foil}"] if result.foil else []),
        result.reason,
        f"{m.name} ({m.better} is better): model {m.model:.3f}, scrubbed {m.scrubbed:.3f}, random {m.random:.3f}; "
        f"best constant recovers {constant}",
        f"unexplained {u.aue:.3f} of {u.ate:.3f}{explained}; keeps {result.bits.kept:.1f} of "
        f"{result.bits.everything:.1f} bits; {result.rows} rows x {draws}, seed {result.seed}{accuracy}",
    ]
    if result.better_than_model:
        lines.append("the scrubbed model does better than the model: errors of the model were swapped away.")
    if result.own_rest:
        lines.append(
            f"{result.own_rest} calls found no rest row in their stratum and used their own row (empty='self')."
        )
    deviations = {k: v for k, v in result.options.items() if k not in ("predicts", "scored")}
    if deviations:
        lines.append("options: " + ", ".join(f"{k}={v!r}" for k, v in deviations.items()))
    lines += swap_lines(result.swaps)
    lines += [f"warning: {text}" for text in result.warnings]
    lines += _because(result)
    return [f"    {line}" for line in lines]


def _because(result: Result) -> list[str]:
    if not result.explanation:
        return []
    return ["what breaks it (scrub explain shows all):", *(f"  {text}" for text in result.explanation)]


def swap_lines(swaps: Sequence[Swaps]) -> list[str]:
    """A line for each variable: how often its swaps tested nothing, and how large its classes are."""
    if not swaps:
        return []
    rows = [("swaps of", "self", "idle", "donors", "class size", "")]
    for s in swaps:
        size = (
            f"{s.class_min}"
            if s.class_min == s.class_max
            else f"{s.class_min}..{s.class_max}, median {s.class_median:g}"
        )
        alone = f"{s.alone} rows alone" if s.alone else ""
        rows.append((s.variable, f"{s.self_swaps:.0%}", f"{s.idle:.0%}", str(s.donors), size, alone))
    return table(rows)


def table(rows: Iterable[Sequence[str]], indent: str = "") -> list[str]:
    """Aligned columns; numbers look best when they are already text of one form."""
    listed = [tuple(row) for row in rows]
    widths = [max(len(row[i]) for row in listed) for i in range(len(listed[0]))]
    return [
        (indent + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True))).rstrip()
        for row in listed
    ]


def summary(results: Sequence[Result]) -> str:
    """`3 of 3 pass: 1 claim supported, 2 foils refuted.`"""
    claims = [r for r in results if not r.foil]
    foils = [r for r in results if r.foil]
    parts = [_count(claims, "claim", "supported"), _count(foils, "foil", "refuted")]
    passed = sum(r.passed for r in results)
    return f"{passed} of {len(results)} pass: " + ", ".join(p for p in parts if p) + "."


def _count(results: Sequence[Result], kind: str, word: str) -> str:
    if not results:
        return ""
    right = sum(r.verdict == word for r in results)
    total = f" of {len(results)}" if right < len(results) else ""
    return f"{right}{total} {kind}{'s' if len(results) > 1 else ''} {word}"


def checks_text(checks: Sequence[Checked], broken: Sequence[object]) -> str:
    """Everything that `scrub check` found, problems first, and a line of summary."""
    lines = [str(problem) for problem in broken]
    lines += [str(problem) for check in checks for problem in check.problems]
    for check in checks:
        if not check.problems:
            right = (
                ""
                if check.accuracy is None
                else f"  the story is right on {check.accuracy:.1%} of the scored rows"
            )
            foil = "  (foil)" if check.hypothesis.foil_reason else ""
            lines.append(f"✓ {check.hypothesis.title}{foil}{right}")
        lines += [f"    warning: {text}" for text in check.warnings]
    problems = len(broken) + sum(len(check.problems) for check in checks)
    bad = sum(bool(check.problems) for check in checks)
    if problems:
        files = f" and {len(broken)} file{'s' * (len(broken) > 1)}" if broken else ""
        total = f"{problems} problem{'s' * (problems > 1)} in {bad} of {len(checks)} claims{files}. Nothing was run."
    else:
        total = f"{len(checks)} claim{'s' * (len(checks) != 1)}, no problems."
    return "\n".join([*lines, total])


def explanation_text(explanation: Explanation) -> str:
    """Which swaps do the harm, then the rows that suffer most."""
    share = "undefined" if explanation.recovered is None else f"{explanation.recovered:.2f}"
    lines = [
        f"{short_name(explanation.hypothesis)}  recovered {share}  ({explanation.metric}, {explanation.rows} rows x "
        f"{explanation.draws} draws, seed {explanation.seed})",
        "",
        "Every swap that the claim allows: what is recovered when only it is made, when all others are made, and what",
        "undoing it gains. A rest that gains means an input that the claim leaves out; a donor that gains, rows that",
        "agree on the variable but are not interchangeable.",
        "",
        *table(
            [
                ("swap", "at", "path", "only it", "all but it", "undoing gains", "self"),
                *map(_effect, explanation.swaps),
            ]
        ),
    ]
    for story in explanation.worst:
        lines += ["", *_row(story)]
    return "\n".join(lines)


def _effect(effect: SwapEffect) -> tuple[str, ...]:
    def show(value: float | None, sign: str = "") -> str:
        return "-" if value is None else f"{value:{sign}.2f}"

    steps = effect.path.split("/")[1:]
    chain = " < ".join(step.split(":")[0] for step in steps) or "answer"
    what = f"{effect.kind} of {effect.variable}"
    return (
        what,
        effect.site,
        chain,
        show(effect.only),
        show(effect.without),
        show(effect.gain, "+"),
        f"{effect.self_swaps:.0%}",
    )


def _row(story: RowStory) -> list[str]:
    columns = "  ".join(f"{name}={value!r}" for name, value in list(story.columns.items())[:8])
    return [
        f"row {story.row}: metric {story.model:.3f} in the model, {story.scrubbed:.3f} scrubbed (mean of its draws)",
        f"    {story.text}",
        f"    {columns}",
        f"    the model says {story.model_answer}; scrubbed, in draw {story.draw}, it says {story.scrubbed_answer}",
        *(f"    {line}" for donation in story.donations for line in _donation(donation)),
    ]


def _donation(donation: Donation) -> list[str]:
    lead = "  " * donation.depth
    own = "  (itself)" if donation.own else ""
    agrees = f"  agrees on {donation.agrees}" if donation.agrees else ""
    return [f"{lead}{donation.kind} of {donation.variable} ({donation.site}): row {donation.row}{own}{agrees}",
            f"{lead}    {donation.text}"]  # fmt: skip
