"""The setting of a claim against its data: columns, strata, partners, the metric's arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from scrub.anatomy.graphs import ModelGraph
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Options
from scrub.claims.metric import AnyMetric, Metric
from scrub.claims.padding import padded
from scrub.claims.problems import Problem
from scrub.claims.seen import MORE_DATA, named_partners
from scrub.claims.text import Tokenizer, token_id
from scrub.claims.values import canonical, codes, key
from scrub.errors import DataError, nearest, some

if TYPE_CHECKING:  # a check need not wait for its import
    from jaxtyping import Bool, Int


@frozen(eq=False)
class Setting:
    """What the options say of each row of the pool."""

    stratum: Int[np.ndarray, " row"]
    scored: Bool[np.ndarray, " row"]
    rest_from: Bool[np.ndarray, " row"]
    pair: Int[np.ndarray, " row"]


class _Reader:
    """Reads columns and collects what is wrong with them."""

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self.problems: list[Problem] = []

    def wrong(self, found: str, fix: str = "", near: str | None = None) -> None:
        self.problems.append(Problem(found, fix, near))

    def column(self, name: str, role: str) -> list[Any] | None:
        if name not in self.data.readable:
            known = ", ".join(self.data.columns) or "none"
            found = f"{role}: the data have no column {name!r}; they have {known}."
            self.wrong(found, "", nearest(name, self.data.readable))
            return None
        values = self.data.given(name)
        missing = [i for i, value in enumerate(values) if value is None]
        if missing and role != "pair=":
            self.wrong(f"{role}: column {name!r} has no value in rows {some(missing)}.")
            return None
        return values

    def flags(self, name: str | None, role: str) -> Bool[np.ndarray, " row"]:
        everything = np.ones(len(self.data), dtype=bool)
        if name is None or (values := self.column(name, role)) is None:
            return everything
        wrong = [i for i, value in enumerate(values) if not isinstance(value, bool)]
        if wrong:
            self.wrong(f"{role}: column {name!r} must hold True or False; rows {some(wrong)} do not.")
            return everything
        if not any(values) and any(row.columns.get(name) is True for row in self.data.origin.rows):
            self.wrong(f"{role}: a proposal saw every row that column {name!r} marks.", MORE_DATA)
        elif not any(values):
            self.wrong(f"{role}: column {name!r} is False in every row.", "At least one row must be marked.")
        return np.array(values, dtype=bool)


def check_setting(
    options: Options, graph: ModelGraph, data: Dataset, everywhere: bool
) -> tuple[Setting, list[Problem]]:
    """Resolve `within`, `scored`, `rest_rows` and `pair`; `everywhere` says that some site is at `all`."""
    reader = _Reader(data)
    stratum = np.zeros(len(data), dtype=np.int64)
    if options.within and (values := reader.column(options.within, "within=")) is not None:
        try:
            stratum = codes(key(canonical(value)) for value in values)
        except ValueError as error:
            reader.wrong(f"within={options.within!r}: {error}")
    scored = reader.flags(options.scored, "scored=")
    rest_from = reader.flags(options.rest_rows, "rest_rows=")
    pair, orphaned = _pairs(options, reader)
    if orphaned.any() and scored.any() and not (scored & ~orphaned).any():
        reader.wrong(f"pair={options.pair!r}: a proposal saw the partner of every scored row.", MORE_DATA)
    scored = scored & ~orphaned
    setting = Setting(stratum, scored, rest_from, pair)
    _strata(options, setting, reader)
    if graph.sequence:
        _lengths(options, setting, everywhere, reader)
    return setting, reader.problems


def _pairs(options: Options, reader: _Reader) -> tuple[Int[np.ndarray, " row"], Bool[np.ndarray, " row"]]:
    """The partner of each row, -1 where it has none, and which rows had one that was left out."""
    rows = len(reader.data)
    pair, orphaned = np.full(rows, -1, dtype=np.int64), np.zeros(rows, dtype=bool)
    if options.pair is None or (values := reader.column(options.pair, "pair=")) is None:
        return pair, orphaned
    for i, named in enumerate(named_partners(reader.data, options.pair)):
        same = [row for row in named if row >= 0]
        if len(same) > 1:
            found = f"pair={options.pair!r}: rows {some(same)} share the 'id' {values[i]!r} of row {i}'s partner."
            reader.wrong(found, "A partner is one row.")
        pair[i] = same[0] if same else -1
        orphaned[i] = bool(named) and not same
    return pair, orphaned


def _strata(options: Options, setting: Setting, reader: _Reader) -> None:
    if options.empty == "self":
        return
    stratum, pair = setting.stratum, setting.pair
    called = np.isin(stratum, stratum[setting.scored])
    if options.rest == "paired":
        if options.pair not in reader.data.columns:
            return
        missing = np.flatnonzero(called & (pair < 0))
        if missing.size:
            found = f"pair={options.pair!r}: rows {some(missing)} have no partner in the data."
            fix = "Give the partner's row number (or its text in the column 'id'), or say empty='self'."
            reader.wrong(found, fix)
        return
    if options.rest in ("keep", "zero"):
        return
    missing = np.flatnonzero(called & ~np.isin(stratum, stratum[setting.rest_from]))
    if missing.size:
        source = f"rest_rows={options.rest_rows!r}"
        found = f"rows {some(missing)} have no rest row in their stratum ({source})."
        fix = "Add rest rows to the stratum, widen within=, or say empty='self' (r is the row itself)."
        if count := len(reader.data.origin) - len(reader.data):
            fix += f" A proposal saw {count} rows, which are left out."
        reader.wrong(found, fix)


def _lengths(options: Options, setting: Setting, everywhere: bool, reader: _Reader) -> None:
    """Index alignment needs rows of one length in a stratum, and partners of that length."""
    why = (
        "rest='mean' aligns by index" if options.rest == "mean"
        else "rest_scope='input' mixes rows by index" if options.rest_scope == "input"
        else "a site at 'all' aligns by index" if everywhere else ""
    )  # fmt: skip
    if not why:
        return
    stratum, pair = setting.stratum, setting.pair
    mixed = [s for s in np.unique(stratum) if len(set(reader.data.lengths[stratum == s].tolist())) > 1]
    if mixed:
        rows = np.flatnonzero(np.isin(stratum, mixed))
        fix = "Restrict draws to rows of equal length: within='length', with a column of lengths."
        reader.wrong(f"{why}, but rows {some(rows)} of one stratum have different lengths.", fix)
    paired = np.flatnonzero(pair >= 0) if options.rest == "paired" else np.array([], dtype=np.int64)
    unlike = paired[reader.data.lengths[paired] != reader.data.lengths[pair[paired]]]
    if unlike.size:
        fix = "Pair rows of equal length."
        reader.wrong(f"{why}, but rows {some(unlike)} have partners of another length.", fix)


def check_arguments(metric: AnyMetric, options: Options, data: Dataset, answered: bool = True) -> list[Problem]:
    """The columns of a metric; `answered` says that some column must tell the right answer."""
    reader = _Reader(data)
    for name in metric.columns:
        reader.column(name, f"metric {metric}")
    if options.predicts is not None:
        reader.column(options.predicts, "predicts=")
    elif answered and (isinstance(metric, Metric) or not metric.columns):
        fix = "Add predicts='column', the column that the story's answer should equal."
        reader.wrong(f"metric {metric} does not say what the right answer is.", fix)
    return reader.problems


def check_tokens(
    metric: AnyMetric, data: Dataset, tokenizer: Tokenizer | None, vocabulary: int, context: int
) -> list[Problem]:
    """Padding, tokens beyond the model's vocabulary, rows beyond its context, metric strings that are no token."""
    problems = list(padded(data, tokenizer))
    over = [i for i, row in enumerate(data.rows) if row.tokens and max(row.tokens) >= vocabulary]
    if over:
        found = f"rows {some(over)} have token ids beyond the model's vocabulary of {vocabulary}."
        problems.append(Problem(found, "Tokenize with the model's own tokenizer."))
    if data.vocab is not None and (words := data.vocab.get_vocab_size()) > vocabulary:
        found = f"vocab= names tokens up to {words - 1}, and the model's vocabulary has {vocabulary}."
        problems.append(Problem(found, "Give the words of this model's own tokens."))
    long = [i for i, row in enumerate(data.rows) if len(row.tokens) > context]
    if long:
        found = f"rows {some(long)} are longer than the model's context of {context} tokens."
        problems.append(Problem(found, "Shorten them."))
    for name in metric.columns:
        if name in data.columns and (wrong := _not_tokens(data, name, tokenizer, vocabulary)):
            problems.append(Problem(f"metric {metric}: column {name!r} {wrong}"))
    return problems


