"""What is not wrong but worth a second look."""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections.abc import Iterator, Sequence

from scrub.anatomy.positions import Slot
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.labels import spaceless
from scrub.claims.metric import AnyMetric
from scrub.claims.outside import reads_outside
from scrub.claims.padding import perhaps_padded
from scrub.claims.placement import Placement
from scrub.claims.sites import Site
from scrub.claims.text import Tokenizer
from scrub.claims.values import Value, key
from scrub.errors import some

LOW_ACCURACY = 0.9


def warnings_of(
    hypothesis: Hypothesis,
    placement: Placement,
    values: dict[str, tuple[Value, ...]],
    accuracy: float | None,
) -> tuple[str, ...]:
    """Sentences on duplicate keys, patterns without values, constants, unreached sites, a wrong story."""
    found = [
        *_duplicate_keys(hypothesis),
        *_patterns_without_values(placement),
        *_constant(placement, values),
        *_unreached(placement),
        *_streams_of_streams(hypothesis, placement),
        *reads_outside(hypothesis.metric),
    ]
    if accuracy is not None and accuracy < LOW_ACCURACY:
        found.append(f"the story by itself is right on only {accuracy:.1%} of the scored rows.")
    return tuple(found)


def token_warnings(
    metric: AnyMetric, data: Dataset, tokenizer: Tokenizer | None, answer: Slot | None
) -> Iterator[str]:
    """Sentences on tokens that are not what they seem: padding, and labels without their space."""
    yield from perhaps_padded(data, tokenizer)
    yield from _wordless(data)
    if tokenizer is not None:
        yield from spaceless(metric, data, tokenizer, answer)


def _wordless(data: Dataset) -> Iterator[str]:
    """Tokens of rows that a vocabulary has no word for: it may be another model's, or an old one."""
    if data.vocab is None:
        return
    used = {token for row in data.rows for token in row.tokens}
    if lacking := sorted(used - data.vocab.words.keys()):
        yield (
            f"vocab= has {len(data.vocab.words):,} words and none for tokens {some(lacking)}, which rows have: they "
            "are shown as numbers. Give a word for each token of the model."
        )


def _streams_of_streams(hypothesis: Hypothesis, placement: Placement) -> Iterator[str]:
    """A claimed stream holds all that is written below it: nothing is passed between it and an earlier one."""
    if not hypothesis.options.through:
        return
    for reader, placed in placement.placed.items():
        for site in (site for site in placed.sites if _streams(site.site)):
            parents = {p: None for _, names in site.reads for p in names if p in placement.placed}
            for parent, source in ((p, s.site) for p in parents for s in placement.placed[p].sites):
                if _streams(source):
                    yield (
                        f"{reader} at {site.site} reads {parent} at {source} as it is: a claimed stream holds all "
                        "that is written below it, and nothing between the two is passed through. Write "
                        f"{reader}=inside to read {parent} through the layers between, or claim what writes it there."
                    )


def _streams(site: Site) -> bool:
    return any(c.traits.is_stream and not c.traits.is_output for c in site.components)


def _duplicate_keys(hypothesis: Hypothesis) -> Iterator[str]:
    """Python keeps the last of two equal keys in a literal without a word."""
    for node in (n for part in _written(hypothesis) for n in ast.walk(part)):
        if isinstance(node, ast.Dict):
            names = [k.value for k in node.keys if isinstance(k, ast.Constant)]
            for name in sorted({str(n) for n in names if names.count(n) > 1}):
                yield f"the correspondence names {name!r} twice; Python keeps the last."


def _written(hypothesis: Hypothesis) -> Sequence[ast.AST]:
    """The body of the claim's function, or the arguments of the call that was given a mapping."""
    try:
        if inspect.isfunction(hypothesis.build):
            made = ast.parse(textwrap.dedent(inspect.getsource(hypothesis.build))).body[0]
            return made.body if isinstance(made, ast.FunctionDef) else [made]
        linecache.checkcache(hypothesis.file or "")  # Python keeps lines by a file's name alone
        lines = linecache.getlines(hypothesis.file or "")
        calls = [n for n in ast.walk(ast.parse("".join(lines))) if isinstance(n, ast.Call)]
        return [argument for call in calls if call.lineno == hypothesis.line for argument in call.args]
    except (OSError, TypeError, SyntaxError, IndexError):
        return []


def _patterns_without_values(placement: Placement) -> Iterator[str]:
    for placed in placement.placed.values():
        for site in placed.sites:
            read = dict(site.reads)
            if ("q" in read or "k" in read) and "v" not in read and site.site.components[0].traits.attends:
                yield (
                    f"{placed.name} at {site.site}: q or k has parents while v has none, so that what is "
                    "moved comes from an unrelated row."
                )


def _constant(placement: Placement, values: dict[str, tuple[Value, ...]]) -> Iterator[str]:
    for name in placement.placed:
        column = values.get(name, ())
        if len(column) > 1 and len({key(value) for value in column}) == 1:
            yield (
                f"{name} has the one value {column[0]!r} on all rows: any row may replace any other there. "
                "Nothing is known of what it does: add rows in which it varies (rest_rows= says what rests are)."
            )


def _unreached(placement: Placement) -> Iterator[str]:
    reached = placement.reached()
    for name in placement.placed:
        if name not in reached:
            yield f"{name} has a site, but no site on the way to the output reads it."
