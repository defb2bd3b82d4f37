"""Circuits as papers, notebooks and rankings hold them: lists of heads, pairs, tables, node-link data, scores."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from click.testing import CliRunner

import scrub
from circuit_file_cases import names, refused, stored
from scrub.circuit.circuit import Circuit
from scrub.circuit.ranking import PartRanking
from scrub.claims.dataset import Dataset
from scrub.claims.metric import Metric
from scrub.cli.group import main
from scrub.errors import ClaimError

SCORES = {"MLP 2->A5.2.Q": 0.1, "Resid Start->A0.0.K": -0.7, "A5.2->Resid End": 0.3}
TABLE = "layer,head,score\n9,9,1.5\n9,6,-2\n0,,0.5\n"
LINKED: dict[str, Any] = {
    "nodes": [{"id": "7.3"}, {"id": "9.9"}, {"id": "logits"}],
    "edges": [{"source": "7.3", "target": "9.9", "channel": "q"}, {"source": "9.9", "target": "logits", "at": "END"}],
}


@pytest.mark.parametrize(("content", "wanted"), [
    ([[9, 9], [9, 6]], {"9.9", "9.6"}),
    ("[(9, 9), (9, 6)]", {"9.9", "9.6"}),
    ({"name mover": [[9, 9]], "other": [[9, 9], [0, 1], "mlp 0"]}, {"9.9", "0.1", "mlp 0"}),
    ({"9": [6, 9], "10": [0]}, {"9.6", "9.9", "10.0"}),
    ("{9: [6, 9]}", {"9.6", "9.9"}),
    ([["tok_embeds", "a0.h1.q"], ["a0.h1", "m2"], ["m2", "resid_post"], ["pos_embeds", "m2"]],
     {"embed -> 0.1.q", "0.1 -> mlp 2", "mlp 2 -> logits", "pos -> mlp 2"}),
    ("sender,receiver,channel\n7.3,9.9,q\nembed,mlp 0,\n", {"7.3 -> 9.9.q", "embed -> mlp 0"}),
    ("Source, Target\ninput,a0.h0<k>\n", {"embed -> 0.0.k"}),
    ("layer,head\n9,6\n3,\n", {"9.6", "mlp 3"}),
    ("edge,score,kept\n7.3 -> 9.9.q,0.5,True\n7.3 -> 9.9.k,0.7,False\n", {"7.3 -> 9.9.q"}),
    ("node\n9.6\n", {"9.6"}),
    (LINKED, {"7.3 -> 9.9.q", "9.9 -> logits @ END"}),
    ({"nodes": [{"id": "9.6"}], "links": []}, {"9.6"}),
])  # fmt: skip
def test_a_list_is_the_circuit_that_it_names(content: Any, wanted: set[str], tmp_path: Path) -> None:
    assert names(Circuit.read(stored(tmp_path, content))) == wanted


def test_roles_stay_beside_the_heads(tmp_path: Path) -> None:
    found = Circuit.read(stored(tmp_path, {"name mover": [[9, 9], [9, 6]], "early": [[0, 1]]}))
    assert {name: set(map(str, parts)) for name, parts in found.roles} == {
        "name mover": {"9.9", "9.6"},
        "early": {"0.1"},
    }


@pytest.mark.parametrize(("content", "wanted"), [
    ([[9, 9], [9], [9, -1]], ["heads, each a layer and a head", "entry 2: [9]", "entry 3: [9, -1]"]),
    ({"movers": [[9, 9], [9, "x"]]}, ["'movers': [9, 'x']", "[layer, head]"]),
    ({"movers": [[9, 9], [9, 9]]}, ["9.9: listed twice in one role"]),
    ([["tok_embeds", "a0.h1.q"], ["a0.h1", "n2"]], ["Edge-Pruning", "entry 2", "n2"]),
    ("layer,head\n9\n9,x\n", ["line 2: '9': it has 1 cells, and the header names 2", "line 3"]),
    ("sender,receiver,chanel\nembed,0.1,q\n", ["unknown column 'chanel'", "'channel'"]),
    ("edge,in_graph\n7.3 -> 9.9.q,maybe\n", ["in_graph is 'maybe'"]),
    (TABLE, ["scores alone are no circuit", "3 lines", "top=K"]),
    (SCORES, ["scores alone are no circuit", "3 parts", "top=K"]),
    ({"nodes": [{"id": "9.6"}], "edges": [{"source": "9.6"}]}, ["an edge has a source and a target"]),
])  # fmt: skip
def test_a_list_that_names_no_circuit_is_told(content: Any, wanted: list[str], tmp_path: Path) -> None:
    refused(tmp_path, content, *wanted)


def test_the_best_of_scores_are_a_circuit(tmp_path: Path) -> None:
    """By absolute score, as attribution methods choose."""
    file = stored(tmp_path, SCORES)
    assert names(Circuit.read(file, top=2)) == {"embed -> 0.0.k", "5.2 -> logits"}
    assert [score for _, score in PartRanking.read(file).scores] == [0.1, -0.7, 0.3]
    assert names(Circuit.read(stored(tmp_path, TABLE), top=1)) == {"9.6"}
    for top in (0, 4, True):
        with pytest.raises(ClaimError, match=f"top {top}: it has scores of 3 parts; take 1 to 3"):
            Circuit.read(file, top=top)
    with pytest.raises(ClaimError, match=r"(?s)it has no scores.*read as heads.*Scores are in.*auto-circuit"):
        Circuit.read(stored(tmp_path, [[9, 9]]), top=1)
    with pytest.raises(ClaimError, match="its score is nan, no finite number"):
        Circuit.read(stored(tmp_path, '{"MLP 2->A5.2.Q": NaN, "9.6": 1.0}'), top=1)
    with pytest.raises(ClaimError, match="no column 'score'"):
        Circuit.read(stored(tmp_path, "layer,head\n9,6\n"), top=1)


def mib(layers: int, heads: int) -> dict[str, Any]:
    """Importances as MIB stores them: every edge of a graph of EAP-IG with its score, none yet in the graph."""
    senders, edges = ["input"], dict[str, Any]()
    for layer in range(layers):
        own = [f"a{layer}.h{head}" for head in range(heads)]
        readers = [f"{head}<{channel}>" for head in own for channel in "qkv"]
        edges |= {f"{sender}->{reader}": None for reader in readers for sender in senders}
        edges |= {f"{sender}->m{layer}": None for sender in [*senders, *own]}
        senders += [*own, f"m{layer}"]
    edges |= {f"{sender}->logits": None for sender in senders}
    scores = {name: {"score": (-1) ** i * i / 7, "in_graph": False} for i, name in enumerate(edges)}
    cfg = {"n_layers": layers, "n_heads": heads, "parallel_attn_mlp": False, "d_model": 64}
    return {"cfg": cfg, "nodes": {name: {"in_graph": False} for name in [*senders, "logits"]}, "edges": scores}


def test_importances_of_mib_are_read_exactly(tmp_path: Path) -> None:
    """A graph of GPT-2 small has 32,491 edges; the same layout of two layers is read edge by edge."""
    assert len(mib(12, 12)["edges"]) == 32_491
    data = mib(2, 3)
    file = stored(tmp_path, data)
    ranking = PartRanking.read(file)
    assert [score for _, score in ranking.scores] == [edge["score"] for edge in data["edges"].values()]
    assert len(ranking.scores) == len(set(ranking.circuit.edges)) == len(data["edges"])
    best = sorted(data["edges"], key=lambda name: -abs(data["edges"][name]["score"]))[:5]
    kept = {**data, "edges": {name: {"score": 1, "in_graph": name in best} for name in data["edges"]}}
    assert names(Circuit.read(file, top=5)) == names(Circuit.read(stored(tmp_path, kept, "kept.json")))


def test_circuits_are_written_in_the_forms_of_others(tmp_path: Path) -> None:
    circuit = Circuit.parse(["embed -> 0.1.v", "0.1 -> mlp 2", "mlp 2 -> logits", "7.3 -> 9.9.q", "7.3 -> 9.9.k"])
    placed = Circuit.parse(["7.3 -> 9.9.q @ END", "7.3 -> 9.9.q @ S2", "pos -> 0.1.k"])
    for one, form in ((circuit, "eap-ig"), (circuit, "node-link"), (placed, "node-link")):
        one.write(tmp_path / form, format=form)
        assert Circuit.read(tmp_path / form) == one
    assert json.loads((tmp_path / "eap-ig").read_text())["edges"]["input->a0.h1<v>"] == {
        "score": 1.0,
        "in_graph": True,
    }
    graph = nx.node_link_graph(json.loads((tmp_path / "node-link").read_text()), edges="edges")
    assert graph.number_of_edges("7.3", "9.9") == 2
    stored(tmp_path, nx.node_link_data(graph, edges="edges"), "again")
    assert Circuit.read(tmp_path / "again") == placed
    heads = Circuit.parse("9.6 9.9 @ END")
    heads.write(tmp_path / "heads", format="node-link")
    assert Circuit.read(tmp_path / "heads") == heads
    for one, form, told in (
        (placed, "eap-ig", "of pos -> 0.1.k"), (heads, "eap-ig", "it holds edges"),
        (heads, "eapig", "these are: 'scrub', 'eap-ig', 'node-link'"),
    ):  # fmt: skip
        with pytest.raises(ClaimError, match=told):
            one.write(tmp_path / "none", format=form)


def test_a_file_of_scores_gives_both_areas_of_mib(tmp_path: Path) -> None:
    """On a graph by hand, 3 a + b, of which half of the edges make 3 of 4."""
    graph = nx.DiGraph()
    graph.add_nodes_from("ab")
    graph.add_node("h", function=lambda a: 3 * a)
    graph.add_node("g", function=lambda b: b)
    graph.add_node("out", function=lambda h, g: h + g)
    graph.add_edges_from([("a", "h"), ("b", "g"), ("h", "out"), ("g", "out")])
    rows = [{"tokens": [], "positions": {}, "columns": {"a": 1.0, "b": 1.0}} for _ in range(3)]
    file = stored(tmp_path, "edge,score\na -> h,2\nh -> out,2\nb -> g,-1\ng -> out,-1\n")
    found = scrub.cpr_cmd(
        file, model=graph, data=Dataset.from_rows(rows), metric=Metric(total), ablation="zero", sizes=[0.5, 1]
    )
    assert [point.f for point in found.signed.points] == [0.75, 1]
    assert (found.cpr, found.cmd) == (pytest.approx(0.4375), pytest.approx(0.0625))
    assert "CPR 0.438" in str(found)


def total(output: Any, row: Any) -> float:
    return float(output)


def test_the_command_line_takes_scores(tmp_path: Path) -> None:
    names_file = str(Path(scrub.__file__).parents[1] / "hypotheses" / "names.py")
    file, run = str(stored(tmp_path, mib(3, 4))), CliRunner().invoke
    heads = str(stored(tmp_path, "node,score\n1.1,2\n0.1,-1\n", "heads.csv"))
    found = run(main, ["criteria", names_file, "--ranking", heads, "--rows", "4"])
    assert found.exit_code == 0, found.output
    assert "of 13 components by signed scores" in found.output
    for more, told in (
        (["--ranking", file, "--circuit", "9.9"], "run by itself"), (["--top", "3"], "say of which file of scores"),
        (["--circuit", "1.1", "--top", "3"], "is no file of scores"),
        (["--circuit", file], "empty circuit: none of its 262 edges is in_graph.*top=K"),
    ):  # fmt: skip
        assert re.search(told, run(main, ["criteria", names_file, *more]).output)
