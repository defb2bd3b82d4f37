"""Patterns, lens, writes and direct attribution against a bridge's own hooks, one forward pass after the other."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from attrs import field, frozen
from torch import Tensor

import scrub
from engine.hooked import Hooked, mixed_rows
from model.tiny_models import CAPPED, bridged, native
from scrub import Interpretation, claim, heads, logits
from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.evidence.views import Views

DATA = mixed_rows()
ROWS = len(DATA)
EXACT = 1e-9
MODELS: dict[str, tuple[Any, float]] = {
    "gpt2": (lambda: bridged("GPT2LMHeadModel"), EXACT),
    "parallel": (lambda: bridged("GPTNeoXForCausalLM"), EXACT),
    "no norm, attention only": (lambda: native(normalization_type=None, attn_only=True), EXACT),
    "bidirectional": (lambda: native(attention_dir="bidirectional"), EXACT),
    "grouped, rotary": (
        lambda: native(positional_embedding_type="rotary", n_key_value_heads=2, gated_mlp=True, act_fn="silu"),
        EXACT,
    ),
    "norms of the stream": (lambda: bridged("BertForMaskedLM"), EXACT),
    # these compute norms and angles in fp32, whatever their weights are
    "llama": (lambda: bridged("LlamaForCausalLM"), 3e-4),
    "norms after, caps": (lambda: bridged("Gemma2ForCausalLM", **CAPPED), 3e-4),
}


@frozen(eq=False)
class Run:
    """A model's views in fp64, all rows shown, and its own hooks."""

    hooked: Hooked
    views: Views
    tolerance: float
    known: dict[int, dict[str, Tensor]] = field(factory=dict)

    def kept(self, row: int) -> dict[str, Tensor]:
        """What the hooks of one pass over a row saw, and its logits."""
        if row not in self.known:
            weights, layers = self.hooked.weights, range(self.hooked.layers)
            hooks = ["hook_resid_pre", "hook_resid_post", "hook_attn_out"]
            hooks += [f"attn.hook_{name}" for name in ("v", "z", "pattern")][
                : 2 if weights.transform is not None else 3
            ]
            hooks += ["hook_mlp_out"] if weights.blocks[0].mlp is not None else []
            names = [f"blocks.{layer}.{hook}" for layer in layers for hook in hooks] + ["hook_embed"]
            names += [] if weights.W_pos is None else ["hook_pos_embed"]
            self.known[row] = self.hooked.run(DATA.rows[row].tokens, keep=names)
        return self.known[row]

    def mean(self, of_row: Any) -> float:
        return float(torch.stack([torch.as_tensor(of_row(row)).double() for row in range(ROWS)]).mean())

    def close(self, found: float | None, wanted: float) -> None:
        assert found == pytest.approx(wanted, abs=self.tolerance)


def claimed() -> scrub.Hypothesis:
    story = Interpretation()
    for variable in (before, mixed, answer):
        story.variable(variable)
    return claim(story, model="tiny", data=DATA, metric="logit_diff(label, other)")(sites)


def sites() -> dict[str, Any]:
    return {
        "before": heads("0.1 1.2", at="B"),
        "mixed": heads("1.3", at="END").reads(q="", k="before", v="before"),
        "answer": logits("END"),
    }


def before(kind: int) -> int:
    return kind


def mixed(before: int) -> int:
    return before


def answer(mixed: int) -> int:
    return mixed


@cache
def looked(name: str) -> Run:
    make, tolerance = MODELS[name]
    bridge = make()
    found = scrub.views(claimed(), bridge, dtype="float64", show=ROWS, draws=1)
    return Run(Hooked(bridge, tolerance), found, tolerance)


@pytest.fixture(params=[name for name in MODELS if name != "norms of the stream"])
def adding(request: pytest.FixtureRequest) -> Run:
    """A model whose final stream is a sum of what components write."""
    return looked(request.param)


@pytest.fixture(params=MODELS)
def run(request: pytest.FixtureRequest) -> Run:
    return looked(request.param)


def at(row: int, slot: str) -> int:
    return int(DATA.locate(Slot(slot))[row])


