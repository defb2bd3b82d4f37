"""From a hypothesis to its model and data: the claim checked and resolved, or everything that is wrong with it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import evolve

from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.check import Checked, Subject, check_claim
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.problems import ClaimProblems, Problem, innermost, located
from scrub.claims.resolved import Claim
from scrub.claims.text import Tokenizer, content
from scrub.errors import ClaimError, DataError, ScrubError, raised
from scrub.model.source import Source, Streamed, find

# What a function of `data=` made: it is called once in a process for each tokenizer that it is given.
# Kept by the function and what the tokenizer is; both stay alive here, so that ids stay their own. A model's name is
# no part of it: two models of one name may have different tokenizers, and many models have the same.
_made: dict[tuple[int, str], tuple[Any, Tokenizer | None, Dataset]] = {}


def check(hypothesis: Hypothesis | Any, model: Any = None, stream: bool = False) -> Checked:
    """Every problem of a claim at once, and how often its story is right; no weights are needed.

    `model` overrides the claim's own; `stream=True` asks whether its directory can be run from its files, too.
    Problems of the model or of the data are problems too; nothing is raised for them. Raises ClaimError for what is
    no hypothesis.
    """
    _is_hypothesis(hypothesis)
    try:
        source = find(_own(hypothesis, given_model(hypothesis, model, stream)))
        data = data_of(hypothesis, source)
    except ScrubError as error:
        file, line = innermost(error.__cause__ or error)
        problem = Problem(str(error), file=file or hypothesis.file, line=line)
        found = located([problem], hypothesis.title, hypothesis.file, hypothesis.line)
        return Checked(hypothesis, tuple(found))
    return check_claim(hypothesis, subject_of(spoken(source, data)), data)


def given_model(hypothesis: Hypothesis | Any | None, model: Any, stream: bool) -> Any:
    """What takes the place of the claim's own model: `model`, or either as a directory that is run from its files.

    Every verb asks here. Raises ModelError for what is none, and ClaimError for what is no hypothesis.
    """
    if not stream:
        return model
    if hypothesis is not None:
        _is_hypothesis(hypothesis)
        model = _own(hypothesis, model)
    return None if model is None else Streamed.of(model)  # who needs one says so


def _own(hypothesis: Hypothesis, model: Any) -> Any:
    return hypothesis.model if model is None else model


def _is_hypothesis(given: object) -> None:
    if not isinstance(given, Hypothesis):
        found = repr(given) if isinstance(given, str | int | float | None) else type(given).__name__
        raise ClaimError(f"{found} is no hypothesis: import it from its file, `from names import names`.")


def subject_of(source: Source) -> Subject:
    if isinstance(source.graph, TransformerGraph):
        shape = source.graph.shape
        return Subject(source.graph, source.tokenizer, shape.d_vocab, shape.n_ctx, source.name)
    return Subject(source.graph)


def spoken(source: Source, data: Dataset) -> Source:
    """A model whose tokens have the words of the data's vocabulary, where these bring one."""
    vocab = getattr(data, "vocab", None)
    return source if vocab is None else evolve(source, tokenizer=vocab)


def _no_data(data: Any) -> str:
    """What is said of what is no data: how the nearest thing that is would be written."""
    if isinstance(data, str | Path):
        readers = {".json": "from_json", ".csv": "from_csv", ".tsv": "from_csv"}
        reader = readers.get(Path(data).suffix, "from_jsonl")
        return f"data={str(data)!r} is a text: read the file, data=Dataset.{reader}({str(data)!r})."
    such = "Dataset.from_rows(...)" if isinstance(data, list | tuple) else "Dataset.from_rows([...])"
    return f"data={type(data).__name__} is no Dataset and no function that makes one: write data={such}."


def data_of(hypothesis: Hypothesis, source: Source) -> Dataset:
    """The claim's data; a function is called once, with the model's tokenizer if it asks for one."""
    data: Any = hypothesis.data
    if isinstance(data, Dataset):
        return data
    if not callable(data):
        raise DataError(_no_data(data))
    wants = "tokenizer" in inspect.signature(data).parameters
    if wants and source.tokenizer is None:
        why = f" ({source.no_tokenizer.rstrip('.')})" if source.no_tokenizer else ""
        raise DataError(
            f"the data need a tokenizer, and {source.name} has none here{why}: use a directory with a "
            "tokenizer.json (--model DIR)."
        )
    tokenizer = source.tokenizer if wants else None
    key = (id(data), "" if tokenizer is None else content(tokenizer))
    if key not in _made:
        _made[key] = (data, tokenizer, _make(data, {"tokenizer": tokenizer} if wants else {}))
    return _made[key][-1]


def _make(data: Callable[..., Any], arguments: dict[str, Any]) -> Dataset:
    try:
        made = data(**arguments)
    except ScrubError:
        raise
    except Exception as error:
        raise DataError(raised("data=", data, error)) from error
    if not isinstance(made, Dataset):
        raise DataError(f"the function of data= returned {type(made).__name__}; it must return a Dataset.")
    return made


def sound(hypothesis: Hypothesis | Any, model: Any = None, *, expecting: bool = True) -> tuple[Claim, Source]:
    """The resolved claim and its model. Raises ClaimProblems with everything that is wrong."""
    _is_hypothesis(hypothesis)
    source = find(_own(hypothesis, model))
    data = data_of(hypothesis, source)
    source = spoken(source, data)
    checked = check_claim(hypothesis, subject_of(source), data)
    if checked.claim is None or (expecting and checked.problems):
        raise ClaimProblems(checked.problems)
    return checked.claim, source
