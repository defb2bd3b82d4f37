"""A proposal in words, in a notebook and as a picture: what to claim, how sure it is, what may be missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from textwrap import shorten, wrap
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from scrub.report import ranked
from scrub.report.fixed import fixed
from scrub.report.heat import INDENT, SHADES, WIDTH, Scale, drawn, html_grid, html_look, html_table
from scrub.report.picture import Caption, picture
from scrub.report.ranked import Cell, Map, clean, is_absolute, name, number, size
from scrub.report.text import short_name
from scrub.report.trust import aligned, several, trust

if TYPE_CHECKING:
    from scrub.proposals.proposal import Proposal, Ranked

NODES, EDGES = 15, 10  # that are listed
FURTHER = 4  # nodes that are named below the list
COMPANIONS = 40  # letters of what companions say
HEADS = 12  # heads up to which queries, keys and values fit beside each other
NUMBERS = ("rank", "score", "signed", "exact")  # columns that stand to the right


@frozen
class Listing:
    """A table under a caption; `cells` are the effects that colour one column of it."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    cells: tuple[Cell, ...] = ()
    coloured: tuple[int, ...] = ()


def proposal_text(p: Proposal) -> str:
    """The headline, heat maps, the strongest nodes and edges, then how far these can be trusted."""
    shown = ranked.components(p)
    blocks: list[list[str]] = [list(_facts(p))]
    blocks += [_map(m, p) for m in [shown] if m] + [_beside(p)]
    blocks += [[m.caption, *drawn(m.grid, m.look), _legend(m)] for m in [ranked.stream(p)] if m]
    blocks += [[*_listing(_nodes(p)), *_further(p)]]
    blocks += [_listing(found) for found in (_edges(p), _sources(p)) if found]
    blocks += trust(p)
    lines = [line for block in blocks if block for line in (*block, "")]
    return "\n".join(map(_fitting, [_headline(p), *(f"{INDENT}{line}" if line else "" for line in lines[:-1])]))


def _fitting(line: str) -> str:
    """Only long names make a line too long."""
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."


def proposal_html(p: Proposal) -> str:
    """The same, with coloured tables: blue where the metric rises and red where it falls; numbers in their titles."""
    maps = [m for m in (ranked.components(p), *_shown_channels(p), ranked.stream(p)) if m]
    parts = [f"<strong>{escape(_headline(p))}</strong><div>{escape('. '.join(_facts(p)))}</div>"]
    for m in maps:
        parts += [_caption(m.caption), html_grid(m.grid, m.look), f"<div>{escape(_colours(m))}</div>"]
    parts += [_html_listing(_nodes(p)), *(f"<div>{escape(line.strip())}</div>" for line in _further(p))]
    parts += [_html_listing(found) for found in (_edges(p), _sources(p)) if found]
    below = "\n\n".join("\n".join(block) for block in trust(p) if block)
    return f"<div>{''.join(parts)}{fixed(below, '0.3em')}</div>"


def proposal_svg(p: Proposal) -> str:
    """The heat map of components as a standalone SVG; the strongest nodes where a model has no layers."""
    m = ranked.components(p) or ranked.strongest(p)
    title = f"Effects of {'components' if m.layers else 'nodes'} on {name(p.metric)}, {p.direction}"
    best = ", ".join(Cell.of(node, is_absolute(p)).words for _, node in ranked.listed(p)[:5])
    words = f"A heat map of {m.caption}: {_shown_values(p)}. The strongest nodes: {best}."
    notes = ["rows are layers, numbered columns their heads"] if m.layers else []
    notes += [_colours(m), f"bold: patched; {_shown_values(p)}", f"{clean(p.method)}, {p.rows} rows, seed {p.seed}"]
    return picture(m.grid, m.look, m.scale, Caption(title, words, notes), m.layers)


def _headline(p: Proposal) -> str:
    what = "proposal" if p.hypothesis is None else f"proposal for {name(short_name(p.hypothesis))}"
    return f"{what}  {name(p.method)}, {p.direction}, {name(p.metric)}: {several(len(p.nodes), 'node')} by effect"


def _facts(p: Proposal) -> Iterator[str]:
    effect = "an effect is metric(base with a node from source) - metric(base)"
    yield f"base {size(p.base)}, source {size(p.source)}; {effect}"
    yield "scores are means of |effect| over rows" if is_absolute(p) else "scores are signed means over rows"
    if not any(node.score or node.exact for node in p.nodes):
        yield "every score is 0: nothing that differs between base and source reaches the metric"


def _shown_values(p: Proposal) -> str:
    known = "exact where patched, else estimates"
    return f"means of |effect|, {known}; signs of the means" if is_absolute(p) else known


def _map(m: Map, p: Proposal) -> list[str]:
    return [f"{m.caption}: {_shown_values(p)}", *drawn(m.grid, m.look), _legend(m)]


def _legend(m: Map) -> str:
    shades = f"shades {SHADES[1:]} up to {size(m.scale.most)}{m.scale.unit}"
    return f"{shades}; + raises the metric, - lowers it{_mixed([m])}"


def _colours(m: Map) -> str:
    return f"blue: + raises the metric, red: - lowers it{_mixed([m])}, up to {size(m.scale.most)}{m.scale.unit}"


def _mixed(maps: Sequence[Map]) -> str:
    return ", ± has no clear sign" if any(m.mixed for m in maps) else ""


