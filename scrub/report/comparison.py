"""A comparison in words and in a notebook: who is better, how sure that is, and what sets the claims apart."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby
from textwrap import shorten, wrap
from typing import TYPE_CHECKING

from scrub.report.fixed import fixed
from scrub.report.pareto import comparison_svg
from scrub.report.text import options_words, table
from scrub.score.comparison import A_BETTER, B_BETTER, CLAIM
from scrub.score.control import RANDOM_PARTS, SHUFFLED, TIED, WHOLE

if TYPE_CHECKING:
    from scrub.score.comparison import Compared, Comparison, DecidingRow, Difference
    from scrub.score.statistics import Interval

WIDTH, INDENT = 118, "    "
NAME = 40  # letters of a name


def comparison_text(c: Comparison) -> str:
    """The headline, then what it rests on."""
    return "\n".join([headline(c), *details(c)])


def comparison_html(c: Comparison) -> str:
    """The words of the terminal, and the Pareto picture."""
    said = f"<strong>{escape(headline(c))}</strong>{fixed(chr(10).join(details(c)), '0.3em')}"
    return f"<div>{said}{comparison_svg(c)}</div>"


def headline(c: Comparison) -> str:
    """`compose is better than no_key: 0.28 [0.27, 0.29] more is recovered, p = 0.0001`."""
    names = _names(c)
    d, *others = c.differences
    if others:
        won = [(d.a if d.verdict == A_BETTER else d.b) for d in c.differences if d.verdict in (A_BETTER, B_BETTER)]
        best = next((n for n in names if won.count(n) == len(names) - 1), None)
        if best is None:
            return f"{len(names)} claims: none is better than all others"
        return f"{names[best]} is better than the {len(names) - 1} other claims"
    a, b = names[d.a], names[d.b]
    if d.verdict not in (A_BETTER, B_BETTER):
        return f"{a} or {b}, cannot tell: {d.reason}"
    best, other, sign = (a, b, 1) if d.verdict == A_BETTER else (b, a, -1)
    return f"{best} is better than {other}: {_share(d.share, sign)} more is recovered, p = {_p(d.adjusted)}"


def details(c: Comparison) -> list[str]:
    """What stands below the headline, one subject a block."""
    blocks = [
        _claims(c),
        _hosts(c),
        _differences(c),
        _pareto(c),
        _refines(c),
        _structural(c),
        _deciding(c),
        _sample(c),
    ]
    lines = [line for block in map(list, blocks) if block for line in (*block, "")]
    return [f"{INDENT}{line}" if line else "" for line in lines[:-1]]


def _names(c: Comparison) -> dict[str, str]:
    return {name: shorten(label, NAME, placeholder="...") for name, label in c.labels.items()}


def _claims(c: Comparison) -> Iterator[str]:
    rows = [("claim", "recovered", "shuffled", "explained", "bits kept", "variables", "edges", "verdict")]
    for h in c.hypotheses:
        word = "-" if h.verdict is None else f"{h.verdict} ({'foil' if h.foil else f'expects {h.expect:g}'})"
        numbers = f"{h.bits.kept:.1f}", str(h.variables), str(h.edges)
        shares = _share(h.recovered), _shuffled(h), _share(h.explained)
        rows.append((_names(c)[h.hypothesis], *shares, *numbers, word))
    yield from table(rows)
    for h in c.hypotheses:
        if h.verdict is not None and h.reason:
            yield from wrap(f"{_names(c)[h.hypothesis]}: {h.reason}", WIDTH - len(INDENT), subsequent_indent="  ")


def _shuffled(h: Compared) -> str:
    """What the claim's sites recover with the values of other rows."""
    return _control(h, SHUFFLED)


def _control(h: Compared, name: str) -> str:
    """What a control recovers, the least of several runs."""
    found = [control.value for control in h.controls if control.name.split(" ")[0] == name or control.name == name]
    known = [value for value in found if value is not None]
    return f"{min(known):z.2f}" if known else "-"


def _hosts(c: Comparison) -> Iterator[str]:
    """The controls of claims with parts."""
    rows: list[tuple[str, ...]] = [("controls of parts", TIED, RANDOM_PARTS, WHOLE)]
    for h in c.hypotheses:
        if any(control.name == WHOLE for control in h.controls):
            rows.append((_names(c)[h.hypothesis], *(_control(h, name) for name in rows[0][1:])))
    if len(rows) > 1:
        yield from table(rows)


