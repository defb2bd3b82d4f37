"""Parts by their names: our own notation and the edge names of auto-circuit and EAP-IG.

auto-circuit (Miller et al. 2024): `MLP 2->A5.2.Q`, `Resid Start->A0.0.K`, `A5.2->Resid End`. Its `Resid Start` is the
sum of token and position embedding; it becomes `embed`, so the position embedding stays as it is unless `pos` is
named too. EAP-IG (Hanna et al. 2024): `input->a0.h0<q>`, `a9.h6->logits`; its `input` is the token embedding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from scrub.anatomy.edges import Part, Parts, parse_parts
from scrub.anatomy.graphs import ModelGraph
from scrub.circuit.formats import Format
from scrub.circuit.formats.entries import Entry, gather
from scrub.errors import ClaimError, nearest

FORM = "names of components and edges (ours, auto-circuit's, EAP-IG's)"
EXAMPLES = "9.6 @ END; 7.3 -> 9.9.q; MLP 2->A5.2.Q; input->a0.h0<q>"

_START = re.compile(r"\b(?:Resid Start|input)(?=\s*->)")
_END = re.compile(r"(?<=->)(\s*)Resid End\b")
_MLP = re.compile(r"\bMLP[ _]?(?=\d)")
_WORDS = ("Resid Start", "Resid End", "input", "embed", "pos", "logits")


def looks_named(value: Any, graph: ModelGraph | None = None) -> bool:
    """Whether a line or entry is meant as a name, if perhaps a wrong one."""
    if not isinstance(value, str):
        return False
    if "->" in value:
        return True
    try:
        return bool(parse_parts(value, graph))
    except ClaimError:
        return False


def named_parts(value: Any, graph: ModelGraph | None = None) -> tuple[Part, ...]:
    """The parts that one line names. Raises ClaimError."""
    if not isinstance(value, str):
        raise ClaimError("a name is a string.")
    if graph is not None and not graph.sequence:
        return tuple(sorted(parse_parts(value, graph)))
    try:
        found = parse_parts(_ours(value), graph)
    except ClaimError as error:
        meant = _meant(value)
        raise ClaimError(f"{error}{'' if meant in str(error) else meant}") from None
    return found


def _ours(text: str) -> str:
    return _MLP.sub("mlp ", _END.sub(r"\1logits", _START.sub("embed", text)))


def _meant(text: str) -> str:
    """The word that was likely meant by an end of a misspelt edge."""
    for end in re.split(r"->|@", text)[:2]:
        word = end.strip().lower()
        known = {name.lower(): name for name in (*_WORDS, *(f"MLP {layer}" for layer in re.findall(r"\d+", word)))}
        near = nearest(word, known)
        if near and end.strip() not in (*known, *known.values()):
            return f" Did you mean {known[near]!r}?"
    return ""


def parts_of_names(entries: Iterable[Entry], graph: ModelGraph | None) -> Parts:
    """Raises ClaimError with every bad name."""
    return Parts(tuple(gather(entries, FORM, lambda value: named_parts(value, graph))))


FORMAT = Format(f"names, one a line or a JSON list: {EXAMPLES}", looks_named, parts_of_names, place=1, general=True)
