"""One row for each kind of component: where it stands, what it reads and writes, which arrays hold it, its notation.

What one kind is and another is not stands here and nowhere else. *Moments* order a pass: what is written at a moment
is read at every later one. Layer l reads for attention at 2l and for its MLP at 2l + 1 (at 2l where both read the
same stream); heads write at 2l, the MLP at 2l + 1. Arrays have the names under which a pass tells them
(`scrub.model.trace.trace`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from attrs import frozen

from scrub.anatomy.shape import Shape

Moment = Callable[[int, Shape], int]
Count = Callable[[Shape], int]

CHANNELS = ("q", "k", "v")
ONE_CHANNEL = ("input",)
START = -1  # when embeddings write
LAYER, UNIT = r"(?P<layer>[0-9]{1,9})", r"(?P<unit>[0-9]{1,9})"  # no model has more
_HEAD = rf"[aAlL]?{LAYER}(?:\.[hH]?|[hH]){UNIT}"


def attention_time(layer: int) -> int:
    """When attention of a layer reads, and its heads write."""
    return 2 * layer


def attending(time: int) -> int | None:
    """The layer whose heads write at a moment, None at others."""
    layer, after = divmod(time, 2)
    return None if after or time < 0 else layer


def summands(shape: Shape, time: int) -> tuple[tuple[str, int], ...]:
    """The arrays of a pass, each with its layer, whose sum the norm of the stream at a moment reads.

    Biases are left out; none where there is no such norm.
    """
    if not shape.stream_norms or time >= 2 * shape.n_layers:
        return ()
    if time == START:
        return (("embed", 0), ("pos", 0)) if shape.positions == "learned" else (("embed", 0),)
    layer = time // 2
    kinds = ("resid_mid", "mlp_out") if attending(time) is None else ("resid_pre", "attn_out")
    return (kinds[0], layer), (kinds[1], layer)


def mlp_time(layer: int) -> int:
    """When the MLP of a layer writes, and reads where it reads what the heads of its layer wrote."""
    return 2 * layer + 1


MLP_SUM = "mlp_sum"  # what all neurons of an MLP write, before a norm of it
MLP_INPUT = "mlp_input"  # the stream that an MLP reads
ATTN_NORMED = "attn_normed"  # what all heads of a layer write, with b_O, behind a norm of that


def before_angles(channel: str) -> str:
    """The array of queries, keys or values as they are before rotary angles."""
    return f"{channel}_before"


STREAMS = ("resid_pre", "resid_mid")  # the residual stream before attention, and as an MLP reads it after that


def stream_at(time: int) -> tuple[str, int]:
    """The array that holds the residual stream as it is read at a moment, and its layer."""
    layer, after = divmod(time, 2)
    return STREAMS[after], layer


@frozen(kw_only=True)
class Traits:
    """What all components of a kind have in common.

    `layers` and `units` count what there is in a model (no layers: it has none); `by_unit` kinds are one of several
    in their layer. `reads` and `writes` are moments. `array` holds what is swapped when a component is claimed;
    `traced` is what is patched when it is a node of a proposal. `host` is the kind that a part belongs to. `form`
    is how a component is printed, `read` the regular expression it is read by; `plurals` are words for all of them.
    `given` kinds are computed from nothing; `inner` ones compute, and a path may pass through them; `local` ones are
    functions of one position. `height` orders drawings, from the embeddings up.
    """

    word: str
    plurals: tuple[str, ...] = ()
    layers: Count
    units: Count
    reads: Moment
    writes: Moment
    channels: tuple[str, ...] = ONE_CHANNEL
    array: str = ""
    traced: str = ""
    form: str = ""
    read: str = ""
    layered: bool = True
    by_unit: bool = False
    scalar: bool = False
    host: str = ""
    given: bool = False
    inner: bool = False
    local: bool = False
    height: int = 0

    @property
    def attends(self) -> bool:
        """Whether it has queries, keys and values."""
        return self.channels == CHANNELS

    @property
    def vectors(self) -> bool:
        """Whether each unit of a layer is a vector, and not one number (`scalar`), as a neuron is."""
        return self.by_unit and not self.scalar

    @property
    def is_head(self) -> bool:
        return self.attends and self.by_unit

    @property
    def is_channel(self) -> bool:
        """Whether it is what a head makes of one of its channels: its query, key or value."""
        return bool(self.host) and not self.scalar

    @property
    def is_stream(self) -> bool:
        """Whether its value is the residual stream that it reads, as it is."""
        return self.array == "resid_pre"

    @property
    def has_word(self) -> bool:
        """Whether a word is part of a name."""
        return self.form[:1].isalpha()

    @property
    def single(self) -> bool:
        """Whether a model has one of them at most, so that its word is its name."""
        return self.form == self.word

    @property
    def is_node(self) -> bool:
        """Whether it is one of a computation graph, known by a name alone."""
        return self.form == "{name}"

    @property
    def is_output(self) -> bool:
        return self.is_stream and not self.layered


def _one(shape: Shape) -> int:
    return 1


def _all(shape: Shape) -> int:
    return shape.n_layers


def _with_mlp(shape: Shape) -> int:
    return shape.n_layers if shape.d_mlp else 0


def _heads(shape: Shape) -> int:
    return shape.n_heads


def _at_start(layer: int, shape: Shape) -> int:
    return START


def _attention(layer: int, shape: Shape) -> int:
    return attention_time(layer)


def _mlp_reads(layer: int, shape: Shape) -> int:
    return attention_time(layer) if shape.parallel else mlp_time(layer)


def _mlp_writes(layer: int, shape: Shape) -> int:
    return mlp_time(layer)


def _resids(shape: Shape) -> int:
    return shape.n_layers + 1


def _neurons(shape: Shape) -> int:
    return shape.d_mlp


def _learned(shape: Shape) -> int:
    return int(shape.positions == "learned")


def _last(layer: int, shape: Shape) -> int:
    return attention_time(shape.n_layers)


def _after_all(layer: int, shape: Shape) -> int:
    return mlp_time(shape.n_layers)


def _before(layer: int, shape: Shape) -> int:
    return attention_time(layer) - 1


def _nothing(shape: Shape) -> int:
    return 0


def _channel(word: str, plural: str, traced: str) -> Traits:
    """Queries, keys or values of a head: what a proposal patches in it."""
    return Traits(
        word=word, plurals=(plural,), layers=_all, units=_heads, reads=_attention, writes=_attention, traced=traced,
        form="{layer}.{unit}." + word, read=rf"{_HEAD}\.{word}", by_unit=True, host="head",
    )  # fmt: skip


TABLE: dict[str, Traits] = {
    row.word: row
    for row in (
        Traits(
            word="embed", plurals=("embeds",), layers=_one, units=_one, reads=_at_start, writes=_at_start,
            array="embed", traced="embed", form="embed", read="embed", layered=False, given=True,
        ),
        Traits(
            word="pos", layers=_learned, units=_one, reads=_at_start, writes=_at_start,
            array="pos", form="pos", read="pos", layered=False, given=True,
        ),
        Traits(
            word="resid", plurals=("resids",), layers=_resids, units=_one, reads=_attention, writes=_before,
            array="resid_pre", traced="resid_pre", form="resid {layer}", read=rf"resid[ _]?{LAYER}", height=1,
        ),
        _channel("q", "queries", "q"),
        _channel("k", "keys", "k_read"),
        _channel("v", "values", "v_read"),
        Traits(
            word="attn", plurals=("attns",), layers=_all, units=_one, reads=_attention, writes=_attention,
            channels=CHANNELS, array="z", traced="attn_out", form="attn {layer}",
            read=rf"attn[ _]?{LAYER}", height=2,
        ),
        Traits(
            word="head", plurals=("heads",), layers=_all, units=_heads, reads=_attention, writes=_attention,
            channels=CHANNELS, array="z", traced="z", form="{layer}.{unit}", read=_HEAD,
            by_unit=True, inner=True, height=2,
        ),
        Traits(
            word="mlp", plurals=("mlps",), layers=_with_mlp, units=_one, reads=_mlp_reads, writes=_mlp_writes,
            array="mlp_out", traced="mlp_out", form="mlp {layer}", read=rf"(?:mlp[ _]?|m){LAYER}",
            inner=True, local=True, height=3,
        ),
        Traits(
            word="neuron", plurals=("neurons",), layers=_with_mlp, units=_neurons, reads=_mlp_reads,
            writes=_mlp_writes, traced="neurons", form="mlp {layer}.{unit}", read=rf"(?:mlp[ _]?|m){LAYER}\.{UNIT}",
            by_unit=True, scalar=True, host="mlp", height=3,
        ),
        Traits(
            word="logits", layers=_one, units=_one, reads=_last, writes=_after_all,
            array="resid_pre", form="logits", read="logits", layered=False, height=4,
        ),
        Traits(
            word="node", plurals=("nodes",), layers=_nothing, units=_one, reads=_at_start, writes=_at_start,
            form="{name}", layered=False, inner=True,
        ),
    )
}  # fmt: skip


def is_single(word: str) -> bool:
    """Whether a word names a component by itself: a model has one of them at most."""
    return word in TABLE and TABLE[word].single


def word_of(word: str) -> str | None:
    """The kind that a word stands for: its own, or a plural."""
    return next((kind for kind, row in TABLE.items() if word == kind or word in row.plurals), None)


def read(text: str) -> tuple[str, int | None, int | None] | None:
    """Kind, layer and unit of a component in any of the field's notations; None where it is none."""
    for kind, row in TABLE.items():
        if row.read and (match := re.fullmatch(row.read, text)):
            found = match.groupdict()
            layer, unit = (None if (n := found.get(name)) is None else int(n) for name in ("layer", "unit"))
            return kind, layer, unit
    return None
