"""Heat maps: where each effect stands, how strong it is, and that no number is lost on the way."""

from __future__ import annotations

import re
from typing import Any

import pytest
from attrs import evolve

from report.test_notebook import Reader
from scrub.anatomy import table
from scrub.anatomy.names import Component, parse_component
from scrub.circuit.runs import CircuitRun
from scrub.circuit.sweep import Effect, Sweep
from scrub.report.heat import colours
from scrub.report.sweep import Scale, grids, run_text, sweep_html, sweep_text
from scrub.score.statistics import Interval

SIZES = {"0.0": -2.58, "0.1": 0.012, "1.0": 0.0, "1.1": 7.5, "mlp 0": -3.9, "mlp 1": 0.002}


def effect(sender: str, size: float, at: str | None = None) -> Effect:
    known = table.read(sender)
    return Effect(Component(*known) if known else Component.for_node(sender), at, size, size - 0.5, size + 0.5)


def made(*effects: Effect, **changed: Any) -> Sweep:
    found = effects or tuple(effect(sender, size) for sender, size in SIZES.items())
    plain = Sweep("~all~> logits", "logit_diff(io, s1)", "mean", "noising", found, 8.637, 40, 1, 3, {}, {})
    return evolve(plain, **changed)


def test_heads_and_mlps_stand_layer_by_layer() -> None:
    assert sweep_text(made(options={"group": "kind"})).splitlines() == [
        "effect of each sender ~all~> logits on logit_diff(io, s1)  (mean ablation, noising; model 8.637)",
        "",
        "    layer      0       1     mlp",
        "        0  -2.58░  +0.01   -3.90▒",
        "        1      ·   +7.50█      ·",
        "",
        "    shades ░▒▓█ up to 7.5; + raises the metric, - lowers it",
        "",
        "    the 6 largest of 6 effects (each interval is that of one effect, not of the largest of many):",
        "      sender  effect  interval",
        "      1.1       +7.5  [7, 8]",
        "      mlp 0     -3.9  [-4.4, -3.4]",
        "      0.0      -2.58  [-3.08, -2.08]",
        "      0.1     +0.012  [-0.488, 0.512]",
        "      mlp 1   +0.002  [-0.498, 0.502]",
        "      1.0         +0  [-0.5, 0.5]",
        "",
        "    sample   40 rows x 1 draw, seed 3; 95% intervals over rows, given the pool",
        "    options  group='kind'",
    ]


def test_positions_are_columns_and_what_was_not_swept_is_empty() -> None:
    found = made(
        effect("9.9", -1.0, "END"), effect("9.9", 0.5, "S2"), effect("mlp 0", 0.25, "S2"), direction="denoising"
    )
    shown = sweep_text(found).splitlines()
    assert shown[0].endswith("(mean ablation, denoising; ablated run 8.637)")
    assert shown[2:5] == [
        "    sender    END      S2",
        "    9.9     -1.00█  +0.50▒",
        "    mlp 0           +0.25░",
    ]
    assert "      9.9     END      -1  [-1.5, -0.5]" in shown


def test_what_has_no_layer_stands_below() -> None:
    first, second = grids(
        [effect("0.1", 1.0, "END"), effect("embed", 2.0, "END"), effect("7.3 -> 9.9.q", 3.0, "END")]
    )
    assert (first.corner, first.rows, first.columns) == ("layer @ END", ("0",), ("1",))
    assert (second.rows, second.columns) == (("embed", "7.3 -> 9.9.q"), ("END",))
    only = grids([effect("a", 1.0), effect("mlp 3", 2.0)])
    assert [grid.rows for grid in only] == [("a", "mlp 3")]


def test_layers_and_heads_are_counted_not_spelled() -> None:
    (grid,) = grids([effect(f"{layer}.{head}", 1.0) for layer in (10, 2) for head in (11, 3)])
    assert (grid.rows, grid.columns) == (("2", "10"), ("3", "11"))
    assert grid.cells["10", "3"].sender == Component.for_head(10, 3)


def test_every_head_of_a_wide_model_is_shown() -> None:
    wide = made(*(effect(f"{layer}.{head}", layer + head / 100) for layer in range(2) for head in range(32)))
    shown = sweep_text(wide)
    assert max(map(len, shown.splitlines())) <= 118
    body = shown[: shown.index("shades")]
    assert len(re.findall(r"[+·]", body)) == 64
    for head in range(1, 32):
        assert f"+{1 + head / 100:.2f}" in body


