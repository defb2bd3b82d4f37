"""Texts with marks become tokens with named positions.

    "When{IO| Mary} and{S1| John} went to the store"

A mark `{NAME|span}` is cut from the text and names the last token of its span; it must end where a token ends
and start where one starts. Every other brace is text, so that code and JSON stand as they are. Text of the form of a
mark is written with its braces doubled: `{{a|b}}` is the text `{a|b}`. Tokenizers come from the `tokenizers` library
alone, so that a claim is checked without torch.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from attrs import frozen

from scrub.claims.hub import hub_file
from scrub.errors import DataError, ModelError

_NAME = r"[ \t]*[\w+-]*[ \t]*"  # wider than a name is, so that one that is misspelt is told
_BAR = r"\|(?!\|)"  # two are code
_MARK = re.compile(
    rf"(?P<literal>\{{\{{{_NAME}{_BAR}[^{{}}]*\}}\}})"
    rf"|(?P<opening>\{{\{{{_NAME}{_BAR})(?![^{{}}]*\}})"
    rf"|\{{(?P<name>{_NAME}){_BAR}(?P<span>[^{{}}]*)\}}"
    rf"|(?P<endless>\{{[ \t]*\w[\w+-]*[ \t]*{_BAR})"
)
_BOS = ("<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>", "[BOS]", "[CLS]", "<|endoftext|>")  # GPT-2's is last
Tokens = tuple[list[int], dict[str, int]]


@runtime_checkable
class Tokenizer(Protocol):
    """What is asked of a tokenizer: `tokenizers.Tokenizer` is one; those of `transformers` are unwrapped."""

    def encode(self, sequence: str, /, *, add_special_tokens: bool = ...) -> Any: ...
    def decode(self, ids: Sequence[int], /, *, skip_special_tokens: bool = ...) -> str: ...
    def get_vocab_size(self) -> int: ...


@frozen
class Marked:
    """A text without its marks, and the character spans that they named."""

    text: str
    spans: tuple[tuple[str, int, int], ...]


def mark(text: str) -> Marked:
    """Cut the marks out of a text. Raises DataError for a bad name, a name used twice, a mark that does not end."""
    plain, spans, last = "", list[tuple[str, int, int]](), 0
    for match in _MARK.finditer(text):
        plain += text[last : match.start()]
        last = match.end()
        if match["literal"] or match["opening"]:
            plain += match[0][1:-1] if match["literal"] else match[0][1:]
            continue
        if wrong := _wrong(match, [name for name, _, _ in spans]):
            raise DataError(wrong)
        spans.append((match["name"], len(plain), len(plain) + len(match["span"])))
        plain += match["span"]
    return Marked(plain + text[last:], tuple(spans))


def _wrong(match: re.Match[str], known: list[str]) -> str:
    """What is wrong with what looks like a mark, and how to write it where it is text."""
    found, name = match[0], match["name"]
    if match["endless"]:
        said = f"a brace opens the mark {found!r} and no brace ends it: {{IO| Mary}} has a span without braces."
        return f"{said} If it is text, double the brace: {{{found}."
    if not name.isidentifier() or name == "all":
        said = f"the mark {found!r} must name a position by an identifier: {{IO| Mary}}."
        return f"{said} If it is text, double its braces: {{{found}}}."
    if name in known:
        return f"the position {name!r} is marked twice."
    return "" if match["span"] else f"the mark {found!r} is empty; it names the last token of its span."


def tokens_of(marked: Marked, tokenizer: Tokenizer, first: int | None) -> tuple[Tokens, list[str]]:
    """Token ids and named positions of one text, begun with `first` where that is one, and what is wrong with it:
    every mark that splits a token, and the first word that the tokenizer does not know.

    No special tokens are added but this one.
    """
    encoding = tokenizer.encode(marked.text, add_special_tokens=False)
    problems: list[str] = []
    if word := _unknown(marked.text, encoding, tokenizer):
        problems.append(f"{word!r} is not in the tokenizer's vocabulary.")
    positions: dict[str, int] = {}
    for name, start, stop in marked.spans:
        inside = [i for i, (a, b) in enumerate(encoding.offsets) if a < stop and b > start]
        if inside and not _splits(marked.text, encoding.offsets, inside, start, stop):
            positions[name] = inside[-1]
            continue
        tokens = " ".join(repr(marked.text[slice(*encoding.offsets[i])]) for i in inside)
        found_there = f"splits a token: the tokenizer reads {tokens or 'nothing'} there."
        fix = "Move the mark to whole tokens (a leading space belongs to its word)."
        problems.append(f"the mark {name} = {marked.text[start:stop]!r} {found_there} {fix}")
    return _with_first(list(encoding.ids), positions, first), problems


def _with_first(ids: list[int], positions: dict[str, int], first: int | None) -> Tokens:
    """The tokens and positions behind a first token, where there is to be one and the text does not have it."""
    if first is None or ids[:1] == [first]:
        return ids, positions
    return [first, *ids], {name: index + 1 for name, index in positions.items()}


def default_bos(tokenizer: Tokenizer) -> int | None:
    """The token that a tokenizer puts before every text unless it is told not to, or None."""
    plain, usual = (list(tokenizer.encode("a", add_special_tokens=added).ids) for added in (False, True))
    return usual[0] if usual[:1] != plain[:1] else None


def first_token(tokenizer: Tokenizer) -> int:
    """The token that begins a text: the one that is put there by default, else one of a known name.

    Raises DataError where there is none.
    """
    if (usual := default_bos(tokenizer)) is not None:
        return usual
    known = special_tokens(tokenizer)
    if named := [known[name] for name in _BOS if name in known]:
        return named[0]
    raise DataError(f"bos=True: the tokenizer has no token that begins a text ({', '.join(_BOS)}).")


def said(bos: object) -> bool:
    """Whether a text is to begin with the token for that; unsaid, it is not. Raises DataError."""
    if bos is not None and not isinstance(bos, bool):
        raise DataError(f"bos={bos!r}: write True or False.")
    return bool(bos)


def bos_note(found: Sequence[Sequence[int]], tokenizer: Tokenizer) -> tuple[str, ...]:
    """What is told of texts that lack the token which their tokenizer would begin them with."""
    usual = default_bos(tokenizer)
    if usual is None or all(list(ids[:1]) == [usual] for ids in found):
        return ()
    name = repr(tokenizer.decode([usual], skip_special_tokens=False))
    return (
        f"the tokenizer begins a text with {name} by default, and these texts do not have it: "
        "say bos=True where they are read, or bos=False where that is meant.",
    )


def special_tokens(tokenizer: Tokenizer) -> dict[str, int]:
    """The special tokens of a tokenizer by name, those that no plain text holds."""
    added = getattr(tokenizer, "get_added_tokens_decoder", dict[int, Any])()
    return {token.content: number for number, token in added.items() if token.special}


def _unknown(text: str, encoding: Any, tokenizer: Tokenizer) -> str:
    """The first piece of a text that the tokenizer could only read as its token for unknown words."""
    unknown = getattr(getattr(tokenizer, "model", None), "unk_token", None)
    pieces = zip(encoding.tokens, encoding.offsets, strict=True) if unknown else ()
    return next((text[a:b] for token, (a, b) in pieces if token == unknown != text[a:b]), "")


def _splits(text: str, offsets: Sequence[tuple[int, int]], inside: list[int], start: int, stop: int) -> bool:
    """Whether a span cuts into a token; white space at the edges belongs to neither side."""
    first, last = offsets[inside[0]][0], offsets[inside[-1]][1]
    before = text[min(first, start) : max(first, start)]
    after = text[min(last, stop) : max(last, stop)]
    return bool(before.strip() or after.strip())


def open_tokenizer(source: Any) -> Tokenizer:
    """A tokenizer from a directory or file (`tokenizer.json`), a name of the hub's, or an object.

    Raises ModelError when there is none, or when its vocabulary is empty.
    """
    from tokenizers import Tokenizer as Fast

    if isinstance(source, str | Path):
        path = Path(source)
        file = path / "tokenizer.json" if path.is_dir() else path
        if not file.is_file():
            file = hub_file(str(source), "tokenizer.json")
        if file is None:
            raise ModelError(
                f"no tokenizer at {str(source)!r}: a directory with a tokenizer.json is needed "
                "(with a model: --model DIR)."
            )
        try:
            opened: Any = Fast.from_file(str(file))
        except Exception as error:  # the library raises plain exceptions
            raise ModelError(f"{file} is no tokenizer that can be read: {error}.") from None
    else:
        opened = getattr(source, "backend_tokenizer", getattr(source, "_tokenizer", source))
    if not _gives_offsets(opened):
        raise ModelError(
            f"{type(source).__name__} is no tokenizer that gives offsets: use a fast one (tokenizer.json)."
        )
    if opened.get_vocab_size() == 0:
        raise ModelError("the tokenizer has a vocabulary of 0 tokens: its files are missing beside the model.")
    return opened


def content(tokenizer: Tokenizer) -> str:
    """Tells tokenizers apart by all that they do: a digest of their content, or, where it is not to be had, which
    object it is."""
    from tokenizers import Tokenizer as Fast

    try:
        text = tokenizer.to_str() if isinstance(tokenizer, Fast) else None
    except Exception:  # parts that are written in Python
        text = None
    return f"object {id(tokenizer)}" if text is None else hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _gives_offsets(opened: Any) -> bool:
    """Whether an object speaks as a tokenizer of the `tokenizers` library does: others return lists of ids."""
    try:
        return opened.get_vocab_size() == 0 or hasattr(opened.encode("a", add_special_tokens=False), "offsets")
    except Exception:  # whatever an object that is none raises
        return False


def words(vocabulary: Sequence[str]) -> Tokenizer:
    """A tokenizer of whole words separated by white space: `vocabulary[id]` is the word of an id."""
    from tokenizers import Tokenizer as Fast
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit

    made = Fast(WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token=vocabulary[0]))
    made.pre_tokenizer = WhitespaceSplit()  # pyright: ignore[reportAttributeAccessIssue]
    return made


def token_id(text: str, tokenizer: Tokenizer) -> int | None:
    """The id of a string that is exactly one token, or None."""
    encoding = tokenizer.encode(text, add_special_tokens=False)
    return encoding.ids[0] if len(encoding.ids) == 1 and not _unknown(text, encoding, tokenizer) else None
