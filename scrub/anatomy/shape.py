"""The numbers of a transformer that a claim is checked against, known without its weights."""

from __future__ import annotations

from attrs import frozen

from scrub.errors import ClaimError


@frozen
class Shape:
    """The numbers of a transformer that a claim is checked against.

    `positions` is `learned`, `rotary` or `none`; `d_mlp` is 0 for an attention-only model; `parallel` models
    let attention and MLP of a layer read the same stream; `causal` is False for bidirectional attention; MLPs that
    are `gated` have a third matrix; with `post_norms`, what the heads of a layer write together is normed before
    it is added; with `stream_norms` the stream itself is normed after embeddings, attention and MLPs (BERT, the first
    GPT, OPT-350m), so that it is no sum of what was written. `family` is what the model calls itself: nothing is
    decided by it.
    """

    family: str
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int
    d_mlp: int
    d_vocab: int
    n_ctx: int
    positions: str = "learned"
    parallel: bool = False
    causal: bool = True
    gated: bool = False
    post_norms: bool = False
    stream_norms: bool = False


def refuse_normed(shape: Shape, name: str, what: str) -> None:
    """Raises ClaimError for what asks for a stream that is a sum of what components wrote."""
    if shape.stream_norms:
        raise ClaimError(
            f"{what} of {name} are not known: it norms its stream itself after attention and MLPs, so that what a "
            "channel reads is no sum of what components wrote. Use components: circuits of heads and MLPs, claims, "
            "or exact, atp or relp for nodes."
        )
