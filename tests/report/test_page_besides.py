"""What a claim says besides what it recovers, on the page of a stored run."""

from __future__ import annotations

from typing import Any

import scrub
from score.test_holds import held
from score.test_noise import noisy
from scrub import recovers
from scrub.report.page.sections import StoredClaim, StoredPicture
from scrub.report.page.sections.diagnostics import blocks


def diagnostics(result: dict[str, Any]) -> str:
    return str(blocks(StoredClaim(result, StoredPicture("", {}, "", [], []), "")))


def test_what_a_claim_says_besides_stands_among_the_diagnostics() -> None:
    result = scrub.test(held(lambda c: c // 10, expect=recovers(0.9, interchange=0.5)), exact=True).to_dict()
    shown = diagnostics(result)
    assert "holds its value on 1.00 [1.00, 1.00] of the rows" in shown
    assert "the model answers as the story does on 1.00 [1.00, 1.00] of the calls" in shown
    assert "the model's own on 1.00 [1.00, 1.00] of the rows" in shown
    noise = diagnostics(scrub.test(noisy(noise="seed"), exact=True).to_dict())
    assert "with seed redrawn the metric is 5, which counts as 1; on the model's own scale 0.67" in noise
    old = {name: value for name, value in result.items() if name not in ("story", "holds", "interchange", "ceiling")}
    assert "of the calls" not in diagnostics(old)  # a run that was kept before these were asked
