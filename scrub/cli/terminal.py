"""What is written to a terminal: lines break between words, control characters are shown, none is obeyed."""

from __future__ import annotations

import sys
from contextlib import suppress
from shutil import get_terminal_size
from textwrap import wrap
from typing import TextIO

import click

from scrub.errors import escaped


def tell(said: str) -> None:
    """A sentence on standard error, if it can still be written there."""
    with suppress(OSError):
        click.echo(shown_on(sys.stderr, said), err=True)


def shown_on(stream: TextIO, words: str) -> str:
    """Words as a stream gets them."""
    return escaped(fitted(words, stream))


def fitted(words: str, stream: TextIO) -> str:
    """Lines that a terminal has no room for, broken between words; as they are where the stream is no terminal."""
    if not stream.isatty():
        return words
    width = get_terminal_size().columns
    return "\n".join(line if len(line) <= width else _broken(line, width) for line in words.split("\n"))


def _broken(line: str, width: int) -> str:
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    lines = wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)
