"""Whether rules reach the gradients of a call: seen in that call's own gradients, not in a flag."""

from __future__ import annotations

import torch
from torch import Tensor

from scrub.anatomy.tolerances import RULE_SEEN
from scrub.errors import ModelError
from scrub.model.experts import BlackBox
from scrub.model.trace import trace
from scrub.model.weights import Transformer
from scrub.proposals.forward import Arrays, PatchBatch
from scrub.proposals.rules import Rules, applies, steps_of

LIVE, ABSENT, IDLE = "live", "nothing to act on", "changes nothing here"


def check_live(batch: PatchBatch, values: Arrays, gradients: Arrays, rules: Rules) -> dict[str, str]:
    """What each rule does in a run: `live`, or why not; and what it leaves out. `gradients` are those of all `resid`.

    In some layer that has what the rule is about, one row's gradient is carried back through that layer, with the
    rule and without it. The run's own gradient must be the first, and the two must differ by a thousandth. Raises
    ModelError where the run's gradient is not the one that its rules give.
    """
    found: dict[str, str] = {}
    for rule in rules:
        layers = [layer for layer in range(len(batch.model.blocks)) if applies(rule, batch.model, layer)]
        found[rule] = IDLE if layers else ABSENT
        others = tuple(other for other in rules if other != rule)
        for layer in layers:
            row = int(gradients["resid", layer + 1].flatten(1).norm(dim=1).argmax())
            run = gradients["resid", layer][row]
            back = _carried(batch, values, gradients, layer, row, rules)
            if _apart(run, back):
                raise ModelError(f"rule {rule!r} does not reach the gradient of layer {layer}; no estimate is given.")
            if _apart(back, _carried(batch, values, gradients, layer, row, others)):
                found[rule] = LIVE
                break
        found[rule] += _beyond(rule, batch.model, rules)
    return found


def _beyond(rule: str, model: Transformer, rules: Rules) -> str:
    """What of a rule's kind it leaves as it is, to stand behind its state."""
    layers = range(len(model.blocks))
    if rule == "ln" and not {"qknorm", "attention"} & set(rules) and any(applies("qknorm", model, n) for n in layers):
        return " (heads' own norms keep their derivative: rule qknorm)"
    if rule in ("identity", "half", "gate") and any(isinstance(block.mlp, BlackBox) for block in model.blocks):
        return " (not inside MLPs that are known as functions alone)"
    return ""


def _apart(a: Tensor, b: Tensor) -> bool:
    return float((a - b).norm()) > RULE_SEEN * max(float(a.norm()), float(b.norm()))


def _carried(batch: PatchBatch, values: Arrays, gradients: Arrays, layer: int, row: int, rules: Rules) -> Tensor:
    """One row's gradient behind a layer, carried to before it."""
    x = values["resid", layer][row : row + 1].detach().requires_grad_()
    lengths, tokens = batch.lengths[row : row + 1], batch.base[row : row + 1]
    with torch.enable_grad():
        y = trace(batch.model, tokens, lengths, start=(layer, x), stop_layer=layer + 1, steps=steps_of(rules))
    return torch.autograd.grad(y, x, gradients["resid", layer + 1][row : row + 1])[0][0]