def _differences(c: Comparison) -> Iterator[str]:
    several = len(c.differences) > 1
    rows: list[tuple[str, ...]] = [
        ("recovered more", "difference", "p", *(["p (Holm)"] if several else []), "verdict")
    ]
    for d in c.differences:
        corrected = [_p(d.adjusted)] if several else []
        rows.append((_pair(d, c), _share(d.share), _p(d.p), *corrected, _verdict(d, c)))
    yield from table(rows)
    yield "paired by row; p by flipping signs of rows, two-sided" + ("; p (Holm): for all pairs" if several else "")
    for d in c.differences:
        if d.share.value is None:
            yield from wrap(f"{_pair(d, c)}: {d.reason}", WIDTH - len(INDENT))


def _pair(d: Difference, c: Comparison) -> str:
    return f"{_names(c)[d.a]} - {_names(c)[d.b]}"


def _verdict(d: Difference, c: Comparison) -> str:
    better = {A_BETTER: d.a, B_BETTER: d.b}.get(d.verdict)
    return d.verdict if better is None else f"{_names(c)[better]} better"


def _pareto(c: Comparison) -> Iterator[str]:
    """Few bits and a large share are better; controls stand among the claims."""
    names = _names(c)
    rows = [("share against bits", "bits", "recovered", "")]
    for p in sorted(c.pareto, key=lambda p: (p.bits, -(p.recovered or 0))):
        mark = f"dominated by {names.get(p.dominated_by, p.dominated_by)}" if p.dominated_by else ""
        kind = "" if p.kind == CLAIM else " (control)"
        share = "undefined" if p.recovered is None else f"{p.recovered:z.2f}"
        rows.append((names.get(p.hypothesis, p.hypothesis) + kind, f"{p.bits:.1f}", share, mark))
    yield from table(rows)


def _refines(c: Comparison) -> Iterator[str]:
    names = _names(c)
    found = {(r.finer, r.coarser) for r in c.refines}
    for finer, coarser in sorted(found):
        if (coarser, finer) not in found:
            yield f"{names[finer]} refines {names[coarser]}: its sites and values decide the other's"
        elif finer < coarser:
            yield f"{names[finer]} and {names[coarser]} refine each other: the same sites, values and edges"


def _structural(c: Comparison) -> Iterator[str]:
    names = _names(c)
    for (a, b), facts in groupby(c.structural, key=lambda fact: (fact.a, fact.b)):
        yield f"{names[a]} and {names[b]} differ:"
        for fact in facts:
            yield from wrap(fact.fact, WIDTH - len(INDENT), initial_indent="  ", subsequent_indent="    ")


def _deciding(c: Comparison) -> Iterator[str]:
    names = _names(c)
    for (a, b), rows in groupby(c.deciding, key=lambda row: (row.a, row.b)):
        listed = list(rows)
        yield f"rows that decide between {names[a]} and {names[b]} ({c.metric}, {c.better} is better):"
        head = ("row", "model", names[a], names[b], "favours")
        yield from table([head, *(_numbers(row, names[row.favours]) for row in listed)], "  ")
        for row in listed:
            yield "  " + shorten(f"row {row.row}: {row.text}", WIDTH - len(INDENT) - 2, placeholder=" ...")


def _numbers(row: DecidingRow, favours: str) -> tuple[str, ...]:
    metrics = (f"{value:.3f}" for value in (row.model, row.metric_a, row.metric_b))
    return (str(row.row), *metrics, favours)


def _sample(c: Comparison) -> Iterator[str]:
    draws = "every draw" if c.draws is None else f"{c.draws} draws"
    yield f"{c.rows} rows x {draws}, seed {c.seed}; {c.metric}, {c.better} is better, model {c.model:.3f}"
    for name, words in c.options.items():
        yield f"{name}: {words}"
    for h in c.hypotheses:
        if h.options:
            yield f"options of {_names(c)[h.hypothesis]}: " + options_words(h.options)


def _share(share: Interval, sign: int = 1) -> str:
    """An interval, or that of the opposite."""
    if sign > 0 or share.value is None or share.low is None or share.high is None:
        return str(share)
    return f"{-share.value:z.2f} [{-share.high:z.2f}, {-share.low:z.2f}]"


def _p(p: float) -> str:
    return f"{p:.4f}"
