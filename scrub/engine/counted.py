"""How many contexts a test asks for, and how many different ones: drawn for a pilot, or counted on a folded tree.

A tree of many occurrences has few different branches. These are counted, not visited: how often a branch occurs, and
how many contexts it can have at all, say how many different ones are to be expected.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from attrs import Factory, frozen
from jaxtyping import Int

from scrub.claims.resolved import Claim
from scrub.claims.size import size_of
from scrub.engine.draw import Calls, Draws
from scrub.engine.number import Numbering
from scrub.engine.plan import Leaf, Program, SiteShape, compile_tree
from scrub.engine.unroll import Occurrence, folded, rest_inputs, unroll
from scrub.engine.upstream import representatives

PILOT_CALLS = 2000  # counts of larger tests are scaled up from a pilot of this many
PILOT_OCCURRENCES = 500  # larger trees are counted folded
_ENDLESS = 1e200


@frozen(eq=False)
class Counted:
    """The program of a test, contexts asked for, and different ones of each step; `tree` where it was visited.

    `until` has, where they were drawn, the last moment at which each of the counted contexts of a step is read.
    """

    program: Program
    occurrences: int
    asked: int
    evaluated: Sequence[float]
    tree: Occurrence | None = None
    until: Mapping[int, Int[np.ndarray, " context"]] = Factory(dict)


def count(claim: Claim, references: Int[np.ndarray, " row"], draws: int, seed: int) -> Counted:
    """Count the contexts of a test."""
    if size_of(claim.placement).occurrences <= PILOT_OCCURRENCES:
        return _by_pilot(claim, references, draws, seed)
    return _folded(claim, len(references) * draws)


def _by_pilot(claim: Claim, references: Int[np.ndarray, " row"], draws: int, seed: int) -> Counted:
    tree = unroll(claim)
    program = compile_tree(claim, tree)
    calls = len(references) * draws
    pilot = min(calls, PILOT_CALLS)
    chosen = Calls(np.resize(references, pilot), np.arange(pilot) // len(references))
    numbered = Numbering(claim, program).number(Draws(claim, seed).tree(tree, chosen))
    scale = calls / pilot
    evaluated = [scale * len(numbered.batches[step]) for step in range(len(program.steps))]
    until = {step: batch.until for step, batch in numbered.batches.items()}
    return Counted(program, sum(1 for _ in tree.walk()), round(scale * numbered.asked), evaluated, tree, until)


def _folded(claim: Claim, calls: int) -> Counted:
    """Of each step, as many contexts as random choices among all that it can have would hit.

    Donors agree with a row, so they are less free than that: the estimate errs upwards.
    """
    tree = folded(claim)
    program = compile_tree(claim, tree)
    branches = _branches(tree)
    times, possible = _times(branches), _possible(claim, program, branches)
    asked, most = [0] * len(program.steps), [0.0] * len(program.steps)
    for node in branches:
        for step, contexts in _used(claim, program, node, possible):
            asked[step] += times[node.path] * calls
            most[step] = max(most[step], contexts)
    evaluated = [n * -math.expm1(-a / n) if n else 0.0 for a, n in zip(asked, most, strict=True)]
    return Counted(program, sum(times.values()), sum(asked), evaluated)


def _branches(tree: Occurrence) -> list[Occurrence]:
    """Every different branch once, a reader before its parents."""
    found: dict[str, Occurrence] = {}

    def visit(node: Occurrence) -> None:
        if node.path not in found:
            for child in node.children:
                visit(child)
            found[node.path] = node

    visit(tree)
    return list(reversed(found.values()))


def _times(branches: Sequence[Occurrence]) -> dict[str, int]:
    """How often each branch occurs in the unrolled tree."""
    times = {node.path: int(node.is_root) for node in branches}
    for node in branches:
        for child in node.children:
            times[child.path] += times[node.path]
    return times


def _possible(claim: Claim, program: Program, branches: Sequence[Occurrence]) -> dict[str, float]:
    """How many contexts the value of a branch can have."""
    found: dict[str, float] = {}
    for node in reversed(branches):
        if node.leaf:
            (step,) = program.parts[node.path]
            made = program.steps[step]
            assert isinstance(made, Leaf)
            found[node.path] = float(len(np.unique(representatives(claim, made.components, made.slots))))
        else:
            inputs = len(rest_inputs(claim, node))
            found[node.path] = _all([_rests(claim)] * inputs + [found[child.path] for child in node.children])
    return found


def _used(
    claim: Claim, program: Program, node: Occurrence, possible: dict[str, float]
) -> Iterator[tuple[int, float]]:
    """The steps that one occurrence uses, each with how many contexts it can have there."""
    views: dict[tuple[int, int, str], None] = {}
    for step in program.parts[node.path]:
        made = program.steps[step]
        views |= dict.fromkeys(made.views if isinstance(made, SiteShape) else ())
        yield step, possible[node.path]
    for stream, _, channel in views:
        landing = [possible[child.path] for child in node.children if channel in child.channels]
        yield stream, _all([_rests(claim), *landing])


def _rests(claim: Claim) -> float:
    """The rows that a frame may be."""
    return float(claim.rest_from.sum()) if claim.options.rest == "resample" else float(len(claim.data))


def _all(numbers: Sequence[float]) -> float:
    return min(math.exp(min(sum(map(math.log, numbers)), math.log(_ENDLESS))), _ENDLESS) if all(numbers) else 0.0