@pytest.mark.parametrize(
    ("most", "number", "power"),
    [(7.55, "+7.55", 0), (0.0123, "+0.0123", 0), (123.4, "+123", 0), (0.000123, "+1.23", -4), (1.5e6, "+1.50", 6)],
)
def test_the_largest_number_has_three_digits(most: float, number: str, power: int) -> None:
    scale = Scale.of([effect("a", most), effect("b", -most / 1e5)])
    assert (scale.number(most), scale.power) == (number, power)
    assert scale.number(-most / 1e5) == "·"
    assert (f"numbers times 1e{power}" in sweep_text(made(effect("0.1", most)))) == (power != 0)


def test_shades_grow_with_the_size_whatever_the_sign() -> None:
    scale = Scale.of([effect("a", -4.0)])
    assert "".join(scale.shade(size) for size in (0, 1, -2, 3, -4)) == " ░▒▓█"
    assert scale.shade(-1) == scale.shade(1)


def test_a_sweep_without_any_effect() -> None:
    nothing = made(effect("0.0", 0.0), effect("0.1", 0.0))
    assert sweep_text(nothing).splitlines()[3].split() == ["0", "·", "·"]
    assert "#ffffff" in sweep_html(nothing)


def test_ten_are_listed_by_size() -> None:
    many = made(*(effect(f"0.{head}", (-1) ** head * head) for head in range(12)))
    listed = sweep_text(many).split("largest of 12")[1]
    assert re.findall(r"^ +(0\.\d+) ", listed, re.MULTILINE) == [f"0.{head}" for head in range(11, 1, -1)]


def test_too_few_rows_for_intervals() -> None:
    few = made(Effect(parse_component("0.1"), None, 1.0, None, None), rows=9)
    assert "0.1      +1  undefined" in sweep_text(few)
    assert "no intervals: they take 10 rows" in sweep_text(few)


def test_cells_are_coloured_and_tell_their_numbers() -> None:
    page = sweep_html(made(effect("0.1", -4.0), effect("1.0", 2.0), effect("<b>&", 0.0)))
    read = Reader(page)
    assert read.open == []
    assert "<b>&" in read.text
    cells = dict(re.findall(r'<td title="([^"]*)" style="background:(#\w+)', page))
    assert cells == {
        "0.1: -4 [-4.5, -3.5]": "#b2182b",
        "1.0: +2 [1.5, 2.5]": colours(0.5)[0],
        "&lt;b&gt;&amp;: +0 [-0.5, 0.5]": "#ffffff",
    }
    assert "<td></td>" in page  # 0.0 was not swept
    assert "http" not in page


def test_colours_diverge_from_white_and_stay_readable() -> None:
    assert colours(0.0) == ("#ffffff", "#000000")
    for step in range(-20, 21):
        back, ink = colours(step / 20)
        red, blue = int(back[1:3], 16), int(back[5:], 16)
        assert (red > blue) == (step < 0)
        assert (blue > red) == (step > 0)
        assert contrast(back, ink) >= 4.5
    assert colours(-3.0) == colours(-1.0)


def contrast(one: str, other: str) -> float:
    """The contrast of two colours (WCAG 2.1)."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def run(**changed: Any) -> CircuitRun:
    plain = CircuitRun(
        "9.6, 9.9", False, "mean", "noising", "logit_diff(io, s1)", "higher", Interval(2.5, 2.25, 2.75), 3.5,
        Interval(-1.0, -1.25, -0.75), 40, 5, 3, {"group": "kind"}, {},
    )  # fmt: skip
    return evolve(plain, **changed)


def test_a_run_as_it_reads() -> None:
    assert run_text(run()).splitlines() == [
        "9.6, 9.9  mean ablation, noising",
        "    logit_diff(io, s1)  2.5 [2.25, 2.75]; higher is better",
        "    model               3.5",
        "    change              -1 [-1.25, -0.75] (row by row)",
        "    sample   40 rows x 5 draws, seed 3; 95% intervals over rows, given the pool",
        "    options  group='kind'",
    ]


def test_a_run_without_a_circuit_from_the_ablated_run() -> None:
    bare = Interval(2.5, None, None)
    shown = run_text(run(without=True, direction="denoising", value=bare, what=", ".join(["9.9"] * 90), rows=4))
    assert shown.startswith("the model without 9.9, 9.9,")
    assert max(map(len, shown.splitlines())) <= 118
    assert "ablated run         3.5" in shown
    assert "logit_diff(io, s1)  2.5; higher is better" in shown
