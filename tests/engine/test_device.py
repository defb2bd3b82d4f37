"""On a device the host waits for nothing inside a block of draws but its numbers, once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from attrs import evolve
from fake_device import DEVICE, fake_device
from test_invariance import MODEL, sites_of, small_claim
from torch import Tensor

from scrub import Hypothesis, directions, embed, neurons
from scrub.claims.sites import Site
from scrub.engine.draw import Draws
from scrub.engine.on_transformer import TransformerRows
from scrub.model.resolve import sound
from scrub.model.weights import Transformer
from scrub.score import sample
from scrub.score.blocks import Arrays, NumberBlock, ahead
from scrub.score.measure import TransformerAnswers
from scrub.score.sample import ClaimBench, chunks, compile_claim
from scrub.verbs.setup import references

BASIS = directions(np.random.default_rng(0).normal(size=(2, MODEL.shape.d_model)))


def at_a(site: Site) -> Hypothesis:
    """The claim with another site of its first variable."""
    return small_claim(sites={**sites_of(), "a": site})


CLAIMS: dict[str, Callable[[], Hypothesis]] = {
    "direct": lambda: small_claim(through=None),
    "mlps": small_claim,
    "everywhere": lambda: small_claim(through="all"),
    "means": lambda: small_claim(rest="mean", within="length"),
    "few tokens": lambda: small_claim(metric="logit_diff(label, kind)"),
    "directions": lambda: at_a(embed("A").part(BASIS)),
    "neurons": lambda: at_a(neurons("0.1 0.3 0.4", at="A")),
}


def bench_on(hypothesis: Hypothesis, model: Transformer) -> ClaimBench:
    claim, _ = sound(hypothesis)
    tree, program = compile_claim(claim)
    rows = TransformerRows.run(claim, model, [program])
    return ClaimBench(claim, tree, program, rows, TransformerAnswers(claim, rows))


def blocks_of(bench: ClaimBench) -> list[np.ndarray]:
    """The numbers of two blocks."""
    draws, calls = Draws(bench.claim, 0), chunks(references(bench.claim, None, 0), 4, 40)
    return [bench.scrubbed(some, draws.tree(bench.tree, some)) for some in calls[:2]]


@pytest.mark.parametrize("kind", CLAIMS)
def test_a_block_waits_once_for_its_numbers(kind: str) -> None:
    """From the second block on: what is copied once for all is there then."""
    with fake_device() as device:
        bench = bench_on(CLAIMS[kind](), MODEL.to(device=DEVICE))
        blocks_of(bench)
        device.waits.clear()
        found = blocks_of(bench)
    assert [wait.split(":")[0] for wait in device.waits] == 2 * ["_to_copy at score/measure.py"], device.waits
    assert np.allclose(found, blocks_of(bench_on(CLAIMS[kind](), MODEL)), rtol=0, atol=1e-12)


WAITS: dict[str, Callable[[Tensor], Any]] = {
    "a truth": lambda x: bool((x > 0).all()),
    "a number": lambda x: int(x.max()),
    "places": lambda x: x.nonzero(),
    "a mask": lambda x: x[x > 0],
    "a list": lambda x: x[:, [0, 2]],
    "a list that is written to": lambda x: x.__setitem__((slice(None), [0, 2]), 1.0),
    "numbers of the host": lambda x: torch.tensor([1.0, 2.0], device=x.device),
    "an array of the host": lambda x: torch.from_numpy(np.zeros(3)).to(x.device),
    "memory that is not pinned": lambda x: torch.from_numpy(np.zeros(3)).to(x.device, non_blocking=True),
    "back": lambda x: x.cpu(),
}


@pytest.mark.parametrize("kind", WAITS)
def test_what_a_host_waits_for_is_counted(kind: str) -> None:
    with fake_device() as device:
        x = torch.arange(12.0).view(3, 4).to(DEVICE, non_blocking=True)
        device.waits.clear()
        torch.arange(3).pin_memory().to(DEVICE, non_blocking=True)
        x[:, 1:3].flatten() + torch.arange(6, device=DEVICE)
        assert not device.waits
        WAITS[kind](x)
        assert device.waits


def kept_of(bench: ClaimBench, known: dict[str, Arrays]) -> dict[str, Arrays]:
    """The blocks of a sample by their keys; what is known is not computed again."""
    found: dict[str, Arrays] = {}

    def keep(blocks: Iterable[NumberBlock]) -> Iterator[tuple[int, Arrays]]:
        for number, block in enumerate(blocks):
            found[block.key] = known[block.key] if block.key in known else block.task.compute()
            yield number, found[block.key]

    sample.sample(evolve(bench, keep=keep), references(bench.claim, None, 0), 6, 0)
    return found


def test_blocks_are_computed_in_one_go_and_kept_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "CALLS_AT_ONCE", 29)
    monkeypatch.setattr(sample, "BLOCKS_AT_ONCE", 3)
    expected = kept_of(bench_on(small_claim(), MODEL), {})
    assert len(expected) == 8
    with fake_device() as device:
        bench = bench_on(small_claim(), MODEL.to(device=DEVICE))
        for known, runs in (([], 3), ([1, 3, 4, 7], 3), (range(6), 1)):
            device.waits.clear()
            found = kept_of(bench, {key: expected[key] for i, key in enumerate(expected) if i in known})
            assert (
                sum("measure" in wait for wait in device.waits) == 2 * runs + 1
            )  # scrubbed, random; the model's own
            assert list(found) == list(expected)
            assert all(np.allclose(found[key][name], expected[key][name]) for key in found for name in found[key])


def test_the_next_block_is_drawn_while_one_is_computed() -> None:
    drawn = [Event(), Event()]

    def blocks() -> Iterator[NumberBlock]:
        for event in drawn:
            event.set()
            yield NumberBlock(str, dict)

    for _ in ahead(blocks()):
        assert drawn[1].wait(5)
