"""Rows with their counterfactuals, as batches: which run is patched, which gives the values, at which positions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from attrs import field, frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.anatomy.positions import ALL, Slot
from scrub.circuit.experiment import Experiment, misplaced
from scrub.claims.dataset import Dataset
from scrub.claims.metric import AnyMetric, Metric, NamedMetric
from scrub.engine.cache import tensors
from scrub.engine.draw import Calls, words
from scrub.errors import DataError, MetricError, some
from scrub.metrics import Arguments, check_width, find
from scrub.model.memory import Piece
from scrub.model.weights import Transformer
from scrub.proposals.cost import BATCH as ROWS
from scrub.proposals.cost import batch_size
from scrub.proposals.forward import KEPT, PASSES, Passes, PatchBatch, kept_bytes, pass_bytes
from scrub.proposals.latents import LatentNodes
from scrub.proposals.space import NodeSpace


def seen_piece(model: Transformer, length: int) -> Piece:
    """A row on both runs."""
    return Piece(f"one row of {length} tokens with the gradient at every node", pass_bytes(model, length), PASSES)


@frozen(slots=False, eq=False)
class Setup:
    """The rows of a proposal, each with its partner; `at` names the columns of positions, () sums over all.

    `dictionaries` have latents as nodes, by their kind. Under noising the rows are the base and their partners the
    source; under denoising the other way round. Labels are always those of the rows.
    """

    experiment: Experiment
    model: Transformer
    metric: AnyMetric
    arguments: Arguments
    rows: Int[np.ndarray, " row"]
    partners: Int[np.ndarray, " row"]
    at: tuple[Slot, ...]
    passes: Passes
    dictionaries: Mapping[str, LatentNodes] = field(factory=dict[str, LatentNodes])
    # kept by the number of its first row, as many as the memory holds: for these rows, positions and dictionaries
    _kept: dict[int, PatchBatch] = field(factory=dict[int, PatchBatch], init=False, repr=False)

    @classmethod
    def of(
        cls, experiment: Experiment, model: Transformer, partners: Int[np.ndarray, " row"], at: tuple[Slot, ...],
        gradient: bool = True,
    ) -> Setup:  # fmt: skip
        """Raises DataError for partners that are no counterfactual, MetricError for a metric that cannot be used,
        ClaimError for a memory that is too small.

        `gradient` says that the metric must have a derivative.
        """
        rows, data, metric = experiment.rows, experiment.data, experiment.metric
        _comparable(data, rows, partners)
        if isinstance(metric, Metric) and not metric.torch:
            raise MetricError(
                f"metric {metric} is a function of one's own, with no derivative that can be followed: compute it by "
                "torch, Metric(fn, torch=True), or use logit_diff, prob_diff, loss or kl; scrub.sweep patches with "
                "any metric."
            )
        if gradient and isinstance(metric, NamedMetric) and not find(metric).gradient:
            raise MetricError(
                f"metric {metric} has no derivative that can be followed: use logit_diff, prob_diff, loss or kl, or "
                "method='exact'."
            )
        arguments = Arguments.of(metric, data, experiment.tokenizer, model.device)
        if isinstance(metric, NamedMetric):
            check_width(arguments, metric, model.shape.d_vocab)
        slots = _everywhere(data, rows) if at == (ALL,) else at
        _present(data, np.concatenate([rows, partners]), slots)
        model.memory.hold([seen_piece(model, int(data.lengths[rows].max()))])
        return cls(experiment, model, metric, arguments, rows, partners, slots, Passes())

    @property
    def space(self) -> NodeSpace:
        return NodeSpace(self.model.shape, self.dictionaries)

    @property
    def names(self) -> tuple[str | int | None, ...]:
        """What the columns are called in a result: names or indices of positions, None where summed."""
        return tuple(slot.offset if not slot.name else str(slot) for slot in self.at) or (None,)

    @property
    def seen(self) -> tuple[str, ...]:
        """The digests of the rows' inputs, partners included: what a claim must not be tested on."""
        data = self.experiment.data
        return tuple(sorted({data.rows[row].input_digest for row in (*self.rows, *self.partners)}))

    def batches(self) -> Iterator[tuple[Int[np.ndarray, " n"], PatchBatch]]:
        """Every row once, rows of similar length together: their numbers in `rows`, and the batch."""
        order = np.argsort(-self.experiment.data.lengths[self.rows], kind="stable")
        start = 0
        while start < len(order):
            chosen = order[start : start + self.together(int(order[start]))]
            batch = self._kept.get(start) or self.batch(chosen)
            if start + len(chosen) <= self._most_kept:
                self._kept[start] = batch
            start += len(chosen)
            yield chosen, batch

    @property
    def _most_kept(self) -> int:
        """How many rows are kept with every node on base and source."""
        longest = int(self.experiment.data.lengths[self.rows].max())
        return self.model.memory.share(KEPT) // kept_bytes(self.model, longest)

    def group_size(self, row: int) -> int:
        """How many rows make a group, when none is longer than this one, whatever the memory."""
        return batch_size(int(self.experiment.data.lengths[self.rows[row]]), ROWS)

    def together(self, row: int) -> int:
        """How many rows make a batch, when none is longer than this one."""
        length = int(self.experiment.data.lengths[self.rows[row]])
        return self.model.fit(seen_piece(self.model, length), self.group_size(row))

    def ends(self) -> Float[np.ndarray, "two row"]:
        """The metric of the base runs and of the source runs."""
        found = np.zeros((2, len(self.rows)))
        for chosen, batch in self.batches():
            found[:, chosen] = torch.stack(batch.ends()).double().cpu().numpy()
        return found

    def batch(self, chosen: Int[np.ndarray, " n"]) -> PatchBatch:
        """Some of the rows, by their number in `rows`."""
        data, device = self.experiment.data, self.model.device
        rows, partners = self.rows[chosen], self.partners[chosen]
        base, source = (rows, partners) if self.experiment.noising else (partners, rows)
        tokens, lengths = tensors(Dataset([data.rows[row] for row in base]), device)
        other, _ = tensors(Dataset([data.rows[row] for row in source]), device)
        assert self.experiment.answer is not None
        answer = torch.from_numpy(data.locate(self.experiment.answer)[rows]).to(device)
        return PatchBatch(
            self.model, self.metric, self.arguments, rows, tokens, other, lengths, answer,
            self._columns(rows, tokens.shape[1]), not self.at, self.experiment.noising, self.passes,
            tuple(data.rows[row] for row in rows), self.dictionaries,
        )  # fmt: skip

    def _columns(self, rows: Int[np.ndarray, " n"], longest: int) -> Float[Tensor, "n t column"]:
        if not self.at:
            return torch.ones(len(rows), longest, 1, device=self.model.device)
        found = torch.zeros(len(rows), longest, len(self.at))
        for number, slot in enumerate(self.at):
            found[np.arange(len(rows)), self.experiment.data.locate(slot)[rows], number] = 1
        return found.to(self.model.device)


