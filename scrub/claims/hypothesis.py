# Claims are written in files that no type checker reads: their types are checked here.
# pyright: reportUnnecessaryIsInstance=false
"""A hypothesis: a story, where it lives in the model, the setting, and what is expected.

    @claim(story, model="gpt2", data=prompts, metric="logit_diff(io, s1)", expect=recovers(0.8))
    def ioi(backups=True):
        return dict(io=embed("IO"), name=heads("9.9", at="END").reads(q="subject"), answer=logits("END"))

The decorated function runs late. Its parameters, all with defaults, are the claim's variants.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import evolve, field, fields, frozen, validators

from scrub.anatomy.table import TABLE
from scrub.claims.dataset import DataSource
from scrub.claims.interpretation import Interpretation
from scrub.claims.metric import Metric
from scrub.claims.problems import Problem, problem_at, written_at
from scrub.claims.protocol import Protocol
from scrub.claims.sites import Inside, Place, Site
from scrub.errors import ClaimError, did_you_mean, nearest, some
from scrub.shown import shown

RESTS = ("resample", "keep", "paired", "mean", "zero")
SCOPES = ("occurrence", "input", "draw")


@frozen
class Expectation:
    """The share that a claim must recover, stated beforehand; with `any_swaps`, whichever of its swaps are made.

    `interchange` is the share of interchange interventions that every variable must pass, None where none is asked.
    """

    share: float
    any_swaps: bool = False
    interchange: float | None = None

    def __str__(self) -> str:
        return f"recovers({', '.join([f'{self.share:g}', *(f'{n}={v}' for n, v in self.also().items())])})"

    def also(self) -> dict[str, bool | float]:
        """What is asked beside the share."""
        given = {"any_swaps": self.any_swaps or None, "interchange": self.interchange}
        return {name: value for name, value in given.items() if value is not None}


def recovers(share: float, any_swaps: bool = False, interchange: float | None = None) -> Expectation:
    """Expect at least this share of the model's performance to be recovered, such as `recovers(0.8)`.

    `any_swaps=True` expects it of every subset of the swaps too: an adversary looks for one that breaks the claim.
    `interchange=0.9` expects every variable's interchange score to be at least that (`scrub.interchange`).
    Raises ClaimError with all that is wrong.
    """
    wrong = [] if isinstance(any_swaps, bool) else [f"recovers(any_swaps={any_swaps!r}): write True or False."]
    if not _is_share(share):
        wrong.append(f"recovers({share!r}): say a share above 0 and up to 1, such as recovers({_near(share, 0.8)}).")
    if interchange is not None and not _is_share(interchange):
        near = f"interchange={_near(interchange, 0.9)}"
        wrong.append(f"recovers(interchange={interchange!r}): say a share above 0 and up to 1, such as {near}.")
    if wrong:
        raise ClaimError("  ".join(wrong))
    return Expectation(float(share), any_swaps, None if interchange is None else float(interchange))


def _is_share(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and 0 < value <= 1


def _near(value: Any, usual: float) -> str:
    """The share that was perhaps meant: of 80 it is 0.8."""
    percent = isinstance(value, int | float) and not isinstance(value, bool) and 1 < value <= 100
    return f"{value / 100 if percent else usual:g}"


def together(*names: str) -> tuple[str, ...]:
    """Parents that take a common donor, for `together=[together("a", "b")]`."""
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise ClaimError(f"together({wrong[0]!r}): write names of variables, together('a', 'b').")
    if len(set(names)) < 2:
        raise ClaimError(f"together{names!r} must name at least two different variables.")
    return tuple(names)


def _words(value: str | Iterable[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    parts = value.split(",") if isinstance(value, str) else list(value) if isinstance(value, Iterable) else [value]
    if wrong := [part for part in parts if not isinstance(part, str)]:
        raise ClaimError(f"through={wrong[0]!r}: write 'mlps', 'heads', 'all', 'mlps 0-3' or names of components.")
    return tuple(" ".join(part.split()) for part in parts if part.strip())


def _set_of(what: str, option: str, example: str) -> Callable[[str | Iterable[str] | None], tuple[str, ...]]:
    """Names of something, each once and in order: which are meant is a set."""

    def convert(value: str | Iterable[str] | None) -> tuple[str, ...]:
        parts = [] if value is None else list(value) if isinstance(value, Iterable) else [value]
        if wrong := [part for part in parts if not isinstance(part, str)]:
            raise ClaimError(f"{option}={wrong[0]!r}: write the names of {what}, {option}={example!r}.")
        words = value if isinstance(value, str) else " ".join(parts)
        return tuple(sorted(set(words.replace(",", " ").split())))

    return convert


_NUMBERED = "|".join(kind for kind, row in TABLE.items() if row.layered and row.has_word)


def _spared(value: str | Iterable[str] | None) -> tuple[str, ...]:
    """Names of components and variables, each once and in order: what is spare is a set. `mlp 3` is one name."""
    parts = (
        [value or ""] if isinstance(value, str | None) else list(value) if isinstance(value, Iterable) else [value]
    )
    if wrong := [part for part in parts if not isinstance(part, str)]:
        raise ClaimError(f"spare={wrong[0]!r}: write names of components and variables, spare='9.0 subject'.")
    text = re.sub(rf"\b({_NUMBERED})s? +(?=\d)", r"\1_", " ".join(parts).replace(",", " "))
    return tuple(sorted(set(text.split())))


def _groups(value: Iterable[Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    groups: list[Any] = [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
    if any(isinstance(group, str) or not isinstance(group, Iterable) for group in groups):
        raise ClaimError(f"together={value!r}: write a list of groups, together=[('a', 'b')].")
    return tuple(together(*group) for group in groups)


def _digests(value: str | Iterable[str]) -> tuple[str, ...]:
    """Digests of rows, each once and in order: what was seen is a set."""
    parts = value.split() if isinstance(value, str) else list(value) if isinstance(value, Iterable) else [value]
    wrong = [part for part in parts if not isinstance(part, str) or not re.fullmatch("[0-9a-f]{16}", part)]
    if wrong:
        found = (
            f"seen=: {some(map(repr, wrong), 3)} {'is no digest' if len(wrong) == 1 else 'are no digests'} of rows"
        )
        raise ClaimError(f"{found}: write those of row.input_digest, 16 hexadecimal characters each.")
    return tuple(sorted(set(parts)))


def _column(_: Any, attribute: Any, value: Any) -> None:
    if value is not None and not isinstance(value, str):
        raise ClaimError(f"{attribute.name}={value!r}: write the name of a column of the data.")


def _expectation(_: Any, attribute: Any, value: Any) -> None:
    if value is not None and not isinstance(value, Expectation):
        raise ClaimError(f"expect={value!r}: write expect=recovers(0.8).")


def _protocol(_: Any, attribute: Any, value: Any) -> None:
    if not isinstance(value, Protocol):
        raise ClaimError(f"criteria={value!r}: write criteria=protocol(ablation='mean', group='template').")


def _one_of(known: Sequence[str]) -> Callable[[Any, Any, Any], None]:
    def check(_: Any, attribute: Any, value: Any) -> None:
        if value not in known:
            raise ClaimError(
                f"{attribute.name}={value!r} is unknown.{did_you_mean(str(value), known)} Known: {', '.join(known)}."
            )

    return check


@frozen
class Options:
    """How a claim is scrubbed. Every deviation from a default is part of the digest and of every result."""

    predicts: str | None = field(default=None, validator=_column)
    scored: str | None = field(default=None, validator=_column)
    within: str | None = field(default=None, validator=_column)
    rest: str = field(default="resample", validator=_one_of(RESTS))
    rest_scope: str = field(default="occurrence", validator=_one_of(SCOPES))
    rest_rows: str | None = field(default=None, validator=_column)
    pair: str | None = field(default=None, validator=_column)
    empty: str | None = field(default=None, validator=validators.optional(_one_of(("self",))))
    through: tuple[str, ...] = field(default=(), converter=_words)
    together: tuple[tuple[str, ...], ...] = field(default=(), converter=_groups)
    noise: tuple[str, ...] = field(default=(), converter=_set_of("inputs", "noise", "seed"))
    seen: tuple[str, ...] = field(default=(), converter=_digests)
    spare: tuple[str, ...] = field(default=(), converter=_spared)
    skills: tuple[str, ...] = field(default=(), converter=_set_of("boolean columns", "skills", "select order"))

    def __attrs_post_init__(self) -> None:
        if self.rest == "paired" and self.pair is None:
            raise ClaimError("rest='paired' needs pair='column', the column that names each row's partner.")
        if self.pair is not None and self.rest != "paired":
            raise ClaimError(f"pair={self.pair!r} is used by rest='paired' alone; rest is {self.rest!r}.")

    @property
    def pseudo(self) -> bool:
        """Whether rests are mean or zero rows, on which a component computes something else than it writes."""
        return self.rest in ("mean", "zero")

    def deviations(self) -> dict[str, Any]:
        """The options that differ from their defaults."""
        return {f.name: getattr(self, f.name) for f in fields(Options) if getattr(self, f.name) != f.default}

    def shown(self) -> dict[str, Any]:
        """The deviations as a result shows them: of the digests in `seen`, how many there are."""
        found = self.deviations()
        return found | {"seen": len(self.seen)} if self.seen else found


def _chosen(options: Options, given: Mapping[str, Any]) -> tuple[Options, list[Problem]]:
    """The options with those given that are sound, and what is wrong with the others."""
    wrong: list[Problem] = []
    pairing = {n: v for n, v in given.items() if n in ("rest", "pair")}  # each may be wrong without the other
    for change in [pairing, *({n: v} for n, v in given.items() if n not in pairing)]:
        try:
            options = evolve(options, **change)
        except ClaimError as error:
            wrong.append(problem_at(str(error), __file__))
    return options, wrong


@frozen(eq=False)
class Hypothesis:
    """A claim about a model. Made by `@claim`; rivals by `.but`, foils by `.foil`, variants by calling it."""

    story: Interpretation
    build: Callable[..., Mapping[str, Any]]
    model: Any
    data: DataSource
    metric: str | Metric
    expect: Expectation | None = field(default=None, validator=_expectation)
    options: Options = Options()
    criteria: Protocol = field(default=Protocol(), validator=_protocol)
    name: str = ""
    variant: tuple[tuple[str, Any], ...] = ()
    changes: tuple[tuple[str, Any], ...] = ()
    foil_reason: str | None = None
    wrong: tuple[Problem, ...] = ()
    file: str | None = None
    line: int | None = None

    @property
    def variants(self) -> dict[str, Any]:
        """The parameters of the claim and their defaults."""
        return {p.name: p.default for p in inspect.signature(self.build).parameters.values()}

    @property
    def title(self) -> str:
        """The name with its variant: `ioi[backups=False]`."""
        chosen = ",".join(f"{name}={value!r}" for name, value in self.variant)
        return f"{self.name}[{chosen}]" if chosen else self.name

    def __call__(self, **variant: Any) -> Hypothesis:
        """The claim with other parameters: `ioi(backups=False)`. Raises ClaimError for an unknown one."""
        for name in variant:
            if name not in self.variants:
                raise ClaimError(
                    f"{self.name} has no variant {name!r}.{did_you_mean(name, self.variants)} "
                    f"Its parameters: {', '.join(self.variants) or 'none'}."
                )
        return evolve(self, variant=tuple(sorted({**dict(self.variant), **variant}.items())))

    def but(self, **changes: Any) -> Hypothesis:
        """A rival: other sites for some variables, or other settings (`rest=`, `data=`, `expect=` ...).

        A column that is given None has no site any more.
        """
        names = set(self.story.variables) | set(self.story.columns)
        sites = {name: place for name, place in changes.items() if name in names}
        settings = {name: value for name, value in changes.items() if name not in names}
        known = [*_SETTINGS, *(f.name for f in fields(Options))]
        unknown = tuple(
            problem_at(
                f"{self.name}.but({name}=...): no variable, column or setting of that name.",
                __file__,
                nearest(name, [*names, *known]),
            )
            for name in settings
            if name not in known
        )
        given = {n: v for n, v in settings.items() if n in known[len(_SETTINGS) :]}
        options, wrong = _chosen(self.options, given)
        file, line = written_at(__file__)
        return evolve(
            self,
            changes=tuple({**dict(self.changes), **sites}.items()),
            options=options,
            name=f"{self.name}.but({', '.join(changes)})",
            wrong=(*self.wrong, *unknown, *wrong),
            file=file,
            line=line,
            foil_reason=None,  # the reason was given for the other claim
            **{n: v for n, v in settings.items() if n in _SETTINGS},
        )

    def foil(self, reason: str = "") -> Hypothesis:
        """Mark the claim as deliberately false, with the reason: refuting it is a pass."""
        if not isinstance(reason, str) or not reason.strip():
            raise ClaimError(f"{self.name}.foil(...) needs its reason: say in a sentence what is wrong with it.")
        return evolve(self, foil_reason=" ".join(reason.split()))

    def entries(self) -> dict[str, Any]:
        """What the claim returns, with the changes of `.but`. Raises ClaimError when that is no mapping."""
        made = self.build(**dict(self.variant))
        if not isinstance(made, Mapping):
            found = type(made).__name__
            raise ClaimError(f"{self.name} returns {found}; it must return dict(variable=site, ...).")
        found = {str(name): value for name, value in {**made, **dict(self.changes)}.items()}
        columns = set(self.story.columns) - {name for name, value in found.items() if value is not None}
        return {name: value for name, value in found.items() if name not in columns}  # None: no site any more

    def correspondence(self) -> dict[str, Place]:
        """Variable or column -> site, several sites, or `inside`. Raises ClaimError where it is none."""
        return {name: place_of(name, value) for name, value in self.entries().items()}

    def __repr__(self) -> str:
        foil = " (foil)" if self.foil_reason else ""
        return f"Hypothesis({self.title}{foil})"

    def _repr_html_(self) -> str:
        return shown(self, "html")


NO_STORY = "the first argument is the story, an Interpretation; write @claim(story, model=..., data=..., metric=...)."
_SETTINGS = ("model", "data", "metric", "expect", "criteria")


def place_of(name: str, value: Any) -> Place:
    """A site, several as a tuple, or `inside`. Raises ClaimError for anything else."""
    if isinstance(value, Site | Inside):
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(v, Site) for v in value):
        return tuple(value)
    raise ClaimError(
        f"{name}={value!r} is no site: use heads(...), mlps(...), embed(...), a list of sites, or inside."
    )


def _as_given(sites: Mapping[str, Any]) -> Mapping[str, Any]:
    return sites


def claim(
    story: Interpretation | None = None,
    *,
    model: Any = None,
    data: DataSource | None = None,
    metric: str | Metric | None = None,
    expect: Expectation | None = None,
    criteria: Protocol = Protocol(),  # noqa: B008 (frozen)
    **options: Any,
) -> Callable[[Callable[..., Mapping[str, Any]] | Mapping[str, Any]], Hypothesis]:
    """Declare a hypothesis; decorate the function that returns its correspondence, or call with a dict.

    Main arguments: `story`, `model` (a name, a directory, a loaded bridge, a networkx graph of functions),
    `data` (a Dataset, or a function that makes one, called once; a parameter `tokenizer` is the model's),
    `metric`, `expect=recovers(0.8)`, `criteria=protocol(...)`, how `scrub criteria` ablates what the claim leaves
    out. Other arguments: `predicts`, `scored`, `within`, `rest`, `rest_scope`, `rest_rows`, `pair`, `empty`,
    `through`, `together`, `noise` (inputs of a computation graph that explain nothing), `spare`, the components and
    variables that may earn nothing (`spare="9.0 subject"`), `skills`, boolean columns of rows
    for which every score is given by itself (`skills="select order"`), and `seen`, the digests of the rows that a
    search saw, on which the claim is not tested (a tuple, or one string). Raises ClaimError for a misspelt or a
    wrong one.
    """
    if not isinstance(story, Interpretation):
        raise ClaimError(f"@claim({getattr(story, '__name__', story or '')}): {NO_STORY}")
    known = [f.name for f in fields(Options)]
    wrong = [
        problem_at(f"@claim has no argument {name!r}.", __file__, nearest(name, [*known, *_SETTINGS]))
        for name in options
        if name not in known
    ]
    if model is None or data is None or metric is None:
        lacking = "model" if model is None else "data" if data is None else "metric"
        found = f"@claim needs {lacking}=: every claim says its model, its data and its metric."
        raise ClaimError("  ".join([*(p.text for p in wrong), found]))
    chosen, refused = _chosen(Options(), {name: value for name, value in options.items() if name in known})
    wrong += refused

    def declare(build: Callable[..., Mapping[str, Any]] | Mapping[str, Any]) -> Hypothesis:
        made: Callable[..., Mapping[str, Any]] = partial(_as_given, build) if isinstance(build, Mapping) else build
        if not callable(made):
            raise ClaimError(f"@claim(...)({build!r}): decorate a function that returns dict(variable=site, ...).")
        lacking = [p.name for p in inspect.signature(made).parameters.values() if p.default is p.empty]
        if lacking:
            raise ClaimError(f"the parameter {lacking[0]!r} of a claim is a variant and needs a default.")
        code = getattr(made, "__code__", None)
        name = "claim" if isinstance(build, Mapping) else build.__name__
        file = code.co_filename if code is not None else None
        line = code.co_firstlineno if code is not None else None
        if isinstance(build, Mapping):
            file, line = written_at(__file__)
        return Hypothesis(
            story, made, model, data, metric, expect, chosen, criteria, name, wrong=tuple(wrong), file=file, line=line
        )

    return declare
