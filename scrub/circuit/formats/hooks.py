"""Edges between hooks, as ACDC writes them (Conmy et al. 2023): receiver hook and index, sender hook and index.

Read as JSON, as the tuples of its task files (`(("blocks.1.hook_q_input", (None, None, 0), "hook_embed", (None,)),
True)`) and as printed (`blocks.1.hook_q_input[:, :, 0] hook_embed[:]`). `blocks.0.hook_resid_pre`, the sum of token
and position embedding, becomes `embed`: the position embedding stays as it is unless `hook_pos_embed` is named too.
Edges inside a component (`hook_q_input` to `hook_q` to `hook_result`, `hook_mlp_in` to `hook_mlp_out`) are always
there and are no edges of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from attrs import frozen

from scrub.anatomy.edges import Edge, Part, Parts
from scrub.anatomy.graphs import ModelGraph
from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.anatomy.table import TABLE
from scrub.circuit.formats import Format
from scrub.circuit.formats.entries import Entry, gather
from scrub.errors import ClaimError, did_you_mean

FORM = "edges between hooks, as of ACDC"
EXAMPLES = '["blocks.9.hook_q_input", [null, null, 6], "blocks.7.attn.hook_result", [null, null, 3]]'

_SENDERS = {"attn.hook_result": "head", "hook_mlp_out": "mlp"}
_INPUTS = {f"hook_{channel}_input": "head" for channel in "qkv"}
_RECEIVERS = {"hook_mlp_in": "mlp", "hook_resid_mid": "mlp", "hook_resid_post": "logits", **_INPUTS}
_INNER = {f"attn.hook_{channel}": "head" for channel in "qkv"}
_START = {"hook_embed": "embed", "hook_pos_embed": "pos", "blocks.0.hook_resid_pre": "embed"}
_KINDS = {**_INNER, **_SENDERS, **_RECEIVERS}
_STEPS = {  # receiver, sender
    *((f"attn.hook_{channel}", f"hook_{channel}_input") for channel in "qkv"),
    *(("attn.hook_result", f"attn.hook_{channel}") for channel in "qkv"),
    ("hook_mlp_out", "hook_mlp_in"),
    ("hook_mlp_out", "hook_resid_mid"),
}

_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")
_HOOK = r"""["']?(?P<{0}>[\w.]+)["']?[\s,]*[\[(](?P<{0}_at>[^\])]*)[\])]"""
_VALUE = r"(?:,\s*(?P<value>[\w.+-]+)[\s)\]]*)?"
_TEXT = re.compile(
    rf"[\s(\[]*{_HOOK.format('receiver')}[\s,]*(?:<-)?\s*{_HOOK.format('sender')}[\s)\]]*{_VALUE},?\s*"
)
_ALL = ("", ":", "None", "null", "COL", "COLON")


@frozen
class _Hook:
    """A hook at a layer, of one head where it has heads, at one position or (None) at all."""

    name: str
    layer: int | None
    head: int | None
    at: int | None

    def component(self) -> Component:
        if self.layer is None:
            return Component(_START[self.name])
        kind = _KINDS[self.name]
        return Component(kind, self.layer, self.head) if TABLE[kind].layered else Component(kind)


def looks_hooked(value: Any, graph: ModelGraph | None = None) -> bool:
    return "hook_" in (value if isinstance(value, str) else repr(value))


def is_hooked_edge(data: Any) -> bool:
    """Whether a list is one edge, and not a list of them."""
    return _is_edge(data) or _is_marked(data)


def parts_of_hooks(entries: Iterable[Entry], graph: ModelGraph | None = None) -> Parts:
    """The edges; `made_for` the number of layers that `hook_resid_post` tells. Raises ClaimError."""
    listed = list(entries)
    ends = {layer for entry in listed if (layer := _end(entry.value)) is not None}
    last = max(ends, default=None)
    found = gather(listed, FORM, lambda value: _parts(value, last))
    made_for = () if last is None else (("n_layers", last + 1),)
    return Parts(tuple(part for part in found if isinstance(part, Edge)), made_for=made_for)


def _end(value: Any) -> int | None:
    """The layer of the residual stream's end, for an edge that reads it there."""
    try:
        receiver, _, _ = _hooks(value)
    except ClaimError:
        return None
    return receiver.layer if receiver.name == "hook_resid_post" else None


def _parts(value: Any, last: int | None) -> tuple[Part, ...]:
    receiver, sender, kept = _hooks(value)
    if not kept or _is_step(receiver, sender):
        return ()
    if receiver.name not in _RECEIVERS or not (sender.layer is None or sender.name in _SENDERS):
        raise ClaimError(
            "the receiver comes first, then the sender."
            if _is_turned(receiver, sender)
            else "there is no such edge between these two hooks."
        )
    if receiver.name == "hook_resid_post" and receiver.layer != last:
        raise ClaimError(f"hook_resid_post is read as the logits, of layer {last} alone, the last one named.")
    if receiver.at != sender.at:
        raise ClaimError("both ends of an edge stand at one position.")
    channel = receiver.name[5] if receiver.component().traits.attends else "input"
    at = None if receiver.at is None else Slot("", receiver.at)
    return (Edge(sender.component(), receiver.component(), channel, at),)


def _is_turned(receiver: _Hook, sender: _Hook) -> bool:
    """Whether the two would be an edge the other way round."""
    ends = sender.name in _RECEIVERS and (receiver.layer is None or receiver.name in _SENDERS)
    return ends and (receiver.layer or 0) <= (sender.layer or 0)


def _is_step(receiver: _Hook, sender: _Hook) -> bool:
    """A step inside one component, between its hooks."""
    same = (receiver.layer, receiver.head, receiver.at) == (sender.layer, sender.head, sender.at)
    return same and (receiver.name, sender.name) in _STEPS


def _hooks(value: Any) -> tuple[_Hook, _Hook, bool]:
    """Receiver, sender, and whether the edge is present: it is unless marked False."""
    if isinstance(value, str):
        match = _TEXT.fullmatch(value)
        if match is None:
            raise ClaimError(f"an edge is written {EXAMPLES} or as printed.")
        ends = [_hook(match[end], match[f"{end}_at"].split(",")) for end in ("receiver", "sender")]
        return ends[0], ends[1], match["value"] not in ("False", "false")
    edge, kept = (value[0], value[1]) if _is_marked(value) else (value, True)
    if not _is_edge(edge):
        raise ClaimError(f"an edge is written {EXAMPLES}.")
    return _hook(edge[0], edge[1]), _hook(edge[2], edge[3]), kept is not False


def _is_marked(value: Any) -> bool:
    """An edge and whether it is present, or its effect."""
    if not isinstance(value, list | tuple):
        return False
    listed: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]
    return len(listed) == 2 and _is_edge(listed[0]) and not isinstance(listed[1], list | tuple)