def drawn_partners(experiment: Experiment, seed: int) -> Int[np.ndarray, " row"]:
    """A reference row for each row, of its group and length and with other tokens. Raises DataError where none is."""
    data, rows = experiment.data, experiment.rows
    word = words(data, Calls(rows, np.zeros(len(rows), dtype=np.int64)), seed, "proposal", "rest")
    ranked = data.order[experiment.reference[data.order]]
    found = np.full(len(rows), -1, dtype=np.int64)
    for number, row in enumerate(rows):
        alike = ranked[
            (experiment.group[ranked] == experiment.group[row]) & (data.lengths[ranked] == data.lengths[row])
        ]
        others = [other for other in alike if data.rows[other].tokens != data.rows[row].tokens]
        if others:
            found[number] = others[int(word[number] % np.uint64(len(others)))]
    if (lacking := rows[found < 0]).size:
        raise DataError(
            f"rows {some(lacking.tolist())} have no counterfactual: no other reference row of their group has their "
            f"length. {HOW}"
        )
    return found


HOW = (
    "Give each row a partner of the same length: a column with the partner's row number (or the text in its column "
    "'id'), named with pair='column' (--pair COLUMN). A partner is the same text with the one thing changed that the "
    "answer depends on, such as another name."
)


def _comparable(data: Dataset, rows: np.ndarray, partners: np.ndarray) -> None:
    problems: list[str] = []
    unlike = rows[data.lengths[rows] != data.lengths[partners]]
    if unlike.size:
        problems.append(
            f"rows {some(unlike.tolist())} have partners of another length: differences are taken position by "
            "position. Pair rows of equal length, or leave these out with scored=."
        )
    same = [int(r) for r, p in zip(rows, partners, strict=True) if data.rows[r].tokens == data.rows[p].tokens]
    if same:
        problems.append(
            f"rows {some(same)} and their partners have the same tokens: base and source are identical, and nothing "
            "would be patched. Change what the answer depends on, or leave these rows out with scored=."
        )
    if problems:
        raise DataError("\n".join(problems))


def _everywhere(data: Dataset, rows: np.ndarray) -> tuple[Slot, ...]:
    lengths = set(data.lengths[rows].tolist())
    if len(lengths) > 1:
        raise DataError(
            f"at='all' takes rows of one length, these have {min(lengths)} to {max(lengths)} tokens: name positions "
            f"instead, at={' '.join(data.position_names) or 'END'!r}."
        )
    return tuple(Slot("", index) for index in range(lengths.pop()))


def _present(data: Dataset, rows: np.ndarray, slots: tuple[Slot, ...]) -> None:
    if wrong := misplaced(data, slots, np.unique(rows)):
        raise DataError("\n".join(wrong))
