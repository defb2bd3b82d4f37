"""Direct logit attribution: the answer's logit as a sum of what components write, the final norm's scale held.

The norm of a row is linear once its scale is known: `ln(x) = w (x - mean x) / s + b`, with s that of the row. So each
writer is centred by itself (where the norm centres), divided by s and multiplied by w; b, with the bias of the
unembedding, is a term of its own, and so are the biases of attention. What an MLP writes has its bias with it. A norm
of what a layer's heads write together (post-norms) is shared out in the same way. The sum is the logit, exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from attrs import frozen
from jaxtyping import Float
from torch import Tensor

from scrub.anatomy.names import Component
from scrub.anatomy.table import attention_time, stream_at
from scrub.anatomy.tolerances import ADDS_UP
from scrub.claims.metric import NamedMetric, predicted
from scrub.claims.setting import token_ids
from scrub.engine.cache import Store
from scrub.engine.needs import Kind, Need
from scrub.errors import DataError
from scrub.evidence.attention import SlotShare, asks_pattern, shares_by_slot, weights_at
from scrub.evidence.norms import pulled_back
from scrub.evidence.scene import Locus, Scene, Unseen, reading_heads, summing
from scrub.model.block import as_read, held_by, summed_heads
from scrub.model.layers import norm
from scrub.model.places import beside
from scrub.model.weights import Block

HEADS_BIAS, FINAL_BIAS = "biases of attention", "biases of the final norm and of the unembedding"


@frozen
class Contribution:
    """What a component, or a bias, adds to the logit: a mean over rows. `variables` claim it at the answer."""

    component: Component | None
    bias: str
    variables: tuple[str, ...]
    value: float


@frozen
class Mechanism:
    """What all components of a variable at the answer's position add together, or all that the claim leaves out."""

    name: str
    claimed: bool
    value: float


@frozen
class HeadSources:
    """What a claimed head at the answer's position adds, by the token that it takes it from: means over rows."""

    head: Component
    variable: str
    sources: tuple[SlotShare, ...]


@frozen
class Direct:
    """The sum of the contributions is `logit`, the mean over rows of what `of` says.

    Elhage et al. 2021; the additive picture of several mechanisms as in Chughtai et al. 2024 (arXiv 2402.07321).
    """

    of: str
    logit: float
    contributions: tuple[Contribution, ...]
    mechanisms: tuple[Mechanism, ...]
    sources: tuple[HeadSources, ...]


def asks(scene: Scene, need: Need) -> None:
    """What is written at the answer's position, and what claimed heads there read."""
    summing(scene, "direct")
    _target(scene)
    answer, shape = scene.answer, scene.shape
    need.add(_final(scene), answer)
    for kind in _given(scene):
        need.add(kind, answer)
    for layer, block in enumerate(scene.model.blocks):
        need.add(("z", layer), answer, range(shape.n_heads))
        if block.mlp is not None:
            need.add(("mlp_out", layer), answer)
        if block.post_attn is not None:
            need.add(("attn_out", layer), answer)
    for locus, heads in _at_answer(scene):
        layer = locus.host.layer or 0
        asks_pattern(scene, need, layer, heads, answer)
        need.add(("v", layer), None, held_by(scene.model.blocks[layer].attn, "v", heads))


def _final(scene: Scene) -> Kind:
    return stream_at(attention_time(scene.shape.n_layers))


def _given(scene: Scene) -> list[Kind]:
    return [("embed", 0), *([("pos", 0)] if scene.model.W_pos is not None else [])]


def _at_answer(scene: Scene) -> list[tuple[Locus, list[int]]]:
    return [found for found in reading_heads(scene) if found[0].at == scene.answer]


def _target(scene: Scene) -> tuple[str, list[tuple[float, list[tuple[int, ...]]]]]:
    """What is added up, in words, and the tokens whose logits it is, each with its sign."""
    metric = scene.claim.metric
    column = predicted(metric, scene.claim.options.predicts)
    if column is None:
        raise Unseen("direct: no column says which token the answer is; predicts='column' would.")
    others = [c for c in metric.columns if c != column] if isinstance(metric, NamedMetric) else []
    names = [(1.0, column), *([(-1.0, others[0])] if len(others) == 1 else [])]
    try:
        tokens = [(sign, token_ids(scene.data, name, scene.tokenizer)) for sign, name in names]
    except DataError as error:
        raise Unseen(f"direct: the answer has no logit of one token: {error}") from None
    words = "the logit of " + " less that of ".join(name for _, name in names)
    several = any(len(ids) > 1 for _, column in tokens for ids in column)
    return words + (" (means over the tokens of a column)" if several else ""), tokens


@frozen(eq=False)
class _Toward:
    """The rows' directions in the final normed stream, and as they lie in the stream at the answer's position."""

    scene: Scene
    store: Store
    direction: Float[Tensor, "row d"]
    final: Float[Tensor, "row d"]
    bias: Float[Tensor, " row"]

    @property
    def stream(self) -> Float[Tensor, "row d"]:
        return pulled_back(self.scene.model.ln_final, self.final, self.direction)

    def there(self, kind: str, layer: int = 0) -> Tensor:
        return self.store.at((kind, layer), self.scene.answer, self.scene.rows)

    def heads(self, block: Block, layer: int) -> Float[Tensor, "row d"]:
        """The direction as heads of a layer meet it: before the norm that follows them."""
        if block.post_attn is None:
            return self.stream
        return pulled_back(block.post_attn, summed_heads(block, self.there("attn_out", layer)), self.stream)

    def total(self) -> Float[Tensor, " row"]:
        """The logit itself, before a cap."""
        return _dot(norm(self.scene.model.ln_final, self.final), self.direction) + self.bias


