"""Mean and zero rows whose passed-through MLPs are computed once give what computing them in every call gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from claim_cases import names_claim
from model.tiny_models import native
from scrub.engine import plan
from scrub.model.memory import Backend
from scrub.model.resolve import sound
from scrub.verbs.setup import bench_of, references, sampled, weights_of

MODEL: dict[str, Any] = {"n_layers": 4, "n_heads": 2, "n_ctx": 16, "d_vocab": 50}


def scrubbed(**options: Any) -> tuple[bool, np.ndarray]:
    """Whether streams are at every position, and the metric of every call: queries of the last heads read r whole."""
    claim, source = sound(names_claim(through="mlps", **options))
    bench = bench_of(claim, source, weights_of(source, claim.data, Backend(dtype="float64")))
    return bench.program.dense, sampled(bench, references(claim, None, 0), 3, 0).scrubbed


@pytest.mark.parametrize("options", [{"rest": "mean", "within": "length"}, {"rest": "zero"}], ids=str)
def test_once_is_as_in_every_call(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model = native(**MODEL)
    dense, once = scrubbed(model=model, **options)
    monkeypatch.setattr(plan, "_made_once", lambda claim: False)
    everywhere, each = scrubbed(model=model, **options)
    assert (dense, everywhere) == (False, True)
    np.testing.assert_allclose(once, each, rtol=1e-10, atol=1e-10)
    assert np.ptp(once) > 0.01
