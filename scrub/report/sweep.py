"""Sweeps as heat maps, in words and in a notebook, and the run of one circuit in words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape
from textwrap import shorten
from typing import TYPE_CHECKING

from scrub.errors import some
from scrub.report.fixed import fixed
from scrub.report.heat import INDENT, SHADES, Grid, Look, Scale, cell_of, drawn, html_grid, in_layers
from scrub.report.picture import Caption, picture
from scrub.report.text import options_words, table
from scrub.score.statistics import FEW_ROWS, LEVEL, Interval

if TYPE_CHECKING:
    from scrub.circuit.runs import CircuitRun
    from scrub.circuit.sweep import Effect, Sweep

LARGEST = 10  # effects that are listed


def sweep_text(sweep: Sweep) -> str:
    """A headline, the heat map, the largest effects with their intervals, and what was run."""
    scale = Scale.of(sweep.effects)
    lines = [_headline(sweep)]
    for grid in grids(sweep.effects):
        lines += ["", *(INDENT + line for line in drawn(grid, partial(_look, scale)))]
    legend = f"shades {''.join(SHADES[1:])} up to {scale.most:.3g}{scale.unit}; + raises the metric, - lowers it"
    lines += ["", INDENT + legend, "", *(INDENT + line for line in _largest(sweep.effects)), ""]
    return "\n".join([*lines, *_sample(sweep)])


def sweep_html(sweep: Sweep) -> str:
    """Tables with coloured cells, blue where the metric rises and red where it falls; numbers in their titles."""
    scale = Scale.of(sweep.effects)
    maps = "".join(html_grid(grid, partial(_look, scale)) for grid in grids(sweep.effects))
    below = "\n".join([*_largest(sweep.effects), "", *(line.strip() for line in _sample(sweep))])
    unit = f"<div>{escape(scale.unit.removeprefix(', '))}</div>" if scale.unit else ""
    return f"<div><strong>{escape(_headline(sweep))}</strong>{unit}{maps}{fixed(below)}</div>"


def sweep_svg(sweep: Sweep) -> str:
    """The heat map as a standalone SVG: the first of the grids, that of layers where there is one."""
    scale, grid = Scale.of(sweep.effects), grids(sweep.effects)[0]
    layers = grid.corner.startswith("layer")
    listed = "; ".join(_look(scale, e).title for e in sorted(sweep.effects, key=lambda e: -abs(e.effect))[:5])
    words = f"{_headline(sweep)}. The largest: {listed}."
    notes = ["rows are layers, columns their heads"] if layers else []
    notes += [f"blue raises {sweep.metric}, red lowers it{scale.unit}", f"{sweep.rows} rows, seed {sweep.seed}"]
    caption = Caption(f"Effects on {sweep.metric}, {_path(sweep)}", words, notes)
    return picture(grid, partial(_look, scale), scale, caption, layers)


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
    return f"<div><strong>{escape(head)}</strong>{fixed(chr(10).join(rest), '0.3em')}</div>"


def grids(effects: Sequence[Effect]) -> list[Grid[Effect]]:
    """Layers by heads where one position was swept; what has no layer, and all else, by positions."""
    places = tuple(dict.fromkeys(e.at or "everywhere" for e in effects))
    found: list[Grid[Effect]] = []
    rest = list(effects)
    if len(places) == 1 and any(e.sender.traits.is_head for e in effects):
        rest = [e for e in effects if not in_layers(e.sender)]
        found.append(_by_layer({cell_of(e.sender): e for e in effects if in_layers(e.sender)}, places[0]))
    if rest:
        rows = tuple(dict.fromkeys(str(e.sender) for e in rest))
        cells = {(str(e.sender), e.at or "everywhere"): e for e in rest}
        found.append(Grid("sender", rows, places, cells))
    return found


def _by_layer(cells: dict[tuple[str, str], Effect], place: str) -> Grid[Effect]:
    rows = tuple(sorted({row for row, _ in cells}, key=int))
    columns = tuple(sorted({column for _, column in cells}, key=lambda c: (not c.isdigit(), c.zfill(6))))
    return Grid("layer" if place == "everywhere" else f"layer @ {place}", rows, columns, cells)


def _largest(effects: Sequence[Effect]) -> list[str]:
    found = sorted(effects, key=lambda e: -abs(e.effect))[:LARGEST]
    places = any(e.at for e in found)
    width = max(len(text) for text in ("effect", *(f"{e.effect:+z.3g}" for e in found)))
    head = ("sender", *(["at"] if places else []), "effect".rjust(width), "interval")
    rows = [
        (str(e.sender), *([e.at or "everywhere"] if places else []), f"{e.effect:+z.3g}".rjust(width), _range(e))
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
    how = f"{sweep.ablation} ablation, {sweep.direction}; {start} {sweep.base:z.4g}"
    return f"effect of each sender {_path(sweep)} on {sweep.metric}  ({how})"


def _path(sweep: Sweep) -> str:
    return sweep.to if sweep.to.lstrip().startswith(("->", "~")) else f"-> {sweep.to}"


def _sample(found: Sweep | CircuitRun) -> list[str]:
    draws = f"{found.draws} draw{'' if found.draws == 1 else 's'}"
    interval = f"{LEVEL:.0%} intervals over rows, given the pool"
    if found.rows < FEW_ROWS:
        interval = f"no intervals: they take {FEW_ROWS} rows"
    facts = [("sample", f"{found.rows} rows x {draws}, seed {found.seed}; {interval}")]
    if left := getattr(found, "unfinished", ()):
        facts.append(("broken off", f"not patched: {some(map(str, left), 8)}"))
    if found.options:
        facts.append(("options", options_words(found.options)))
    warned = found.provenance.get("warnings", ())
    return [*table(facts, INDENT), *(f"{INDENT}warning: {text}" for text in warned)]


def _look(scale: Scale, effect: Effect) -> Look:
    place = f" @ {effect.at}" if effect.at else ""
    return scale.look(effect.effect, f"{effect.sender}{place}: {effect.effect:+.4g} {_range(effect)}")
