"""Mean and zero rows: frames whose unclaimed writers take a mean over rest rows, or nothing.

A mean stream is projected; projections are never averaged. Biases belong to the layers and stay.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from attrs import frozen
from jaxtyping import Int
from torch import Tensor

from scrub.anatomy.positions import Slot
from scrub.anatomy.table import CHANNELS, STREAMS, before_angles
from scrub.claims.resolved import Claim
from scrub.engine.cache import Store, run_pool, tensors
from scrub.engine.needs import Kind, Need, held_head
from scrub.model.block import after_attention, after_embedding, after_mlp, positions_of, read_before, read_held
from scrub.model.codes import CodedPart, PartCodes
from scrub.model.places import beside, place
from scrub.model.weights import Transformer

_PROJECTED = {**{channel: channel for channel in CHANNELS}, **{before_angles(c): c for c in CHANNELS}}


@frozen(eq=False)
class Groups:
    """Which pseudo-row serves each row, and the rows that it is the mean of."""

    of: Int[np.ndarray, " row"]
    members: list[Int[np.ndarray, " n"]]

    @classmethod
    def of_claim(cls, claim: Claim) -> Groups:
        """One group a stratum; rows whose stratum has no rest row are each their own (`empty="self"`)."""
        of = np.zeros(len(claim.data), dtype=np.int64)
        members: list[Int[np.ndarray, " n"]] = []
        for stratum in np.unique(claim.stratum):
            rows = np.flatnonzero(claim.stratum == stratum)
            rest = rows[claim.rest_from[rows]]
            if claim.options.rest == "zero" or rest.size:
                of[rows] = len(members)
                members.append(rest)
            else:
                of[rows] = len(members) + np.arange(len(rows))
                members += [rows[i : i + 1] for i in range(len(rows))]
        return cls(of, members)


def pseudo_store(
    model: Transformer, claim: Claim, need: Need, positions: dict[Slot, Int[Tensor, " row"]],
    done: Callable[[int], None],
) -> Store:  # fmt: skip
    """The mean or zero rows of a claim, as arrays over every position."""
    groups = Groups.of_claim(claim)
    _, lengths = tensors(claim.data, model.device)
    codes = PartCodes(model)
    normed = model.shape.post_norms or model.shape.stream_norms
    rebuilt = normed and claim.options.rest == "mean"
    wanted = _with_streams(need, codes)
    wanted = _with_writers(model, wanted) if rebuilt else wanted
    make = _zeros if claim.options.rest == "zero" else _means
    arrays = make(model, claim, wanted, groups, done)
    for kind, layer in [kind for kind in wanted.slots if rebuilt and kind[0] in STREAMS]:
        arrays[kind, layer] = _rebuilt(model, kind, layer, arrays).to(place(model, layer))
    project(model, need, arrays)
    for kind, part in _of_frame(need, codes).items():
        arrays[kind] = _encoded(model, part, arrays)
    heads = {kind: sorted(need.heads.get(kind, ())) for kind in arrays}
    index = torch.from_numpy(groups.of).to(model.device)
    return Store(arrays, dict.fromkeys(arrays), heads, index, positions, lengths)


def _with_streams(need: Need, codes: PartCodes) -> Need:
    """Queries, keys and values of a pseudo-row come from its stream, and so do parts of them and of streams."""
    wanted, of_frame = Need(), _of_frame(need, codes)
    wanted.parts.update({kind: part for kind, part in need.parts.items() if kind not in of_frame})
    for (kind, layer), slots in need.slots.items():
        for slot in slots:
            if (kind, layer) in of_frame:
                part = of_frame[kind, layer]
                wanted.add(("resid_pre", layer) if part.component.traits.is_channel else part.array, slot)
            elif kind in _PROJECTED:
                wanted.add(("resid_pre", layer), slot)
            else:
                wanted.add((kind, layer), slot, need.heads[kind, layer])
    return wanted


def _of_frame(need: Need, codes: PartCodes) -> dict[Kind, CodedPart]:
    """Parts of what is no writer of its own, and so no mean of what is written: of streams and their projections.

    So is a layer's attention where what its heads write is normed: the norm is of means.
    """
    found = {kind: codes.of(part) for kind, part in need.parts.items()}
    return {
        kind: part for kind, part in found.items()
        if part.component.traits.is_channel or part.array[0] in (*STREAMS, "attn_out")
    }  # fmt: skip


def _encoded(model: Transformer, part: CodedPart, arrays: dict[Kind, Tensor]) -> Tensor:
    kind, layer = part.array
    if not part.component.traits.is_channel:
        return part.of_array(arrays[kind, layer])
    channel, head = part.component.kind, held_head(model.shape, part.component)
    before = read_before(model.blocks[layer], channel, arrays["resid_pre", layer], [head])
    return part.of_host(before[..., 0, :])


def _with_writers(model: Transformer, need: Need) -> Need:
    """Where what heads write is normed, a mean stream is what norms make of means: it needs all writers before it."""
    wanted, last = Need(), max((layer for kind, layer in need.slots if kind in STREAMS), default=-1)
    wanted.merge(need)
    wanted.add(("embed", 0), None)
    for layer, block in enumerate(model.blocks[: last + 1]):
        wanted.add(("attn_out", layer), None)
        if block.mlp is not None:
            wanted.add(("mlp_out", layer), None)
    if model.W_pos is not None:
        wanted.add(("pos", 0), None)
    return wanted


def _rebuilt(model: Transformer, kind: str, layer: int, arrays: dict[Kind, Tensor]) -> Tensor:
    x = arrays["embed", 0] if model.W_pos is None else arrays["embed", 0] + arrays["pos", 0]
    x = after_embedding(model, x)
    for i, block in enumerate(model.blocks[: layer + STREAMS.index(kind)]):
        x = after_attention(block, x, arrays["attn_out", i])
        x = x if block.mlp is None or i == layer else after_mlp(block, x, arrays["mlp_out", i])
    return x


def _means(
    model: Transformer, claim: Claim, need: Need, groups: Groups, done: Callable[[int], None]
) -> dict[Kind, Tensor]:
    longest = int(claim.data.lengths.max())
    arrays: dict[Kind, Tensor] = {}
    weights = torch.zeros(len(groups.members), len(claim.data), dtype=model.dtype, device=model.device)
    for group, members in enumerate(groups.members):
        weights[group, torch.from_numpy(members)] = 1 / len(members)

    def note(kind: Kind, value: Tensor, rows: Tensor) -> None:
        if kind not in arrays:
            arrays[kind] = value.new_zeros(len(groups.members), longest, *value.shape[2:])
        # Summed batch by batch with weights of the mean, so that no array of all rows is held; rows that end earlier
        # count as 0 where they have no position, which strata of one length exclude.
        arrays[kind][:, : value.shape[1]] += torch.tensordot(beside(value, weights[:, rows]), value, dims=1)

    run_pool(model, claim.data, need, note, done)
    return arrays


def _zeros(
    model: Transformer, claim: Claim, need: Need, groups: Groups, done: Callable[[int], None]
) -> dict[Kind, Tensor]:
    """Nothing is written but the attention biases of the layers passed."""
    size = (len(groups.members), int(claim.data.lengths.max()))
    arrays: dict[Kind, Tensor] = {}
    for kind, at in need.slots:
        heads = sorted(need.heads[kind, at])
        part = need.parts.get((kind, at))
        width = model.shape.d_model if part is None else part.part.size if part.part else 1
        tail = (len(heads), model.shape.d_head) if heads else (width,)
        arrays[kind, at] = torch.zeros(*size, *tail, dtype=model.dtype, device=place(model, at))
        if kind in STREAMS:
            nothing = arrays[kind, at]
            stream = after_embedding(model, nothing)
            for i, block in enumerate(model.blocks[: at + STREAMS.index(kind)]):
                stream = after_attention(block, stream, nothing)
                stream = stream if i == at else after_mlp(block, stream, nothing)
            arrays[kind, at] = stream
    done(len(claim.data))
    return arrays


def project(model: Transformer, need: Need, arrays: dict[Kind, Tensor]) -> None:
    for kind, layer in need.slots:
        if kind in CHANNELS:
            block, stream = model.blocks[layer], arrays["resid_pre", layer]
            heads = sorted(need.heads[kind, layer])
            arrays[kind, layer] = read_held(block, kind, stream, heads, positions_of(stream))
        elif kind in _PROJECTED:
            heads = sorted(need.heads[kind, layer])
            arrays[kind, layer] = read_before(
                model.blocks[layer], _PROJECTED[kind], arrays["resid_pre", layer], heads
            )
