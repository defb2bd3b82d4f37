"""The zoo: what is stored loads offline and does what its card says; what is compiled is exact."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter

import pytest
import torch
from torch.testing import assert_close

import scrub
import scrub.zoo as zoo
from scrub import heads
from scrub.claims.collect import collect
from scrub.errors import ModelError
from scrub.model.open import zoo_bridge
from scrub.zoo import loading
from scrub.zoo.cards import TRAINED, weights_path
from scrub.zoo.compiled import COMPILED
from scrub.zoo.data import every_addition

LABELS = {
    "induction": ("END", "b"),
    "brackets": ("START", "label"),
    "names": ("END", "label"),
    "addition": ("END", "label"),
    "compiled-induction": ("END", "b"),
    "compiled-compose": ("END", "value"),
    "compiled-or": ("END", "value"),
    "compiled-dormant": ("END", "label"),
}


def label_id(name: str, row: zoo.Row) -> int:
    value = row["columns"][LABELS[name][1]]
    return zoo.vocabulary(name).index(value) if isinstance(value, str) else int(value)


def logits(name: str, rows: list[zoo.Row]) -> list[torch.Tensor]:
    """The logits of every row at the position of its answer, run in groups of equal length: no padding."""
    model, found = zoo_bridge(name), {}
    groups: dict[int, list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(len(row["tokens"]), []).append(index)
    for group in groups.values():
        with torch.no_grad():
            out = model(torch.tensor([rows[index]["tokens"] for index in group]))
        for index, one in zip(group, out, strict=True):
            found[index] = one[rows[index]["positions"][LABELS[name][0]]]
    return [found[index] for index in range(len(rows))]


def words_at(name: str, row: zoo.Row) -> dict[str, str]:
    vocabulary = zoo.vocabulary(name)
    return {slot: vocabulary[row["tokens"][index]] for slot, index in row["positions"].items()}


@pytest.mark.parametrize("name", zoo.NAMES)
def test_accuracy_on_fresh_rows_is_the_recorded_one(name: str) -> None:
    rows = zoo.rows(name, 1500, seed=77)
    right = [int(out.argmax()) == label_id(name, row) for out, row in zip(logits(name, rows), rows, strict=True)]
    assert sum(right) / len(rows) >= zoo.info(name).accuracy - 0.01
    assert zoo.info(name).accuracy >= 0.98


@pytest.mark.parametrize("name", zoo.NAMES)
def test_chance_is_what_the_most_frequent_answer_gets(name: str) -> None:
    rows = zoo.rows(name, 2000, seed=78)
    commonest = Counter(label_id(name, row) for row in rows).most_common(1)[0][1]
    assert commonest / len(rows) == pytest.approx(zoo.info(name).chance, abs=0.05)


@pytest.mark.parametrize("name", zoo.NAMES)
def test_digest_of_the_weights_is_the_recorded_one(name: str) -> None:
    card = zoo.info(name)
    weights = loading.weights(card)
    assert loading.digest(weights) == card.digest
    key = sorted(weights)[0]
    assert loading.digest({**weights, key: weights[key] + 1}) != card.digest


@pytest.mark.parametrize("name", TRAINED)
def test_stored_files_are_small_and_their_script_exists(name: str, request: pytest.FixtureRequest) -> None:
    assert weights_path(name).stat().st_size < 1_000_000
    assert (request.config.rootpath / zoo.info(name).script).is_file()


@pytest.mark.parametrize("name", zoo.NAMES)
def test_shape_agrees_with_the_model(name: str) -> None:
    shape, model = zoo.shape(name), zoo_bridge(name)
    assert not model.training
    weights = model.state_dict()
    assert weights["embed.weight"].shape == (shape.d_vocab, shape.d_model)
    assert weights["pos_embed.weight"].shape == (shape.n_ctx, shape.d_model)
    assert weights["blocks.0.attn.q.weight"].shape == (shape.n_heads * shape.d_head, shape.d_model)
    assert f"blocks.{shape.n_layers - 1}.attn.q.weight" in weights
    assert f"blocks.{shape.n_layers}.attn.q.weight" not in weights
    inner = weights["blocks.0.mlp.in.weight"].shape[0] if "blocks.0.mlp.in.weight" in weights else 0
    assert inner == shape.d_mlp
    assert len(zoo.vocabulary(name)) == len(set(zoo.vocabulary(name))) == shape.d_vocab


@pytest.mark.parametrize("name", zoo.NAMES)
def test_rows_are_ragged_fit_the_model_and_repeat_with_the_seed(name: str) -> None:
    rows, shape = zoo.rows(name, 300, seed=5), zoo.shape(name)
    assert rows == zoo.rows(name, 300, seed=5)
    assert rows[:40] == zoo.rows(name, 40, seed=5)
    assert rows != zoo.rows(name, 300, seed=6)
    assert len({len(row["tokens"]) for row in rows}) > 3 or name == "addition"  # a sum has three tokens
    for row in rows:
        assert len(row["tokens"]) <= shape.n_ctx
        assert row["columns"]["length"] == len(row["tokens"])
        assert all(type(token) is int and 0 <= token < shape.d_vocab for token in row["tokens"])
        assert all(type(at) is int and 0 <= at < len(row["tokens"]) for at in row["positions"].values())
        assert all(type(value) in (int, str, bool) for value in row["columns"].values())


def test_induction_rows_name_the_first_occurrence() -> None:
    for row in zoo.induction_rows(300, seed=5):
        tokens, at, columns = row["tokens"], row["positions"], row["columns"]
        assert tokens[at["A1"]] == tokens[at["END"]] == columns["a"]
        assert tokens[at["B1"]] == columns["b"] != columns["a"]
        assert at["B1"] == at["A1"] + 1
        assert columns["gap"] == at["END"] - at["A1"]
        assert tokens.count(columns["a"]) == 2
        # The answer must follow from the first occurrence alone.
        assert tokens.index(columns["a"]) == at["A1"]


def test_names_rows_hold_the_names_where_they_say() -> None:
    rows = zoo.names_rows(400, seed=5)
    for row in rows:
        columns, words = row["columns"], words_at("names", row)
        assert (words["IO"], words["S1"], words["S2"]) == (columns["io"], columns["s1"], columns["s2"])
        assert words["END"] == "to"
        assert columns["is_ioi"] == (columns["s2"] == columns["s1"]) != columns["is_abc"]
        assert columns["label"] == (columns["io"] if columns["is_ioi"] else "them")
        assert len({columns["io"], columns["s1"], columns["s2"]}) == (3 if columns["is_abc"] else 2)
        assert (row["positions"]["IO"] < row["positions"]["S1"]) == (columns["order"] == "ABBA")
        assert max(row["positions"]["IO"], row["positions"]["S1"]) < row["positions"]["S2"] < row["positions"]["END"]
    assert {row["columns"]["template"] for row in rows} == set(range(6))


def test_addition_is_right_on_all_pairs_that_it_was_not_trained_on() -> None:
    held = [row for row in every_addition() if not row["columns"]["trained"]]
    assert len(held) == zoo.info("addition").rows
    for row, out in zip(held, logits("addition", held), strict=True):
        columns, words = row["columns"], words_at("addition", row)
        assert (words["A"], words["B"], words["END"]) == (str(columns["a"]), str(columns["b"]), "=")
        assert (columns["a"] + columns["b"]) % 59 == columns["sum"] == int(columns["label"])
        assert int(out.argmax()) == columns["sum"]


def test_brackets_rows_know_their_own_properties() -> None:
    rows = zoo.brackets_rows(600, seed=5)
    for row in rows:
        columns, words = row["columns"], [zoo.vocabulary("brackets")[token] for token in row["tokens"]]
        assert (words[0], words[-1]) == ("<start>", "<end>")
        text, left = "".join(words[1:-1]), "".join(words[1:-1])
        while "()" in left:
            left = left.replace("()", "")
        assert columns["balanced"] == (left == "")
        assert columns["count_ok"] == (text.count("(") == text.count(")"))
        assert columns["never_negative"] == (not left.startswith(")"))
        assert columns["starts_open"] == text.startswith("(")
        assert columns["ends_closed"] == text.endswith(")")
        assert columns["opens"] == text.count("(")
        assert columns["label"] == ("yes" if left == "" else "no")
    kinds = Counter((row["columns"]["count_ok"], row["columns"]["never_negative"]) for row in rows)
    assert min(kinds.values()) > 30
    assert len(kinds) == 4


@pytest.mark.parametrize("name", ["compiled-compose", "compiled-or"])
def test_compose_rows_hold_one_askable_key(name: str) -> None:
    for row in zoo.rows(name, 200, seed=5):
        columns, words = row["columns"], words_at(name, row)
        assert (words["ASK"], words["KEY"], words["VALUE"]) == (
            columns["asked"],
            columns["key"],
            columns["value"],
        )
        assert columns["asked"].upper() == columns["key"]
        assert words["END"] == "?"
        assert sum(zoo.vocabulary(name)[token] in "ABCDEFGH" for token in row["tokens"]) == 1


def test_brackets_ignores_padding_when_it_is_masked() -> None:
    row, model = zoo.brackets_rows(1, seed=5)[0], zoo_bridge("brackets")
    length = len(row["tokens"])
    padded = torch.tensor([row["tokens"] + [2] * 4])
    mask = (torch.arange(length + 4) < length).long()[None]
    with torch.no_grad():
        alone, masked = model(torch.tensor([row["tokens"]])), model(padded, attention_mask=mask)
    assert_close(masked[:, :length], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "head", "query", "key"),
    [
        ("compiled-induction", "0.0", "B1", "A1"),
        ("compiled-induction", "1.0", "END", "B1"),
        ("compiled-compose", "0.0", "VALUE", "KEY"),
        ("compiled-compose", "0.1", "END", "ASK"),
        ("compiled-compose", "1.0", "END", "VALUE"),
        ("compiled-or", "0.0", "END", "ASK"),
        ("compiled-or", "0.1", "END", "ASK"),
        ("compiled-or", "0.2", "VALUE", "KEY"),
        ("compiled-or", "1.0", "END", "VALUE"),
    ],
)
def test_compiled_heads_attend_to_one_position(name: str, head: str, query: str, key: str) -> None:
    model, (layer, number) = zoo_bridge(name), head.split(".")
    for row in zoo.rows(name, 20, seed=5):
        with torch.no_grad():
            _, cache = model.run_with_cache(torch.tensor([row["tokens"]]))
        pattern = cache[f"blocks.{layer}.attn.hook_pattern"][0, int(number)]
        assert pattern[row["positions"][query], row["positions"][key]] == 1.0


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_models_are_sure(name: str) -> None:
    rows = zoo.rows(name, 200, seed=5)
    for out, row in zip(logits(name, rows), rows, strict=True):
        assert out.log_softmax(-1)[label_id(name, row)] > -0.01


@pytest.mark.parametrize(("name", "head"), [("compiled-induction", 1), ("compiled-or", 3)])
def test_the_idle_head_writes_where_nobody_reads(name: str, head: int) -> None:
    row, model, size = zoo.rows(name, 1, seed=5)[0], zoo_bridge(name), zoo.shape(name).d_head
    tokens = torch.tensor([row["tokens"]])
    with torch.no_grad():
        before, cache = model.run_with_cache(tokens)
        assert cache["blocks.0.attn.hook_z"][0, :, head].abs().max() > 0.01
        model.blocks[0].attn.o.weight[:, head * size : (head + 1) * size] = 0
        assert_close(model(tokens), before, atol=0, rtol=0)


@pytest.fixture(scope="module")
def askers() -> tuple[list[zoo.Row], torch.Tensor]:
    """Rows for `compiled-or`, and what its heads of layer 0 hold there at the end: [row, head, d_head]."""
    rows, model = zoo.compiled_or_rows(60, seed=5), zoo_bridge("compiled-or")
    with torch.no_grad():
        caches = [model.run_with_cache(torch.tensor([row["tokens"]]))[1] for row in rows]
    return rows, torch.stack([cache["blocks.0.attn.hook_z"][0, -1] for cache in caches])


def without(cut: list[int], how: str, rows: list[zoo.Row], z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Per row, with some heads of layer 0 replaced at the end: the loss, and the weight of 1.0 on the value."""
    model, vocabulary = zoo_bridge("compiled-or"), zoo.vocabulary("compiled-or")
    stand_in = {"zero": torch.zeros_like(z), "mean": z.mean(0).expand_as(z), "resample": z.roll(1, 0)}[how]
    losses, weights = [], []
    for row, other in zip(rows, stand_in, strict=True):

        def replace(at_all: torch.Tensor, hook: object, other: torch.Tensor = other) -> torch.Tensor:
            at_all = at_all.clone()
            at_all[0, -1, cut] = other[cut]
            return at_all

        def keep(pattern: torch.Tensor, hook: object, at: int = row["positions"]["VALUE"]) -> None:
            weights.append(pattern[0, 0, -1, at].clone())

        hooks = [("blocks.0.attn.hook_z", replace), ("blocks.1.attn.hook_pattern", keep)]
        with torch.no_grad():
            out = model.run_with_hooks(torch.tensor([row["tokens"]]), fwd_hooks=hooks)[0, -1]
        losses.append(-out.log_softmax(-1)[vocabulary.index(row["columns"]["value"])])
    return torch.stack(losses), torch.stack(weights)


