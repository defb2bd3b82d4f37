"""Evidence views as charts, maps of numbers under a title: terminal, notebook, page and table are made of these.

Charts are made of a result's JSON form, so that what was stored is shown as what was just found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from scrub.anatomy import table
from scrub.anatomy.names import Component
from scrub.report.additive import Step
from scrub.report.heat import SHADES, Grid, Look, Scale, cell_of, colours, in_layers

Found = Mapping[str, Any]
PLACES = {None: "elsewhere", "0": "first token"}  # how positions are called that have no name
TOKENS, LEAST = 40, 0.02  # columns of tokens, at most, and the weight that a token without a name must have
GIVEN = "-"  # the row of embeddings, below all layers
COPIED = ("copied", "first", "suppressed", "chance")
NOTHING = 0.005  # of a change: none is told


@frozen
class Shade:
    """One number of a chart; `words` stand in its place, `bold` cells are what the claim speaks of."""

    effect: float
    words: str = ""
    title: str = ""
    bold: bool = False


@frozen(eq=False)
class Chart:
    """A map of numbers. `signed` ones are blue above and red below 0, others are shares of 1; some `add` up."""

    view: str
    title: str
    note: str
    grid: Grid[Shade]
    signed: bool = False
    upward: bool = False
    adds: bool = False

    @property
    def scale(self) -> Scale:
        return Scale.of(list(self.grid.cells.values())) if self.signed else Scale(1.0, 0, 2)

    @property
    def steps(self) -> list[Step]:
        """The numbers of a map that add up, one a row."""
        return [Step(row, cell.effect, cell.bold) for (row, _), cell in self.grid.cells.items()]

    def look(self, cell: Shade) -> Look:
        found = self.scale.look(cell.effect, cell.title, bold=cell.bold)
        if self.signed:
            return Look(cell.words or found.number, found.shade, found.back, found.ink, cell.title, cell.bold)
        share = min(max(cell.effect, 0.0), 1.0)
        shade, (back, ink) = SHADES[round(share * (len(SHADES) - 1))], colours(share)
        return Look(cell.words or f"{cell.effect:.2f}", shade, back, ink, cell.title, cell.bold)


@frozen
class Lines:
    """A table of words under a title."""

    view: str
    title: str
    note: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Shown = Chart | Lines


def charts(found: Found) -> list[Shown]:
    """All that is shown of a result in its JSON form, view by view."""
    made = [one for name, view in found["views"].items() for one in MAKERS[name](view, found)]
    return [one for one in made if (one.rows if isinstance(one, Lines) else one.grid.cells)]


def grid(corner: str, cells: Iterable[tuple[str, str, Shade]]) -> Grid[Shade]:
    """A grid of cells with their rows and columns, in the order in which they come."""
    known = {(row, column): cell for row, column, cell in cells}
    rows, columns = (tuple(dict.fromkeys(key[i] for key in known)) for i in (0, 1))
    return Grid(corner, rows, columns, known)


def _attention(view: Found, found: Found) -> Iterator[Shown]:
    heads = view["heads"]
    cells = [
        (_head(h), at(look), Shade(look["share"], title=f"{_head(h)} looks at {at(look)}: {look['share']:.3f}",
         bold=look["at"] in h["reads"]))
        for h in heads for look in h["looks"]
    ]  # fmt: skip
    yield Chart(
        "attention", "attention by named position",
        "Mean share of a head's attention from its position; bold: where the claim says that it reads (k or v).",
        grid("head", cells),
    )  # fmt: skip
    rows = [
        (_head(h), " ".join(h["reads"]) or "-", "-" if h["share"] is None else f"{h['share']:.2f}",
         f"{PLACES.get(h['most'], h['most'])} on {h['most_rows']:.0%} of the rows")
        for h in heads
    ]  # fmt: skip
    head = ("head", "the claim reads", "share there", "its largest weight is at")
    yield Lines("attention", "where a claimed edge reads, and where the head really looks", "", head, tuple(rows))
    for i, row in enumerate(found["shown"]):
        yield _of_row(heads, row, i)


def _of_row(heads: Sequence[Found], row: Found, number: int) -> Chart:
    named: dict[int, list[str]] = {}
    for name, index in row["names"].items():
        named.setdefault(index, []).append(name)
    most = [max(h["rows"][number][i] for h in heads) for i in range(len(row["tokens"]))]
    kept = sorted(sorted(range(len(most)), key=lambda i: (i not in named, -most[i]))[:TOKENS])
    kept = [i for i in kept if i in named or most[i] >= LEAST]
    columns = {i: f"{row['tokens'][i]}[{','.join(named[i])}]" if i in named else row["tokens"][i] for i in kept}
    labels = {i: text if list(columns.values()).count(text) == 1 else f"{text}·{i}" for i, text in columns.items()}
    cells = [
        (_head(h), labels[i], Shade(h["rows"][number][i], title=f"{_head(h)} to {labels[i]} ({i})",
         bold=bool({*named.get(i, ())} & {*h["reads"]})))
        for h in heads for i in kept
    ]  # fmt: skip
    text = " ".join(row["tokens"])
    note = f"{text if len(text) < 110 else text[:106] + ' ...'}"
    return Chart("attention", f"row {row['row']}, token by token", note, grid("head", cells))


def at(look: Found) -> str:
    """A position in words."""
    return PLACES.get(look["at"], str(look["at"]))


def _head(h: Found) -> str:
    return f"{h['head']} @ {h['at']} ({h['variable']})"


def _lens(view: Found, found: Found) -> Iterator[Shown]:
    layers, last = view["layers"], max(one["layer"] for one in view["layers"])
    if view["column"] is not None:
        cells = [
            (_layer(one["layer"], last), one["at"], Shade(one["answer"], title=f"mean rank {one['rank']:.1f}"))
            for one in layers
        ]
        note = f"Mean probability of {view['column']} when the stream is unembedded there; nothing is trained."
        yield Chart("lens", "logit lens: the answer", note, grid("stream", cells), upward=True)
    cells = [
        (_layer(one["layer"], last), f"{one['variable']} @ {one['at']}", Shade(one["share"], title=_beside(one)))
        for one in view["decoded"]
    ]
    chances = {f"{one['variable']} @ {one['at']}": one["chance"] for one in view["decoded"]}
    told = ", ".join(f"{name} {chance:.2f}" for name, chance in chances.items())
    note = f"Share of rows on which the variable's own value is the likeliest of its values. By chance: {told}."
    yield Chart("lens", "logit lens: which value", note, grid("stream", cells), upward=True)
    for i, row in enumerate(found["shown"]):
        rows = {_layer(one["layer"], last): [] for one in layers}
        for one in layers:
            rows[_layer(one["layer"], last)].append(one["tokens"][i])
        places = tuple(dict.fromkeys(one["at"] for one in layers))
        body = tuple((layer, *tokens) for layer, tokens in rows.items())
        yield Lines("lens", f"row {row['row']}: the likeliest token", "", ("stream", *places), body)


def _beside(one: Found) -> str:
    return f"{one['share']:.3f}, by chance {one['chance']:.3f}"


def _layer(layer: int, last: int) -> str:
    return "final" if layer == last else f"resid {layer}"


def _written(view: Found, found: Found) -> Iterator[Shown]:
    rows = [
        (f"{one['component']} @ {one['at']} ({one['variable']})", _tokens(one["up"]), _tokens(one["down"]),
         " ".join(token["token"] if abs(token["change"]) > NOTHING else "-" for token in one["rows"]))
        for one in view["components"]
    ]  # fmt: skip
    numbers = " ".join(str(row["row"]) for row in found["shown"])
    head = ("component", "makes likelier", "makes less likely", f"likeliest on rows {numbers}" if numbers else "")
    note = "Direct change of logits at its own position, less that of the whole vocabulary: means over rows."
    yield Lines("written", "strongest tokens", note, head, tuple(rows))


def _tokens(some: Sequence[Found]) -> str:
    return ", ".join(f"{t['token']} {t['change']:+.2f}" for t in some if abs(t["change"]) > NOTHING) or "nothing"


def _matching(view: Found, found: Found) -> Iterator[Shown]:
    copying = [
        (f"{c['head']} @ {c['at']}", c["variable"], *(f"{c[name]:.2f}" for name in COPIED)) for c in view["copying"]
    ]
    head = ("head", "reads through v", "in the top 5", "first", "in the last 5", "by chance")
    note = "Share of rows on which the head, given its token alone along the claim's edges, writes that token."
    yield Lines("matching", "copying score (OV)", note, head, tuple(copying))
    matching = [
        (f"{m['head']} @ {m['at']}", " ".join(m["query"]), m["key"], f"{m['matched']:.2f}", f"{m['chance']:.2f}")
        for m in view["matching"]
    ]
    note = "Share of rows whose own key scores highest with their query, among the keys of all rows."
    head = ("head", "reads through q", "reads through k", "matched", "by chance")
    yield Lines("matching", "matching score (QK)", note, head, tuple(matching))


def _direct(view: Found, found: Found) -> Iterator[Shown]:
    total = f"They sum to {view['of']}, {view['logit']:+.3f}."
    named = [(m, m["name"] if m["claimed"] else f"({m['name']})") for m in view["mechanisms"]]
    cells = [(name, "adds", Shade(m["value"], title=name, bold=m["claimed"])) for m, name in named]
    note = f"What each adds directly; in brackets: what the claim does not place at the answer. {total}"
    yield Chart("direct", "mechanisms that add up", note, grid("mechanism", cells), signed=True, adds=True)
    cells = [
        (*_place(c["component"]), Shade(c["value"], title=f"{c['component']}: {c['value']:+.4g}",
         bold=bool(c["variables"])))
        for c in view["contributions"] if c["component"] is not None
    ]  # fmt: skip
    order = {column: i for i, column in enumerate(sorted({c for _, c, _ in cells}, key=_numbers_first))}
    cells.sort(key=lambda cell: order[cell[1]])
    made = grid("layer", cells)
    rows = tuple(sorted(made.rows, key=_numbers_first))
    biases = ", ".join(f"{c['bias']} {c['value']:+.3g}" for c in view["contributions"] if c["bias"])
    note = f"Direct logit attribution, the final norm's scale held; bold: claimed. Besides: {biases}. {total}"
    yield Chart(
        "direct", "what each component adds", note, Grid(made.corner, rows, made.columns, made.cells), True, True
    )
    cells = [
        (f"{h['head']} ({h['variable']})", at(s), Shade(s["share"], title=f"{h['head']} from {at(s)}"))
        for h in view["sources"] for s in h["sources"]
    ]  # fmt: skip
    note = "What a claimed head at the answer's position adds, by the token that it takes it from."
    yield Chart("direct", "by source token", note, grid("head", cells), signed=True)


def _place(name: str) -> tuple[str, str]:
    """Layer and column of a stored component; embeddings stand below the layers."""
    known = table.read(name)
    if known is None:  # of a file that is not ours
        raise ValueError(f"{name!r} is no component")
    component = Component(*known)
    return cell_of(component) if in_layers(component) else (GIVEN, name)


def _numbers_first(text: str) -> tuple[bool, int, str]:
    return text != GIVEN and not text.isdigit(), int(text) if text.isdigit() else -1, text


def _probes(view: Found, found: Found) -> Iterator[Shown]:
    last = max(one["layer"] for one in view["probed"])
    for variable in view["variables"]:
        own = [one for one in view["probed"] if one["variable"] == variable["variable"]]
        also = f" (and {', '.join(variable['also'])})" if variable["also"] else ""
        cells = [
            (_layer(one["layer"], last), one["at"],
             Shade(one["accuracy"], title=f"{one['accuracy']:.3f}, of shuffled values {one['shuffled']:.3f}"))
            for one in own
        ]  # fmt: skip
        others = [one["shuffled"] for one in own]
        note = (
            f"Accuracy of a linear probe on {view['held_out']} rows that were held out; the commonest value "
            f"{variable['chance']:.2f}, shuffled ones {sum(others) / len(others):.2f} (at most {max(others):.2f})."
        )
        title = f"where {variable['variable']}{also} can be read: {variable['values']} values"
        yield Chart("probes", title, note, grid("stream", cells), upward=True)
    if view["left_out"]:
        yield Lines("probes", "not probed", "", ("why",), tuple((text,) for text in view["left_out"]))


def _otherwise(view: Found, found: Found) -> Iterator[Shown]:
    note = (
        f"After {view['at']}, over {view['draws']} draws a row: another best token in {view['changed']:.1%} of them."
    )
    rows = tuple((one["model"], one["scrubbed"], f"{one['share']:.1%}") for one in view["instead"])
    title = "another best token"
    if not rows:
        yield Lines("otherwise", title, "", ("best token",), (("the model's own in every row and every draw",),))
    yield Lines("otherwise", title, note, ("model", "scrubbed", "share"), rows)
    cells = [
        (f"row {one['row']}: {one['best']} -> {one['instead']}", column, Shade(one[name], title=one["text"]))
        for one in view["rows"]
        for column, name in (("model", "probability"), ("scrubbed", "scrubbed"), ("changed in", "changed"))
    ]  # fmt: skip
    note = "Probability of the model's own best token, and in which share of draws another one is the best."
    yield Chart("otherwise", "rows that change most", note, grid("answer", cells))
    texts = tuple((str(one["row"]), one["text"], f"{one['best']} -> {one['instead']}") for one in view["rows"])
    yield Lines("otherwise", "their tokens", "", ("row", "tokens, and what follows", "model -> scrubbed"), texts)


MAKERS: dict[str, Callable[[Found, Found], Iterable[Shown]]] = {
    "attention": _attention, "lens": _lens, "written": _written, "matching": _matching, "direct": _direct,
    "probes": _probes, "otherwise": _otherwise,
}  # fmt: skip
