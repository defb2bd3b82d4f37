"""Marked texts: cut, tokenized, refused where a mark splits a token."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrub.claims.dataset import Dataset
from scrub.claims.text import Marked, Tokenizer, mark, open_tokenizer, token_id, words
from scrub.errors import DataError, ModelError

SHARED = Path(os.environ.get("SCRUB_TEST_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
GPT2 = SHARED / "gpt2-tokenizer"
needs_gpt2 = pytest.mark.skipif(not GPT2.is_dir(), reason="the GPT-2 tokenizer of SCRUB_TEST_DATA is not here")


def test_marks_are_cut_out() -> None:
    assert mark("When{IO| Mary} and{S1| John}") == Marked("When Mary and John", (("IO", 4, 9), ("S1", 13, 18)))
    assert mark("no marks") == Marked("no marks", ())


@given(st.lists(st.tuples(st.text("ab ", max_size=4), st.text("cd ", min_size=1, max_size=4)), max_size=4))
def test_a_span_is_what_was_marked(parts: list[tuple[str, str]]) -> None:
    found = mark("".join(f"{plain}{{p{i}|{span}}}" for i, (plain, span) in enumerate(parts)))
    assert found.text == "".join(plain + span for plain, span in parts)
    assert [found.text[a:b] for _, a, b in found.spans] == [span for _, span in parts]


@pytest.mark.parametrize(
    "text",
    [
        '{"name": {"first": ["a|b", {}]}, "n": {"a": 1}}',
        "def f(x):\n    return {k: {v} for k, v in x.items() if k}  # {}",
        "SELECT '{' || name || '}' FROM t WHERE j = '{\"a\": 1}'",
        'items.each { |x| puts "#{x}" }',
        "if (a) { b } else { c || d }",
        r"\frac{1}{2}",
        "}{",
    ],
)
def test_braces_that_are_no_mark_are_text(text: str) -> None:
    assert mark(text) == Marked(text, ())
    assert mark(f"{text}{{END| to}}") == Marked(f"{text} to", (("END", len(text), len(text) + 3),))


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("{{a|b}}", "{a|b}"),
        ("x = {{a|b}} or {{c|d}}", "x = {a|b} or {c|d}"),
        ("{{{a|b}}}", "{{a|b}}"),
        ("{{1x| b}}", "{1x| b}"),
        ("{{a|b{c}}", "{a|b{c}}"),
    ],
)
def test_doubled_braces_write_what_would_be_a_mark(written: str, text: str) -> None:
    assert mark(written) == Marked(text, ())


def test_a_mark_may_stand_behind_a_brace() -> None:
    assert mark('{{X|"a"}: {Y|1}}') == Marked('{"a": 1}', (("X", 1, 4), ("Y", 6, 7)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a{1x| b}", r"text 7: the mark '\{1x\| b\}' must name a position by an identifier"),
        ("a{| b}", "must name a position"),
        ("a{all| b}", "must name"),
        ("{A|x}{A|y}", "text 7: the position 'A' is marked twice"),
        ("a{A|}", "text 7: the mark .* is empty"),
        ("{IO | b}", r"must name a position .* If it is text, double its braces: \{\{IO \| b\}\}\."),
        ("a{S1+1| b}", r"text 7: the mark '\{S1\+1\| b\}' must name"),
        ("{A|{B|x}}", r"text 7: a brace opens the mark '\{A\|' and no brace ends it: .* the brace: \{\{A\|\."),
        ("{IO| Mary and John", "a brace opens the mark"),
    ],
)
def test_wrong_marks_are_told_with_the_text(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Dataset.from_text(["a"] * 7 + [text], tokenizer=words(["?", "a", "b", "c", "x", "y"]))


def tokenize(texts: list[str], tokenizer: Any, bos: bool = False) -> list[tuple[list[int], dict[str, int]]]:
    rows = Dataset.from_text(texts, tokenizer=tokenizer, bos=bos).rows
    return [(list(row.tokens), row.positions) for row in rows]


def test_words_are_tokens() -> None:
    tokenizer = words(["?", "a", "bc"])
    ((ids, positions),) = tokenize(["a{X| bc a} bc"], tokenizer)
    assert (ids, positions) == ([1, 2, 1, 2], {"X": 2})  # the last token of the span
    assert token_id(" bc", tokenizer) == 2
    assert token_id("a a", tokenizer) is None
    assert token_id("", tokenizer) is None


def test_a_word_that_the_tokenizer_does_not_know_is_no_token() -> None:
    tokenizer = words(["?", "a"])
    assert token_id("zebra", tokenizer) is None
    assert token_id("?", tokenizer) == 0
    with pytest.raises(DataError, match="text 1: 'zebra' is not in the tokenizer's vocabulary"):
        tokenize(["a ?", "a zebra"], tokenizer)


def test_every_split_token_is_told() -> None:
    with pytest.raises(DataError) as caught:
        tokenize(
            ["a{X| b}c", "a bc", "{X|a} b{Y|c}", "a{X| } bc"],
            words(["?", "a", "bc"]),
        )
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["text 0", "text 2", "text 3"]
    assert "the mark X = ' b' splits a token: the tokenizer reads 'bc' there" in lines[0]
    assert "Move the mark to whole tokens" in lines[0]
    assert "reads nothing there" in lines[2]
    with pytest.raises(DataError, match=r"^text 0 and 1,999 more: the mark X = ' b' splits .* its word\)\.$"):
        tokenize(["a{X| b}c" for i in range(2000)], words(["?", "a", "bc"]))
    with pytest.raises(DataError, match=r"\nand 3 more$"):
        tokenize([f"a{{X{i}| b}}c" for i in range(23)], words(["?", "a", "bc"]))


def beginning(name: str = "<s>") -> Tokenizer:
    """A tokenizer of words that begins a text with a special token."""
    from tokenizers.processors import TemplateProcessing

    made = words(["?", "a", "b"])
    made.add_special_tokens([name])
    made.post_processor = TemplateProcessing(f"{name} $A", None, [(name, 3)])
    return made


def test_a_text_begins_with_the_tokenizers_token_where_that_is_said() -> None:
    texts = ["a{X| b}", "<s> a{X| b}"]
    assert tokenize(texts, beginning()) == [([1, 2], {"X": 1}), ([3, 1, 2], {"X": 2})]
    assert tokenize(texts, beginning(), bos=True) == [([3, 1, 2], {"X": 2})] * 2
    named = words(["?", "a", "b"])
    named.add_special_tokens(["<|endoftext|>"])  # as GPT-2's, which puts it nowhere by default
    assert tokenize(texts[:1], named, bos=True) == [([3, 1, 2], {"X": 2})]
    with pytest.raises(DataError, match=r"bos=True: the tokenizer has no token that begins a text \(<s>, "):
        tokenize(texts[:1], words(["?", "a", "b"]), bos=True)


def test_a_beginning_that_is_left_out_is_told_unless_that_was_said() -> None:
    unsaid = Dataset.from_text(["a", "b"], tokenizer=beginning())
    (told,) = unsaid.notes
    assert told == (
        "the tokenizer begins a text with '<s>' by default, and these texts do not have it: "
        "say bos=True where they are read, or bos=False where that is meant."
    )
    assert unsaid.taken([1]).origin.notes == unsaid.notes
    for bos in (True, False):
        assert Dataset.from_text(["a", "b"], tokenizer=beginning(), bos=bos).notes == ()
    assert Dataset.from_text(["<s> a"], tokenizer=beginning()).notes == ()
    assert Dataset.from_text(["a"], tokenizer=words(["?", "a"])).notes == ()
    wrong: Any = "yes"
    with pytest.raises(DataError, match="bos='yes': write True or False"):
        Dataset.from_text(["a"], tokenizer=beginning(), bos=wrong)


@needs_gpt2
def test_gpt2_reads_a_leading_space_as_part_of_its_word() -> None:
    tokenizer = open_tokenizer(GPT2)
    text = "When{IO| Mary} and{S1| John} went to the store,{S2|John} gave{END| to}"
    ((ids, positions),) = tokenize([text.replace("{S2|John}", " {S2|John}")], tokenizer)
    assert tokenizer.decode(ids) == "When Mary and John went to the store, John gave to"
    assert [tokenizer.decode([ids[positions[name]]]) for name in ("IO", "S1", "S2", "END")] == [
        " Mary",
        " John",
        " John",
        " to",
    ]
    assert token_id(" Mary", tokenizer) == ids[positions["IO"]]
    assert token_id(" Mary Ann", tokenizer) is None


@needs_gpt2
def test_gpt2_splits_are_told_with_its_tokens() -> None:
    with pytest.raises(DataError, match="the mark IO = ' Mar' splits a token: the tokenizer reads ' Mary' there"):
        tokenize(["When{IO| Mar}y and"], GPT2)
    with pytest.raises(DataError, match="reads ' Mary' ' and' there"):
        tokenize(["When{IO| Mary }and"], GPT2)


@needs_gpt2
def test_a_tokenizer_opens_from_a_directory_a_file_or_an_object() -> None:
    opened = open_tokenizer(str(GPT2 / "tokenizer.json"))
    assert opened.get_vocab_size() == 50257

    class Wrapper:
        backend_tokenizer = opened

    assert open_tokenizer(Wrapper()) is opened


class Slow:
    def encode(self, text: str) -> list[int]:
        return []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no/such/dir", "no tokenizer at 'no/such/dir': a directory with a tokenizer.json is needed"),
        (Slow(), "Slow is no tokenizer that gives offsets"),
        (None, "NoneType is no tokenizer"),
    ],
)
def test_what_is_no_tokenizer(source: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        open_tokenizer(source)


def test_a_broken_or_empty_tokenizer_file(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json is no tokenizer that can be read"):
        open_tokenizer(tmp_path)
    from tokenizers import Tokenizer
    from tokenizers.models import BPE

    Tokenizer(BPE()).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ModelError, match="a vocabulary of 0 tokens: its files are missing beside the model"):
        open_tokenizer(tmp_path)
