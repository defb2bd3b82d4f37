"""What every component of a transformer writes: on rows, on aligned donors, in the mean, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from attrs import field, frozen
from jaxtyping import Float, Int
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.table import MLP_SUM, STREAMS, TABLE
from scrub.circuit.ablations import Ablation
from scrub.circuit.align import Alignment
from scrub.circuit.experiment import FEW, Experiment, referred
from scrub.circuit.sizes import averaged_at_once
from scrub.claims.dataset import Dataset
from scrub.engine.cache import tensors
from scrub.engine.passes import arrays_of_rows
from scrub.errors import DataError, some
from scrub.model.block import after_attention, after_embedding, after_mlp
from scrub.model.codes import CodedPart, Kind
from scrub.model.layers import write
from scrub.model.trace import trace
from scrub.model.weights import Transformer

_ARRAYS = {*STREAMS, *(row.array for row in TABLE.values())}  # of a pass, that hold what is ablated


@frozen(eq=False)
class Values:
    """The values of all writers on some rows: heads as z, before W_O.

    Where they are those of one run of the model, `resid` holds its stream before each layer and the final one, and
    `mid` what each MLP reads. `more` holds the numbers of parts, and sums of neurons before a norm of them.
    """

    embed: Float[Tensor, "row t d"]
    pos: Float[Tensor, "row t d"]
    z: list[Float[Tensor, "row t h e"]]
    mlp: list[Float[Tensor, "row t d"]]
    resid: list[Float[Tensor, "row t d"]] = field(factory=list[Tensor], repr=False)
    mid: list[Float[Tensor, "row t d"]] = field(factory=list[Tensor], repr=False)
    more: dict[Kind, Float[Tensor, "row t k"]] = field(factory=dict[Kind, Tensor], repr=False)

    def of(self, component: Component) -> Float[Tensor, "row t *rest"]:
        """What a writer writes; the z of a head, or of all heads of a layer, `[row t h e]`."""
        held = {"embed": [self.embed], "pos": [self.pos], "z": self.z, "mlp_out": self.mlp}
        array, layer = component.array
        return held[array][layer][..., [component.unit or 0], :] if component.traits.by_unit else held[array][layer]

    @property
    def start(self) -> Float[Tensor, "row t d"]:
        return self.embed + self.pos

    def mapped(self, change: Callable[..., Tensor], *others: Values) -> Values:
        """Every array changed, from it and the same one of other values; the streams are dropped."""
        sides = (self, *others)
        z, mlp = (
            [change(*arrays) for arrays in zip(*listed, strict=True)]
            for listed in ([side.z for side in sides], [side.mlp for side in sides])
        )
        more = {kind: change(*(side.more[kind] for side in sides)) for kind in self.more}
        embed, pos = change(*(side.embed for side in sides)), change(*(side.pos for side in sides))
        return Values(embed, pos, z, mlp, more=more)

    def replaced(self, ablation: Ablation, means: Values | None) -> Values:
        """The ablated values of rows, from their own and, where it averages, their means."""

        def instead(own: Tensor, mean: Tensor | None = None) -> Tensor:
            found = ablation.instead(own, mean)
            return found if isinstance(found, Tensor) else torch.full_like(own, found)

        return self.mapped(instead, *([] if means is None else [means]))

    def take(self, index: Int[Tensor, "row t"]) -> Values:
        """Every array at other positions of the same rows."""
        rows = torch.arange(len(index), device=index.device)[:, None]

        def taken(array: Tensor) -> Tensor:
            return array[rows, index]

        return self.mapped(taken)


def own_values(
    model: Transformer, tokens: Int[Tensor, "row t"], lengths: Int[Tensor, " row"], inputs: Values | None = None,
    coded: Sequence[CodedPart] = (),
) -> Values:  # fmt: skip
    """The values of the model's own run, on tokens, or on other embeddings (those of `inputs`); of parts, too."""
    kept, more = dict[Kind, Tensor](), dict[Kind, Tensor]()
    sums = {part.component.layer for part in coded if part.component.traits.scalar}

    def record(kind: str, layer: int, value: Tensor) -> None:
        if kind in _ARRAYS:
            kept[kind, layer] = value.to(model.device)
        read = [part for part in coded if part.array == (kind, layer)]
        more.update({part.component.array: part.of_array(value).to(model.device) for part in read})
        if kind == MLP_SUM and layer in sums:
            more[kind, layer] = value.to(model.device)

    trace(model, tokens, lengths, record, None if inputs is None else (0, after_embedding(model, inputs.start)))
    return _assembled(model, kept, inputs, more)


def values_of_rows(
    model: Transformer, data: Dataset, rows: Int[np.ndarray, " n"], coded: Sequence[CodedPart] = ()
) -> tuple[Values, Int[Tensor, " n"]]:
    """The values of rows, and their lengths: read where passes of all of them are kept, else run, and kept then."""
    tokens, lengths = padded(data, rows, model.device)
    if coded:
        return own_values(model, tokens, lengths, None, coded), lengths
    return _assembled(model, arrays_of_rows(model, tokens, lengths, _ARRAYS), None, {}), lengths