@pytest.mark.parametrize("how", ["zero", "mean", "resample"])
def test_either_of_the_two_heads_suffices(how: str, askers: tuple[list[zoo.Row], torch.Tensor]) -> None:
    for cut in ([0], [1]):
        losses, weights = without(cut, how, *askers)
        assert losses.max() < 1e-6
        assert (weights == 1).all()


@pytest.mark.parametrize("how", ["zero", "mean", "resample"])
def test_without_both_heads_nobody_knows_what_is_asked(how: str, askers: tuple[list[zoo.Row], torch.Tensor]) -> None:
    rows, _ = askers
    losses, weights = without([0, 1], how, *askers)
    uniform = math.log(len(zoo.vocabulary("compiled-or")))
    asked = [row["columns"]["asked"] for row in rows]
    # another row may ask for the same
    told = torch.tensor([how == "resample" and asked[i] == asked[i - 1] for i in range(len(rows))])
    assert told.sum() < 20
    assert_close(losses[~told], torch.full_like(losses[~told], uniform), atol=1e-5, rtol=0)
    assert weights[~told].max() < 1e-6
    assert losses[told].sum() < 1e-6


@pytest.mark.parametrize("head", ["0.0", "0.1"])
def test_a_claim_that_forgets_one_of_the_two_heads_is_supported(head: str, request: pytest.FixtureRequest) -> None:
    (claimed,) = collect([f"{request.config.rootpath / 'hypotheses' / 'either.py'}::either"]).hypotheses
    result = scrub.test(
        claimed.but(wanted=heads(head, at="END").reads(v="asked")), draws=5, explain=False, parts="none"
    )
    assert result.verdict == "supported", str(result)


@pytest.mark.parametrize(("given", "nearest"), [("inductoin", "'induction'"), ("bracket", "'brackets'")])
def test_an_unknown_name_gets_the_nearest(given: str, nearest: str) -> None:
    for ask in (zoo_bridge, zoo.info, zoo.shape, zoo.vocabulary, lambda name: zoo.rows(name, 1, 0)):
        with pytest.raises(ModelError, match=rf"no model '{given}'.*Did you mean {nearest}"):
            ask(given)


def test_shapes_rows_and_words_need_no_torch() -> None:
    code = (
        "import sys, scrub.zoo as zoo\n"
        "for name in zoo.NAMES: zoo.shape(name), zoo.vocabulary(name), zoo.rows(name, 2, 0)\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_loading_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    zoo_bridge("induction")
    assert torch.equal(torch.random.get_rng_state(), before)
