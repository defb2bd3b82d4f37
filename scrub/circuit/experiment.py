"""What circuits are run on: a model, rows, a metric, and how everything outside a circuit is ablated."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from attrs import evolve, field, frozen
from jaxtyping import Bool, Int

from scrub.anatomy.names import Component, parse_component
from scrub.anatomy.positions import Slot
from scrub.anatomy.table import TABLE
from scrub.anatomy.transformer import TransformerGraph
from scrub.circuit.ablations import Ablation, DonorPool, find, said
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Options
from scrub.claims.metric import AnyMetric
from scrub.claims.problems import Problem
from scrub.claims.protocol import Protocol
from scrub.claims.resolved import Claim
from scrub.claims.setting import check_arguments, check_setting, check_tokens
from scrub.claims.text import Tokenizer
from scrub.claims.wording import OWN, PAIR, REFERENCE
from scrub.engine.draw import Calls
from scrub.errors import ClaimError, DataError, did_you_mean, some
from scrub.model.computation import Computation

Graph = TransformerGraph | Computation
_RESTS = {PAIR: "paired", REFERENCE: "resample", OWN: "zero"}  # the rest of a claim that needs the same columns
FEW = 2  # reference rows that a mean needs; the mean of one row ablates nothing


@frozen(slots=False, eq=False)
class Experiment:
    """Arrays are indexed by row of the data; `rows` are the scored rows that circuits are run on.

    `group` is the class within which reference rows (`reference`) are taken; `pair` each row's partner (-1:
    none). `answer` is the position at which logits are read, None in a computation graph. `settings` are the words
    from which all this was made, a claim's own included, where they differ from the defaults.
    """

    graph: Graph
    data: Dataset
    metric: AnyMetric
    tokenizer: Tokenizer | None
    answer: Slot | None
    output: Component
    rows: Int[np.ndarray, " n"]
    group: Int[np.ndarray, " row"]
    reference: Bool[np.ndarray, " row"]
    pair: Int[np.ndarray, " row"]
    protocol: Protocol
    through: tuple[str, ...]
    predicts: str | None = None
    digest: str = field(default="")
    settings: Mapping[str, Any] = field(factory=dict[str, Any])

    @property
    def noising(self) -> bool:
        """Whether runs start on the rows themselves, and not on the ablated input."""
        return self.protocol.direction == "noising"

    @cached_property
    def named_through(self) -> frozenset[Component]:
        """The components that `through` names; `pos` is added where a circuit does not name it."""
        singles = [word for word in self.through if word in TABLE and TABLE[word].given]
        others = [word for word in self.through if word not in singles]
        return self.graph.passed(others) | {parse_component(word) for word in singles}

    @property
    def ablation(self) -> Ablation:
        return find(self.protocol.ablation)

    def donors(self, calls: Calls, seed: int) -> Int[np.ndarray, " call"]:
        """The row that each call's ablated values come from; the row itself where no one row gives them."""
        if self.ablation.donors is None:
            return calls.reference
        return self.ablation.donors(DonorPool(self.data, self.group, self.reference, self.pair, seed), calls)


def referred(experiment: Experiment) -> Int[np.ndarray, " n"]:
    """The reference rows that the rows which are run take means or donors from."""
    same = np.isin(experiment.group, experiment.group[experiment.rows])
    return np.flatnonzero(experiment.reference & same)


def experiment_of(
    claim: Claim, rows: Int[np.ndarray, " n"], protocol: Protocol, tokenizer: Tokenizer | None
) -> Experiment:
    """The experiment that a claim's setting and a protocol describe. Raises ClaimError, DataError."""
    options = claim.options
    group, reference, pair = protocol.group or options.within, protocol.reference or options.rest_rows, protocol.pair
    answer = claim.answer
    assert isinstance(claim.graph, TransformerGraph | Computation)
    return resolve(
        claim.graph, claim.data, claim.metric, tokenizer, protocol,
        answer=answer.at[0] if answer.at else None, output=answer.components[0], rows=rows,
        group=group, reference=reference, pair=pair or options.pair,
        through=options.through if protocol.through is None else protocol.through,
        predicts=options.predicts, digest=claim.digest,
        settings={"scored": options.scored, "predicts": options.predicts, "seen": len(options.seen) or None},
    )  # fmt: skip


