"""Values that land on the row that they were taken from change nothing, and no MLP is asked about them."""

from __future__ import annotations

from collections.abc import Container

import numpy as np
import pytest
from attrs import evolve
from test_invariance import DATA, MODEL, small_claim
from torch import Tensor

from scrub import Dataset
from scrub.engine.draw import Calls, Draws, Swap
from scrub.engine.frames import Frames
from scrub.engine.number import Numbering
from scrub.engine.on_transformer import TransformerEvaluator, TransformerRows
from scrub.model.resolve import sound
from scrub.score.sample import compile_claim

TWICE = Dataset([evolve(row, columns={**row.columns, "copy": copy}) for row in DATA.rows for copy in (0, 1)])


def asked(data: Dataset, made: Container[Swap] | None, monkeypatch: pytest.MonkeyPatch) -> tuple[int, Tensor, Tensor]:
    """About how many contexts MLPs are asked, with some swaps made; the scrubbed final streams, and the model's."""
    claim, _ = sound(small_claim(data))
    tree, program = compile_claim(claim)
    rows = TransformerRows.run(claim, MODEL, [program])
    calls = Calls(np.arange(len(data)), np.zeros(len(data), dtype=np.int64))
    counted, made_of = list[int](), Frames.mlp_made

    def heard(self: Frames, layer: int, x: Tensor) -> Tensor:
        counted.append(len(x))
        return made_of(self, layer, x)

    monkeypatch.setattr(Frames, "mlp_made", heard)
    numbered = Numbering(claim, program).number(Draws(claim, 0, made).tree(tree, calls))
    scrubbed = TransformerEvaluator(rows, program).answers(numbered)
    return sum(counted), scrubbed, rows.outputs(calls.reference)


def test_a_claim_without_swaps_asks_no_mlp(monkeypatch: pytest.MonkeyPatch) -> None:
    count, scrubbed, own = asked(DATA, (), monkeypatch)
    assert count == 0
    assert np.allclose(scrubbed, own, rtol=0, atol=1e-12)


def test_a_swap_between_rows_of_equal_inputs_asks_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row stands twice: what is drawn for one may as well be drawn for the other."""
    monkeypatch.setattr(Draws, "rest", lambda self, node, calls, own: (own ^ 1)[:, None])
    count, scrubbed, own = asked(TWICE, (), monkeypatch)
    assert count == 0
    assert np.allclose(scrubbed, own, rtol=0, atol=1e-12)


def test_swaps_are_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    count, scrubbed, own = asked(DATA, None, monkeypatch)
    assert count > 0
    assert not np.allclose(scrubbed, own)
