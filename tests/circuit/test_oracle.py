"""The oracle against the model's own hooks, against TransformerLens, and against graphs worked by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from by_hooks import (
    DATA,
    DONOR,
    FORKED,
    MODELS,
    NOTHING,
    ROW,
    SLOTS,
    agrees,
    coin,
    components_by_hooks,
    differs,
    direct_paths,
    edges_by_hooks,
    hooked_values,
    model_of,
    putting,
    tokens,
    writers,
)
from oracle import (
    EMBED,
    LOGITS,
    POS,
    Passed,
    Path,
    Values,
    aligned,
    donor_values,
    embedded,
    graph_components,
    graph_edges,
    graph_own,
    graph_paths,
    mean_values,
    node,
    own_run,
    patch_paths,
    place,
    run_components,
    run_edges,
    zero_values,
)
from torch import Tensor

from engine.graph_cases import graph_of
from engine.hooked import Hooked
from model.tiny_models import EXACT, ROUNDED
from scrub import Dataset
from scrub.anatomy.names import Component, parse_component
from scrub.anatomy.positions import Slot
from scrub.model.computation import Computation

head = parse_component


PLAIN = ["native attention only, no norm", "native bidirectional", "mistral with a window"]


@pytest.mark.parametrize("name", [*MODELS, *PLAIN])
def test_the_model_s_own_run(name: str) -> None:
    if name in MODELS:
        model = model_of(name)
    else:
        model = Hooked({**EXACT, **ROUNDED}[name](), 3e-5 if name in ROUNDED else 1e-10)
    agrees(own_run(model.weights, tokens(ROW))[1], model.run(tokens(ROW))["logits"], model)


def ablated(model: Hooked, how: str) -> tuple[Values, Values]:
    """The ablated values of a row as the oracle has them, and as the hooks carry them."""
    if how == "zero":
        hooks = hooked_values(model, ROW, range(len(tokens(ROW))))
        return zero_values(model.weights, tokens(ROW)), {c: 0 * value for c, value in hooks.items()}
    if how == "donor":
        where = aligned(DATA, ROW, DONOR, SLOTS)
        return donor_values(model.weights, DATA, ROW, DONOR, SLOTS), hooked_values(model, DONOR, where)
    reference = [0, 2, 3, 5, 6]  # 0 and 5 are too short to have every position
    found: Values = {}
    for component in writers(model):
        means: list[Tensor] = []
        for t in range(len(tokens(ROW))):
            there = {donor: place(DATA, ROW, donor, t, SLOTS) for donor in reference}
            values = [hooked_values(model, d, [at])[component][0] for d, at in there.items() if at is not None]
            means.append(sum(values[1:], values[0]) / len(values))
        found[component] = torch.stack(means)
    return mean_values(model.weights, DATA, ROW, reference, SLOTS), found


@pytest.mark.parametrize(("name", "how"), [*((name, "donor") for name in MODELS), ("gpt2", "mean"), ("gpt2", "zero")])
def test_components_as_by_hooks(name: str, how: str) -> None:
    """A random half of all components and positions is live; the run starts on x, then on the ablated input."""
    model, live = model_of(name), coin(1)
    other, hooks = ablated(model, how)
    own, own_hooks = own_run(model.weights, tokens(ROW))[0], hooked_values(model, ROW, range(len(tokens(ROW))))
    for base, base_hooks, frozen, frozen_hooks in ((own, own_hooks, other, hooks), (other, hooks, own, own_hooks)):
        found = run_components(model.weights, tokens(ROW), base, frozen, live)
        agrees(found, components_by_hooks(model, base_hooks, frozen_hooks, live), model)
        differs(found, model.plain(tokens(ROW)))


PASSES = {"nothing": "", "mlps": "mlp 0, mlp 1, mlp 2", "some of each": "0.1, mlp 1, 1.2, 1.3, 2.0"}


@pytest.mark.parametrize(
    ("name", "through"),
    [
        *(("gpt2", through) for through in PASSES),
        ("neox parallel", "mlps"),
        ("neox parallel", "some of each"),
        ("llama, grouped", "nothing"),
        ("llama, grouped", "some of each"),
    ],
)
def test_edges_as_by_hooks(name: str, through: str) -> None:
    """A random half of all edges and positions is live, the run starts on x; then on a donor's embeddings."""
    model, live = model_of(name), coin(2)
    passed = frozenset(parse_component(part) for part in PASSES[through].split(", ") if part)
    other, hooks = ablated(model, "donor")
    own, own_hooks = own_run(model.weights, tokens(ROW))[0], hooked_values(model, ROW, range(len(tokens(ROW))))
    found = run_edges(model.weights, tokens(ROW), own, other, live, passed)
    agrees(found, edges_by_hooks(model, own_hooks, hooks, live, passed), model)
    differs(found, model.plain(tokens(ROW)))
    if through == "mlps":
        found = run_edges(model.weights, tokens(ROW), other, own, live, passed)
        agrees(found, edges_by_hooks(model, hooks, own_hooks, live, passed), model)


