"""The vocabularies of the trained models: plain words, one token each, the index is the token id."""

from __future__ import annotations

START, END = "<start>", "<end>"

SYLLABLES = tuple(c + v for c in "bcdfghjklmnpqrstvwxz" for v in "aeiou")

INDUCTION = (START, *SYLLABLES)
