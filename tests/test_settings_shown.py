"""Whatever changes a number stands in the result: of every setting of a claim, and every argument of every verb.

One setting is changed at a time. Then what the result says of its settings differs, or none of its numbers does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from typing import Any

import pytest
from attrs import fields

import scrub
from score.cases import claim_of, graph, rows_of, tiny_transformer, token_rows
from scrub import Dataset, Hypothesis, Metric, nodes, protocol, recovers
from scrub.claims.hypothesis import Options
from scrub.claims.protocol import Protocol

Result = dict[str, Any]
# what a result says of its settings; all other numbers in it are found
SAID = {
    "digest", "options", "provenance", "rows", "draws", "seed", "pilot", "name", "better", "metric",
    "ablation", "direction", "level", "parts", "circuit", "without", "to", "at", "sender", "method", "edge_method",
    "positions", "bounded_kinds", "expect", "bar", "seen", "foil", "controls",
}  # fmt: skip
ROWS = rows_of(
    {
        "x": x, "y": y, "w": (x + 2 * y + n) % 3, "label": 10 * x + 3 * y, "other": 10 * x, "mate": (7 * i + 3) % 12,
        "kind": n, "some": n == 0 or x != 1, "most": n == 0 or x > 0,
    }
    for i, (x, y, n) in enumerate(product(range(3), range(2), range(2)))
)  # fmt: skip
MODEL = tiny_transformer()
TOKENS = Dataset.from_rows(
    {"tokens": row.tokens, "positions": row.positions,
     "columns": {**row.columns, "mate": (5 * i + 1) % 12, "some": i % 3 > 0}}
    for i, row in enumerate(token_rows().rows)
)  # fmt: skip
ERROR = Metric(lambda output, row: abs(output - row.columns["label"]), better="lower", name="error")
SQUARE = Metric(lambda output, row: (output - row.columns["label"]) ** 2, better="lower", name="square")


def model(slope: int = 3) -> Any:
    return graph(
        h=lambda x, y, w: 10 * x + slope * y + w, k=lambda y, w: slope * y - w, j=lambda h, k: h + 2 * k,
        out=lambda h, k, j, w: h + k - 0.5 * w + 0.1 * j,
    )  # fmt: skip


def plain(**options: Any) -> Hypothesis:
    """Two variables, one above the other, and a third; each has unclaimed inputs."""
    return claim_of(
        model(),
        {
            "low": lambda x: x, "mid": lambda low, y: (low, y), "side": lambda y: y,
            "answer": lambda mid, side: 10 * mid[0] + 3 * mid[1] + 0 * side,
        },
        {
            "low": "x", "y": "y", "mid": nodes("h").reads(x="low", y="y"), "side": nodes("k").reads(y="y"),
            "answer": nodes("out").reads(h="mid", k="side"),
        },
        ROWS, **{"metric": ERROR, "expect": recovers(0.3), **options},
    )  # fmt: skip


CLAIM: dict[str, list[dict[str, Any]]] = {  # setting -> what it is changed to
    "predicts": [{"predicts": "other"}],
    "scored": [{"scored": "some"}],
    "within": [{"within": "kind"}],
    "rest": [{"rest": "mean"}],
    "rest_scope": [{"rest_scope": "draw"}],
    "rest_rows": [{"rest_rows": "most"}],
    "pair": [{"rest": "paired", "pair": "mate"}],
    "empty": [{"empty": "self"}],
    "through": [{"through": "j"}],
    "together": [{"together": [("mid", "side")]}],
    "noise": [{"noise": "w"}],
    "seen": [{"seen": tuple(row.input_digest for row in ROWS.rows[:2])}],
    "spare": [{"spare": "mid h"}],
    "skills": [{"skills": "most"}],
    "model": [{"model": model(2)}],
    "data": [{"data": rows_of(row.columns for row in ROWS.rows[1:])}],
    "metric": [{"metric": SQUARE}, {"metric": Metric(ERROR.function, better="higher", name="error")}],
    "expect": [{"expect": recovers(0.9)}, {"expect": recovers(0.3, any_swaps=True)},
               {"expect": recovers(0.3, interchange=0.5)}],
    "criteria": [
        {"criteria": protocol(ablation="resample")}, {"criteria": protocol(direction="denoising")},
        {"criteria": protocol(group="kind")}, {"criteria": protocol(reference="most")},
        {"criteria": protocol(ablation="paired", pair="mate")}, {"criteria": protocol(through="j")},
    ],
    "sites": [{"mid": nodes("h").reads(x="low").omits("y")}],
}  # fmt: skip
OPTIONS = {field.name for field in fields(Options)}
ALIAS = {"within": "group", "rest_rows": "reference"}  # as circuits call them
CRITERIA = {"random": 2, "budget": 4, "tests": False}
ON_CIRCUITS = ("criteria", "run_circuit", "patch_paths", "sweep", "propose")
PATH = "h -> out"
VERBS: dict[str, Callable[..., Any]] = {
    "test": lambda h, **o: scrub.test(h.but(skills="most") if "skills" in o else h, **{"draws": 3, **o}),
    "explain": lambda h, **o: scrub.explain(h, **{"draws": 3, **o}),
    "compare": lambda h, **o: scrub.compare(h, h.but(side=nodes("k").omits("y")), **{"draws": 3, **o}),
    "interchange": lambda h, **o: scrub.interchange(h, **o),
    "power": lambda h, **o: scrub.power(h, **o),
    "criteria": lambda h, **o: scrub.criteria(h, **{**CRITERIA, **o}),
    "run_circuit": lambda h, circuit="h, k", **o: scrub.run_circuit(circuit, h, **o),
    "patch_paths": lambda h, paths=PATH, **o: scrub.patch_paths(paths, h, **o),
    "sweep": lambda h, senders="all", to="~all~> out", **o: scrub.sweep(senders, to, h, **o),
    "propose": lambda h, **o: scrub.propose(h, **o),
}
SAMPLE = {"model": model(2), "rows": 10, "seed": 5}
PROTOCOL = {"ablation": "zero", "direction": "denoising", "group": "kind", "reference": "most", "level": "edges"}
GIVEN: dict[str, dict[str, Any]] = {  # verb -> argument -> what it is changed to
    "test": {
        **SAMPLE,
        "draws": 4,
        "exact": True,
        "controls": "none",
        "parts": "none",
        "explain": False,
        "stability": True,
        "skills": True,
    },
    "explain": {**SAMPLE, "draws": 4, "row": 3},
    "compare": {**SAMPLE, "draws": 4, "exact": True, "controls": "none"},
    "interchange": {**SAMPLE, "draws": 4},
    "power": {**SAMPLE, "draws": 4},
    "criteria": {
        **SAMPLE,
        **PROTOCOL,
        "circuit": "h",
        "random": 3,
        "budget": 1,
        "tests": True,
        "stop": 0,
        "through": "j",
    },
    "run_circuit": {**SAMPLE, **PROTOCOL, "circuit": "h", "without": True, "through": "j"},
    "patch_paths": {**SAMPLE, **PROTOCOL, "paths": "k -> out"},
    "sweep": {**SAMPLE, **PROTOCOL, "senders": "h k", "to": "-> out"},
    "propose": {**SAMPLE, "pair": "mate", "direction": "denoising", "absolute": True},
}
ELSEWHERE = {  # arguments that are the setting of no claim, of a transformer alone, or of no number
    "hypothesis", "hypotheses", "data", "metric", "scored", "device", "dtype", "out", "recompute", "run", "write",
    "at", "read", "nodes", "method", "rules", "steps", "over", "points", "edges", "verify", "top", "draws",
    "protocol", "ready", "memory", "cache", "dictionary", "workers", "ray", "stream",
}  # fmt: skip


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict | list | tuple):
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(part, (*path, name))
    else:
        yield path, value


def said(result: Result) -> dict[Any, Any]:
    return {path: value for path, value in leaves(result) if SAID & {*path} and not _found(path, value)}


def _found(path: tuple[Any, ...], value: Any) -> bool:
    """A number among what is said, but for the counts of rows, draws and the seed: what a control recovers, a bar."""
    return isinstance(value, float) and not {"options", "expect"} & {*path}


def numbers(result: Result) -> dict[Any, Any]:
    found = {path: value for path, value in leaves(result) if isinstance(value, int | float)}
    return {path: value for path, value in found.items() if not (SAID & {*path} and not _found(path, value))}


@cache
def usual(verb: str, variant: str = "") -> Result:
    return VERBS[verb](plain()).to_dict()


def told(before: Result, after: Result) -> bool:
    """Whether a number differs; if so, what is said differs too."""
    changed = {path for path, value in numbers(after).items() if numbers(before).get(path) != value}
    changed |= numbers(before).keys() - numbers(after).keys()
    assert not changed or said(before) != said(after), f"nothing says why {sorted(map(str, changed))[:5]} differ"
    return bool(changed)


def options(result: Result) -> list[Any]:
    return [value for path, value in leaves(result) if "options" in path] + [
        path for path, _ in leaves(result) if "options" in path
    ]


def digests(result: Result) -> list[Any]:
    return [value for path, value in leaves(result) if path[-1] == "digest"]


@pytest.mark.parametrize("setting", CLAIM)
@pytest.mark.parametrize("verb", VERBS)
def test_a_setting_of_a_claim(verb: str, setting: str) -> None:
    """An option stands in the digest and, by its name, among the options; the rest of a claim in the digest."""
    for changes in CLAIM[setting][: None if setting != "criteria" or verb in ON_CIRCUITS else 1]:
        before, after = usual(verb), VERBS[verb](plain().but(**changes)).to_dict()
        if told(before, after) and setting in OPTIONS:
            assert digests(before) != digests(after)
            assert f"'{setting}'" in str(options(after)) or ALIAS.get(setting, setting) in str(options(after))


@pytest.mark.parametrize(("verb", "argument"), [(verb, name) for verb in VERBS for name in GIVEN[verb]])
def test_an_argument_of_a_verb(verb: str, argument: str) -> None:
    told(usual(verb), VERBS[verb](plain(), **{argument: GIVEN[verb][argument]}).to_dict())


def test_no_setting_is_forgotten() -> None:
    assert OPTIONS | {"model", "data", "metric", "expect", "criteria", "sites"} == CLAIM.keys()
    assert {f.name for f in fields(Protocol)} - {"published"} <= PROTOCOL.keys() | {"pair", "through", "upstream"}
    for verb, given in GIVEN.items():
        known = set(inspect.signature(getattr(scrub, verb)).parameters)
        assert known - ELSEWHERE <= given.keys(), verb


def read_at(verb: str, **changes: Any) -> Result:
    """A verb on a transformer, without a hypothesis."""
    model, data = MODEL, TOKENS
    given = {"model": model, "data": data, "metric": "loss(label)", "ablation": "zero", **changes}
    if verb == "propose":
        given = {**given, "pair": "mate", "verify": 2, "top": 1, "draws": 4, **changes}
        return scrub.propose(**{name: value for name, value in given.items() if name != "ablation"}).to_dict()
    if verb == "sweep":
        return scrub.sweep("heads", "~all~> logits", **given).to_dict()
    return getattr(scrub, verb)("0.0 -> logits" if verb == "patch_paths" else "0.0", **given).to_dict()


READ = {"run_circuit": "at", "patch_paths": "at", "sweep": "read", "propose": "read"}
PROPOSED = {"method": "eap-ig", "steps": 2, "over": "activations", "rules": "ln", "nodes": "heads", "edges": True}


@pytest.mark.parametrize("verb", READ)
def test_a_setting_without_a_claim(verb: str) -> None:
    before = read_at(verb)
    changes = [{READ[verb]: -2}, {"scored": "some"}, {"dtype": "float32"}, {"metric": "accuracy(label)"}]
    for change in changes[: None if verb != "propose" else -1]:
        assert told(before, read_at(verb, **change)), change


@pytest.mark.parametrize("argument", PROPOSED)
def test_an_argument_of_a_proposal(argument: str) -> None:
    given = {"method": "eap-ig"} if argument in ("steps", "over") else {}
    told(read_at("propose", **given), read_at("propose", **{**given, argument: PROPOSED[argument]}))


@pytest.mark.parametrize("argument", ["verify", "top", "draws", "at"])
def test_how_much_a_proposal_looks_at(argument: str) -> None:
    told(read_at("propose"), read_at("propose", **{argument: "END" if argument == "at" else 3}))
