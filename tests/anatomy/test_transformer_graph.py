"""The model graph of a transformer: who exists, who is written before whom, what a path may pass."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from scrub.anatomy.names import Component, parse_component
from scrub.anatomy.shape import Shape
from scrub.anatomy.transformer import TransformerGraph
from scrub.errors import ClaimError

SHAPE = Shape("gpt2", 12, 11, 11, 64, 4, 256, 100, 32)
GRAPH = TransformerGraph("tiny", SHAPE)


def graph(**changes: Any) -> TransformerGraph:
    return TransformerGraph("tiny", evolve(SHAPE, **changes))


def part(text: str) -> Component:
    return parse_component(text)


@pytest.mark.parametrize(
    "text", ["embed", "pos", "0.0", "11.10", "attn 11", "mlp 0", "resid 0", "resid 12", "logits"]
)
def test_what_exists(text: str) -> None:
    assert GRAPH.has(part(text))


@pytest.mark.parametrize(
    ("tiny", "text", "known", "near"),
    [
        (GRAPH, "12.3", "tiny has layers 0 to 11", "11.3"),
        (GRAPH, "12.40", "tiny has layers 0 to 11", "11.10"),
        (GRAPH, "9.11", "tiny has heads 9.0 to 9.10", "9.10"),
        (GRAPH, "mlp 12", "tiny has mlp 0 to 11", "mlp 11"),
        (GRAPH, "attn 30", "tiny has attn 0 to 11", "attn 11"),
        (GRAPH, "resid 13", "tiny has resid 0 to 12", "resid 12"),
        (graph(d_mlp=0), "mlp 3", "tiny has attention only, no MLPs", "attn 3"),
        (
            graph(positions="rotary"),
            "pos",
            r"tiny has no learned position embedding (rotary positions)",
            "embed",
        ),
    ],
)
def test_what_does_not_exist_has_a_nearest(tiny: TransformerGraph, text: str, known: str, near: str) -> None:
    assert not tiny.has(part(text))
    assert tiny.missing(part(text)) == (known, near)
    assert tiny.has(part(near))


def test_nodes_are_not_of_a_transformer() -> None:
    node = Component.for_node("h1")
    assert not GRAPH.has(node)
    assert "nodes(...) names nodes of a computation graph" in GRAPH.missing(node)[0]


def test_channels() -> None:
    assert GRAPH.channels(part("3.1")) == GRAPH.channels(part("attn 3")) == ("q", "k", "v")
    assert {GRAPH.channels(part(t)) for t in ("embed", "pos", "mlp 3", "resid 3", "logits")} == {("input",)}


@pytest.mark.parametrize(
    ("writer", "reader", "fed"),
    [
        ("embed", "0.0", True),
        ("pos", "mlp 0", True),
        ("embed", "embed", False),
        ("0.0", "0.1", False),
        ("0.0", "mlp 0", True),
        ("mlp 0", "0.0", False),
        ("mlp 0", "1.0", True),
        ("mlp 0", "mlp 0", False),
        ("attn 1", "mlp 1", True),
        ("1.0", "resid 1", False),
        ("mlp 0", "resid 1", True),
        ("resid 1", "1.0", True),
        ("resid 1", "mlp 0", False),
        ("embed", "resid 0", True),
        ("resid 12", "logits", True),
        ("mlp 11", "logits", True),
        ("logits", "logits", False),
    ],
)
def test_a_channel_reads_all_that_was_written_before(writer: str, reader: str, fed: bool) -> None:
    assert all(GRAPH.feeds(part(writer), part(reader), c) == fed for c in GRAPH.channels(part(reader)))


def test_parallel_blocks_read_the_same_stream() -> None:
    parallel = graph(parallel=True)
    assert not parallel.feeds(part("2.0"), part("mlp 2"), "input")
    assert parallel.feeds(part("2.0"), part("mlp 3"), "input")
    assert parallel.feeds(part("mlp 1"), part("2.0"), "q")


@given(st.tuples(*[st.sampled_from([str(c) for c in GRAPH.writers()])] * 2))
def test_feeding_has_no_cycle(pair: tuple[str, str]) -> None:
    a, b = map(part, pair)
    assert not (GRAPH.feeds(a, b, "input") and GRAPH.feeds(b, a, "input"))
    if GRAPH.feeds(a, b, "input"):
        assert GRAPH.order(a) < GRAPH.order(b)


def test_a_value_moves_through_a_passed_head_between_writer_and_reader() -> None:
    for inner, carried in {"1.0": True, "0.0": False, "2.1": False, "mlp 1": False}.items():
        passed = frozenset([part(inner)])
        assert GRAPH.carries(part("0.1"), part("2.0"), "q", passed) == carried, inner
    assert not GRAPH.carries(part("0.1"), part("2.0"), "q", frozenset())


def test_atoms() -> None:
    assert GRAPH.atoms(part("attn 3")) == {Component("head", 3, h) for h in range(11)}
    assert GRAPH.atoms(part("resid 0")) == {part("embed"), part("pos")}
    assert GRAPH.atoms(part("resid 1")) == {
        part("embed"),
        part("pos"),
        part("mlp 0"),
        *GRAPH.atoms(part("attn 0")),
    }
    assert GRAPH.atoms(part("resid 12")) == set(GRAPH.writers())
    assert GRAPH.atoms(part("9.10")) == {part("9.10")}


def test_writers() -> None:
    assert len(GRAPH.writers()) == 2 + 12 * 12
    assert part("pos") not in graph(positions="rotary").writers()
    assert {c.kind for c in graph(d_mlp=0).writers()} == {"embed", "pos", "head"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), []),
        (("mlps",), [f"mlp {i}" for i in range(12)]),
        (("mlps 9-10",), ["mlp 9", "mlp 10"]),
        (("mlp 3",), ["mlp 3"]),
        (("m3", "9.10"), ["mlp 3", "9.10"]),
        (("heads 11",), [f"11.{h}" for h in range(11)]),
        (("attn 2",), [f"2.{h}" for h in range(11)]),
        (("all 1",), [f"1.{h}" for h in range(11)] + ["mlp 1"]),
    ],
)
def test_what_a_path_passes(words: tuple[str, ...], expected: list[str]) -> None:
    assert GRAPH.passed(words) == {part(text) for text in expected}


def test_all_is_heads_and_mlps() -> None:
    assert (
        GRAPH.passed(["all"])
        == GRAPH.passed(["heads", "mlps"])
        == {c for c in GRAPH.writers() if c.kind in ("head", "mlp")}
    )


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("mpls", "through='mpls' names nothing that a path can pass in tiny: write 'mlps', 'heads', 'all'"),
        ("9.99", "through='9.99' names nothing"),
        ("embed", "through='embed' names nothing"),
        ("resid 3", "names nothing"),
        ("9.6 9.7", "single components separated by commas"),
        ("mlps 3-12", "through='mlps 3-12' names no layers of tiny, which has layers 0 to 11"),
        ("mlps 3-1", "names no layers of tiny"),
    ],
)
def test_what_a_path_cannot_pass(word: str, message: str) -> None:
    with pytest.raises(ClaimError, match=message):
        GRAPH.passed([word])


def test_what_else_a_claim_asks() -> None:
    assert GRAPH.sequence
    assert GRAPH.causal
    assert not graph(causal=False).causal
    assert GRAPH.inputs() == ()
    assert [GRAPH.is_output(part(text)) for text in ("logits", "mlp 11")] == [True, False]