@pytest.mark.parametrize("channel", ["q", "k", "v"])
@pytest.mark.parametrize("name", FORKED)
def test_one_edge_as_by_transformer_lens(name: str, channel: str) -> None:
    """A head's clean write for one channel of a later head, in the corrupted run: as an edge, and as a path."""
    model, sender, clean, corrupted = model_of(name), head("0.1"), tokens(6), tokens(2)
    clean = clean[: len(corrupted)]
    other, own = (own_run(model.weights, row)[0] for row in (clean, corrupted))
    everything = frozenset(own) - {EMBED, POS}
    for receiver, expected in direct_paths(model, clean, corrupted, channel):
        edge = (sender, receiver, channel)
        found = run_edges(model.weights, corrupted, own, other, lambda *key, edge=edge: key[:3] != edge)
        agrees(found, expected, model)
        path = (sender, [(receiver, channel, NOTHING), (LOGITS, "input", everything)])
        agrees(patch_paths(model.weights, corrupted, own, other, [path]), expected, model)


def others(model: Hooked) -> tuple[Values, Values, Values, Values]:
    """Own and other values of a row for paths: the oracle's, and the hooks'."""
    other, hooks = ablated(model, "donor")
    own = own_run(model.weights, tokens(ROW))[0]
    return own, other, hooked_values(model, ROW, range(len(tokens(ROW)))), hooks


def mlps(model: Hooked) -> Passed:
    return frozenset(Component("mlp", layer) for layer in range(model.layers))


@pytest.mark.parametrize("name", FORKED)
def test_a_path_through_mlps_in_three_passes(name: str) -> None:
    """Heads frozen, MLPs computed: what the receiver reads; then what it writes; then what comes of that."""
    model, sender, receiver = model_of(name), head("0.1"), head("2.3")
    own, other, own_hooks, hooks = others(model)
    heads = {c: value for c, value in own_hooks.items() if c.kind == "head"}
    pre, z, asked = "blocks.2.hook_resid_pre", "blocks.2.attn.hook_z", "blocks.2.attn.hook_q_input"
    read = model.run(tokens(ROW), putting(model, {**heads, sender: hooks[sender]}), [pre])[pre]

    def ask(value: Tensor) -> Tensor:
        value[0, :, 3] = read
        return value

    written = model.run(tokens(ROW), {asked: ask}, [z])[z][:, 3]
    expected = model.run(tokens(ROW), putting(model, {**heads, receiver: written}))["logits"]
    path = (sender, [(receiver, "q", mlps(model)), (LOGITS, "input", mlps(model))])
    agrees(patch_paths(model.weights, tokens(ROW), own, other, [path]), expected, model)
    direct = (sender, [(receiver, "q", NOTHING), (LOGITS, "input", NOTHING)])
    differs(patch_paths(model.weights, tokens(ROW), own, other, [direct]), expected)


@pytest.mark.parametrize("name", FORKED)
def test_readers_see_different_values_where_the_paths_say_so(name: str) -> None:
    """1.0 is the other row's for the logits, and for 2.3.q what it makes of the other row's 0.2."""
    model = model_of(name)
    own, other, _, hooks = others(model)
    z = {name: model.own(tokens(ROW))[f"blocks.{name[0]}.attn.hook_z"][:, int(name[2])] for name in ("1.0", "2.3")}

    def reading(name: str, channel: str, change: Tensor) -> Tensor:
        hook, kept = (f"blocks.{name[0]}.attn.hook_{what}" for what in (f"{channel}_input", "z"))

        def add(value: Tensor) -> Tensor:
            value[0, :, int(name[2])] += change
            return value

        return model.run(tokens(ROW), {hook: add}, [kept])[kept][:, int(name[2])]

    def write(name: str, change: Tensor) -> Tensor:
        return change @ model.weights.blocks[int(name[0])].attn.W_O[int(name[2])]

    first = write("1.0", reading("1.0", "k", other[head("0.2")] - own[head("0.2")]) - z["1.0"])
    change = other[head("0.1")] - own[head("0.1")] + first
    last = write("2.3", reading("2.3", "q", change) - z["2.3"]) + write("1.0", hooks[head("1.0")] - z["1.0"])
    post = f"blocks.{model.layers - 1}.hook_resid_post"
    expected = model.run(tokens(ROW), {post: lambda value: value + last})["logits"]
    end, asked = (LOGITS, "input", NOTHING), (head("2.3"), "q", NOTHING)
    paths = [
        (head("0.1"), [asked, end]),
        (head("0.2"), [(head("1.0"), "k", NOTHING), asked, end]),
        (head("1.0"), [end]),
    ]
    agrees(patch_paths(model.weights, tokens(ROW), own, other, paths), expected, model)


