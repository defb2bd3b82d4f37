"""How far a proposal can be trusted, in words: agreement, cost, what may be missed, what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from scrub.anatomy.tolerances import LIVE
from scrub.proposals.bound import ASSUMPTION
from scrub.report.heat import INDENT, WIDTH
from scrub.report.ranked import clean, is_absolute, name, size
from scrub.report.text import options_words, table

if TYPE_CHECKING:
    from scrub.proposals.agreement import Agreement
    from scrub.proposals.proposal import Proposal

COSTS = (1, 5, 10)  # of the largest effects
NAMED = 24  # nodes in a sentence
ROOM = WIDTH - len(INDENT)


def trust(p: Proposal) -> list[list[str]]:
    """Blocks of lines, none longer than a terminal; an empty block where there is nothing to say."""
    blocks = [_left_out(p), _agreement(p), _cost(p), _bound(p), _cautions(p), _sample(p)]
    return [list(block) for block in blocks]


def several(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> list[str]:
    """A table, indented, whose columns of numbers stand to the right also where one is lacking."""
    columns = [list(column) for column in zip(head, *rows, strict=True)]
    for column in columns:
        wide = max(map(len, column)) if column[0] in right else 0
        column[:] = [text.rjust(wide) for text in column]
    return table(zip(*columns, strict=True), "  ")


def _left_out(p: Proposal) -> Iterator[str]:
    if p.hypothesis is None:
        return
    if not p.left_out:
        yield "left out by the claim: nothing strong is left out"
        return
    some, more = [name(node) for node in p.left_out[:NAMED]], len(p.left_out) - NAMED
    rest = f" and {more} more" if more > 0 else ""
    yield from _said(f"left out by the claim: {', '.join(part.replace(' ', chr(0)) for part in some)}{rest}")


def _agreement(p: Proposal) -> Iterator[str]:
    if p.agreement is None:
        patched = all(node.exact is not None for node in p.nodes)
        yield (
            "every node was patched: nothing is estimated"
            if patched
            else "no node was patched to verify an estimate: how far the estimates agree with effects is not known"
        )
        return
    yield f"agreement of estimates with exact effects, over the patched nodes (live: above {LIVE:g} of the largest)"
    signs = not is_absolute(p)  # sizes always agree in sign
    head = ("kind", "patched", "live", "pearson", "spearman", *(["same sign"] if signs else []), "slope", "missed")
    kinds = dict(p.by_kind) if len(p.by_kind) > 1 else {}
    rows = [_row(kind, found, signs) for kind, found in ({"all": p.agreement} | kinds).items()]
    yield from aligned(head, rows, head[1:])
    yield from _said(
        "  slope: of estimates on effects, below 1 where estimates are too small; missed: above a tenth of the "
        "largest effect, estimated below a hundredth of the largest estimate (false negatives)"
    )


def _row(kind: str, a: Agreement, signs: bool) -> tuple[str, ...]:
    shares = [_share(a.sign, ".0%")] if signs else []
    slope = "-" if a.slope is None else size(a.slope)
    close = _share(a.pearson), _share(a.spearman), *shares, slope
    return kind, str(a.nodes), str(a.live), *close, str(a.false_negatives)


def _share(value: float | None, form: str = "z.3f") -> str:
    return "-" if value is None else format(value, form)


def _cost(p: Proposal) -> Iterator[str]:
    """What finding the largest cost; nothing where nothing was patched to verify."""
    if p.agreement is None:
        return
    patched = p.agreement.nodes
    words = [(k, n) for k, n in p.recall if k in COSTS or k == p.recall[-1][0]]
    for k, n in words:
        what = "the largest patched effect was" if k == 1 else f"the {k} largest patched effects were"
        yield f"{what} found with {several(n, 'patch').replace('patchs', 'patches')}"
    if not words:
        yield "no patched node has an effect"
    if p.overhead is not None:
        yield f"{size(p.overhead)} times the patches of a perfect order (weighted mean)"
    if all(node.exact is not None for node in p.nodes):
        yield f"every node is patched ({patched} to verify an estimate): the top stands"
    elif p.stands:
        yield f"the top stands: after {patched} patches, the last of them changed nothing in it"
    else:
        yield f"the top may yet change: the budget of {patched} patches ended before it stood (verify=)"


def _bound(p: Proposal) -> Iterator[str]:
    b, kinds = p.bounded, ", ".join(p.bounded_kinds)
    if not b.nodes:
        yield f"no node{f' among {kinds}' if kinds else ''} is left unpatched: there is nothing to bound"
        return
    about = f"({several(b.nodes, 'node')}, {several(b.draws, 'draw')})"
    if not b.bounds:
        yield f"unpatched nodes {about}: not bounded, for nothing was drawn (draws=)"
        return
    yield from _said(f"what may be missed among unpatched nodes of the kinds {kinds} {about}:")
    for found in b.bounds:
        level = f"  with {f'{100 * found.level:g}':>4} % confidence"
        if found.value is None:
            yield f"{level} not bounded: too few draws"
        else:
            yield f"{level} no unpatched node among them has a mean effect above {size(found.value)}"
    yield from _said(f"  {ASSUMPTION}")


def _cautions(p: Proposal) -> Iterator[str]:
    for caution in p.cautions:
        yield from _said(f"caution: {clean(caution)}")


def _sample(p: Proposal) -> Iterator[str]:
    facts: list[tuple[str, str]] = []
    if p.rules:
        facts.append(("rules", ", ".join(f"{rule} {state}" for rule, state in p.rules.items())))
    facts.append(
        ("passes", ", ".join(f"{size(count)} {what}" for what, count in p.passes.items()) + " over all rows")
    )
    facts.append(("sample", f"{several(p.rows, 'row')}, seed {p.seed}"))
    if p.options:
        facts.append(("options", options_words(p.options)))
    wide = max(len(word) for word, _ in facts) + 2
    for word, words in facts:
        yield from wrap(clean(words), ROOM, initial_indent=word.ljust(wide), subsequent_indent=" " * wide)
    rows = "this row was" if p.rows == 1 else f"these {p.rows} rows were"
    yield f"{rows} seen: a claim is to be tested on others"


def _said(sentence: str) -> Iterator[str]:
    """Lines of a sentence; names with \\0 for their spaces are not broken."""
    inner = len(sentence) - len(sentence.lstrip())
    lines = wrap(sentence.strip(), ROOM, initial_indent=" " * inner, subsequent_indent=" " * (inner + 2))
    yield from (line.replace("\0", " ") for line in lines)
