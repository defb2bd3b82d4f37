"""Circuits in files that pair two ends: hooks of ACDC, nodes of TransformerLens."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from circuit_file_cases import HOOKS, names, refused, stored
from scrub.anatomy.edges import Edge
from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.circuit.circuit import Circuit
from scrub.circuit.formats.pairs import parts_from_pairs
from scrub.errors import ClaimError

# ---- edges between hooks

HOOK_PARTS = {"9.6 -> logits", "7.3 -> 9.6.q", "embed -> mlp 2", "pos -> mlp 3", "embed -> 3.1.v", "mlp 2 -> 4.1.k"}


def as_tuple(edge: list[Any]) -> tuple[Any, ...]:
    return tuple(tuple(item) if isinstance(item, list) else item for item in edge)


def printed(edge: list[Any], between: str = "", colon: str = ":") -> str:
    index = ["[" + ", ".join(colon if i is None else str(i) for i in edge[k]) + "]" for k in (1, 3)]
    return f"{edge[0]}{index[0]}{between}{edge[2]}{index[1]}"


@pytest.mark.parametrize(
    "content",
    [
        HOOKS,
        [[edge, 0.25] for edge in HOOKS],
        "\n".join(json.dumps(edge) for edge in HOOKS),
        "\n".join(f"({as_tuple(edge)}, True)," for edge in HOOKS),
        "[\n" + "\n".join(f"  ({as_tuple(edge)}, True)," for edge in HOOKS) + "\n]",
        "\n".join(f"('{e[0]}', {[*e[1]]}, '{e[2]}', {[*e[3]]})".replace("None", ":") for e in HOOKS),
        repr({as_tuple(edge): True for edge in HOOKS}),
        "\n".join(printed(edge) for edge in HOOKS),
        "\n".join(printed(edge, " <- ", "COL") for edge in HOOKS),
        [printed(edge, ", ") for edge in HOOKS],
    ],
    ids=["json", "scored", "json lines", "tuples", "literal", "indices", "dict", "joined", "arrows", "strings"],
)
def test_edges_between_hooks(tmp_path: Path, content: Any) -> None:
    found = Circuit.read(stored(tmp_path, content))
    assert names(found) == HOOK_PARTS
    assert found.made_for == (("n_layers", 12),)


@pytest.mark.parametrize("one", [HOOKS[1], [HOOKS[1], 0.5], json.dumps(HOOKS[1]), HOOKS[1:3], [[HOOKS[1], True]]])
def test_one_edge_alone_is_a_circuit(tmp_path: Path, one: Any) -> None:
    assert names(Circuit.read(stored(tmp_path, one))) == {"7.3 -> 9.6.q"}


def test_hooks_at_a_position_and_edges_that_are_absent(tmp_path: Path) -> None:
    at = ["blocks.9.hook_q_input", [None, 4, 6], "blocks.7.attn.hook_result", [None, 4, 3]]
    found = Circuit.read(stored(tmp_path, [[at, True], [HOOKS[0], False]]))
    assert found.edges == {Edge(Component("head", 7, 3), Component("head", 9, 6), "q", Slot("", 4))}
    refused(tmp_path, [[*at[:3], [None, 5, 3]]], "one position")
    text = f"{as_tuple(at)}, False\n{as_tuple(HOOKS[0])}, 0.5"
    assert names(Circuit.read(stored(tmp_path, text.replace("None", ":")))) == {"9.6 -> logits"}


@pytest.mark.parametrize(
    ("edge", "reason"),
    [
        ([*HOOKS[1][2:], *HOOKS[1][:2]], "the receiver comes first"),
        (["blocks.9.hook_q_inptu", [None, None, 6], *HOOKS[1][2:]], "Did you mean 'blocks.9.hook_q_input'?"),
        (["blocks.9.hook_q_input", [None, None, 6], "hook_embde", [None]], "Did you mean 'hook_embed'?"),
        (["blocks.9.hook_q_input", [None], *HOOKS[1][2:]], "is indexed [:, :, head]"),
        (["blocks.9.hook_mlp_in", [None, None, 2], *HOOKS[1][2:]], "is indexed [:]"),
        (["blocks.9.hook_q_input", [None, None, -6], *HOOKS[1][2:]], "'-6' is no index"),
        (["blocks.9.attn.hook_q", [None, None, 6], *HOOKS[1][2:]], "no such edge between these two hooks"),
        (["blocks.9.attn.hook_q", [None, None, 6], "blocks.9.hook_q_input", [None, None, 5]], "no such edge"),
        (["blocks.9.attn.hook_q", [None, None, 6], "blocks.9.hook_k_input", [None, None, 6]], "no such edge"),
        (["blocks.9.hook_mlp_out", [None], "blocks.8.hook_mlp_in", [None]], "no such edge"),
        (["blocks.9.hook_resid_post", [None], *HOOKS[0][2:]], "of layer 11 alone"),
        (["blocks.9.hook_resid_pre", [None], *HOOKS[0][2:]], "is no hook that an edge joins"),
        (["blocks.9.hook_q_input", [None, None, 6]], "an edge is written"),
    ],
)
def test_what_is_no_edge_between_hooks(tmp_path: Path, edge: list[Any], reason: str) -> None:
    message = refused(tmp_path, [HOOKS[0], edge], "as of ACDC", "entry 2", reason)
    assert "entry 1" not in message
    refused(tmp_path, [HOOKS[0], edge, edge], "entry 3")
    if len(edge) == 4:
        refused(tmp_path, f"{printed(HOOKS[0])}\n{printed(edge)}", "line 2", reason)


def test_a_printed_line_with_other_words_is_no_edge(tmp_path: Path) -> None:
    refused(tmp_path, f"{printed(HOOKS[0])}\nremoved {printed(HOOKS[1])}\n", "line 2", "or as printed")


# ---- pairs of TransformerLens


@dataclasses.dataclass(frozen=True)
class Written:
    """Stands for TransformerLens's node, with its fields and its printed form."""

    kind: str
    position: int
    layer: int | None = None
    head: int | None = None

    def __repr__(self) -> str:
        return f"Node(kind={self.kind!r}, position={self.position}, layer={self.layer}, head={self.head})"


