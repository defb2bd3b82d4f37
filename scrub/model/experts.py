"""MLPs known as functions alone: mixtures of experts, and whatever else a module computes of one position."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from attrs import frozen
from jaxtyping import Float, Int
from torch import Tensor, nn

from scrub.model.precision import HALF


def plain_experts(module: nn.Module) -> None:
    """Lets a part of a model run its experts one by one: their other implementations know no fp64."""
    config: Any = getattr(module, "config", None)
    if hasattr(config, "_experts_implementation"):
        config._experts_implementation = "eager"


@frozen(eq=False)
class BlackBox:
    """An MLP known only as a function of one position, `[..., d] -> [..., d]`; `module` is what it runs, if one.

    What the module gives is multiplied by `times`.

    So a mixture of experts is one MLP: which experts a position goes to is decided anew in every stream (`chosen`).
    """

    fn: Callable[[Tensor], Tensor]
    module: nn.Module | None = None
    times: float = 1.0

    @classmethod
    def of(cls, module: nn.Module, times: float = 1.0) -> BlackBox:
        """A module that takes `[row t d]` and gives the same, alone or first of several things."""

        half = next((p.dtype for p in module.parameters() if p.dtype in HALF), None)
        there = next((p.device for p in module.parameters()), None)

        def run(x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
            found = module(x.reshape(1, -1, x.shape[-1]).to(there, half or x.dtype))
            return times * (found[0] if isinstance(found, tuple) else found).reshape(x.shape).to(x)

        return cls(run, module, times)

    @property
    def mixes(self) -> bool:
        """Whether it is a mixture of experts."""
        return isinstance(getattr(self.module, "experts", None), nn.Module)

    def chosen(self, x: Float[Tensor, "*batch d"]) -> Int[Tensor, "*batch k"] | None:
        """The experts that each position goes to, by number and in their order: what the module tells its experts.

        None where it is no mixture, or tells them something else.
        """
        told: list[Tensor] = []

        def hear(part: nn.Module, given: tuple[Any, ...]) -> None:
            told.extend(t for t in given if isinstance(t, Tensor) and not t.is_floating_point())

        experts: Any = getattr(self.module, "experts", None)
        if not self.mixes:
            return None
        with experts.register_forward_pre_hook(hear):
            self.fn(x)
        if len(told) != 1 or told[0].ndim != 2 or len(told[0]) != x[..., 0].numel():
            return None
        return told[0].sort(dim=-1).values.unflatten(0, x.shape[:-1])

    def mapped(self, move: Callable[[Tensor], Tensor]) -> BlackBox:
        """The same with every tensor of its module changed, in a copy."""
        if self.module is None:
            return self
        # Its tensors are taken as they are: `move` says whether they are copied.
        tensors = [*self.module.parameters(), *self.module.buffers()]
        module = copy.deepcopy(self.module, {id(tensor): tensor for tensor in tensors})
        with torch.no_grad():
            for owner in module.modules():
                plain_experts(owner)
                for name, value in list(owner.named_parameters(recurse=False)):
                    setattr(owner, name, nn.Parameter(move(value.detach()), requires_grad=False))
                for name, value in list(owner.named_buffers(recurse=False)):
                    setattr(owner, name, move(value) if value.is_floating_point() else value)
        return BlackBox.of(module, self.times)