def _not_tokens(data: Dataset, name: str, tokenizer: Tokenizer | None, vocabulary: int) -> str:
    texts = dict[str, int]()
    for number, row in enumerate(data.rows):
        value = row.columns.get(name)
        for part in value if isinstance(value, tuple) and value else (value,):
            if isinstance(part, str):
                texts.setdefault(part, number)
            elif not isinstance(part, int) or isinstance(part, bool):
                wanted = "a token id, a string that is one token, or a tuple of these"
                return f"holds {part!r} in row {number}: a metric takes {wanted}."
            elif not 0 <= part < vocabulary:
                return f"holds the token id {part} in row {number}, beyond the vocabulary of {vocabulary}."
    if texts and tokenizer is None:
        need = "give token ids, or a directory with tokenizer.json, or the words of the data, vocab="
        return f"holds strings, and the model has no tokenizer: {need}."
    bad = [f"{text!r} (row {row})" for text, row in texts.items() if tokenizer and token_id(text, tokenizer) is None]
    return f"must hold single tokens; these are none or several: {some(bad)}." if bad else ""


def token_ids(data: Dataset, name: str, tokenizer: Tokenizer | None) -> list[tuple[int, ...]]:
    """The token ids of a metric's argument in every row. Raises DataError for what is no single token."""
    found: list[tuple[int, ...]] = []
    for number, value in enumerate(data.column(name)):
        parts = value if isinstance(value, tuple) else (value,)
        ids = [token_id(p, tokenizer) if isinstance(p, str) and tokenizer else p for p in parts]
        if not ids or not all(isinstance(i, int) and abs(i) < 2**31 for i in ids):
            raise DataError(f"column {name!r}, row {number}: {value!r} is not one token of the vocabulary.")
        found.append(tuple(int(i) for i in ids if isinstance(i, int)))
    return found
