"""Circuits in files: every form that peers write, every way that a file can be wrong."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from circuit_file_cases import HOOKS, names, refused, stored
from scrub.anatomy.edges import Edge, Node
from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.circuit.circuit import Circuit
from scrub.errors import ClaimError
from scrub.model.computation import Computation

# ---- a graph of EAP-IG or MIB

GRAPH = {
    "cfg": {"n_layers": 12, "n_heads": 4, "parallel_attn_mlp": False, "d_model": 64},
    "nodes": {"input": {"in_graph": True}, "a0.h0": {"in_graph": True, "score": 0.5}, "m0": True, "logits": False},
    "edges": {
        "input->a0.h0<q>": {"score": 0.25, "in_graph": True},
        "input->m0": {"score": 0.1, "in_graph": False},
        "a0.h0->m0": {"score": -2.0, "in_graph": True},
        "m0->a5.h2<k>": {"score": 0.0, "in_graph": True},
        "a9.h3->logits": {"score": 1, "in_graph": True},
    },
}


def changed(**edges: Any) -> dict[str, Any]:
    return {**GRAPH, "edges": {name.replace("_to_", "->"): value for name, value in edges.items()}}


def test_a_graph_gives_the_edges_that_are_in_it(tmp_path: Path) -> None:
    found = Circuit.read(stored(tmp_path, GRAPH))
    assert names(found) == {"embed -> 0.0.q", "0.0 -> mlp 0", "mlp 0 -> 5.2.k", "9.3 -> logits"}
    assert found.made_for == (("n_layers", 12), ("n_heads", 4), ("d_model", 64))
    assert Circuit.read(stored(tmp_path, {"edges": GRAPH["edges"]})).made_for == ()


def test_a_graph_with_misspelt_edges_names_them_all(tmp_path: Path) -> None:
    yes = {"in_graph": True}
    message = refused(
        tmp_path,
        changed(inptu_to_m0=yes, a0h_to_m1=yes, m0_to_logits=yes, m3={"in_graph": True}, m4_to_m5={"score": 1}),
        "EAP-IG",
        "'inptu->m0'",
        "Did you mean 'input'?",
        "'a0h->m1'",
        "an edge is written sender->receiver",
        "does not say in_graph",
    )
    assert "m0->logits" not in message


def test_a_graph_with_a_node_that_is_none(tmp_path: Path) -> None:
    refused(tmp_path, {**GRAPH, "nodes": {"a0.x1": True}}, "nodes: 'a0.x1'", "names no component")
    refused(tmp_path, {**GRAPH, "nodes": ["a0.h1"]}, "'nodes' is a list")


def test_scores_alone_are_no_circuit(tmp_path: Path) -> None:
    refused(tmp_path, changed(a_to_b={"score": 1.0}), "none of its 1 edges says whether it is in_graph", "apply_topn")


def test_a_graph_of_some_neurons_is_refused(tmp_path: Path) -> None:
    nodes = {"a0.h0": {"in_graph": True, "neurons": [True, False]}, "m0": {"in_graph": False, "neurons": [False]}}
    assert "m0" not in refused(tmp_path, {**GRAPH, "nodes": nodes}, "of a0.h0 only some neurons")
    nodes["a0.h0"]["neurons"] = [True, True]
    assert len(Circuit.read(stored(tmp_path, {**GRAPH, "nodes": nodes}))) == 4


# ---- names

AUTO_CIRCUIT = ["MLP 2->A5.2.Q", "Resid Start->A0.0.K", "A5.2->Resid End", "Resid Start->MLP 0", "A1.1->A2.3"]
AUTO_CIRCUIT_PARTS = {"mlp 2 -> 5.2.q", "embed -> 0.0.k", "5.2 -> logits", "embed -> mlp 0"} | {
    f"1.1 -> 2.3.{channel}" for channel in "qkv"
}


@pytest.mark.parametrize(
    "content", ["\n".join(AUTO_CIRCUIT), AUTO_CIRCUIT, repr(AUTO_CIRCUIT), "{" + repr(AUTO_CIRCUIT)[1:-1] + "}"]
)
def test_edge_names_of_auto_circuit(tmp_path: Path, content: Any) -> None:
    assert names(Circuit.read(stored(tmp_path, content))) == AUTO_CIRCUIT_PARTS


def test_edge_names_of_eap_ig_in_lines(tmp_path: Path) -> None:
    found = Circuit.read(stored(tmp_path, "input->a0.h1<q>\nm3->a5.h2<k>\na9.h6->logits\n"))
    assert names(found) == {"embed -> 0.1.q", "mlp 3 -> 5.2.k", "9.6 -> logits"}


def test_our_own_lines_with_comments(tmp_path: Path) -> None:
    text = "\ufeff# name movers\n9.6 9.9 @ END\n\n7.3 -> 9.9.q @ END  # inhibition\nmlp 0, 3.1 @ input\n"
    found = Circuit.read(stored(tmp_path, text))
    assert names(found) == {"9.6 @ END", "9.9 @ END", "7.3 -> 9.9.q @ END", "mlp 0", "3.1 @ input"}
    assert found.level == "edges"


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("Resd Start->A0.0.K", "'Resid Start'"),
        ("A0.0->Resid Edn", "'Resid End'"),
        ("MPL 3->A5.2.Q", "'MLP 3'"),
        ("embde -> 9.9.q", "'embed'"),
        ("A5.2->MLP 6.Q", "one channel"),
        (f"9.6->9.{'1' * 5000}", "digits"),
        ("7.3 -> ", "names no component"),
        ("7.3 -> 9.9.q @ @", "no position"),
    ],
)
def test_a_misspelt_name_is_shown_with_its_line(tmp_path: Path, line: str, meant: str) -> None:
    message = refused(tmp_path, f"7.3 -> 9.9.q\n\n{line}\n9.6 -> logits\n", f"line 3: {line.strip()!r}"[:80], meant)
    assert "line 1" not in message
    assert "line 4" not in message
    refused(tmp_path, ["7.3 -> 9.9.q", line], "entry 2", meant)


def test_ten_bad_entries_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    message = refused(tmp_path, "\n".join(["9.6 -> logits"] + [f"9.{i} -> lgits" for i in range(13)]), "and 3 more")
    assert message.count("'logits'") == 10
    assert all(f"line {i}:" in message for i in range(2, 12))
    assert "line 12:" not in message


def test_an_entry_that_is_no_string(tmp_path: Path) -> None:
    refused(tmp_path, ["7.3 -> 9.9.q", 3], "entry 2: 3", "a name is a string")


# ---- our JSON, written and read

OWN = Circuit(
    frozenset({Node(Component("head", 9, 6), Slot("END")), Node(Component("mlp", 3)), Node(Component("pos"))}),
    frozenset(
        {
            Edge(Component("head", 7, 3), Component("head", 9, 9), "q", Slot("S1", 1)),
            Edge(Component("embed"), Component("mlp", 0), at=Slot("", -1)),
            Edge(Component("mlp", 0), Component("attn", 2), "v"),
            Edge(Component("head", 9, 9), Component("logits"), at=Slot("END", -1)),
        }
    ),
    roles=(("mover", frozenset({Node(Component("head", 9, 6), Slot("END"))})),),
    made_for=(("n_layers", 12), ("d_model", 768)),
)


def test_a_circuit_is_written_and_read_back_equal(tmp_path: Path) -> None:
    file = tmp_path / "own.json"
    OWN.write(file)
    found = Circuit.read(file)
    assert (found, found.roles, found.made_for) == (OWN, OWN.roles, OWN.made_for)
    assert Circuit.read(str(file)) == OWN
    assert json.loads(file.read_text())["nodes"] == ["pos", "mlp 3", "9.6 @ END"]


def test_a_circuit_of_a_computation_graph_round_trips(tmp_path: Path) -> None:
    h1, h2 = Component.for_node("h1"), Component.for_node("9.6")
    circuit = Circuit(frozenset({Node(h1)}), frozenset({Edge(h1, h2, "h1")}))
    circuit.write(tmp_path / "graph.json")
    assert Circuit.read(tmp_path / "graph.json") == circuit
    other = Circuit(edges=frozenset({Edge(h1, h2, "an argument of another name")}))
    with pytest.raises(ClaimError, match="cannot be written"):
        other.write(tmp_path / "graph.json")
    refused(tmp_path, {"nodes": ["h1 h2"], "computation": True}, "nodes, entry 1", "h1 -> h2")


def test_our_json_says_what_is_wrong(tmp_path: Path) -> None:
    assert names(Circuit.read(stored(tmp_path, {"nodes": ["9.6 @ END"]}))) == {"9.6 @ END"}
    refused(tmp_path, {"nodes": ["9.6"], "edgse": []}, "unknown key 'edgse'", "Did you mean 'edges'?")
    refused(
        tmp_path,
        {"nodes": ["9.6", "9,x"], "edges": []},
        "our JSON of nodes and edges",
        "nodes, entry 2",
        "names no component",
    )
    refused(tmp_path, {"nodes": ["9.6"], "edges": ["7.3 -> 9.9.x"]}, "edges, entry 1")
    refused(tmp_path, {"nodes": "9.6", "edges": []}, "nodes is a str, not a list")
    refused(tmp_path, {"nodes": ["9.6"], "made_for": {"n_layers": "12"}}, "made_for n_layers is '12'")
    refused(tmp_path, {"nodes": ["9.6"], "roles": ["a"]}, "'roles' is a list")


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ClaimError, match="empty circuit"):
        Circuit().write(tmp_path / "empty.json")
    with pytest.raises(ClaimError, match="cannot be written"):
        OWN.write(tmp_path / "absent" / "own.json")


# ---- files that are none


@pytest.mark.parametrize("name", ["circuit.pt", "circuit.PTH", "circuit.pkl", "absent.pickle"])
def test_a_pickle_is_not_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(ClaimError, match=r"not opened.*Export the names"):
        Circuit.read(tmp_path / name)


@pytest.mark.parametrize("content", [pickle.dumps(HOOKS), b"PK\x03\x04 an archive of torch's"])
def test_a_pickle_by_another_name_is_not_opened_either(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "edges.txt").write_bytes(content)
    with pytest.raises(ClaimError, match=r"not opened.*Export the names"):
        Circuit.read(tmp_path / "edges.txt")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ClaimError, match=r"absent\.json: cannot be read \(No such file"):
        Circuit.read(tmp_path / "absent.json")
    with pytest.raises(ClaimError, match="cannot be read"):
        Circuit.read(tmp_path)
    (tmp_path / "latin.txt").write_bytes("9.6 é".encode("latin-1"))
    with pytest.raises(ClaimError, match="no text"):
        Circuit.read(tmp_path / "latin.txt")


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("\n# a table\nwho;whom;score\n9.x;3;4\n", "line 3: 'who;whom;score'"),
        ({"weights": [1, 2], "bias": 3}, "an object with the keys 'weights', 'bias'"),
        ({}, "begins with {}"),
        ([3, 4], "entry 1: 3"),
        ("3", "line 1: '3'"),
        (["nothing", "known"], "entry 1: 'nothing'"),
        ([None], "entry 1: None"),
    ],
)
def test_an_unknown_form_shows_its_beginning_and_the_known_ones(tmp_path: Path, content: Any, shown: str) -> None:
    refused(tmp_path, content, shown, "EAP-IG", "MLP 2->A5.2.Q", "ACDC", "TransformerLens", "Known are")


def test_broken_json_says_where(tmp_path: Path) -> None:
    refused(tmp_path, json.dumps(GRAPH)[:-5], "As a whole it is no JSON", "line 1 column")
    refused(tmp_path, '[\n "7.3 -> 9.9.q",\n "9.9 -> logits"\n', "As a whole it is no JSON", "line 2")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "# nothing\n\n",
        [],
        changed(a0h0_to_m0={"in_graph": False}),
        {"cfg": {}, "nodes": {}, "edges": {}},
        {"nodes": [], "edges": []},
        [HOOKS[2], HOOKS[3]],
        [[HOOKS[1], False]],
    ],
)
def test_an_empty_circuit(tmp_path: Path, content: Any) -> None:
    refused(tmp_path, content, "an empty circuit")


def test_half_of_a_character_is_no_name(tmp_path: Path) -> None:
    nodes: nx.DiGraph = nx.DiGraph()
    nodes.add_node("h")
    with pytest.raises(ClaimError, match=r"a name holds '.ud800', which is no character"):
        Circuit.read(stored(tmp_path, '["h", "\\ud800"]'), Computation.of(nodes))
