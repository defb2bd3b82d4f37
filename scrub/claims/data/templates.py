"""Prompts from templates: slots filled with seeded draws, balanced labels, counterparts that differ in some slots."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from attrs import frozen

from scrub.claims.content import stable
from scrub.claims.data.drafts import Draft, Made, Spelling, listed, positions_of, rows_of
from scrub.claims.data.layout import Said, named, pick
from scrub.claims.data.pairs import check_words
from scrub.claims.text import Tokenizer
from scrub.errors import DataError, did_you_mean, some

_SLOT = re.compile(r"\[\[(?P<literal>[^\W\d]\w*)\]\]|\[(?P<slot>[^\W\d]\w*)\]")
NUMBER = "template"
LOOKED, TRIED = 400, 100  # rows looked at for the values of a column, at least; draws for each row that is asked for

Filled = dict[str, Any]


class TemplateWords(TypedDict, total=False):
    """What `from_templates` takes beside templates, slots, n and seed."""

    tokenizer: Tokenizer | str | Path
    columns: Mapping[str, Said]
    positions: Mapping[str, Any]
    balance: str
    redraw: str
    counterpart: str
    bos: bool


@frozen
class Templates:
    """Texts with slots, the words of each slot that draws for itself, and the slot that each other repeats."""

    texts: tuple[str, ...]
    words: dict[str, tuple[str, ...]]
    repeats: dict[str, str]

    @classmethod
    def of(cls, templates: Any, slots: Any) -> Templates:
        """Templates as they were given. Raises DataError with everything that is wrong with them."""
        texts = listed(templates, "from_templates: templates")
        if not texts or not all(isinstance(text, str) for text in texts):
            raise DataError("from_templates: templates must be a list of texts, one at least.")
        if not isinstance(slots, Mapping):
            raise DataError(f"from_templates: slots must map names to lists of words, not {type(slots).__name__}.")
        problems = [*_slot_problems(slots), *_text_problems(texts, slots)]
        if problems:
            raise DataError("\n".join(problems))
        words = {name: tuple(dict.fromkeys(given)) for name, given in slots.items() if not isinstance(given, str)}
        return cls(tuple(texts), words, {name: given for name, given in slots.items() if isinstance(given, str)})

    def pool(self, slot: str) -> tuple[str, ...]:
        """The list of words of a slot, or of the one that it repeats."""
        return self.words[self.repeats.get(slot, slot)]

    def filled(self, seed: int, row: int) -> Filled:
        """The template and the words of a row, which depend on nothing but its number and the seed."""
        found: Filled = {NUMBER: _draw(len(self.texts), seed, row, NUMBER)}
        for slot in sorted(self.words):
            taken = {found[other] for other in found if other != NUMBER and self.words[other] == self.words[slot]}
            found[slot] = self._fresh(slot, taken, seed, row, "word")
        return found | {slot: found[other] for slot, other in self.repeats.items()}

    def redrawn(self, found: Filled, slots: Sequence[str], seed: int, row: int) -> Filled:
        """The words of a row's counterpart: these slots take words that neither row has of their list."""
        changed = dict(found)
        for slot in sorted(slots):
            alike = [other for other in found if other != NUMBER and self.pool(other) == self.pool(slot)]
            taken = {line[other] for line in (found, changed) for other in alike}
            changed[slot] = self._fresh(slot, taken, seed, row, "redrawn")
        return changed

    def _fresh(self, slot: str, taken: set[str], seed: int, row: int, kind: str) -> str:
        free = [word for word in self.pool(slot) if word not in taken]
        return free[_draw(len(free), seed, row, f"{kind} {slot}")]

    def text(self, found: Filled) -> str:
        """A template with its slots filled; marks stay."""
        return _SLOT.sub(
            lambda match: f"[{match['literal']}]" if match["literal"] else found[match["slot"]],
            self.texts[found[NUMBER]],
        )

    def scarce(self, redraw: Sequence[str]) -> Iterator[str]:
        """Lists with fewer words than a row and its counterpart need."""
        for words, (slot, *_) in _shared(self.words).items():
            need = len(_shared(self.words)[words]) + sum(self.pool(name) == words for name in redraw)
            if need > len(words):
                yield f"slot {slot!r}: its list has {len(words)} words, and a row with its counterpart needs {need}."


def _shared(words: Mapping[str, tuple[str, ...]]) -> dict[tuple[str, ...], list[str]]:
    found: dict[tuple[str, ...], list[str]] = {}
    for slot, own in words.items():
        found.setdefault(own, []).append(slot)
    return found


