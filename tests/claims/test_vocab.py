"""Words for the tokens of a model that has no tokenizer: read, printed, resolved, frozen with the claim."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import scrub
from hypotheses.induction import induction
from scrub.claims.dataset import Dataset
from scrub.claims.metric import parse_metric
from scrub.claims.setting import check_tokens, token_ids
from scrub.claims.warn import token_warnings
from scrub.errors import ClaimError, DataError, ScrubError
from scrub.model.memory import Backend
from scrub.model.open import open_weights
from scrub.model.source import find
from scrub.proposals.write import rows_file
from scrub.zoo import induction_rows, vocabulary

WORDS = ["<s>", " Mary", " John", "to"]


def test_a_vocabulary_is_a_list_a_mapping_or_a_file(tmp_path: Path) -> None:
    text, array, mapping = (tmp_path / name for name in ("v.txt", "list.json", "vocab.json"))
    text.write_text("\n".join(WORDS) + "\n")
    array.write_text(json.dumps(WORDS))
    mapping.write_text(json.dumps({word: i for i, word in enumerate(WORDS)}))
    for source in (WORDS, tuple(WORDS), text, str(array), mapping):
        data = Dataset.from_rows([{"tokens": [1, 3], "columns": {"io": " John"}}], vocab=source)
        assert data.vocab is not None
        assert data.vocab.decode([0, 2, 9]) == "<s>  John 9"
        assert token_ids(data, "io", data.vocab) == [(2,)]
        assert data.taken([0]).vocab is data.only(["io"]).vocab is data.vocab
    assert data.digest == Dataset.from_rows([{"tokens": [1, 3], "columns": {"io": " John"}}]).digest
    twice = Dataset([], vocab=["a", "b", "a"]).vocab
    assert twice is not None
    assert (twice.decode([2]), twice.encode("a").ids, twice.encode("b").ids) == ("a", [], [1])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "vocab=: the vocabulary has no words"),
        (5, "vocab=: give a list of words, a mapping from words to ids, or a file"),
        (["a", 1], "vocab=: 1: each word must be text"),
        ({"a": -1}, "'a' has the id -1: ids are ints from 0 on"),
        ({"a": 1, "b": 1}, "'a', 'b' have the same id, 1: give each word its own"),
        ("nowhere.txt", r"nowhere\.txt cannot be read: No such file"),
        ('{"a": 1, "a": 2}', "'a' stands twice in one object"),
        ('["a",\n 1', r"vocab\.json:2: no JSON"),
    ],
)
def test_wrong_vocabularies_are_told(given: Any, message: str, tmp_path: Path) -> None:
    if isinstance(given, str) and given.startswith(("{", "[")):
        (tmp_path / "vocab.json").write_text(given)
        given = tmp_path / "vocab.json"
    with pytest.raises(DataError, match=message):
        Dataset.from_rows([{"tokens": [0]}], vocab=given)


def test_words_travel_with_rows_in_a_file(tmp_path: Path) -> None:
    """The first line of what is written, also beside a claim that `propose` writes; what is said comes before it."""
    data = Dataset.from_rows([{"tokens": [1, 3], "columns": {"io": " John"}}] * 2, vocab=[*WORDS, "to"])
    file = tmp_path / "rows.jsonl"
    for text in (data.to_jsonl(), rows_file(data)):
        file.write_text(text)
        for read in (Dataset.from_jsonl, Dataset.from_json):
            assert read(file).vocab == data.vocab
            assert read(file).digest == data.digest
            again = read(file, vocab=WORDS).vocab
            assert again is not None
            assert again.get_vocab_size() == len(WORDS)
    file.write_text('{"vocab": [[0, "a"], [0, "b"]]}\n{"tokens": [0]}\n')
    with pytest.raises(DataError, match=r"rows\.jsonl:1: vocab: 'a', 'b' have the same id, 0"):
        Dataset.from_jsonl(file)
    file.write_text('{"tokens": [0]}\n{"vocab": ["a"]}\n')
    with pytest.raises(DataError, match=r"rows\.jsonl:2: unknown key 'vocab'"):
        Dataset.from_jsonl(file)


@pytest.mark.parametrize(("tokens", "told"), [([1, 9, 12], "none for tokens 9, 12, which rows have"), ([1, 2], "")])
def test_a_vocabulary_without_words_for_the_tokens_of_rows_is_told(tokens: list[int], told: str) -> None:
    data = Dataset.from_rows([{"tokens": tokens, "columns": {"b": 1}}], vocab=WORDS)
    said = " ".join(token_warnings(parse_metric("loss(b)"), data, data.vocab, None))
    assert told in said
    assert ("vocab=" in said) == bool(told)


def test_a_vocabulary_beyond_the_models_is_told() -> None:
    data = Dataset.from_rows([{"tokens": [1], "columns": {"b": 1}}], vocab=WORDS)
    (problem,) = check_tokens(parse_metric("loss(b)"), data, data.vocab, 3, 16)
    assert problem.found == "vocab= names tokens up to 3, and the model's vocabulary has 3."


def test_tables_print_words_and_columns_mean_ids_where_the_model_has_no_tokenizer(tmp_path: Path) -> None:
    known = list(vocabulary("induction"))
    model = open_weights(find("zoo:induction"), Backend())
    rows = induction_rows(40, seed=1)
    for row in rows:
        columns: dict[str, Any] = row["columns"]
        columns |= {"b": known[columns["b"]], "a": known[columns["a"]]}
    spoken = induction.but(data=Dataset.from_rows(rows, vocab=known))
    silent = induction.but(data=Dataset.from_rows(rows))
    with pytest.raises(ScrubError, match=r"holds strings, and the model has no tokenizer: .* vocab="):
        scrub.test(silent, model=model, draws=2)
    result = scrub.test(spoken, model=model, draws=2, parts="none")
    assert result.worst
    for worst in result.worst:
        shown = [piece.split("[")[0] for piece in worst.text.split()]
        assert shown == [known[token] for token in rows[worst.row]["tokens"]]
    run = scrub.run_circuit("0.3", model=model, data=spoken.data, metric="loss(b)")
    assert run.metric

    scrub.freeze(spoken, tmp_path / "claim", model="zoo:induction")
    thawed = scrub.thaw(tmp_path / "claim")
    assert isinstance(thawed.data, Dataset)
    assert thawed.data.vocab == spoken.data.vocab
    (tmp_path / "claim" / "vocab.json").write_text("[]")
    with pytest.raises(ClaimError, match=r"vocab\.json"):
        scrub.thaw(tmp_path / "claim")
