"""The model's own hooks as an oracle: each patch is one forward pass of a bridge, and every hook must fire."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from attrs import field, frozen
from torch import Tensor

from scrub.anatomy.names import Component, parse_component
from scrub.anatomy.positions import parse_slots
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.resolved import Claim
from scrub.engine.draw import Calls, Drawn, Draws
from scrub.engine.number import Numbering
from scrub.engine.on_transformer import TransformerEvaluator, TransformerRows
from scrub.engine.unroll import Occurrence
from scrub.model.layers import unembed
from scrub.model.resolve import sound
from scrub.model.transformer import adapt
from scrub.model.weights import Transformer
from scrub.score.sample import compile_claim

Edit = Callable[[Tensor], Tensor]
Patch = tuple[str, Any, Tensor]  # hook, index into [t, ...], new value


@frozen(slots=False, eq=False)
class Hooked:
    """A bridge, its weights as the engine takes them, and how exactly the two agree."""

    bridge: Any
    tolerance: float
    known: dict[tuple[int, ...], dict[str, Tensor]] = field(factory=dict)

    @cached_property
    def weights(self) -> Transformer:
        return adapt(self.bridge, dtype=torch.float64)

    @property
    def layers(self) -> int:
        return self.bridge.cfg.n_layers

    @property
    def attn_out(self) -> str:
        """The hook of what all heads write: of a BERT `hook_attn_out` sees the stream after its norm."""
        return "attn.o.hook_out" if self.weights.shape.stream_norms else "hook_attn_out"

    @property
    def embed(self) -> str:
        """That of token embeddings: of a BERT `hook_embed` sees the normed sum."""
        return "embed.hook_out" if self.weights.shape.stream_norms else "hook_embed"

    def run(
        self, tokens: Sequence[int], edits: Mapping[str, Edit] | None = None, keep: Sequence[str] = ()
    ) -> dict[str, Tensor]:
        """What the kept hooks saw `[t, ...]`, and `logits [t, v]`, with some hooks' values replaced."""
        kept: dict[str, Tensor] = {}
        fired: dict[str, int] = {}

        def hook(name: str) -> Callable[..., Tensor | None]:
            def call(value: Tensor, hook: Any) -> Tensor | None:
                fired[name] = fired.get(name, 0) + 1
                if name in keep:
                    kept[name] = value[0].clone()
                return edits[name](value.clone()) if edits and name in edits else None

            return call

        names = dict.fromkeys([*(edits or ()), *keep])
        assert "hook_resid_mid" not in " ".join(edits or ()), "a bridge's hook_resid_mid is no residual stream"
        with torch.no_grad():
            logits = self.bridge.run_with_hooks(
                torch.tensor([list(tokens)]), fwd_hooks=[(name, hook(name)) for name in names]
            )
        assert fired == dict.fromkeys(names, 1), f"hooks that did not fire once: {fired}"
        return {**kept, "logits": logits[0]}

    def plain(self, tokens: Sequence[int]) -> Tensor:
        """The bridge's own logits `[t, v]`."""
        return self.own(tokens)["logits"]

    def own(self, tokens: Sequence[int]) -> dict[str, Tensor]:
        """What every hook that carries a writer or a stream sees in the bridge's own run."""
        if tuple(tokens) not in self.known:
            per_layer = ("hook_resid_pre", "attn.hook_z", self.attn_out, "hook_mlp_out", "hook_resid_post")
            names = [f"blocks.{layer}.{hook}" for layer in range(self.layers) for hook in per_layer]
            names += [self.embed] + ["hook_pos_embed"] * (self.weights.W_pos is not None)
            self.known[tuple(tokens)] = self.run(tokens, keep=names)
        return self.known[tuple(tokens)]

    def patched(
        self, tokens: Sequence[int], patches: Sequence[Patch], keep: Sequence[str] = (), frozen_on: Sequence[str] = ()
    ) -> dict[str, Tensor]:
        """A run with patches. Hooks in `frozen_on` keep their own values of the plain run, then take patches."""
        own = {name: self.own(tokens)[name] for name in frozen_on}
        edits: dict[str, Edit] = {}
        for name in dict.fromkeys([*frozen_on, *(patch[0] for patch in patches)]):
            mine = [(where, value) for hook, where, value in patches if hook == name]

            def edit(value: Tensor, name: str = name, mine: Any = mine) -> Tensor:
                new = own[name][None].clone() if name in own else value
                for where, put in mine:
                    new[(0, *where)] = put.to(new.dtype)
                return new

            edits[name] = edit
        return self.run(tokens, edits, keep)

    def frozen(self, through: str) -> list[str]:
        """Hooks of all writers that are not passed through."""
        z = [f"blocks.{layer}.attn.hook_z" for layer in range(self.layers)]
        mlp = [f"blocks.{layer}.hook_mlp_out" for layer in range(self.layers)]
        return {"": z + mlp, "mlps": z, "all": []}[through]

    def where(self, component: Component, index: Any) -> tuple[str, tuple[Any, ...]]:
        """The hook that carries what a component writes, and the index of a position in it."""
        layer = component.layer or 0
        match component.kind:
            case "head":
                return f"blocks.{layer}.attn.hook_z", (index, component.unit)
            case "attn":
                return f"blocks.{layer}.{self.attn_out}", (index,)
            case "mlp":
                return f"blocks.{layer}.hook_mlp_out", (index,)
            case "resid" if layer == self.layers:
                return f"blocks.{layer - 1}.hook_resid_post", (index,)
            case "resid":
                return f"blocks.{layer}.hook_resid_pre", (index,)
            case kind:
                return {"embed": self.embed, "pos": "hook_pos_embed"}[kind], (index,)