def numbers(run: Run) -> list[int]:
    """The rows in the order in which they are shown."""
    return [row.row for row in run.views.shown]


def test_patterns_are_the_bridges_own(adding: Run) -> None:
    run = adding  # the one that is left out has no hook of its patterns
    assert run.views.attention is not None
    assert {(str(h.head), h.at) for h in run.views.attention.heads} == {("0.1", "B"), ("1.2", "B"), ("1.3", "END")}
    for head in run.views.attention.heads:
        hook = f"blocks.{head.head.layer}.attn.hook_pattern"
        own = {row: run.kept(row)[hook][head.head.unit, at(row, head.at)] for row in range(ROWS)}
        for row, weights in zip(numbers(run), head.rows, strict=True):
            found = torch.tensor(weights, dtype=torch.float64)
            torch.testing.assert_close(found, own[row].double(), rtol=0, atol=run.tolerance)
        for look in head.looks:
            if look.at and look.at.isalpha():
                run.close(look.share, run.mean(lambda row, look=look, own=own: own[row][at(row, look.at)]))
        named = [{at(row, name) for name in ("A", "B", "END")} | {0} for row in range(ROWS)]
        rest = run.mean(lambda row, own=own, named=named: 1 - own[row][sorted(named[row])].sum())
        run.close(head.looks[-1].share, rest)


def test_the_lens_is_the_bridges_own_final_norm_and_unembedding(run: Run) -> None:
    bridge, lens = run.hooked.bridge, run.views.lens
    assert lens is not None
    assert {one.at for one in lens.layers} == {"B", "END"}
    for one in lens.layers:
        last = one.layer == run.hooked.layers
        if run.hooked.weights.transform is not None and not last:
            continue  # whose head no hook shows in parts
        hook = f"blocks.{one.layer - last}.hook_resid_{'post' if last else 'pre'}"

        def seen(row: int, one: Any = one, hook: str = hook) -> Tensor:
            if run.hooked.weights.transform is not None:
                return run.kept(row)["logits"][at(row, one.at)].double()
            x = run.kept(row)[hook][at(row, one.at)]
            with torch.no_grad():
                found = bridge.unembed(bridge.ln_final(x[None, None]))[0, 0]
            cap = run.hooked.weights.logit_cap
            return (found if cap is None else cap * torch.tanh(found / cap)).double()

        run.close(one.answer, run.mean(lambda row, seen=seen: seen(row).softmax(-1)[DATA.column("label")[row]]))
        assert one.tokens == tuple(str(int(seen(row).argmax())) for row in numbers(run))


def direction(run: Run, row: int) -> Tensor:
    """Of the answer's logit less the other's, before the unembedding."""
    columns = run.hooked.weights.W_U
    return columns[:, DATA.column("label")[row]] - columns[:, DATA.column("other")[row]]


def behind(run: Run, row: int, part: Tensor) -> Tensor:
    """A part of the final stream behind the final norm, written out, with the scale of the row."""
    last = f"blocks.{run.hooked.layers - 1}.hook_resid_post"
    n, whole = run.hooked.weights.ln_final, run.kept(row)[last][at(row, "END")]
    if n.kind == "none":
        return part
    if n.kind == "layer":
        whole, part = whole - whole.mean(), part - part.mean()
    found = part / (whole.square().mean() + n.eps).sqrt()
    return found if n.weight is None else found * n.weight


def test_contributions_are_what_hooks_carry_and_sum_to_the_logit(adding: Run) -> None:
    run = adding
    direct, weights = run.views.direct, run.hooked.weights
    assert direct is not None
    assert sum(c.value for c in direct.contributions) == pytest.approx(direct.logit, abs=1e-9)
    assert sum(m.value for m in direct.mechanisms) == pytest.approx(direct.logit, abs=1e-9)
    if weights.logit_cap is None:
        label, other = DATA.column("label"), DATA.column("other")
        plain = [run.kept(row)["logits"][at(row, "END")] for row in range(ROWS)]
        run.close(direct.logit, run.mean(lambda row: plain[row][label[row]] - plain[row][other[row]]))
    for one in direct.contributions:
        if one.component is None or (weights.blocks[0].post_attn is not None and one.component.traits.attends):
            continue  # what such heads write goes through a norm of all of them first
        hook, _ = run.hooked.where(one.component, 0)

        def adds(row: int, one: Any = one, hook: str = hook) -> Tensor:
            value = run.kept(row)[hook][at(row, "END")].to(weights.dtype)
            if one.component.traits.attends:
                value = value[one.component.unit] @ weights.blocks[one.component.layer].attn.W_O[one.component.unit]
            return behind(run, row, value) @ direction(run, row)

        run.close(one.value, run.mean(adds))


