"""Texts with marks become tokens with named positions.

    "When{IO| Mary} and{S1| John} went to the store"

A mark `{NAME|span}` is cut from the text and names the last token of its span; it must end where a token ends
and start where one starts. Tokenizers come from the `tokenizers` library alone, so that a claim is checked
without torch.
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

_MARK = re.compile(r"\{([^|{}]*)\|([^{}]*)\}")
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


def mark(text: str, number: int) -> Marked:
    """Cut the marks out of a text. Raises DataError for a stray brace, a bad name or a name used twice."""
    plain, spans, last = "", list[tuple[str, int, int]](), 0
    for match in _MARK.finditer(text):
        plain += text[last : match.start()]
        name, span = match[1].strip(), match[2]
        if not name.isidentifier() or name == "all":
            raise DataError(
                f"text {number}: the mark {match[0]!r} must name a position by an identifier: {{IO| Mary}}."
            )
        if name in (other for other, _, _ in spans):
            raise DataError(f"text {number}: the position {name!r} is marked twice.")
        if not span:
            raise DataError(f"text {number}: the mark {match[0]!r} is empty; it names the last token of its span.")
        spans.append((name, len(plain), len(plain) + len(span)))
        plain, last = plain + span, match.end()
    plain += text[last:]
    if "{" in plain or "}" in plain:
        raise DataError(f"text {number}: a brace that belongs to no mark: write {{IO| Mary}}.")
    return Marked(plain, tuple(spans))


def tokenize(texts: Sequence[Marked], tokenizer: Tokenizer | str | Path) -> list[Tokens]:
    """Token ids and named positions of marked texts, without special tokens.

    Raises DataError with every mark that splits a token and every word that the tokenizer does not know.
    """
    used = open_tokenizer(tokenizer)
    found: list[Tokens] = []
    problems: list[str] = []
    for number, marked in enumerate(texts):
        encoding = used.encode(marked.text, add_special_tokens=False)
        if word := _unknown(marked.text, encoding, used):
            problems.append(f"text {number}: {word!r} is not in the tokenizer's vocabulary.")
        positions: dict[str, int] = {}
        for name, start, stop in marked.spans:
            inside = [i for i, (a, b) in enumerate(encoding.offsets) if a < stop and b > start]
            if inside and not _splits(marked.text, encoding.offsets, inside, start, stop):
                positions[name] = inside[-1]
                continue
            tokens = " ".join(repr(marked.text[slice(*encoding.offsets[i])]) for i in inside)
            problems.append(
                f"text {number}: the mark {name} = {marked.text[start:stop]!r} splits a token: the "
                f"tokenizer reads {tokens or 'nothing'} there. Move the mark to whole tokens (a "
                "leading space belongs to its word)."
            )
        found.append((list(encoding.ids), positions))
    if problems:
        raise DataError("\n".join(problems[:20]) + (f"\nand {len(problems) - 20} more" if problems[20:] else ""))
    return found


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
