"""Padding that was left in, and labels that are other tokens than the text goes on with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from scrub.claims.dataset import Dataset
from scrub.claims.labels import spaceless
from scrub.claims.metric import parse_metric
from scrub.claims.padding import padded, perhaps_padded
from scrub.claims.setting import check_tokens
from scrub.claims.text import Tokenizer, open_tokenizer, words
from scrub.errors import DataError
from test_gallery import TOKENIZER, needs_tokenizer

EOS, PAD = 5, 6
TEXTS = [[1, 2, 3], [1, 2, 3, 4, 1], [2, 2], [3, 1, 4]]


def special(*names: str) -> Tokenizer:
    made = words(["?", "a", "b", "c", "d"])
    made.add_special_tokens(list(names))  # pyright: ignore[reportAttributeAccessIssue]
    return made


TOKENS = special("<|endoftext|>", "<pad>")


def filled(pad: int, left: bool = False, texts: Sequence[list[int]] = TEXTS) -> Dataset:
    width = max(map(len, texts))
    rows = [[pad] * (width - len(t)) + t if left else t + [pad] * (width - len(t)) for t in texts]
    return Dataset.from_rows({"tokens": row, "columns": {"a": "a"}} for row in rows)


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("pad", [EOS, PAD])
def test_rows_that_are_filled_up_are_told_with_what_to_do(pad: int, left: bool) -> None:
    (problem,) = padded(filled(pad, left), TOKENS)
    where, name = "begin" if left else "end", {EOS: "<|endoftext|>", PAD: "<pad>"}[pad]
    assert problem.found == f"rows 0, 2, 3 {where} with {name!r}, 2 to 3 times: padding is read as text."
    assert problem.fix.startswith("Give each row its own tokens alone")
    assert problem in check_tokens(parse_metric("loss(a)"), filled(pad, left), TOKENS, 50, 50)


def test_one_token_made_for_padding_is_enough() -> None:
    assert list(padded(filled(PAD, texts=[[1, 2], [1]]), TOKENS))
    assert not list(padded(filled(EOS, texts=[[1, 2], [1]]), TOKENS))  # as a text that ends does
    named = special("<unk>")
    named.enable_padding(pad_id=4)  # pyright: ignore[reportAttributeAccessIssue]
    assert list(padded(filled(4, texts=[[1, 2], [1]]), named))


def test_special_tokens_that_belong_to_the_text_are_no_padding() -> None:
    begun = Dataset.from_rows({"tokens": [EOS, *text, EOS]} for text in TEXTS)
    assert not [*padded(begun, TOKENS), *perhaps_padded(begun, TOKENS)]
    plain = filled(4)  # a word like any other
    assert not [*padded(plain, TOKENS), *perhaps_padded(plain, TOKENS)]


def test_what_may_be_padding_is_a_warning() -> None:
    repeated = Dataset.from_rows({"tokens": [EOS, EOS, *text]} for text in TEXTS)
    assert not list(padded(repeated, TOKENS))
    (told,) = perhaps_padded(repeated, TOKENS)
    assert told.startswith("rows 0, 1, 2, 3 begin with '<|endoftext|>', 2 times: if that is padding")
    (bare,) = perhaps_padded(filled(0), None)
    assert bare.startswith("rows 0, 2, 3 end with token 0, 2 to 3 times: if that is padding")
    assert not list(perhaps_padded(filled(1), None))  # it stands within rows too
    assert not list(perhaps_padded(Dataset.from_rows({"tokens": [0] * n + [1]} for n in (1, 2, 3)), None))


def test_a_mask_is_told_as_a_key_and_as_a_column() -> None:
    row: dict[str, Any] = {"tokens": [1, 2, 6], "columns": {"attention_mask": [1, 1, 0]}}
    (problem,) = padded(Dataset.from_rows([row, {**row, "columns": {"attention_mask": [1, 1, 1]}}]), None)
    assert problem.found == "column 'attention_mask' leaves tokens out in rows 0: they are read as text."
    with pytest.raises(DataError, match="without padding: tokens=\\[t for t, m in zip") as caught:
        Dataset.from_rows([{"input_ids": [1, 6], "attention_mask": [1, 0]}] * 3)
    assert "row 0 and 2 more: unknown key 'attention_mask'" in str(caught.value)


def texts(texts: Iterable[str], **columns: Any) -> Dataset:
    return Dataset.from_text(list(texts), tokenizer=TOKENIZER, columns=columns)


def told(data: Dataset, metric: str = "loss(io)") -> list[str]:
    return list(spaceless(parse_metric(metric), data, open_tokenizer(TOKENIZER), None))


@needs_tokenizer
def test_a_label_without_the_space_that_its_word_has_in_the_text_is_told() -> None:
    said = ["When Mary and John met, Mary spoke to", "Then John saw Mary. Mary waved to"]
    assert told(texts(said, io=[" John", " John"])) == []
    (found,) = told(texts(said, io=["John", " John"]))
    assert found == (
        "metric loss(io): column 'io' holds 'John', which is nowhere in row 0, while ' John' is (so in rows 0): "
        "the token of a word within a text begins with its space. Write ' John'."
    )
    both = told(texts(said, io=["John", " John"], s=["Mary", "Mary"]), "logit_diff(io, s)")
    assert [f.split("(so in rows ")[1].split(")")[0] for f in both] == ["0", "0, 1"]
    assert told(texts(["Say Mary or John:\n"], io=["John"])) == []  # a line begins without one
    assert told(texts(["John, call Mary, ("], io=["John"])) == []  # as the text has it


@needs_tokenizer
def test_labels_that_could_only_continue_a_word_are_told() -> None:
    assert told(texts(["the sky is", "grass is"], io=["blue", "green"])) == [
        "metric loss(io): column 'io' holds words without a space, such as 'blue', and the answer follows a word in "
        "every row, which they would continue. Where words of their own are meant, write ' blue'."
    ]
    assert told(texts(["the sky is", "grass is"], io=["blue", " green"])) == []  # not all of that kind
    assert told(texts(["the sky is", "grass is ("], io=["blue", "green"])) == []
    assert told(texts(["one plus one is"], io=["2"])) == []


def test_where_spaces_are_no_part_of_tokens_nothing_is_told() -> None:
    data = Dataset.from_text(["a b", "a c"], tokenizer=TOKENS, columns={"io": ["b", "d"]})
    assert list(spaceless(parse_metric("loss(io)"), data, TOKENS, None)) == []
