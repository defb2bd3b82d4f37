"""What others take for the same work, timed here: both of their runs included, as both of ours are.

python benchmarks/peers.py    # about two minutes

Of the tools that circuits and edges are compared with (EAP-IG, auto-circuit, path_patching) none installs beside
TransformerLens 4: theirs were measured once, see docs/benchmarks.md. TransformerLens itself is here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from circuits import ALL_LIVE, cases
from ioi import model_of, rows_of
from measuring import best_of
from torch import Tensor

from scrub.model.transformer import bridge_of

SWEEP = "TransformerLens, activation patching of 144 heads"


def activation_patching(vocabulary: int) -> Callable[[], object]:
    """Each head's z of the next row at all positions, one forward pass a head, after the run that has them."""
    from transformer_lens.patching import get_act_patch_attn_head_out_all_pos

    bridge, data = bridge_of(model_of(vocabulary), "GPT2LMHeadModel"), rows_of(16, vocabulary)
    tokens = torch.tensor([row.tokens for row in data.rows])
    io, s1 = (torch.tensor([row.columns[name] for row in data.rows])[:, None] for name in ("io", "s1"))

    def difference(logits: Tensor) -> Tensor:
        return (logits[:, -1].gather(1, io) - logits[:, -1].gather(1, s1)).mean()

    def sweep() -> object:
        with torch.no_grad():
            _, cache = bridge.run_with_cache(tokens.roll(-1, 0))
            return get_act_patch_attn_head_out_all_pos(bridge, tokens, cache, difference)

    return sweep


def speed(vocabulary: int, rounds: int = 1) -> dict[str, float]:
    """The same sweep, ours and theirs, in forward passes of the same rows."""
    ours = cases(vocabulary, only=ALL_LIVE)
    runs = {"plain": ours["plain"], ALL_LIVE: ours[ALL_LIVE], SWEEP: activation_patching(vocabulary)}
    ours["plain"]()
    best = best_of(runs, rounds)
    unit = min(best.pop("plain"), best_of({"plain": ours["plain"]}, 5)["plain"])
    return {name: seconds / unit for name, seconds in best.items()}


def table(vocabulary: int = 5000) -> list[str]:
    lines = ["| the same work, with both runs, in forward passes | measured |", "|---|---|"]
    return lines + [f"| {name} | {value:.1f} |" for name, value in speed(vocabulary).items()]


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("\n".join(table(500 if "--small" in sys.argv else 5000)))
