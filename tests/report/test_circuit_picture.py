"""A circuit as a picture and as a table: components layer by layer, every edge, at its positions."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from scrub import Circuit
from scrub.report import circuit as drawing
from scrub.report.circuit import circuit_html, circuit_svg

SVG = "{http://www.w3.org/2000/svg}"
NAMES = "embed @ S1, 0.1 @ END, 0.3 @ END, mlp 0, 1.2 @ END, 1.2 @ S1"
EDGES = "embed -> 0.1.v @ S1, 0.1 -> 1.2.q @ END, 0.1 -> 1.2.k, mlp 0 -> 1.2.v, 1.2 -> logits"


def boxes(circuit: Circuit) -> dict[str, tuple[float, float, list[str]]]:
    """The left and upper edge of every box, and what stands in it, by its component."""
    found: dict[str, tuple[float, float, list[str]]] = {}
    for group in ElementTree.fromstring(circuit_svg(circuit)).iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        if rect is not None:
            lines = [str(text.text) for text in group.iter(f"{SVG}text")]
            found[lines[0]] = (float(rect.attrib["x"]), float(rect.attrib["y"]), lines)
    return found


def test_layers_go_up_and_boxes_name_their_positions() -> None:
    found = boxes(Circuit.parse(NAMES))
    height = {name: y for name, (_, y, _) in found.items()}
    assert height["1.2"] < height["mlp 0"] < height["0.1"] == height["0.3"] < height["embed"]
    assert found["1.2"][2] == ["1.2", "@ END S1"]
    assert found["mlp 0"][2] == ["mlp 0"]


def test_every_edge_is_drawn_and_named() -> None:
    circuit = Circuit.parse(EDGES)
    groups = ElementTree.fromstring(circuit_svg(circuit)).iter(f"{SVG}g")
    drawn = [g.findtext(f"{SVG}title") for g in groups if g.find(f"{SVG}path") is not None]
    assert sorted(map(str, drawn)) == sorted(map(str, circuit.edges))
    assert boxes(circuit)["logits"][1] < boxes(circuit)["1.2"][1]


def test_too_many_edges_are_counted_rather_than_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "MOST", 4)
    page = circuit_html(Circuit.parse(EDGES))
    assert "5 edges, run by its edges; too many edges to draw (more than 4)" in page
    assert "<path" not in page
    assert "0.1 -&gt; 1.2.q @ END" in page  # among the names


def test_a_table_has_a_line_for_every_part() -> None:
    circuit = Circuit.parse(f"{NAMES}, {EDGES}")
    frame = circuit.frame()
    assert list(frame["part"]) == [str(p) for p in [*sorted(circuit.nodes), *sorted(circuit.edges)]]
    line = frame[frame["part"] == "0.1 -> 1.2.q @ END"].iloc[0]
    assert (line["sender"], line["receiver"], line["channel"], line["at"]) == ("0.1", "1.2", "q", "END")
    assert set(frame["kind"]) == {"component", "edge"}


def test_the_parts_of_a_claim_carry_its_variables() -> None:
    from pathlib import Path

    from scrub.claims.collect import collect

    file = Path(__file__).parents[2] / "hypotheses" / "names.py"
    circuit = Circuit.of(next(h for h in collect([str(file)]).hypotheses if h.name == "names"))
    frame = circuit.frame().set_index("part")
    assert frame.loc["1.2 @ END", "variable"] == "name"
    assert frame.loc["0.1 -> 1.2.q @ END", "variable"] == "name"
    assert boxes(circuit)["0.1"][2] == ["0.1", "@ END", "gathered"]
    assert circuit_svg(circuit) in circuit._repr_html_()


def test_a_computation_graph_goes_up_by_its_edges() -> None:
    from scrub.anatomy.edges import Edge
    from scrub.anatomy.names import Component

    a, b, c = (Component.for_node(name) for name in "abc")
    found = boxes(Circuit.from_parts([Edge(a, b, "a"), Edge(b, c, "b"), Edge(a, c, "a")]))
    assert found["c"][1] < found["b"][1] < found["a"][1]
