"""What the fuzz shares: seeded mutations of text, JSON, tokens of Python and bytes, and what no input may cause.

An input may be refused with a sentence or be accepted. It may never give a traceback, the code of a fault of ours,
control characters in a terminal, or an answer that does not come.
"""

from __future__ import annotations

import copy
import io
import json
import signal
import tokenize
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner, Result

from scrub.cli.endings import BROKEN
from scrub.cli.group import main

LONG = 10_000
SECONDS = 20.0  # that a case may take
ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2, 7, 2**31, 2**63, 10**30, -(10**30), 0.5, -0.0, 1e308, 1e-320, float("nan"),
    float("inf"), "", "x", "a", "0", "1/3", " ", "\n", "\x1b[2J", "\x00", "\u202e", "é", "\ud800", "all", "inside",
    "answer", "9.9", "h", "out", "x" * 300, "../../x", "{", "%s", [], {}, [[]], [None], {"": None},
    {"fraction": "1/3"}, {"fraction": "1e999999999"}, {"float": "nan"}, [1, [2, [3]]],
]  # fmt: skip
PIECES = [b"\x00", b"\xff", b"{", b"]", b'"', b"9" * 9, b"\n", b"-", b",", b"[" * 2000]
WORDS = [
    *"01abhgx()[],=.:*+-", "", "-1", "None", "True", "[]", "{}", "''", "'a'", "'h'", "'END'", "0.5", "lambda", "not",
    "in", "nodes", "heads", "embed", "logits", "recovers", "claim", "story", "Dataset", "protocol",
]  # fmt: skip


def runs(short: int) -> pytest.MarkDecorator:
    """So many cases, and 10,000 with `--slow`."""
    return pytest.mark.parametrize("cases", [short, pytest.param(LONG, marks=pytest.mark.slow)])


def each(kind: str, cases: int) -> Iterator[tuple[str, Random]]:
    """A name and a source of chance for each case: one that failed is found again by its name."""
    for number in range(cases):
        name = f"{kind} {number}"
        yield name, Random(name)


class Waited(BaseException):
    """A case that took longer than `SECONDS`."""


@contextmanager
def limited(seconds: float = SECONDS) -> Generator[None]:
    def ring(*_: object) -> None:
        raise Waited

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def ran(case: str, *arguments: object) -> Result:
    """A command that may end as it likes, but for what no input may cause."""
    with limited():
        found = CliRunner().invoke(main, [str(a) for a in arguments])
    told = f"{case}: scrub {' '.join(map(str, arguments))}\n{found.output}"
    assert found.exit_code in (0, 1, 2, 3), told
    assert found.exit_code != BROKEN, told
    assert "Traceback" not in found.output, told
    assert not any(c < " " and c not in "\n\t" for c in found.output), told
    assert found.output.strip(), told
    return found


def somewhere(rng: Random, count: int) -> int:
    return rng.randrange(count) if count else 0


def damaged(rng: Random, content: bytes) -> bytes:
    """Bytes flipped, cut out, doubled, put in, or cut off."""
    made = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        at, end = somewhere(rng, len(made)), somewhere(rng, len(made))
        match rng.randrange(6):
            case 0 if made:
                made[at] ^= 1 << rng.randrange(8)
            case 1:
                del made[at : at + rng.choice([1, 1, 2, 8, 40])]
            case 2:
                made[at:at] = made[at : at + rng.choice([1, 4, 30])]
            case 3:
                made[at:at] = rng.choice(PIECES)
            case 4:
                made[min(at, end) : max(at, end)] = b""
            case _:
                del made[at:]
    return bytes(made)


def changed(rng: Random, found: Any) -> Any:
    """What JSON holds with one to four of its parts replaced, taken away, doubled, renamed or exchanged."""
    made = copy.deepcopy(found)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        made = _changed(rng, made)
    return made


def _places(found: Any) -> list[tuple[Any, Any]]:
    inside, places = [found], list[tuple[Any, Any]]()
    while inside:
        part = inside.pop()
        names = list(part) if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
        for name in names:
            places.append((part, name))
            inside.append(part[name])
    return places


def _changed(rng: Random, found: Any) -> Any:
    places = _places(found)
    if not places:
        return rng.choice(ODD)
    part, name = rng.choice(places)
    other, place = rng.choice(places)
    match rng.randrange(8):
        case 0 | 1 | 2:
            part[name] = copy.deepcopy(rng.choice(ODD))
        case 3:
            del part[name]
        case 4:
            part[name] = copy.deepcopy(other[place])
        case 5 if isinstance(part, dict):
            part[rng.choice(["x", "", "é", "answer", "\x1b", "a"])] = part.pop(name)
        case 5 | 6:
            if isinstance(part, list):
                part.insert(name, copy.deepcopy(part[name]))
        case _:
            part[name] = _near(rng, part[name])
    return found


def _near(rng: Random, value: Any) -> Any:
    """A value that is much like this one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return rng.choice([value + 1, -value, value * 2, value / 3])
    if isinstance(value, str):
        return damaged(rng, value.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")
    return value


def as_json(found: Any, rng: Random) -> str:
    """JSON as others may write it: other spaces, letters as they are."""
    return json.dumps(found, indent=rng.choice([None, 1]), ensure_ascii=True)


def retold(rng: Random, source: str) -> str:
    """Python with one to three of its tokens taken away, doubled, exchanged or replaced."""
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(source).readline)]
    spoken = [i for i, t in enumerate(tokens) if t.string.strip() and t.type != tokenize.COMMENT]
    for _ in range(rng.choice([1, 1, 1, 2])):
        at, other = rng.choice(spoken), rng.choice(spoken)
        word = tokens[at].string
        alike = rng.choice([i for i in spoken if tokens[i].type == tokens[at].type])
        new = rng.choice(["", f"{word} {word}", tokens[other].string, rng.choice(WORDS)])
        if rng.random() < 0.75:  # a name for a name, a number for a number: most of these are still Python
            new = tokens[alike].string
        tokens[at] = tokens[at]._replace(string=new)
    lines = source.splitlines(keepends=True)
    for token in sorted((tokens[i] for i in spoken), key=lambda t: t.start, reverse=True):
        (row, start), (end_row, end) = token.start, token.end
        if row == end_row:
            lines[row - 1] = f"{lines[row - 1][:start]}{token.string}{lines[row - 1][end:]}"
    return "".join(lines)


Case = Callable[[str, Random], str]


def counted(kind: str, cases: int, case: Case) -> dict[str, int]:
    """How the cases of a kind ended, which a long run prints."""
    ends: dict[str, int] = {}
    for name, rng in each(kind, cases):
        end = case(name, rng)
        ends[end] = ends.get(end, 0) + 1
    print(f"{kind}: {cases} cases, {', '.join(f'{n} {end}' for end, n in sorted(ends.items()))}")  # noqa: T201
    return ends