def resolve(
    graph: Graph, data: Dataset, metric: AnyMetric, tokenizer: Tokenizer | None, protocol: Protocol, *,
    answer: Slot | None, output: Component, rows: Int[np.ndarray, " n"] | None, group: str | None,
    reference: str | None, pair: str | None, through: tuple[str, ...], scored: str | None = None,
    predicts: str | None = None, digest: str = "", settings: Mapping[str, Any] | None = None,
) -> Experiment:  # fmt: skip
    """An experiment from columns by name; `settings` are others that took part. Raises DataError with every problem
    of the data, ClaimError."""
    name, ends = protocol.ablation, said(protocol.ablation).rows
    if ends == PAIR and pair is None:
        raise ClaimError(
            f"ablation {name!r} needs the column that names each row's counterfactual: pair='column' (in a claim "
            "criteria=protocol(pair='column'), on the command line --pair COLUMN)."
        )
    options = Options(
        scored=scored, within=group, rest_rows=reference, rest=_RESTS[ends], pair=pair if ends == PAIR else None,
        predicts=predicts, empty="self",  # who lacks partners or reference rows is told below, in other words
    )  # fmt: skip
    setting, problems = check_setting(options, graph, data, everywhere=False)
    problems += check_arguments(metric, options, data, answered=False)
    problems = [_in_words(problem, protocol) for problem in problems]
    if isinstance(graph, TransformerGraph):
        problems += check_tokens(metric, data, tokenizer, graph.shape.d_vocab, graph.shape.n_ctx)
    used = np.flatnonzero(setting.scored) if rows is None else rows[setting.scored[rows]]
    if not len(used) and not problems:
        problems = [Problem("a search saw the partner of every row that would be run: give the claim more data.")]
    if not problems:
        problems += _too_few(protocol, setting.stratum, setting.rest_from, used, group)
        problems += _unpaired(protocol, setting.pair, used, pair)
    if answer is not None:
        problems += [Problem(text) for text in misplaced(data, (answer,), used)]
    if problems:
        raise DataError("\n".join(problem.text for problem in problems))
    return Experiment(
        graph, data, metric, tokenizer, answer, output, used, setting.stratum, setting.rest_from, setting.pair,
        protocol, through, predicts, digest or data.digest,
        {**(settings or {}), **({"pair": pair} if ends == PAIR else {}),
         **({"group": group, "reference": reference} if ends == REFERENCE else {})},
    )  # fmt: skip


def _in_words(problem: Problem, protocol: Protocol) -> Problem:
    """A problem of a column, begun with the claim's word for it, in the protocol's word where that names it."""
    word, equals, rest = problem.found.partition("=")
    words = {"within": protocol.group and "group", "rest_rows": protocol.reference and "reference"}
    return evolve(problem, found=f"{words.get(word) or word}{equals}{rest}")


def _unpaired(protocol: Protocol, pair: np.ndarray, rows: np.ndarray, column: str | None) -> list[Problem]:
    lacking = rows[pair[rows] < 0]
    if said(protocol.ablation).rows != PAIR or not lacking.size:
        return []
    found = f"pair={column!r}: rows {some(np.sort(lacking).tolist())} have no partner in the data."
    given = "Give the partner's row number (or its text in the column 'id')"
    fix = f"{given}, mark the rows that have one with scored='column', or ablate otherwise."
    return [Problem(found, fix)]


def _too_few(
    protocol: Protocol, group: np.ndarray, reference: np.ndarray, rows: np.ndarray, column: str | None
) -> list[Problem]:
    if said(protocol.ablation).rows != REFERENCE:
        return []
    sizes = np.bincount(group[reference], minlength=int(group.max()) + 1)
    small = [g for g in np.unique(group[rows]) if sizes[g] < FEW]
    if not small:
        return []
    members = rows[np.isin(group[rows], small)]
    where = f"{'group' if protocol.group else 'within'}={column!r}: " if column else ""
    found = f"{where}the rows {some(members.tolist())} have fewer than {FEW} reference rows in their group"
    return [Problem(f"{found}, so that nothing would be ablated there.", "Widen the group, or mark more rows.")]


def misplaced(data: Dataset, slots: tuple[Slot, ...], rows: np.ndarray) -> list[str]:
    """What is wrong with positions that some rows do not have."""
    found: list[str] = []
    for slot in slots:
        if slot.name and slot.name not in data.position_names:
            known = ", ".join(data.position_names) or "none"
            near = did_you_mean(slot.name, data.position_names)
            found.append(f"the data have no position {slot.name!r}: they name {known}.{near}")
            continue
        missing = rows[data.locate(slot)[rows] < 0]
        if missing.size:
            found.append(f"position {slot} is missing in rows {some(missing.tolist())}; every row needs it.")
    return found


def described(experiment: Experiment) -> dict[str, Any]:
    """The options of an experiment that a result records: all that takes part and is named nowhere else in it."""
    own = experiment.protocol.deviations()
    found = {**own, **experiment.settings, "through": list(experiment.through) or None}
    return {name: value for name, value in found.items() if value is not None}