def _draw(count: int, seed: int, row: int, what: str) -> int:
    digest = hashlib.blake2b(f"{seed}/{row}/{what}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % count


def _slot_problems(slots: Mapping[Any, Any]) -> Iterator[str]:
    for name, given in slots.items():
        if not isinstance(name, str) or not name.isidentifier() or name == NUMBER:
            yield f"slot {name!r} must be named by an identifier other than {NUMBER!r}."
        elif isinstance(given, str) and (given not in slots or isinstance(slots[given], str)):
            near = did_you_mean(given, [other for other in slots if not isinstance(slots[other], str)])
            yield f"slot {name!r} repeats {given!r}, which is no slot with a list of words.{near}"
        elif not isinstance(given, str) and not _is_words(given):
            yield f"slot {name!r}: give a list of words, or the slot that it repeats, found {given!r:.60}."


def _is_words(given: Any) -> bool:
    return isinstance(given, Sequence) and len(given) > 0 and all(isinstance(word, str) for word in given)


def _text_problems(texts: Sequence[str], slots: Mapping[Any, Any]) -> Iterator[str]:
    for number, text in enumerate(texts):
        for name in dict.fromkeys(match["slot"] for match in _SLOT.finditer(text) if match["slot"]):
            if name not in slots:
                known = some(slots) or "none"
                near = f"{did_you_mean(name, slots)} If it is text, double its brackets: [[{name}]]."
                yield f"template {number}: no slot {name!r}; the slots are {known}.{near}"


@frozen
class Wish:
    """What is asked of the rows, read and checked."""

    columns: dict[str, Said]
    balance: tuple[str, ...]
    redraw: tuple[str, ...]
    counterpart: str


def template_rows(templates: Templates, n: Any, seed: Any, words: Mapping[str, Any]) -> Made:
    """`n` rows, each with its counterpart where slots are redrawn. Raises DataError with all problems."""
    check_words("from_templates", words, TemplateWords.__annotations__)
    for name, number, least in (("n", n, 1), ("seed", seed, 0)):
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            raise DataError(f"from_templates: {name}={number!r}: give a whole number, {least} or more.")
    wish = _wish(templates, words)
    positions = positions_of(words.get("positions"))
    drafts: list[Draft] = []
    for row in _chosen(templates, wish, n, seed):
        found = templates.filled(seed, row)
        lines = [found, templates.redrawn(found, wish.redraw, seed, row)] if wish.redraw else [found]
        for k, line in enumerate(lines):
            columns, problems = _columns(line, wish)
            columns |= _partners(len(drafts), k, wish) if wish.redraw else {}
            drafts.append(Draft(len(drafts), templates.text(line), columns, positions, problems))
    return rows_of(drafts, Spelling(words.get("tokenizer"), words.get("bos")))


def _partners(row: int, k: int, wish: Wish) -> dict[str, Any]:
    return {"pair": row + 1 - 2 * k, "is_clean": not k, wish.counterpart: bool(k)}


def _wish(templates: Templates, words: Mapping[str, Any]) -> Wish:
    columns = named(words.get("columns"), "columns=") or {}
    balance, redraw = (_names(words.get(name), name) for name in ("balance", "redraw"))
    counterpart = words.get("counterpart", "is_abc")
    slots = [*templates.words, *templates.repeats]
    known = [*slots, NUMBER, *columns]
    problems = [f"column {name!r} is a slot's already." for name in columns if name in (*slots, NUMBER)]
    problems += [f"balance={n!r}: no such column.{did_you_mean(n, known)}" for n in balance if n not in known]
    problems += [f"redraw={n!r}: no such slot.{did_you_mean(n, slots)}" for n in redraw if n not in slots]
    made = ("pair", "is_clean", counterpart) if redraw else ()
    problems += [
        f"column {name!r} is made of the counterparts: call yours otherwise." for name in made if name in known
    ]
    if not isinstance(counterpart, str):
        problems.append(f"counterpart={counterpart!r}: name a column.")
    if problems := problems or list(templates.scarce(redraw)):
        raise DataError("\n".join(f"from_templates: {problem}" for problem in problems))
    return Wish(columns, balance, redraw, counterpart)


def _names(given: Any, what: str) -> tuple[str, ...]:
    if given is None:
        return ()
    found = given.replace(",", " ").split() if isinstance(given, str) else listed(given, f"{what}=")
    return tuple(dict.fromkeys(map(str, found)))


def _columns(line: Filled, wish: Wish) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The columns of a row, and what is wrong with those that are computed."""
    found, problems = dict(line), list[str]()
    for name, said in wish.columns.items():
        try:
            found[name] = pick(line, said, f"column {name!r}")
        except LookupError as error:
            problems.append(str(error.args[0]))
    return found, tuple(problems)


def _chosen(templates: Templates, wish: Wish, n: int, seed: int) -> list[int]:
    """The numbers of the draws that become rows: the first ones, or as many of each value of what is balanced."""
    if not wish.balance:
        return list(range(n))

    def value(row: int) -> str:
        line, problems = _columns(templates.filled(seed, row), wish)
        if problems:
            raise DataError(f"from_templates: {problems[0]}")
        return stable(tuple(line[name] for name in wish.balance))

    looked = max(LOOKED, 4 * n)
    first = [value(row) for row in range(looked)]
    values = sorted(set(first))
    left = Counter({one: n // len(values) + (i < n % len(values)) for i, one in enumerate(values)})
    found: list[int] = []
    drawn = (first[row] if row < looked else value(row) for row in range(looked + TRIED * n))
    for row, one in enumerate(drawn):
        if left[one] > 0:
            left[one] -= 1
            found.append(row)
        if len(found) == n:
            return found
    rare = min(left, key=lambda one: -left[one])
    raise DataError(
        f"from_templates: balance={' '.join(wish.balance)!r}: the value {rare} came too seldom in "
        f"{looked + TRIED * n:,} draws; {len(found)} of {n} rows were found. Balance another column."
    )