@pytest.mark.parametrize("name", MODELS)
def test_activation_patching_is_a_path_through_everything(name: str) -> None:
    model = model_of(name)
    own, other, _, hooks = others(model)
    rest = frozenset(c for c in own if c not in (EMBED, POS))
    for senders in (["0.2"], ["1.1", "mlp 0", "2.0"]):
        chosen = [parse_component(sender) for sender in senders]
        found = patch_paths(model.weights, tokens(ROW), own, other, [(c, [(LOGITS, "input", rest)]) for c in chosen])
        agrees(found, model.run(tokens(ROW), putting(model, {c: hooks[c] for c in chosen}))["logits"], model)
        differs(found, model.plain(tokens(ROW)))


@pytest.mark.parametrize("name", MODELS)
def test_a_hop_through_mlps_is_all_its_paths(name: str) -> None:
    model, sender = model_of(name), head("0.2")
    own, other, *_ = others(model)
    one, two, end = (
        (Component("mlp", 1), "input", NOTHING),
        (Component("mlp", 2), "input", NOTHING),
        (LOGITS, "input"),
    )
    ways = [[], [one], [two], [one, two]]
    inner = frozenset((one[0], two[0]))
    through = patch_paths(model.weights, tokens(ROW), own, other, [(sender, [(*end, inner)])])
    listed = patch_paths(model.weights, tokens(ROW), own, other, [(sender, [*way, (*end, NOTHING)]) for way in ways])
    agrees(through, listed, model)
    differs(through, patch_paths(model.weights, tokens(ROW), own, other, [(sender, [(*end, NOTHING)])]))


@pytest.mark.parametrize("passed", [NOTHING, frozenset((Component("mlp", 0), Component("mlp", 1), head("1.2")))])
@pytest.mark.parametrize("name", MODELS)
def test_all_in_is_the_model_and_none_in_is_ablated(name: str, passed: Passed) -> None:
    model = model_of(name)
    own, other, *_ = others(model)
    found = run_edges(model.weights, tokens(ROW), own, other, lambda *_: True, passed)
    agrees(found, model.plain(tokens(ROW)), model)
    none = run_edges(model.weights, tokens(ROW), own, other, lambda *_: False, passed)
    agrees(none, run_components(model.weights, tokens(ROW), own, other, lambda c, _: c in passed), model)
    denoised = run_edges(model.weights, tokens(ROW), other, own, lambda *_: True, passed)
    agrees(denoised, run_components(model.weights, tokens(ROW), other, own, lambda *_: True), model)
    differs(denoised, found)


def rows(*found: tuple[int, dict[str, int]]) -> Dataset:
    return Dataset.from_rows([{"tokens": range(length), "positions": positions} for length, positions in found])


def test_positions_correspond_by_name_then_by_index() -> None:
    data = rows((5, {"S": 1, "END": 4}), (7, {"S": 3, "END": 6}), (7, {"S": 3}))
    assert aligned(data, 0, 1, []) == [0, 3, 2, 3, 6]
    assert aligned(data, 0, 1, [Slot("S", 1), Slot("", 0)]) == [0, 3, 4, 3, 6]
    assert aligned(data, 0, 1, [Slot("", 1), Slot("END", -2)]) == [0, 1, 4, 3, 6], "slots go before names"
    assert aligned(data, 0, 1, [Slot("", -1), Slot("", -4)])[1] == 3
    with pytest.raises(ValueError, match="no position 4"):
        aligned(data, 0, 2, [])
    both = rows((3, {"B": 1, "A": 1}), (3, {"B": 2, "A": 0}))
    assert aligned(both, 0, 1, []) == [0, 0, 2], "of two names the first in the alphabet"
    assert aligned(both, 0, 1, [Slot("B")]) == [0, 2, 2]


def test_a_donor_that_is_too_short() -> None:
    data = rows((5, {}), (4, {}))
    with pytest.raises(ValueError, match="row 1 has no position 4"):
        aligned(data, 0, 1, [])
    assert aligned(data, 1, 0, []) == [0, 1, 2, 3]


