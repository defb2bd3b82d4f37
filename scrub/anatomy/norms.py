"""Norms of the stream itself (BERT, the first GPT): what each of them reads, and who does without."""

from __future__ import annotations

from scrub.anatomy.shape import Shape
from scrub.anatomy.table import START, attending
from scrub.errors import ClaimError

Kind = tuple[str, int]  # an array of a pass, and its layer


def summands(shape: Shape, time: int) -> tuple[Kind, ...]:
    """The arrays of a pass whose sum the norm at a moment reads, biases left out; none where there is no norm."""
    if not shape.stream_norms or time >= 2 * shape.n_layers:
        return ()
    if time == START:
        return (("embed", 0), ("pos", 0)) if shape.positions == "learned" else (("embed", 0),)
    layer = time // 2
    kinds = ("resid_mid", "mlp_out") if attending(time) is None else ("resid_pre", "attn_out")
    return (kinds[0], layer), (kinds[1], layer)


def refuse_normed(shape: Shape, name: str, what: str) -> None:
    """Raises ClaimError for what asks for a stream that is a sum of what components wrote."""
    if shape.stream_norms:
        raise ClaimError(
            f"{what} of {name} are not known: it norms its stream itself after attention and MLPs, so that what a "
            "channel reads is no sum of what components wrote. Use components: circuits of heads and MLPs, claims, "
            "or exact, atp or relp for nodes."
        )
