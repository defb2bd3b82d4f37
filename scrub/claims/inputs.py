"""Inputs of a computation graph: which of them are noise, and which of those left unclaimed never vary.

Of an input with one value nothing is known: whatever the claim says of it, every rest brings the same. Of a
transformer, whose inputs are tokens at positions, nothing is told: most rows begin alike, and are meant to.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scrub.anatomy.graphs import ModelGraph
from scrub.anatomy.names import Component
from scrub.claims.content import alike, shown
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Options
from scrub.claims.interpretation import Interpretation
from scrub.claims.placement import Placement
from scrub.claims.problems import Problem
from scrub.claims.setting import Setting
from scrub.errors import nearest


def check_noise(
    options: Options, graph: ModelGraph, story: Interpretation, placement: Placement | None
) -> Iterator[Problem]:
    """What is wrong with `noise=`: names of no input, and inputs that the claim explains something by."""
    if options.noise and graph.sequence:
        fix = "Leave it out: a transformer's inputs are its tokens."
        yield Problem(f"noise={' '.join(options.noise)!r} names inputs of a computation graph.", fix)
        return
    claimed = _claimed(placement)
    for name in options.noise:
        said = f"noise={name!r}"
        if name not in graph.inputs():
            computed = graph.has(Component.for_node(name))
            what = "is computed, and only an input is redrawn" if computed else "is no input of the model"
            yield Problem(f"{said}: {name!r} {what}.", _known(graph), nearest(name, graph.inputs()))
        elif name in story.columns:
            fix = "What is noise explains nothing: leave it out of the story, or out of noise=."
            yield Problem(f"{said}: the story reads {name!r}.", fix)
        elif name in claimed:
            fix = "What is noise carries no variable: leave it out of noise=."
            yield Problem(f"{said}: {name!r} is the site of {claimed[name]}.", fix, None, claimed[name])


def _known(graph: ModelGraph) -> str:
    return f"The inputs are {', '.join(graph.inputs())}."


def _claimed(placement: Placement | None) -> dict[str, str]:
    """Nodes that are sites, and of which variable."""
    placed = placement.placed.values() if placement else ()
    return {c.name: p.name for p in placed for site in p.sites for c in site.site.components}


def unvaried(placement: Placement, graph: ModelGraph, data: Dataset, setting: Setting) -> Iterator[str]:
    """A sentence for every unclaimed input that reaches the answer and has one value, on all rows or in strata."""
    claimed, strata = _claimed(placement), setting.stratum
    for name in graph.inputs():
        if name in claimed or not _reaches(name, placement, graph):
            continue
        first: dict[int, str] = {}
        texts = zip(strata.tolist(), map(alike, data.column(name)), strict=True)
        if all(first.setdefault(stratum, text) == text for stratum, text in texts):
            alone = len(np.unique(strata)) == 1
            value = f"the one value {shown(data.rows[0].columns[name], 40)} on all rows" if alone else (
                "one value in each stratum"
            )  # fmt: skip
            yield (
                f"the unclaimed input {name!r} has {value}: nothing is known of what it does. Add rows in which it "
                f"varies (rest_rows= says what rests are)."
            )


def _reaches(name: str, placement: Placement, graph: ModelGraph) -> bool:
    """Whether any path leads from an input to the answer."""
    every = graph.passed(("all",))
    ends = [c for site in placement.placed[placement.output].sites for c in site.site.components]
    start = Component.for_node(name)
    return any(graph.carries(start, end, channel, every) for end in ends for channel in graph.channels(end))