def _shown_channels(p: Proposal) -> list[Map]:
    maps = ranked.channels(p)
    return [] if any(len(m.grid.columns) > HEADS for m in maps) else maps


def _beside(p: Proposal) -> list[str]:
    """Queries, keys and values beside each other: a sign and a shade for each head, no numbers."""
    maps = _shown_channels(p)
    if not maps:
        return []
    blocks: list[list[str]] = []
    for m in maps:
        lines = [f" {m.grid.corner}", " ".join(column.rjust(2) for column in m.grid.columns)]
        lines += [" ".join(_mark(m, row, column) for column in m.grid.columns) for row in m.grid.rows]
        wide = max(map(len, lines))
        blocks.append([line.ljust(wide) for line in lines])
    rows = maps[0].grid.rows
    first = max(map(len, rows))
    labels = ["".ljust(first), "".ljust(first), *(row.rjust(first) for row in rows)]
    lines = [" ".join([label, *parts]).rstrip() for label, *parts in zip(labels, *blocks, strict=True)]
    return [f"queries, keys and values: signs and {_legend(maps[0]).split(';')[0]}{_mixed(maps)}", *lines]


def _mark(m: Map, row: str, column: str) -> str:
    cell = m.grid.cells.get((row, column))
    look = None if cell is None else m.look(cell)
    if look is None or look.shade == " ":
        return "  " if look is None else " ·"
    return look.number[0] + look.shade


def _nodes(p: Proposal) -> Listing:
    found = ranked.listed(p)
    shown, absolute = found[:NODES], is_absolute(p)
    places = any(node.position is not None for _, node in shown)
    flags = any(node.disagree for _, node in shown)
    head = ["rank", "node", *(["at"] if places else []), "score", *(["signed"] if absolute else [])]
    head += ["exact", "method", *(["companions disagree"] if flags else [])]
    rows: list[tuple[str, ...]] = []
    for rank, node in shown:
        words, exact = (size if absolute else number), node.exact
        row = [str(rank), name(node.node), *([name(node.position)] if places else []), words(node.score)]
        row += [
            *([number(node.signed)] if absolute else []),
            "-" if exact is None else words(exact),
            name(node.method),
        ]
        flag = f"! {_companions(node, absolute)}" if node.disagree else ""
        rows.append((*row, *([shorten(flag, COMPANIONS, placeholder=" ...")] if flags else [])))
    what = f"the {len(rows)} strongest of {several(len(found), 'node')}"
    caption = f"{what} (rank: by score; exact: patched alone, - where not patched)"
    cells = tuple(Cell.of(node, absolute) for _, node in shown)
    coloured = tuple(head.index("score" if node.exact is None else "exact") for _, node in shown)
    return Listing(caption, tuple(head), tuple(rows), cells, coloured)


def _further(p: Proposal) -> list[str]:
    """Nodes below the list on which companions disagree: those that the ranking may have missed."""
    found = [node for _, node in ranked.listed(p)[NODES:] if node.disagree]
    if not found:
        return []
    found.sort(key=lambda node: -max(map(abs, node.companions.values()), default=0.0))
    some = [f"{name(node.node)} ({_companions(node, is_absolute(p))})" for node in found[:FURTHER]]
    more = f" and {len(found) - FURTHER} more" if len(found) > FURTHER else ""
    line = f"companions disagree on {several(len(found), 'node')} further down: {', '.join(some)}{more}"
    return wrap(line, WIDTH - len(INDENT), initial_indent="  ", subsequent_indent="    ")


def _companions(node: Ranked, absolute: bool) -> str:
    words = size if absolute else number
    return ", ".join(f"{name(other)} {words(score)}" for other, score in node.companions.items())


def _edges(p: Proposal) -> Listing | None:
    if not p.edges:
        return None
    some = sorted(p.edges, key=lambda e: -abs(e.score))[:EDGES]
    absolute = "absolute" in (p.edge_aggregate or "")
    words = size if absolute else number
    rows = tuple((name(e.sender), name(e.receiver), words(e.score)) for e in some)
    what = "means of |estimate|" if absolute else "signed mean estimates"
    how = f"by {name(p.edge_method)}: {what}, none is patched"
    caption = f"the {len(rows)} strongest of {several(len(p.edges), 'edge')}, {how}"
    return Listing(caption, ("sender", "receiver", "score"), rows)


def _sources(p: Proposal) -> Listing | None:
    if not p.sources:
        return None
    some = sorted(p.sources, key=lambda s: -abs(s.share))[:EDGES]
    places = ("elsewhere" if s.position is None else name(s.position) for s in some)
    rows = tuple((str(s.head), place, number(s.share)) for s, place in zip(some, places, strict=True))
    caption = f"what heads write to the answer from a token, the {len(rows)} strongest of {len(p.sources)} (base run)"
    return Listing(caption, ("head", "token at", "score"), rows)


def _listing(found: Listing) -> list[str]:
    return [found.caption, *aligned(found.head, found.rows, NUMBERS)]


def _html_listing(found: Listing) -> str:
    scale = Scale.of(found.cells)
    rows: list[str] = []
    for i, row in enumerate(found.rows):
        cells = [f'<td style="padding:2px 5px">{escape(text)}</td>' for text in row]
        if found.cells:
            at = found.coloured[i]
            cells[at] = html_look(evolve(found.cells[i].look(scale), number=row[at]))
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return _caption(found.caption) + html_table(found.head, rows)


def _caption(text: str) -> str:
    return f'<div style="margin-top:0.6em">{escape(text)}</div>'
