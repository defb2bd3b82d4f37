"""One notation for the parts of a model, read and printed in one place."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrub.anatomy.names import (
    Component,
    parse_component,
    parse_heads,
    parse_layers,
    parse_nodes,
    print_components,
)
from scrub.errors import ClaimError

INDEX = st.integers(0, 120)


@pytest.mark.parametrize("text", ["9.6", "L9H6", "l9h6", "a9.h6", "A9.6", "9.h6", "9h6", "L9.6", " 9.6 "])
def test_every_notation_of_a_head_is_the_same_head(text: str) -> None:
    assert parse_component(text) == Component("head", 9, 6)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("mlp 3", "mlp 3"),
        ("mlp3", "mlp 3"),
        ("m3", "mlp 3"),
        ("mlp_3", "mlp 3"),
        ("attn 10", "attn 10"),
        ("resid 0", "resid 0"),
        ("embed", "embed"),
        ("pos", "pos"),
        ("logits", "logits"),
        ("10.11", "10.11"),
    ],
)
def test_other_components(text: str, printed: str) -> None:
    assert str(parse_component(text)) == printed


@pytest.mark.parametrize("text", ["", "9", "9.", "9.6.1", "mpl 3", "head 9.6", "-1.2", "9,6", "LOGITS"])
def test_what_is_no_component_says_how_they_are_written(text: str) -> None:
    with pytest.raises(ClaimError, match=r"names no component.*9\.6.*mlp 3"):
        parse_component(text)


@given(st.sets(st.tuples(INDEX, INDEX), min_size=1), st.randoms())
def test_heads_round_trip_in_order_of_layer_and_head(pairs: set[tuple[int, int]], rng: random.Random) -> None:
    shuffled = [f"L{layer}H{head}" if layer % 2 else f"{layer}.{head}" for layer, head in pairs]
    rng.shuffle(shuffled)
    found = parse_heads(", ".join(shuffled))
    assert [(c.layer, c.unit) for c in found] == sorted(pairs)
    assert parse_heads(print_components(found)) == found


@given(st.sampled_from(["mlp", "attn", "resid"]), st.sets(INDEX, min_size=1))
def test_layers_round_trip(kind: str, layers: set[int]) -> None:
    found = parse_layers(kind, " ".join(map(str, layers)))
    assert [c.layer for c in found] == sorted(layers)
    assert parse_layers(kind, print_components(found)) == found


@given(st.lists(st.from_regex(r"[a-z]\w{0,3}", fullmatch=True), min_size=1, unique=True))
def test_nodes_round_trip(names: list[str]) -> None:
    assert parse_nodes(print_components(parse_nodes(" ".join(names)))) == parse_nodes(", ".join(names))


@given(st.sampled_from(["head", "mlp", "attn", "resid"]), INDEX, INDEX)
def test_a_component_round_trips(kind: str, layer: int, head: int) -> None:
    component = Component(kind, layer, head if kind == "head" else None)
    assert parse_component(str(component)) == component


def test_components_sort_as_the_model_runs() -> None:
    texts = ["logits", "mlp 2", "2.10", "2.9", "attn 2", "resid 2", "10.0", "pos", "embed"]
    found = sorted(map(parse_component, texts))
    assert [str(c) for c in found] == [
        "embed",
        "pos",
        "resid 2",
        "attn 2",
        "2.9",
        "2.10",
        "mlp 2",
        "10.0",
        "logits",
    ]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [(3, [3]), ("0-2 5", [0, 1, 2, 5]), ("mlp 1, mlp 11", [1, 11]), ("m4", [4]), ("mlps 0-1", [0, 1])],
)
def test_layers_are_numbers_and_ranges(layers: str | int, expected: list[int]) -> None:
    assert [c.layer for c in parse_layers("mlp", layers)] == expected


@pytest.mark.parametrize("layers", ["x", "-1", "3-1", "1.2", "0-"])
def test_what_is_no_layer_is_refused(layers: str) -> None:
    with pytest.raises(ClaimError, match="is not a layer of mlp: write mlp layers as 3, '3 5' or '0-3'"):
        parse_layers("mlp", layers)


def test_the_short_word_for_mlps_names_no_attention() -> None:
    with pytest.raises(ClaimError, match="'m3' is not a layer of attn"):
        parse_layers("attn", "m3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9.6 mlp3", "'mlp3' is not a head. Heads are written 9.6"),
        ("", "no heads are named in ''"),
        ("9.6 L9H6", "9.6 is named twice in '9.6 L9H6'"),
        (9.10, "write a string, because as a number 9.10"),
    ],
)
def test_wrong_lists_of_heads(text: str, message: str) -> None:
    with pytest.raises(ClaimError, match=message):
        parse_heads(text)


def test_wrong_lists_of_nodes_and_layers() -> None:
    with pytest.raises(ClaimError, match="no nodes are named"):
        parse_nodes(" , ")
    with pytest.raises(ClaimError, match="h1 is named twice"):
        parse_nodes("h1 h2 h1")
    with pytest.raises(ClaimError, match="mlp 2 is named twice"):
        parse_layers("mlp", "0-2 2")
