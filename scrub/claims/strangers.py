"""What was written by someone else: regular files alone, bounded in size and depth, and text that can be printed."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scrub.errors import escaped

MOST = 2**28  # bytes of a file
DEEPEST = 100  # lists within lists


def content(file: Path, most: int = MOST) -> bytes:
    """The bytes of a regular file. Raises OSError for a link, a pipe or a device, and for one that is too large.

    Opening a pipe would wait for whoever writes into it, and a link may lead to a file of the reader's own.
    """
    if file.is_symlink():
        raise OSError(0, "it is a link, and a file itself is asked for")
    with open(os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as opened:
        known = os.fstat(opened.fileno())
        if not stat.S_ISREG(known.st_mode):
            raise OSError(0, "it is no regular file")
        if known.st_size > most:
            raise OSError(0, f"it has {known.st_size:,} bytes, and at most {most:,} are read")
        return opened.read(most)


def parsed(text: bytes) -> Any:
    """The JSON that a file holds. Raises ValueError for none, for lists nested deeply, for what is no text."""
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    for part in texts(found):
        if not part.isascii():
            part.encode()  # raises UnicodeEncodeError, a ValueError, for half of a character
    return found


def texts(found: Any) -> Iterator[str]:
    """All strings of what JSON holds, names of fields included. Raises ValueError where it is nested too deeply."""
    inside = [(found, 0)]
    while inside:
        part, depth = inside.pop()
        if depth > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} deep")
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            inside += [(one, depth + 1) for pair in part.items() for one in pair]
        elif isinstance(part, list):
            inside += [(one, depth + 1) for one in part if not isinstance(one, int | float)]


def printable(text: str) -> bool:
    """Whether a text stands on one line and moves nothing else in a terminal."""
    return escaped(text) == text and "\n" not in text and "\t" not in text