def _dot(a: Tensor, b: Tensor) -> Float[Tensor, " row"]:
    return (a * b).sum(-1)


def toward(scene: Scene, store: Store, tokens: list[tuple[float, list[tuple[int, ...]]]]) -> _Toward:
    model, device = scene.model, scene.model.device
    direction = torch.zeros(len(scene.used), scene.shape.d_model, dtype=model.dtype, device=device)
    bias = torch.zeros(len(scene.used), dtype=model.dtype, device=device)
    for sign, column in tokens:
        for row, ids in enumerate(column):
            direction[row] += sign * model.W_U[:, list(ids)].to(direction).mean(-1)
            if model.b_U is not None:
                bias[row] += sign * beside(bias, model.b_U[list(ids)]).mean()
    return _Toward(scene, store, direction, store.at(_final(scene), scene.answer, scene.rows), bias)


def terms(found: _Toward) -> Iterator[tuple[Component | None, str, Float[Tensor, " row"]]]:
    """Every term of the sum: a component, or None and the name of a bias, with what it adds on each row."""
    model, stream = found.scene.model, found.stream
    for kind, _ in _given(found.scene):
        yield Component(kind), "", _dot(found.there(kind), stream)
    attention = torch.zeros_like(found.bias)
    for layer, block in enumerate(model.blocks):
        direction = found.heads(block, layer)
        each = torch.einsum("rhe,hed,rd->rh", found.there("z", layer), block.attn.W_O.to(direction), direction)
        for head in range(each.shape[1]):
            yield Component.for_head(layer, head), "", each[:, head]
        attention = attention + (0 if block.attn.b_O is None else _dot(beside(direction, block.attn.b_O), direction))
        if block.post_attn is not None and block.post_attn.bias is not None:
            attention = attention + _dot(beside(stream, block.post_attn.bias), stream)
        if block.mlp is not None:
            yield Component.for_mlp(layer), "", _dot(found.there("mlp_out", layer), stream)
    yield None, HEADS_BIAS, attention
    last, direction = model.ln_final.bias, found.direction
    yield None, FINAL_BIAS, found.bias if last is None else found.bias + _dot(beside(direction, last), direction)


def look(scene: Scene, store: Store) -> Direct:
    words, tokens = _target(scene)
    found = toward(scene, store, tokens)
    parts, total = list(terms(found)), found.total().double()
    if not adds_up([value for _, _, value in parts], total, scene.model.precision):
        raise Unseen("direct: the final stream of this model is no sum of what its components write.")
    claimed = _claimed(scene)
    each = tuple(
        Contribution(component, bias, claimed.get(component, ()), float(value.double().mean()))
        for component, bias, value in parts
    )
    capped = "" if scene.model.logit_cap is None else ", before the cap of logits"
    return Direct(words + capped, float(total.mean()), each, _mechanisms(each), tuple(_sources(found)))


def adds_up(parts: Sequence[Float[Tensor, " row"]], total: Float[Tensor, " row"], precision: torch.dtype) -> bool:
    """Whether terms sum to a total on every row, but for rounding."""
    each = torch.stack([part.double() for part in parts])
    most = max(float(each.abs().max()), float(total.abs().max()))
    rounding = ADDS_UP if torch.finfo(precision).bits >= 32 else ADDS_UP + 8 * torch.finfo(precision).eps
    return float((each.sum(0) - total).abs().max()) <= rounding * most


def _claimed(scene: Scene) -> dict[Component | None, tuple[str, ...]]:
    """The variables that claim each head or MLP at the answer's position; of a part, its host is told."""
    found: dict[Component | None, tuple[str, ...]] = {}
    for locus in scene.loci:
        if locus.at != scene.answer or locus.host.traits.is_output:
            continue
        units = [Component.for_head(locus.host.layer or 0, head) for head in locus.host.heads(scene.shape)]
        for component in units or [locus.host]:
            found[component] = tuple(dict.fromkeys((*found.get(component, ()), locus.variable)))
    return found


def _mechanisms(each: tuple[Contribution, ...]) -> tuple[Mechanism, ...]:
    """Sums over variables (a component of several counts for them together), over kinds of what is not claimed."""
    sums: dict[tuple[str, bool], float] = {}
    for one in each:
        if one.variables:
            key = " and ".join(one.variables), True
        elif one.component is None:
            key = "biases", False
        else:
            kind = "embeddings" if one.component.traits.given else f"{one.component.traits.plurals[0]}"
            key = kind if one.component.traits.given else f"other {kind}", False
        sums[key] = sums.get(key, 0.0) + one.value
    found = [Mechanism(name, claimed, value) for (name, claimed), value in sums.items()]
    return tuple(sorted(found, key=lambda m: (not m.claimed, -abs(m.value))))


def _sources(found: _Toward) -> Iterator[HeadSources]:
    """`A_ts (v_s W_O)` towards the answer for each head that is claimed there; over all s it is what that adds."""
    scene, store = found.scene, found.store
    longest = int(store.lengths.max())
    for locus, heads in _at_answer(scene):
        layer = locus.host.layer or 0
        block = scene.model.blocks[layer]
        v = as_read(
            block.attn, "v", heads, lambda held, layer=layer: store.whole(("v", layer), scene.rows, longest, held)
        )
        to = torch.einsum("hed,rd->rhe", block.attn.W_O[heads].to(v), found.heads(block, layer))
        each = weights_at(scene, store, layer, heads, scene.answer) * torch.einsum("rthe,rhe->rht", v, to)
        for i, head in enumerate(heads):
            shares = shares_by_slot(scene, each[:, i].double().cpu())
            yield HeadSources(Component.for_head(layer, head), locus.variable, shares)
