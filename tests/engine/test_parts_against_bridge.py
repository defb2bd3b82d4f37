"""Parts against a bridge's own hooks: neurons at hook_post, a subspace of a query at hook_q.

Every row is the frame of one leaf taken from a donor; the model runs from there on as it does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hooked import Hooked, engine, mixed_rows
from torch import Tensor

from model.tiny_models import bridged
from scrub import Interpretation, claim, directions, heads, logits, mlps, neurons, queries, recovers
from scrub.claims.resolved import Claim
from scrub.claims.sites import Site
from scrub.score.patched import Patch, PatchedTransformer
from strategies_models import named

DATA = mixed_rows()
U = np.linalg.qr(np.random.default_rng(3).normal(size=(16, 16)))[0][:2]
V = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0][:2]
Change = Callable[[Tensor, Tensor], Tensor]  # at the position, on the row and on the donor -> what goes on


@cache
def model() -> Hooked:
    return Hooked(bridged("GPT2LMHeadModel"), 1e-10)


def _moved(basis: np.ndarray) -> Change:
    rows = torch.tensor(basis, dtype=torch.float64)
    return lambda own, new: own + (new - own) @ rows.T @ rows


def _neurons(own: Tensor, new: Tensor) -> Tensor:
    return torch.cat([own[:1], new[1:3], own[3:]])


def _of_head(change: Change, head: int) -> Change:
    def changed(own: Tensor, new: Tensor) -> Tensor:
        own[head] = change(own[head], new[head])
        return own

    return changed


CASES: dict[str, tuple[Callable[[], Site], str, Change]] = {
    "neurons": (lambda: neurons("1.1 1.2", at="END"), "blocks.1.mlp.hook_post", _neurons),
    "an MLP's directions": (lambda: mlps(1, at="END").part(directions(U)), "blocks.1.hook_mlp_out", _moved(U)),
    "a query": (lambda: queries("1.2", at="END"), "blocks.1.attn.hook_q", _of_head(lambda _, new: new, 2)),
    "directions of a query": (
        lambda: queries("1.2", at="END").part(directions(V)),
        "blocks.1.attn.hook_q",
        _of_head(_moved(V), 2),
    ),
}


def claim_of(site: Site, **options: Any) -> Any:
    """The last layer is all that is read after the part, so that a direct read is all there is downstream."""
    story = Interpretation()
    story.variable(named("x", ["kind"], tuple))
    sites: dict[str, Site] = {"x": site}
    if site.components[0].traits.is_channel:
        story.variable(named("h", ["x"], tuple))
        sites["h"] = heads("1.2", at="END").reads(q="x")
    last = "h" if "h" in sites else "x"
    story.variable(named("answer", [last], tuple))
    setting = {"model": "tiny", "data": DATA, "metric": "loss(label)", "expect": recovers(0.5), **options}
    return claim(story, **setting)({**sites, "answer": logits("END").reads(input=last)})


def expected(hook: str, change: Change, row: int, donor: int) -> Tensor:
    """The bridge's logits on a row with a change at END, taken from a donor; its MLP behind keeps its own output."""
    tokens = [DATA.rows[r].tokens for r in (row, donor)]
    at, there = (DATA.rows[r].positions["END"] for r in (row, donor))
    new = model().run(tokens[1], keep=[hook])[hook][there]

    def edit(value: Tensor) -> Tensor:
        value[0, at] = change(value[0, at].clone(), new)
        return value

    kept = "blocks.1.hook_mlp_out"
    own = model().run(tokens[0], keep=[kept])[kept]
    edits = {hook: edit} if "mlp" in hook else {hook: edit, kept: lambda _: own[None]}
    return model().run(tokens[0], edits)["logits"][at]


@pytest.mark.parametrize("what", CASES)
def test_a_part_of_the_last_layer_read_by_the_answer(what: str) -> None:
    make, hook, change = CASES[what]
    found = engine(claim_of(make(), rest="keep"), model())
    compared = 0
    for call in range(len(found.calls)):
        row, donor = int(found.calls.reference[call]), found.rows(call)["x"][0]
        frame = found.rows(call).get("h", (row, row))[0]
        if frame == row:  # the head is computed on the row itself
            torch.testing.assert_close(found.logits[call], expected(hook, change, row, donor), rtol=1e-9, atol=1e-9)
            compared += row != donor
    assert compared >= 3


@pytest.mark.parametrize("what", CASES)
def test_interchange_patches_what_the_hook_does(what: str) -> None:
    """All that is downstream is recomputed."""
    make, hook, change = CASES[what]
    found = engine(claim_of(make()), model(), draws=1)
    rows, donors = np.arange(4), np.array([5, 6, 7, 8])
    got = patched(found.claim, make(), rows, donors)
    for i, (row, donor) in enumerate(zip(rows.tolist(), donors.tolist(), strict=True)):
        tokens, at = DATA.rows[row].tokens, DATA.rows[row].positions["END"]
        new = model().run(DATA.rows[donor].tokens, keep=[hook])[hook][DATA.rows[donor].positions["END"]]

        def edit(value: Tensor, at: int = at, new: Tensor = new) -> Tensor:
            value[0, at] = change(value[0, at].clone(), new)
            return value

        logits_there = model().run(tokens, {hook: edit})["logits"][at]
        torch.testing.assert_close(got[i], logits_there, rtol=1e-9, atol=1e-9)


def patched(found: Claim, site: Site, rows: np.ndarray, donors: np.ndarray) -> Tensor:
    return PatchedTransformer(found, model().weights).outputs(rows, [Patch((site,), donors)])
