"""Sweeps as heat maps, in words and in a notebook, and the run of one circuit in words."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from html import escape
from textwrap import shorten
from typing import TYPE_CHECKING

from attrs import frozen

from scrub.report.text import table
from scrub.score.statistics import FEW_ROWS, LEVEL, Interval

if TYPE_CHECKING:
    from scrub.circuit.runs import CircuitRun
    from scrub.circuit.sweep import Effect, Sweep

WIDTH, INDENT = 118, "    "
LARGEST = 10  # effects that are listed
SHADES = " ░▒▓█"
RISE, FALL = (33, 102, 172), (178, 24, 43)  # blue and red: told apart by most who do not see colours alike
_LAYERED = re.compile(r"(?P<layer>\d+)\.(?P<head>\d+)|(?P<kind>attn|mlp) (?P<of>\d+)")


@frozen
class Grid:
    """Effects by row and column; `cells` lacks what was not swept. `corner` says what rows and columns are."""

    corner: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: dict[tuple[str, str], Effect]


@frozen
class Scale:
    """How effects are written: all with the same decimals, three digits for the largest, times 10^`power`."""

    most: float
    power: int
    decimals: int

    @classmethod
    def of(cls, effects: Sequence[Effect]) -> Scale:
        most = max((abs(e.effect) for e in effects), default=0.0)
        if not most:
            return cls(0.0, 0, 2)
        order = math.floor(math.log10(most))
        power = order if order < -2 or order > 4 else 0
        return cls(most, power, max(0, 2 - (order - power)))

    def number(self, effect: float) -> str:
        """A signed number; a dot for what is 0 in the decimals that are shown."""
        told = f"{effect / 10**self.power:+z.{self.decimals}f}"
        return told if any(digit in told for digit in "123456789") else "·"

    def shade(self, effect: float) -> str:
        """One of five shades, by the share of the largest effect."""
        return SHADES[round(abs(effect) / self.most * (len(SHADES) - 1))] if self.most else " "

    @property
    def unit(self) -> str:
        return f", numbers times 1e{self.power}" if self.power else ""


def sweep_text(sweep: Sweep) -> str:
    """A headline, the heat map, the largest effects with their intervals, and what was run."""
    scale = Scale.of(sweep.effects)
    lines = [_headline(sweep)]
    for grid in grids(sweep.effects):
        lines += ["", *(INDENT + line for line in _drawn(grid, scale))]
    legend = f"shades {''.join(SHADES[1:])} up to {scale.most:.3g}{scale.unit}; + raises the metric, - lowers it"
    lines += ["", INDENT + legend, "", *(INDENT + line for line in _largest(sweep.effects)), ""]
    return "\n".join([*lines, *_sample(sweep)])


def sweep_html(sweep: Sweep) -> str:
    """Tables with coloured cells, blue where the metric rises and red where it falls; numbers in their titles."""
    scale = Scale.of(sweep.effects)
    maps = "".join(_table(grid, scale) for grid in grids(sweep.effects))
    below = "\n".join([*_largest(sweep.effects), "", *(line.strip() for line in _sample(sweep))])
    unit = f"<div>{escape(scale.unit.removeprefix(', '))}</div>" if scale.unit else ""
    return f"<div><strong>{escape(_headline(sweep))}</strong>{unit}{maps}<pre>{escape(below)}</pre></div>"


def run_text(run: CircuitRun) -> str:
    """One circuit, or paths: the metric, what it started from, and the change, paired row by row."""
    what = shorten(run.what, 72, placeholder=" ...")
    kept = f"the model without {what}" if run.without else what
    start = "model" if run.direction == "noising" else "ablated run"
    facts = [
        (run.metric, f"{_spread(run.value)}; {run.better} is better"),
        (start, f"{run.base:z.4g}"),
        ("change", f"{_spread(run.change)} (row by row)"),
    ]
    return "\n".join([f"{kept}  {run.ablation} ablation, {run.direction}", *table(facts, INDENT), *_sample(run)])


def run_html(run: CircuitRun) -> str:
    """The words of the terminal: the headline, and the rest below it in a fixed-width block."""
    head, *rest = run_text(run).splitlines()
    body = escape("\n".join(rest))
    return f'<div><strong>{escape(head)}</strong><pre style="margin:0.3em 0 0 0">{body}</pre></div>'


def grids(effects: Sequence[Effect]) -> list[Grid]:
    """Layers by heads where one position was swept; what has no layer, and all else, by positions."""
    places = tuple(dict.fromkeys(e.at or "everywhere" for e in effects))
    found: list[Grid] = []
    rest = list(effects)
    if len(places) == 1 and any(_layered(e, "layer") for e in effects):
        rest = [e for e in effects if not _LAYERED.fullmatch(e.sender)]
        found.append(_by_layer([e for e in effects if _LAYERED.fullmatch(e.sender)], places[0]))
    if rest:
        rows = tuple(dict.fromkeys(e.sender for e in rest))
        cells = {(e.sender, e.at or "everywhere"): e for e in rest}
        found.append(Grid("sender", rows, places, cells))
    return found


def _by_layer(effects: Sequence[Effect], place: str) -> Grid:
    cells = {
        (_layered(e, "layer") or _layered(e, "of"), _layered(e, "head") or _layered(e, "kind")): e for e in effects
    }
    rows = tuple(sorted({row for row, _ in cells}, key=int))
    columns = tuple(sorted({column for _, column in cells}, key=lambda c: (not c.isdigit(), c.zfill(6))))
    return Grid("layer" if place == "everywhere" else f"layer @ {place}", rows, columns, cells)


def _layered(effect: Effect, group: str) -> str:
    match = _LAYERED.fullmatch(effect.sender)
    return (match[group] or "") if match else ""


def _drawn(grid: Grid, scale: Scale) -> list[str]:
    """The grid in text; columns that do not fit beside the others stand below them."""
    cells = {key: (scale.number(e.effect), scale.shade(e.effect)) for key, e in grid.cells.items()}
    wide = max([*(len(number) for number, _ in cells.values()), *map(len, grid.columns)])
    first = max(map(len, (grid.corner, *grid.rows)))
    fit = max(1, (WIDTH - len(INDENT) - first) // (wide + 3))
    lines: list[str] = []
    for start in range(0, len(grid.columns), fit):
        columns = grid.columns[start : start + fit]
        rows = [(grid.corner, *(column.rjust(wide) for column in columns))]
        for row in grid.rows:
            found = [cells.get((row, column), ("", "")) for column in columns]
            rows.append((row.rjust(first) if row.isdigit() else row, *(n.rjust(wide) + shade for n, shade in found)))
        lines += [*([""] if lines else []), *table(rows)]
    return lines


def _largest(effects: Sequence[Effect]) -> list[str]:
    found = sorted(effects, key=lambda e: -abs(e.effect))[:LARGEST]
    places = any(e.at for e in found)
    width = max(len(text) for text in ("effect", *(f"{e.effect:+z.3g}" for e in found)))
    head = ("sender", *(["at"] if places else []), "effect".rjust(width), "interval")
    rows = [
        (e.sender, *([e.at or "everywhere"] if places else []), f"{e.effect:+z.3g}".rjust(width), _range(e))
        for e in found
    ]
    each = "each interval is that of one effect, not of the largest of many"
    return [f"the {len(found)} largest of {len(effects)} effects ({each}):", *table([head, *rows], "  ")]


def _range(found: Effect | Interval) -> str:
    return "undefined" if found.low is None or found.high is None else f"[{found.low:z.3g}, {found.high:z.3g}]"


def _spread(found: Interval) -> str:
    if found.value is None:
        return "undefined"
    return f"{found.value:z.4g}" + ("" if found.low is None else f" {_range(found)}")


def _headline(sweep: Sweep) -> str:
    start = "model" if sweep.direction == "noising" else "ablated run"
    path = sweep.to if sweep.to.lstrip().startswith(("->", "~")) else f"-> {sweep.to}"
    how = f"{sweep.ablation} ablation, {sweep.direction}; {start} {sweep.base:z.4g}"
    return f"effect of each sender {path} on {sweep.metric}  ({how})"


def _sample(found: Sweep | CircuitRun) -> list[str]:
    draws = f"{found.draws} draw{'' if found.draws == 1 else 's'}"
    interval = f"{LEVEL:.0%} intervals over rows, given the pool"
    if found.rows < FEW_ROWS:
        interval = f"no intervals: they take {FEW_ROWS} rows"
    facts = [("sample", f"{found.rows} rows x {draws}, seed {found.seed}; {interval}")]
    if found.options:
        facts.append(("options", ", ".join(f"{name}={value!r}" for name, value in found.options.items())))
    return table(facts, INDENT)


def _table(grid: Grid, scale: Scale) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in (grid.corner, *grid.columns))
    body = "".join(
        f"<tr><th>{escape(row)}</th>{''.join(_cell(grid.cells.get((row, c)), scale) for c in grid.columns)}</tr>"
        for row in grid.rows
    )
    return f'<table style="border-collapse:collapse;margin:0.3em 0"><tr>{head}</tr>{body}</table>'


def _cell(effect: Effect | None, scale: Scale) -> str:
    if effect is None:
        return "<td></td>"
    place = f" @ {effect.at}" if effect.at else ""
    title = f"{effect.sender}{place}: {effect.effect:+.4g} {_range(effect)}"
    back, ink = colours(effect.effect / scale.most if scale.most else 0.0)
    style = f"background:{back};color:{ink};text-align:right;padding:2px 5px"
    return f'<td title="{escape(title)}" style="{style}">{escape(scale.number(effect.effect))}</td>'


def colours(share: float) -> tuple[str, str]:
    """Background and ink for a share of the largest effect, -1 to 1: white at 0, and always readable."""
    end = RISE if share > 0 else FALL
    red, green, blue = (round(255 + (part - 255) * min(abs(share), 1.0)) for part in end)
    light = 0.2126 * _linear(red) + 0.7152 * _linear(green) + 0.0722 * _linear(blue)
    # the darker of two inks where its contrast is the higher (WCAG 2.1, relative luminance)
    return f"#{red:02x}{green:02x}{blue:02x}", "#000000" if light > 0.179 else "#ffffff"


def _linear(part: int) -> float:
    share = part / 255
    return share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4