@frozen(eq=False)
class Scrubbed:
    """What the engine made of a claim: logits `[call, v]`, and the rows that were drawn."""

    claim: Claim
    tree: Occurrence
    calls: Calls
    drawn: dict[str, Drawn]
    logits: Tensor

    def rows(self, call: int) -> dict[str, tuple[int, int]]:
        """(own row, rest row) of every occurrence of a call, by the name of its variable."""
        return {
            node.variable: (int(self.drawn[node.path].own[call]), int(self.drawn[node.path].rest[call, 0]))
            for node in self.tree.walk()
        }


def engine(hypothesis: Hypothesis, model: Hooked, draws: int = 2, seed: int = 0) -> Scrubbed:
    """Every row of the pool with some draws, by the engine in fp64."""
    claim, _ = sound(hypothesis, model.weights)
    tree, program = compile_claim(claim)
    rows = TransformerRows.run(claim, model.weights, [program])
    reference = np.repeat(np.arange(len(claim.data)), draws)
    calls = Calls(reference, np.tile(np.arange(draws), len(claim.data)))
    drawn = Draws(claim, seed).tree(tree, calls)
    final = TransformerEvaluator(rows, program).answers(Numbering(claim, program).number(drawn))
    return Scrubbed(claim, tree, calls, drawn, unembed(model.weights, final))


@frozen(eq=False)
class Places:
    """Rows of a data set as the bridge reads them."""

    model: Hooked
    data: Dataset

    def tokens(self, row: int) -> tuple[int, ...]:
        return self.data.rows[row].tokens

    def at(self, row: int, slot: str) -> Any:
        """The index of a slot in a row; every index for `all`."""
        if slot == "all":
            return slice(None)
        return int(self.data.locate(parse_slots(slot)[0])[row])

    def taken(self, names: str, slots: str, frame: int, donor: int) -> list[Patch]:
        """Patches that put what components write on one row into the frame of another, by names of slots."""
        patches: list[Patch] = []
        for name in names.split(","):
            component = parse_component(name.strip())
            for slot in slots.split():
                hook, there = self.model.where(component, self.at(donor, slot))
                _, here = self.model.where(component, self.at(frame, slot))
                patches.append((hook, here, self.model.own(self.tokens(donor))[hook][there]))
        return patches


def mixed_rows(count: int = 10, vocabulary: int = 31) -> Dataset:
    """Rows of six to nine tokens; A, B and END differ from row to row, and END is not always the last."""
    rng = np.random.default_rng(5)
    rows: list[dict[str, Any]] = []
    for i in range(count):
        length = 6 + i % 4
        end = length - 1 - (i // 2) % 2
        a, b = sorted(rng.choice(end, 2, replace=False).tolist())
        tokens = rng.integers(0, vocabulary, length).tolist()
        columns = {"kind": i % 2, "row": i, "length": length, "label": int(rng.integers(0, vocabulary)), "other": i}
        rows.append({"tokens": tokens, "positions": {"A": a, "B": b, "END": end}, "columns": columns})
    return Dataset.from_rows(rows)