PAIRS = [
    (Written("embed", 3), Written("q_input", 3, 0, 1)),
    (Written("embed", 2), Written("k_input", 2, 0, 1)),
    (Written("attn_head_out", 4, 0, 1), Written("v_input", 4, 1, 0)),
    (Written("attn_head_out", 4, 1, 0), Written("mlp_in", 4, 1)),
    (Written("mlp_out", 0, 1), Written("logits", 0, 2)),
]
PAIR_PARTS = {
    "embed -> 0.1.q @ 3",
    "embed -> 0.1.k @ 2",
    "0.1 -> 1.0.v @ 4",
    "1.0 -> mlp 1 @ 4",
    "mlp 1 -> logits @ 0",
}
AS_JSON = [[dataclasses.asdict(node) for node in pair] for pair in PAIRS]


@pytest.mark.parametrize(
    "pairs", [PAIRS, [(*pair, -0.5) for pair in PAIRS], {pair: 0.1 for pair in PAIRS}, iter(PAIRS), AS_JSON]
)
def test_pairs_in_memory(pairs: Any) -> None:
    found = Circuit.of_parts(parts_from_pairs(pairs))
    assert names(found) == PAIR_PARTS
    assert found.made_for == (("n_layers", 3),)
    assert all(edge.at is not None and edge.at.name == "" for edge in found.edges)


def test_the_nodes_of_transformer_lens_have_these_fields() -> None:
    analysis = pytest.importorskip("transformer_lens.tools.analysis.attribution_patching")
    real = [tuple(analysis.Node(**dataclasses.asdict(node)) for node in pair) for pair in PAIRS]
    assert names(Circuit.of_parts(parts_from_pairs(real))) == PAIR_PARTS
    assert [repr(node) for pair in real for node in pair] == [repr(node) for pair in PAIRS for node in pair]


@pytest.mark.parametrize(
    "content",
    [
        AS_JSON,
        [[*pair, 0.5] for pair in AS_JSON],
        [[pair, 0.5] for pair in AS_JSON],
        [[repr(node) for node in pair] for pair in PAIRS],
        repr(PAIRS),
        "\n".join(map(repr, PAIRS)),
        repr({pair: 1e-5 for pair in PAIRS}),
        "\n".join(json.dumps(pair) for pair in AS_JSON),
    ],
    ids=["json", "triples", "scored", "strings", "printed", "lines", "scores", "json lines"],
)
def test_pairs_in_files(tmp_path: Path, content: Any) -> None:
    assert names(Circuit.read(stored(tmp_path, content))) == PAIR_PARTS


def test_a_pair_alone_and_without_a_position(tmp_path: Path) -> None:
    pair = [{"kind": "attn_head_out", "layer": 7, "head": 3}, {"kind": "q_input", "layer": 9, "head": 9}]
    assert names(Circuit.read(stored(tmp_path, pair))) == {"7.3 -> 9.9.q"}


@pytest.mark.parametrize(
    ("writer", "reader", "reason"),
    [
        ({"kind": "embde"}, {"kind": "logits"}, "Did you mean 'embed'?"),
        ({"kind": "logits"}, {"kind": "embed"}, "'logits' is no kind of writer"),
        ({"kind": "mlp_out", "layer": 1}, {"kind": "mlp_out", "layer": 2}, "'mlp_out' is no kind of reader"),
        ({"kind": "attn_head_out", "layer": 1}, {"kind": "logits"}, "attn_head_out needs a head"),
        ({"kind": "mlp_out"}, {"kind": "logits"}, "mlp_out needs a layer"),
        ({"kind": "mlp_out", "layer": "x"}, {"kind": "logits"}, "layer 'x' is no number"),
        ({"kind": "mlp_out", "layer": -1}, {"kind": "logits"}, "layer -1 is no number"),
        ({"kind": "embed", "layr": 1}, {"kind": "logits"}, "Did you mean 'layer'?"),
        ({"kind": "embed", "position": 1}, {"kind": "logits", "position": 2}, "not at 1 and 2"),
        ({"kind": "embed"}, {"kind": "logits", "layer": 5}, "after layer 5 here and after layer 2 before"),
        ({"kind": "embed"}, 3, "an edge is written"),
    ],
)
def test_what_is_no_pair(tmp_path: Path, writer: Any, reader: Any, reason: str) -> None:
    message = refused(tmp_path, [AS_JSON[-1], [writer, reader]], "TransformerLens", "entry 2", reason)
    assert "entry 1" not in message
    with pytest.raises(ClaimError, match="entry 2"):
        parts_from_pairs([PAIRS[-1], (writer, reader)])


def test_a_printed_writer_without_its_reader(tmp_path: Path) -> None:
    refused(tmp_path, f"{PAIRS[0]}\n({PAIRS[0][0]!r})\n", "line 2", "a writer and a reader")
    refused(tmp_path, f"{PAIRS[0]}\nremoved {PAIRS[0]}\n", "line 2", "a writer and a reader")


def test_no_pairs_are_no_circuit() -> None:
    with pytest.raises(ClaimError, match="empty circuit"):
        parts_from_pairs([])