def _is_edge(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 4  # pyright: ignore[reportUnknownArgumentType]
        and all(isinstance(value[i], str) for i in (0, 2))
        and all(isinstance(value[i], list | tuple) for i in (1, 3))
    )


def _hook(name: str, index: Iterable[Any]) -> _Hook:
    at = [_number(item, name) for item in index if item != ""]
    _, position, head, *more = [*at, None, None, None][: max(3, len(at))]
    match = _BLOCK.fullmatch(name)
    if name in _START:
        hook = _Hook(name, None, head, position)
    elif match and match[2] in _KINDS:
        hook = _Hook(match[2], int(match[1]), head, position)
    else:
        within = f"blocks.{match[1]}." if match else "blocks.0."
        known = (*_START, *(within + kind for kind in _KINDS))
        raise ClaimError(f"{name!r} is no hook that an edge joins.{did_you_mean(name, known)}")
    headed = hook.layer is not None and TABLE[_KINDS[hook.name]].is_head
    if more or (at and at[0] is not None) or headed != (head is not None):
        raise ClaimError(f"{name} is indexed {'[:, :, head]' if headed else '[:]'}.")
    return hook


def _number(item: Any, name: str) -> int | None:
    text = str(item).strip(" \"'")
    if text in _ALL:
        return None
    if not text.isdecimal():
        raise ClaimError(f"{text!r} is no index of {name}.")
    return int(text)


FORMAT = Format(
    f"edges of ACDC, lines or JSON: {EXAMPLES}", looks_hooked, parts_of_hooks, one=is_hooked_edge, place=4
)