def _assembled(
    model: Transformer, kept: Mapping[Kind, Tensor], inputs: Values | None, more: dict[Kind, Tensor]
) -> Values:
    layers = range(len(model.blocks))
    embed = kept["embed", 0] if inputs is None else inputs.embed
    pos = kept.get(("pos", 0), torch.zeros_like(embed)) if inputs is None else inputs.pos
    z = [kept["z", layer] for layer in layers]
    mlp = [kept["mlp_out", layer] if ("mlp_out", layer) in kept else torch.zeros_like(embed) for layer in layers]
    resid = [kept["resid_pre", layer] for layer in range(len(model.blocks) + 1)]
    more |= {} if inputs is None else {kind: numbers for kind, numbers in inputs.more.items() if kind not in more}
    return Values(embed, pos, z, mlp, resid, [kept.get(("resid_mid", n), resid[n]) for n in layers], more)


def stream_before(model: Transformer, values: Values, layer: int) -> Float[Tensor, "row t d"]:
    """The stream that a layer reads, of all that is written before it; that of the run, where they are of one."""
    if values.resid:
        return values.resid[layer]
    x = after_embedding(model, values.start)
    for number, block in enumerate(model.blocks[:layer]):
        x = after_mlp(block, after_attention(block, x, write(block.attn, values.z[number])), values.mlp[number])
    return x


@frozen(eq=False)
class MeanRows:
    """Means over reference rows, `[group, column, ...]`: a column for every index, then one for every name.

    `ablation` is what they are for.
    """

    alignment: Alignment
    group: Int[np.ndarray, " row"]
    values: Values
    counts: Float[np.ndarray, "group column"]
    ablation: str

    def of(self, rows: Int[np.ndarray, " n"]) -> Values:
        """The mean values of each row. Raises DataError for a position that too few reference rows have."""
        longest = int(self.alignment.data.lengths[rows].max())
        named = self.alignment.named[rows, :longest]
        width = self.alignment.named.shape[1]
        column = np.where(named >= 0, width + named, np.arange(longest))
        group = np.broadcast_to(self.group[rows][:, None], column.shape)
        inside = np.arange(longest) < self.alignment.data.lengths[rows][:, None]
        few = inside & (self.counts[group, column] < FEW)
        if few.any():
            positions = sorted({int(t) for t in np.nonzero(few)[1]})
            found = f"positions {some(positions)} of rows {some(rows[few.any(1)].tolist())}"
            raise DataError(
                f"ablation {self.ablation!r}: {found} have fewer than {FEW} reference rows to average "
                "over. Name the position, widen group=, or drop those rows."
            )
        at = (torch.from_numpy(group.copy()), torch.from_numpy(column))

        def taken(array: Tensor) -> Tensor:
            return array[at[0].to(array.device), at[1].to(array.device)]

        return self.values.mapped(taken)


def means(
    model: Transformer, experiment: Experiment, alignment: Alignment, done: Callable[[int], None],
    coded: Sequence[CodedPart] = (),
) -> MeanRows:  # fmt: skip
    """Run the reference rows once and average what every component writes, by group and position."""
    data = experiment.data
    rows = referred(experiment)
    groups, width = int(experiment.group.max()) + 1, alignment.named.shape[1]
    columns = width + len(alignment.slots)
    counts = np.zeros((groups, columns))
    sums: Values | None = None
    for chunk in _by_length(data, rows, averaged_at_once(model, int(data.lengths[rows].max()))):
        found, _ = values_of_rows(model, data, chunk, coded)
        weight = _weights(alignment, experiment.group, chunk, groups, found.embed.shape[1])
        counts += weight.sum(axis=(2, 3))
        share = torch.from_numpy(weight).to(model.device, model.dtype).flatten(0, 1).flatten(1)

        def summed(array: Tensor, share: Tensor = share) -> Tensor:
            return (share @ array.flatten(0, 1).flatten(1)).view(groups, columns, *array.shape[2:])

        part = found.mapped(summed)
        sums = part if sums is None else sums.mapped(torch.add, part)
        done(len(chunk))
    assert sums is not None
    by = torch.from_numpy(np.maximum(counts, 1)).to(model.device, model.dtype)

    def divided(array: Tensor) -> Tensor:
        return array / by.view(*by.shape, *[1] * (array.ndim - 2))

    return MeanRows(alignment, experiment.group, sums.mapped(divided), counts, experiment.protocol.ablation)


def _weights(
    alignment: Alignment, group: Int[np.ndarray, " row"], rows: Int[np.ndarray, " n"], groups: int, longest: int
) -> Float[np.ndarray, "group column n t"]:
    """1 where a position of a row counts for a column of a group."""
    width = alignment.named.shape[1]
    weight = np.zeros((groups, width + len(alignment.slots), len(rows), longest))
    number = np.arange(len(rows))
    for t in range(longest):
        there = alignment.data.lengths[rows] > t
        weight[group[rows[there]], t, number[there], t] = 1
    for column, slot in enumerate(alignment.slots):
        at = alignment.data.locate(slot)[rows]
        weight[group[rows[at >= 0]], width + column, number[at >= 0], at[at >= 0]] = 1
    return weight


def padded(
    data: Dataset, rows: Int[np.ndarray, " n"], device: torch.device
) -> tuple[Int[Tensor, "n t"], Int[Tensor, " n"]]:
    """Right-padded tokens of some rows, and their lengths."""
    tokens, lengths = tensors(Dataset([data.rows[row] for row in rows]), device)
    return tokens, lengths


def _by_length(data: Dataset, rows: Int[np.ndarray, " n"], size: int) -> list[Int[np.ndarray, " _"]]:
    ordered = rows[np.argsort(data.lengths[rows], kind="stable")]
    return [ordered[i : i + size] for i in range(0, len(ordered), size)]
