"""The plan of a test, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrub.model.memory import shown_bytes
from scrub.report.fixed import fixed
from scrub.report.text import short_name, table
from scrub.report.tree import tree_html

if TYPE_CHECKING:
    from scrub.engine.cost import Peak, Plan


def plan_text(plan: Plan) -> str:
    shared = plan.asked - plan.evaluations
    lines = [
        f"{short_name(plan.hypothesis)}  {plan.rows} rows x {plan.draws} draws from a pool of {plan.pool}",
        f"    the claim unrolls to {plan.occurrences} occurrences, {plan.steps} different steps",
        f"    {plan.asked:,} evaluations are asked for; {plan.evaluations:,} are made, {shared:,} are shared",
    ]
    if plan.forwards is not None:
        each = plan.forwards / (plan.rows * plan.draws)
        lines.append(
            f"    cost: {plan.pool} forward passes for the pool, and about {plan.forwards:,.1f} for the draws "
            f"({each:.3f} a row and draw)"
        )
    if plan.streamed is not None:
        lines.append(
            f"    weights: {shown_bytes(plan.streamed.held)} of {shown_bytes(plan.streamed.all)} are held at once "
            "(two layers, and what is outside of them), beside what --memory bounds"
        )
    if plan.layers:
        placed = ", ".join(f"{count} layers on {device}" for device, count in plan.layers.items())
        lines.append(f"    weights: {placed}; rows are kept where their layer lies")
    if plan.peak is not None:
        parts = "rows kept", "a slice of the pool", "a block of draws", "answers scored"
        lines.append(f"    memory: {_memory(plan.peak, parts)}")
    if plan.criteria is not None:
        parts = "means, blocks and ends", "a slice of rows", "circuits that run together", "answers scored"
        told = plan.criteria if isinstance(plan.criteria, str) else _memory(plan.criteria, parts)
        lines.append(f"    memory of criteria: {told}")
    if plan.everywhere:
        lines.append("    streams are recomputed at every position: heads are passed through, or a site is at 'all'")
    alone = {name: count for name, count in plan.alone.items() if count}
    if alone:
        listed = ", ".join(f"{name} {count}" for name, count in alone.items())
        lines.append(f"    rows without a partner that agrees (they can only be replaced by themselves): {listed}")
    return "\n".join([*lines, *_verbs(plan)])


def _memory(peak: Peak, names: tuple[str, ...]) -> str:
    kept, *beside = names
    parts = dict(zip(beside, (peak.pool, peak.block, peak.answers), strict=True))
    largest = max(parts, key=lambda name: parts[name])
    told = ", ".join(f"{name} {shown_bytes(size)}" for name, size in parts.items() if name != largest)
    return (
        f"about {shown_bytes(peak.bytes)} beyond the weights: {kept} {shown_bytes(peak.kept)}, and "
        f"{largest} {shown_bytes(parts[largest])} (at other times {told})"
    )


def _verbs(plan: Plan) -> list[str]:
    """Every pass of every verb, the sum of its passes beside its name."""
    if not plan.verbs:
        return []
    costed = any(verb.forwards is not None for verb in plan.verbs)
    rows = [("verb", "pass", "calls", "forward passes" if costed else "")]
    for verb in plan.verbs:
        total = f"{verb.bound}{verb.forwards:,.0f}" if verb.forwards is not None else ""
        rows.append((verb.name, verb.note, "", total))
        for one in verb.passes:
            sign = f"{one.bound} " if one.bound else ""
            cost = "" if one.forwards is None else f"{sign}{one.forwards:,.0f}"
            rows.append(("", one.name, f"{sign}{one.calls:,}", cost))
    return ["", *table(_right(rows), "    ")]


def _right(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Numbers stand to the right, their signs with them."""
    wide = [max(len(row[column]) for row in rows) for column in (2, 3)]
    return [(row[0], row[1], row[2].rjust(wide[0]), row[3].rjust(wide[1])) for row in rows]


def plan_html(plan: Plan) -> str:
    """The words of the terminal in a fixed-width block; the unrolled tree and the program's steps folded away."""
    steps = f"<details><summary>steps</summary>{fixed(plan.program)}</details>"
    tree = ""
    if plan.tree is not None:
        tree = f"<details><summary>the claim unrolled</summary>{tree_html(plan.tree)}</details>"
    return f"<div>{fixed(plan_text(plan))}{tree}{steps}</div>"
