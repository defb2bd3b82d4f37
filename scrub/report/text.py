"""Results in words: what stands in the terminal and in `str(result)`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from scrub.claims.problems import Problem, gathered
from scrub.claims.titles import short_name
from scrub.report.since import since_lines
from scrub.report.swaps import HEAD, LEGEND, swap_row
from scrub.score.bars import bar_words
from scrub.score.control import (
    APART,
    PERMUTED_FIT,
    RANDOM,
    RANDOM_PARTS,
    SHUFFLED,
    TIED,
    UNTRAINED,
    UNTRAINED_FIT,
    WHOLE,
)
from scrub.score.design import SAMPLE, WORDS

if TYPE_CHECKING:
    from scrub.claims.check import Checked
    from scrub.score.diagnostics import Swaps
    from scrub.score.result import Result

MARKS = {True: "✓", False: "✗"}
WORST = 2  # rows that are told
WIDTH = 112  # letters of a sentence below a table


def result_text(result: Result) -> str:
    """One result: the verdict first, then what it rests on."""
    return "\n".join([headline(result), *details(result)])


def headline(result: Result) -> str:
    """`✓ induction  supported  recovered 0.97 [0.97, 0.98], bar 0.90`."""
    kind = "  (foil)" if result.foil else ""
    share = f"recovered {result.recovered}" if result.recovered.value is not None else "recovered undefined"
    mark = MARKS[result.passed]
    return f"{mark} {short_name(result.hypothesis)}{kind}  {result.verdict}  {share}, bar {result.bar:.2f}"


def details(result: Result, legend: bool = True) -> list[str]:
    """What a verdict rests on, one subject a line; `legend` explains the table of swaps."""
    lines = [f"foil: {result.foil}"] if result.foil else []
    lines += [result.reason, *table(_facts(result))]
    if result.swaps:
        lines += ["", *swap_lines(result.swaps, result.options.get("rest", "resample"), legend)]
    lines += earned_lines(result) if result.earned else []
    lines += skill_lines(result) if result.skills or result.matrix else []
    lines += stability_lines(result) if result.stability else []
    lines += [f"warning: {text}" for text in result.warnings]
    lines += [*_because(result), *_left_out(result), *_worst(result)]
    lines += since_lines(result.since) if result.since else []
    return [f"    {line}" if line else "" for line in lines]


def _facts(result: Result) -> Iterator[tuple[str, str]]:
    m, u = result.metric, result.unexplained
    yield m.name, f"model {m.model:.3f}, scrubbed {m.scrubbed:.3f}, random {m.random:.3f}; {m.better} is better"
    if result.ceiling is not None:
        yield "ceiling", str(result.ceiling)
    if result.constant is not None:
        yield "constant", f"the best answer that ignores its input recovers {result.constant:z.2f}"
    if result.passes_up_to is not None and not result.foil:
        yield "bar", bar_words(result.passes_up_to, result.expect)
    for control in result.controls:
        if control.name == SHUFFLED:
            yield "shuffled", f"the same sites with the values of other rows recover {control}"
        elif control.name == APART:
            yield "apart", f"with unclaimed inputs from different rows the claim recovers {control}"
        elif control.name == RANDOM:
            yield "elsewhere", f"the same claim on other heads of its layers recovers {control}"
        elif control.name.startswith(TIED):
            site = control.name.removeprefix(f"{TIED} ")
            yield TIED, f"with the rest of the host on the donor's row too, {site}: {control}"
        elif control.name == RANDOM_PARTS:
            yield RANDOM_PARTS, f"other parts of the same size of these hosts recover {control}"
        elif control.name == WHOLE:
            yield WHOLE, f"the same claim with whole hosts recovers {control}"
        elif control.name == PERMUTED_FIT:
            yield "permuted", f"directions that the same fit finds for permuted values recover {control}"
        elif control.name == UNTRAINED_FIT:
            kept = "" if control.explained is None else f", explained {control.explained:z.2f}"
            yield "refitted", f"fitted and tested on models that learnt nothing, the claim recovers {control}{kept}"
        elif control.name == UNTRAINED:
            kept = "" if control.explained is None else f", explained {control.explained:z.2f}"
            yield "untrained", f"the same claim on models that learnt nothing recovers {control}{kept}"
    if result.adversary is not None:
        without = ", ".join(result.adversary.left_out) or "none"
        yield "adversary", f"the worst swaps found recover {result.adversary.share}; left out: {without}"
    explained = "" if u.explained is None else f", explained {u.explained:z.2f}"
    yield "unexplained", f"AUE {u.aue:.3f} of ATE {u.ate:.3f}{explained} (row by row, errors cannot cancel)"
    yield "bits", f"the claim keeps {result.bits.kept:.1f} of the {result.bits.everything:.1f} that tell rows apart"
    right = "" if result.accuracy is None else f"; by itself right on {result.accuracy:.1%} of the scored rows"
    yield "story", f"{result.story}{right}"
    yield from (("holds", f"the value is held on a share of rows: {part}") for part in result.holds)
    yield from (("interchange", f"the model answers as the story does: {part}") for part in result.interchange)
    draws = "every draw" if result.draws is None else f"{result.draws} draws"
    sample = f"{result.rows} rows x {draws}, seed {result.seed}"
    yield "sample", sample + (WORDS[result.design] if result.recovered.low is not None else "")
    if result.design == SAMPLE and result.population.low is not None and result.population.high is not None:
        ends = f"[{result.population.low:z.2f}, {result.population.high:z.2f}]"
        yield "population", f"{ends} for rows and donors that are others of their kind"
    if result.seen.rows:
        yield "left out", str(result.seen)
    if result.options:
        yield "options", options_words(result.options)
    if checked := result.provenance.get("model", {}).get("checked"):
        yield "model", checked
    if result.routes is not None:
        yield "experts", str(result.routes)
    yield from (("dictionary", str(one)) for one in result.dictionaries)
    if result.better_than_model:
        yield "note", "scrubbed does better than the model: swaps took away errors of the model"
    if result.own_rest:
        yield "note", f"{result.own_rest:g} calls found no rest row and read their own row (empty='self')"


def options_words(options: Mapping[str, Any]) -> str:
    """`within='length', through=('mlps',)`"""
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def _because(result: Result) -> list[str]:
    if not result.explanation:
        return []
    return ["", "what breaks it (scrub explain shows all):", *(f"  {text}" for text in result.explanation)]


def _left_out(result: Result) -> list[str]:
    if not result.left_out:
        return []
    from scrub.report.left_out import left_out_heading, left_out_lines  # not where claims are listed

    found = [one.to_dict() for one in result.left_out]
    return ["", left_out_heading(found), *(f"  {text}" for text in left_out_lines(found))]


def _worst(result: Result) -> list[str]:
    """The two rows that change most, where a verdict is not what a claim hopes for."""
    if result.verdict not in ("refuted", "inconclusive") or not result.worst:
        return []
    lines = [f"  row {w.row}: model {w.model:.3f}, scrubbed {w.scrubbed:.3f}: {w.text}" for w in result.worst[:WORST]]
    return ["", "rows that change most:", *(_short(line) for line in lines)]


def _short(line: str, room: int = 114) -> str:
    """A line that fits, with its spaces as they are."""
    return line if len(line) <= room else f"{line[: room - 4]} ..."


def swap_lines(swaps: Sequence[Swaps], rest: str, legend: bool = True) -> list[str]:
    """A line for each variable: what its swaps tested, and how large its classes are; below, what that means."""
    lines = table([HEAD, *(swap_row(s.to_dict(), rest) for s in swaps)])
    return lines + [f"  {text}" for sentence in LEGEND if legend for text in wrap(sentence, WIDTH)]


def earned_lines(result: Result) -> list[str]:
    """How many parts earn their place, which do not, and what the claim could do without."""
    from scrub.report.earned import EARNED_HEAD, earned_words, not_earned, remarks  # not where claims are listed

    rows, more = not_earned(result.earned)
    lines = ["", earned_words(result.earned), *(table([EARNED_HEAD, *rows], "  ") if rows else [])]
    return [*lines, *([f"  and {more} more"] if more else []), *(f"  {text}" for text in remarks(result.to_dict()))]


def skill_lines(result: Result) -> list[str]:
    """The scores on the rows of each skill, one line each, and their circuits."""
    from scrub.report.skills import SKILLS_HEAD, skill_row  # not where claims are listed

    lines = ["", *table([SKILLS_HEAD, *(skill_row(skill.to_dict()) for skill in result.skills)], "  ")]
    return lines + (["", *str(result.matrix).splitlines()] if result.matrix else [])


def stability_lines(result: Result) -> list[str]:
    """The claim asked in other ways, one line each, and what its verdict depends on."""
    from scrub.report.stability import STABILITY_HEAD, dependence, stability_row  # not where claims are listed

    stored = [line.to_dict() for line in result.stability]
    rows = [stability_row(line) for line in stored]
    return ["", *table([STABILITY_HEAD, *rows], "  "), *(f"  {text}" for text in dependence(stored))]


_NUMBER = re.compile(r"[-+]?[\d,.]*%?")


def table(rows: Iterable[Sequence[str]], indent: str = "") -> list[str]:
    """Aligned columns; a column of numbers (below its head) stands to the right."""
    listed = [tuple(row) for row in rows]
    columns = list(zip(*listed, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [len(column) > 1 and all(map(_NUMBER.fullmatch, column[1:])) for column in columns]

    def line(row: Sequence[str]) -> str:
        cells = zip(row, widths, right, strict=True)
        return "  ".join(cell.rjust(width) if r else cell.ljust(width) for cell, width, r in cells)

    return [(indent + line(row)).rstrip() for row in listed]


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


def checks_text(checks: Sequence[Checked], broken: Sequence[Problem | str]) -> str:
    """Everything that `scrub check` found, problems first and each once, and a line of summary."""
    files = [p if isinstance(p, Problem) else Problem(p) for p in broken]
    problems = gathered([*files, *(problem for check in checks for problem in check.problems)])
    lines = [str(problem) for problem in problems]
    for check in checks:
        mark, foil = MARKS[not check.problems], "  (foil)" if check.hypothesis.foil_reason else ""
        right = "" if check.accuracy is None else f"  the story is right on {check.accuracy:.1%} of the scored rows"
        if check.warnings or not check.problems:
            lines.append(f"{mark} {check.hypothesis.title}{foil}{right}")
        lines += [f"    warning: {text}" for text in check.warnings]
    return "\n".join([*lines, _checked(checks, problems)])


def _checked(checks: Sequence[Checked], problems: Sequence[Problem]) -> str:
    if not problems:
        return f"{_several(len(checks), 'claim')}, no problems."
    bad = sum(bool(check.problems) for check in checks)
    broken = len({problem.file or problem.found for problem in problems if not problem.hypothesis})
    where = [f"{bad} of {_several(len(checks), 'claim')}"] * bool(checks) + [_several(broken, "file")] * bool(broken)
    return f"{_several(len(problems), 'problem')} in {' and '.join(where)}. Nothing was run."


def _several(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