def test_means_are_over_the_rows_that_have_the_position() -> None:
    weights = model_of("gpt2").weights
    data = rows((3, {"END": 2}), (2, {"END": 1}), (4, {"END": 0}))
    found = mean_values(weights, data, 0, [0, 1, 2], [])
    at = [embedded(weights, row.tokens)[POS] for row in data.rows]
    expected = [(at[0][0] + at[1][0] + at[2][0]) / 3, (at[0][1] + at[1][1] + at[2][1]) / 3]
    torch.testing.assert_close(found[POS], torch.stack([*expected, (at[0][2] + at[1][1] + at[2][0]) / 3]))
    only = mean_values(weights, rows((3, {}), (2, {})), 0, [0, 1], [])
    torch.testing.assert_close(only[POS][2], at[0][2])
    with pytest.raises(ValueError, match="no reference row has position 2"):
        mean_values(weights, rows((3, {}), (2, {})), 0, [1], [])


E = Computation.of(graph_of(h1=lambda x: 2 * x, h2=lambda x, h1: 3 * (x + h1), out=lambda x, h1, h2: x + h1 + h2))
F = Computation.of(graph_of(h1=lambda x: 2 * x, h2=lambda x, h1: (x + h1) ** 2, out=lambda x, h1, h2: x + h1 + h2))


def graph_path(text: str) -> Path:
    """`x h1 h2 out`: each reads the one before it."""
    return node(text.split()[0]), [(node(reader), sender, NOTHING) for sender, reader in pairwise(text.split())]


@pytest.mark.parametrize(
    ("model", "paths", "weight"),
    [
        (E, ["x out"], 1),
        (E, ["x h1 out"], 2),
        (E, ["x h2 out"], 3),
        (E, ["x h1 h2 out"], 6),
        (E, ["h1 out", "h1 h2 out"], 8),
        (E, ["x out", "x h1 out", "x h2 out", "x h1 h2 out"], 12),
        (F, ["x h2 out"], 1),
        (F, ["x h1 h2 out"], 4),
        (F, ["x h2 out", "x h1 h2 out"], 9),
        (F, ["x out", "x h1 out", "x h2 out", "x h1 h2 out"], 12),
    ],
)
def test_paths_of_a_graph(model: Computation, paths: list[str], weight: int) -> None:
    """The senders' values at x = 1, in the run at x = 0; in E, which is linear, also the other way round."""
    zero, one = graph_own(model, {"x": 0}), graph_own(model, {"x": 1})
    chosen = [graph_path(path) for path in paths]
    assert graph_paths(model, zero, one, chosen, "out") == weight
    if model is E:
        assert graph_paths(model, one, zero, chosen, "out") == 12 - weight


def test_paths_of_a_graph_through_a_node() -> None:
    """From h1 by way of h2 comes 4 by the argument h2 of `out`; its argument h1 reads h1 directly, which is 2."""
    zero, one = graph_own(F, {"x": 0}), graph_own(F, {"x": 1})
    hops = [(node("out"), argument, frozenset((node("h2"),))) for argument in ("h2", "h1")]
    assert graph_paths(F, zero, one, [(node("h1"), hops[:1])], "out") == 4
    assert graph_paths(F, zero, one, [(node("h1"), hops[1:])], "out") == 2
    assert graph_paths(F, zero, one, [(node("h1"), [hop]) for hop in hops], "out") == 6


def test_components_of_a_graph() -> None:
    zero, one = graph_own(F, {"x": 0}), graph_own(F, {"x": 1})
    assert graph_components(F, one, zero, lambda c: c.name != "h1") == {
        node("x"): 1,
        node("h1"): 0,
        node("h2"): 1,
        node("out"): 2,
    }
    assert graph_components(F, zero, one, lambda c: c.name != "h1")[node("out")] == 6
    assert graph_components(F, one, zero, lambda c: c.name == "x")[node("out")] == 0


def test_edges_of_a_graph() -> None:
    zero, one = graph_own(F, {"x": 0}), graph_own(F, {"x": 1})

    def out(missing: set[tuple[str, str, str]], passed: tuple[str, ...] = (), base: Values = one) -> int:
        frozen = zero if base is one else one
        kept = lambda s, r, channel: (s.name, r.name, channel) not in missing  # noqa: E731
        return graph_edges(F, base, frozen, kept, frozenset(map(node, passed)))[node("out")]

    assert out(set()) == 12
    assert out({("h1", "h2", "h1")}) == 1 + 2 + 1
    assert out({("h1", "h2", "h1")}, base=zero) == 0 + 0 + 4
    assert out({("x", "h1", "x")}) == 1 + 0 + 1
    # h1 is passed through: the argument h1 of h2 and that of out recompute it, each from the x that it reads
    assert out({("x", "h2", "h1")}, ("h1",)) == 1 + 2 + 1
    assert out({("x", "out", "h1")}, ("h1",)) == 1 + 0 + 9
    assert out({("x", "out", "h2")}, ("h1", "h2")) == 1 + 2 + 0
    assert out({("x", "h2", "x")}, ("h1",)) == 1 + 2 + 4
