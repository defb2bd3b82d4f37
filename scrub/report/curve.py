"""How much of a component's effect its first directions have: a table, and a line over their number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from scrub.claims.titles import short_name
from scrub.report.notebook import block, wide
from scrub.report.ranked import clean, name, size
from scrub.report.svg import cut, text, ticks
from scrub.report.trust import aligned

if TYPE_CHECKING:
    from scrub.proposals.subspace import RankCurve

BAR, NEXT, WHOLE = 20, 3, 24  # letters of a bar; ranks shown behind the one that is kept; points up to which all are
BLUE, GREY = "#2166ac", "#6e7781"
PLOT, HIGH, LEFT, TOP = 300, 180, 44, 34  # pixels
Curve = Mapping[str, Any]


def curve_text(c: RankCurve) -> str:
    """What is kept by how many directions, and the curve as a table with bars."""
    told = c.to_dict()
    head = f"rank of {told['component']} @ {told['at']} for {name(c.variable)}  {headline(told)}"
    rows = [_row(told, point) for point in listed(told)]
    table = aligned((*columns(told), ""), rows, columns(told))
    lines = [_ends(told), *table, *notes(told)]
    return "\n".join([head, *(f"    {line}".rstrip() for line in lines)])


def headline(c: Curve) -> str:
    return f"{c['rank']} of {c['width']} directions keep it"


def _ends(c: Curve) -> str:
    taken = f"{size(c['whole'])} with all of it taken from rows on which {name(c['variable'])} differs"
    return f"{name(c['metric'])} {size(c['own'])}, {taken}"


def notes(c: Curve) -> Iterator[str]:
    """What the columns are, how directions are ordered, and which rows were seen."""
    yield "recovered: of the mean change; explained: swap by swap, 1 - mean |difference| / mean |change|"
    yield f"kept: from there on every measured rank loses less than {c['worth']:g} of the change"
    yield "directions: what rows differ by, widest first as the metric's gradient reads it"
    if len(places := c.get("places", ())) > 1:
        held = ", ".join(f"{p['rank']} of {p['width']} of {p['component']} @ {p['at']}" for p in places)
        yield f"swapped all together, their directions in one order; kept: {held}"
    used = c["used"]
    measured = f"measured on {used['measured']} others by {used['swaps']} swaps, seed {c['seed']}"
    yield f"ordered on {used['ordered']} rows, {measured}; these rows were seen"


def listed(c: Curve) -> Sequence[Mapping[str, Any]]:
    """The points that are shown: all of a short curve, else those up to the kept one and some of the others."""
    points = c["points"]
    if len(points) <= WHOLE:
        return points
    near = {p["rank"] for p in points if p["rank"] <= c["rank"] + NEXT}
    if len(near) > WHOLE:
        near = {p["rank"] for p in points if abs(p["rank"] - c["rank"]) <= NEXT or p["rank"] < NEXT}
    powers = {2**i for i in range(20)} | {points[-1]["rank"]}
    return [p for p in points if p["rank"] in near | powers]


def columns(c: Curve) -> tuple[str, ...]:
    """The columns of its table: of several components, how many directions are of each."""
    several = [f"{p['component']} @ {p['at']}" for p in c.get("places", ())]
    return ("rank", *(several if len(several) > 1 else ()), "recovered", "explained")


def cells(c: Curve, point: Mapping[str, Any], share: Callable[[float], str]) -> tuple[str, ...]:
    """A point in these columns."""
    several = map(str, point["ranks"] if len(c.get("places", ())) > 1 else ())
    return str(point["rank"]), *several, share(point["recovered"]), share(point["explained"])


def _row(c: Curve, point: Mapping[str, Any]) -> tuple[str, ...]:
    bar = "█" * round(BAR * min(max(point["recovered"], 0.0), 1.0))
    kept = " kept" if point["rank"] == c["rank"] else ""
    return *cells(c, point, "{:z.3f}".format), f"{bar}{kept}"


def curve_html(c: RankCurve) -> str:
    return block(curve_text(c)) + wide(curve_svg(c.to_dict()))


def curve_svg(c: Curve) -> str:
    """Both shares over the rank, the kept one marked: one SVG without scripts or links."""
    most = max(1, int(c["width"]))
    high = max(1.0, *(p[which] for p in c["points"] for which in ("recovered", "explained")))
    low = min(0.0, *(p[which] for p in c["points"] for which in ("recovered", "explained")))

    def at(rank: float, share: float) -> tuple[float, float]:
        return LEFT + PLOT * rank / most, TOP + HIGH * (high - share) / (high - low)

    def line(which: str, colour: str) -> str:
        told = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(p["rank"], p[which]) for p in c["points"]))
        return f'<polyline points="{told}" fill="none" stroke="{colour}" stroke-width="1.5"/>'

    x, y = at(c["rank"], next(p["recovered"] for p in c["points"] if p["rank"] == c["rank"]))
    named = cut(clean(f"{c['component']} @ {c['at']} for {c['variable']}"), 44)
    title = f"{named}: {headline(c)}"
    small = f' font-size="11" fill="{GREY}"'
    parts = [
        f"<title>{escape(title)}</title>",
        text(LEFT, 14, named, "start", ' font-size="12"'), text(LEFT, 28, headline(c), "start", small),
        f'<rect x="{LEFT}" y="{TOP}" width="{PLOT}" height="{HIGH}" fill="none" stroke="#ccc"/>',
        *(text(LEFT - 5, at(0, share)[1] + 4, word, "end", small) for share, word in ticks(low, high, 5)),
        *(text(at(rank, 0)[0], TOP + HIGH + 14, word, "middle", small) for rank, word in ticks(0, most, 6)),
        line("explained", GREY), line("recovered", BLUE),
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{TOP + HIGH}" stroke="{BLUE}" stroke-dasharray="3 3"/>',
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{BLUE}"><title>{escape(headline(c))}</title></circle>',
        text(LEFT, TOP + HIGH + 30, "directions; blue: recovered, grey: explained, swap by swap", "start", small),
    ]  # fmt: skip
    size_of = f'width="{LEFT + PLOT + 20}" height="{TOP + HIGH + 40}"'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" {size_of} role="img" font-family="sans-serif">'
    return f"{opening}{''.join(parts)}</svg>"


def titled(c: Curve) -> str:
    """`Rank of 1.2.q @ END for gathered in names`."""
    return f"Rank of {c['component']} @ {c['at']} for {c['variable']} in {short_name(c['hypothesis'])}"