def test_what_heads_of_a_layer_write_before_a_norm_of_it_sums_to_what_it_adds() -> None:
    run = looked("norms after, caps")
    direct = run.views.direct
    assert direct is not None
    for layer in range(run.hooked.layers):
        # the bridge's own `hook_attn_out` is behind that norm
        hook = f"blocks.{layer}.hook_attn_out"
        whole = run.mean(
            lambda row, hook=hook: behind(run, row, run.kept(row)[hook][at(row, "END")]) @ direction(run, row)
        )
        heads_of = [c.value for c in direct.contributions if c.component and c.component.traits.is_head
                    and c.component.layer == layer]  # fmt: skip
        run.close(sum(heads_of), whole)


def test_sources_sum_to_the_head_and_are_pattern_times_value(adding: Run) -> None:
    run = adding
    direct, weights = run.views.direct, run.hooked.weights
    assert direct is not None
    (head,) = direct.sources
    assert (head.head, head.variable) == (Component.for_head(1, 3), "mixed")
    own = next(c.value for c in direct.contributions if c.component == head.head)
    by_name = {one.at: one.share for one in head.sources}
    if weights.blocks[0].post_attn is not None or not run.views.attention:
        return
    hooks = "blocks.1.attn.hook_pattern", "blocks.1.attn.hook_v"
    shared = weights.blocks[1].attn.W_Q.shape[0] // weights.blocks[1].attn.W_K.shape[0]

    def each(row: int) -> Tensor:
        kept = run.kept(row)
        v = kept[hooks[1]].to(weights.dtype)
        v = v.reshape(len(v), -1, v.shape[-1])
        v = v[:, 3 // shared] if v.shape[1] < 4 else v[:, 3]
        to = [behind(run, row, x @ weights.blocks[1].attn.W_O[3]) @ direction(run, row) for x in v]
        return kept[hooks[0]][3, at(row, "END")].to(weights.dtype) * torch.stack(to)

    run.close(by_name["A"], run.mean(lambda row: each(row)[at(row, "A")]))
    run.close(own, run.mean(lambda row: each(row).sum()))


def test_what_is_written_is_what_a_hook_carries(adding: Run) -> None:
    run = adding
    weights, written = run.hooked.weights, run.views.written
    assert written is not None
    if weights.blocks[0].post_attn is not None:
        return
    (one,) = [w for w in written.components if str(w.component) == "1.3"]
    hook = "blocks.1.attn.hook_z"
    found = [
        behind(run, row, run.kept(row)[hook][at(row, "END"), 3].to(weights.dtype) @ weights.blocks[1].attn.W_O[3])
        for row in range(ROWS)
    ]
    change = torch.stack(found).mean(0) @ weights.W_U
    change = change - change.mean()
    best = int(change.argmax())
    assert one.up[0].token == str(best)
    run.close(one.up[0].change, float(change[best]))
    run.close(one.down[0].change, float(change.min()))


def test_what_a_model_does_not_have_is_told() -> None:
    """Too few rows for probes; no sum where the stream itself is normed."""
    few = "probes: 10 rows are too few to fit on some and to try on others: give 16."
    embeds = "matching: no claimed head reads, along the claim's edges, what comes from an embedding."
    assert set(looked("gpt2").views.left_out) == {few, embeds}
    normed = looked("norms of the stream").views
    assert normed.direct is normed.written is normed.matching is None
    told = [text.partition(":")[0] for text in normed.left_out if "norms its stream in place" in text]
    assert told == ["written", "matching", "direct"]
