"""The models of the zoo with the claims of hypotheses/, as plain data. Their bars are stated on other rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import scrub
from planted.told import Planted, Spot, Step, Told
from scrub import Dataset, Hypothesis, recovers, zoo
from scrub.claims.sites import Inside, Site

WORTH = 0.01
CLAIMS = ("induction", "brackets", "names", "compose", "either", "compiled-induction")
ROWS: dict[str, int] = {"brackets": 300, "names": 200}
DRAWS = 8  # of a test, that on other rows included which states the bar
SETTINGS = ("predicts", "scored", "within", "rest", "rest_scope", "rest_rows", "pair", "empty", "through", "together")


def gallery() -> Iterator[Planted]:
    for name in CLAIMS:
        yield _planted(name)


def _hypothesis(name: str) -> Hypothesis:
    if name != "compiled-induction":
        return getattr(import_module(f"hypotheses.{name}"), name)
    trained = _hypothesis("induction")
    before, found = scrub.heads("0.0", at="B1"), scrub.heads("1.0", at="END")
    found = found.reads(q="current", k="before", v="b")
    return trained.but(model="zoo:compiled-induction", before=before.reads(v="first"), found=found)


def _planted(name: str) -> Planted:
    hypothesis = _hypothesis(name)
    title = hypothesis.model.removeprefix("zoo:")
    card = zoo.info(title)
    rows: Callable[[int], Dataset] = lambda seed: Dataset.from_rows(zoo.rows(title, ROWS.get(name, 150), seed))  # noqa: E731
    told = _told(hypothesis).but(data=rows(1))
    share = _bar(told.but(data=rows(2)).hypothesis())
    config = card.config
    heads = tuple(f"{layer}.{head}" for layer in range(config["n_layers"]) for head in range(config["n_heads"]))
    layers = tuple(str(layer) for layer in range(config["n_layers"] + 1))
    positions = tuple(sorted(set.intersection(*(set(row["positions"]) for row in zoo.rows(title, 50, 1)))))
    return Planted(
        name, "zoo", told.but(expect=recovers(share)), {"heads": heads, "resid": layers}, positions,
        features=("compiled" if title.startswith("compiled") else "trained",), rows=None, draws=DRAWS,
        known=title.startswith("compiled"),
    )  # fmt: skip


def _bar(hypothesis: Hypothesis) -> float:
    """Just under what the true claim recovers on other rows: its low end, less its interval's width and `WORTH`."""
    found = scrub.test(hypothesis, draws=DRAWS, controls="none", explain=False).recovered
    assert found.low is not None
    assert found.high is not None
    return round(found.low - (found.high - found.low) - WORTH, 3)


def _told(hypothesis: Hypothesis) -> Told:
    steps = {name: Step(v.parents, _positional(v)) for name, v in hypothesis.story.variables.items()}
    places = hypothesis.correspondence()
    spots = {name: _spots(name, place, steps) for name, place in places.items()}
    options = {name: getattr(hypothesis.options, name) for name in SETTINGS}
    given = {name: value for name, value in options.items() if name in hypothesis.options.deviations()}
    setting = {"model": hypothesis.model, "data": hypothesis.data, "metric": hypothesis.metric}
    return Told(steps, spots, {**setting, "expect": hypothesis.expect, **given})


def _positional(variable: Any) -> Callable[..., Any]:
    return lambda *values: variable.function(**dict(zip(variable.parents, values, strict=True)))


def _spots(name: str, place: Any, steps: dict[str, Step]) -> tuple[Spot, ...]:
    if isinstance(place, Inside):
        return ()
    sites = place if isinstance(place, tuple) else (place,)
    return tuple(_spot(name, site, steps) for site in sites)


def _spot(name: str, site: Site, steps: dict[str, Step]) -> Spot:
    kind = site.components[0].kind
    grammar = {"head": "heads", "mlp": "mlps"}.get(kind, kind)
    found = () if kind in ("embed", "pos", "logits") else tuple(str(c).split()[-1] for c in site.components)
    reads = dict(site.reading or ())
    if not reads and kind == "logits":
        reads = {"input": steps[name].parents}
    return Spot(grammar, found, str(site).partition(" @ ")[2], reads, site.omitted)
