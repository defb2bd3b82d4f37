"""What a claim says, as facts: data that JSON knows, in the order in which they were written, and a canonical text.

The text has one fact a line, sorted, so that two claims are compared line by line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import asdict, fields

from scrub.anatomy.part import HostPart
from scrub.claims.dataset import Dataset
from scrub.claims.holds import HeldSite
from scrub.claims.hypothesis import Expectation
from scrub.claims.placement import PlacedSite
from scrub.claims.plain import to_plain
from scrub.claims.protocol import Protocol
from scrub.claims.resolved import Claim
from scrub.claims.sites import Inside
from scrub.claims.values import Value, codes, digest, key, printed

Facts = dict[str, Any]
Values = Mapping[str, tuple[Value, ...]]


def facts_of(claim: Claim, model: str | None, revision: str | None = None) -> Facts:
    """All that a sound claim says, but for its rows and values.

    `model` is the name by which its model is found, None for a model that is no data but a thing in Python.
    """
    hypothesis = claim.hypothesis
    return {
        "name": hypothesis.title,
        "model": {"name": model, "graph": claim.graph.name, "revision": revision},
        "variables": [
            {"name": v.name, "parents": list(v.parents), "round": v.step} for v in hypothesis.story.variables.values()
        ],
        "sites": _sites(claim),
        "metric": str(claim.metric),
        "expect": _expected(hypothesis.expect) if hypothesis.expect else None,
        "options": _lists(hypothesis.options.deviations()),
        "criteria": _lists(_criteria(hypothesis.criteria)),
        "foil": hypothesis.foil_reason,
    }


def _expected(expect: Expectation) -> dict[str, Any]:
    """An expectation as data; what came later than the first format stands there only where it is asked."""
    return {name: value for name, value in asdict(expect).items() if value is not None}


def _criteria(protocol: Protocol) -> dict[str, Any]:
    """What differs from the defaults, the published numbers included."""
    given = asdict(protocol)
    return {f.name: given[f.name] for f in fields(Protocol) if given[f.name] != f.default}


def _sites(claim: Claim) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, where in claim.hypothesis.correspondence().items():
        placed = () if isinstance(where, Inside) else claim.placement.placed[name].sites
        found[name] = [_site(one, claim.held.get((name, i))) for i, one in enumerate(placed)] or "inside"
    return found


def _site(placed: PlacedSite, held: HeldSite | None) -> dict[str, Any]:
    """A site, what each channel reads spelt out; what it holds, where it says so, by the digest of what it gives."""
    site = placed.site
    given = {} if held is None else {"holds": [[output, json.dumps(to_plain(v))] for output, v in held.table]}
    if any(component.part for component in site.components):
        given |= {"parts": [_part(component.part) for component in site.components]}
    return given | {
        "components": [str(c) for c in site.components],
        "at": [str(slot) for slot in site.at],
        "reads": {channel: list(names) for channel, names in placed.reads},
        "omits": list(site.omitted),
        "linked": site.is_linked,
    }


def _part(part: HostPart | None) -> dict[str, Any] | None:
    """A code as data; its arrays are known by their digest."""
    if part is None:
        return None
    settings = {name: value for name, value in part.settings}
    return {
        "code": part.code, "digest": part.digest, "indices": list(part.indices), "settings": settings,
        "name": part.name, **({"lies": part.lies} if part.lies else {}),
    }  # fmt: skip


def _lists(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: json.loads(json.dumps(value)) for name, value in given.items()}


def canonical_text(facts: Facts, values: Values, data: Dataset) -> tuple[str, ...]:
    """The facts in words, one a line, sorted; `values` and `data` are those of the pool.

    The order in which things were written, the title and the order of the rows leave no trace.
    """
    lines = [
        f"data: {len(data)} rows, {data.digest}",
        f"model: {facts['model']['name'] or facts['model']['graph']}",
        f"metric: {facts['metric']}",
        *(f"expectation {name}: {_told(value)}" for name, value in (facts["expect"] or {}).items() if value),
        *(f"option {name}: {_told(value)}" for name, value in facts["options"].items()),
        *(f"criteria {name}: {_told(value)}" for name, value in facts["criteria"].items()),
        *([f"foil: {_told(facts['foil'])}"] if facts["foil"] else []),
        *_story(facts, values, data),
        *(line for name, sites in facts["sites"].items() for line in _placed(name, sites)),
    ]
    return tuple(sorted(lines))


def _story(facts: Facts, values: Values, data: Dataset) -> Iterator[str]:
    for variable in facts["variables"]:
        name = variable["name"]
        yield from (f"variable {name} is a function of {parent}" for parent in variable["parents"])
        if variable["round"] is not None:
            yield f"variable {name} is rounded to {variable['round']:g}"
        column = [values[name][row] for row in data.order]
        classes = len(set(codes(map(key, column)).tolist()))
        yield f"variable {name} has {classes} values, {digest(list(map(printed, column)), size=8)}"


def _placed(name: str, sites: Any) -> Iterator[str]:
    if sites == "inside":
        yield f"site of {name}: inside its readers"
        return
    for site in sites:
        at = " ".join(sorted(site["at"]))
        where = ", ".join(site["components"]) + (f" @ {at}" if at else "")
        yield f"site of {name}: {where}{', linked' if site['linked'] else ''}"
        for written, part in zip(site["components"], site.get("parts", ()), strict=False):
            if part:
                indices = "".join(f" {i}" for i in part["indices"])
                yield f"site of {name}: {where}: {written} is {part['code']} {part['digest']}{indices}"
        for channel, parents in site["reads"].items():
            yield from (f"site of {name}: {where}: {channel} reads {parent}" for parent in parents)
        if "holds" in site:
            values = len({value for _, value in site["holds"]})
            yield f"site of {name}: {where}: holds {values} values, {digest(site['holds'], size=8)}"
        yield from (f"site of {name}: {where}: omits {parent}" for parent in site["omits"])


def _told(value: Any) -> str:
    """A setting on one line: plain words as they are, anything else as JSON."""
    words = isinstance(value, str) and value.isprintable()
    return str(value) if words else json.dumps(value)
