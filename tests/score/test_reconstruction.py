"""Dictionaries on scrubbed hosts: told where latents of two rows make a host that the dictionary does not know."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

import scrub
from report.test_page_besides import diagnostics
from score.part_claims import BITS, READ, TOKENS, D, claim_of, part
from scrub import Dictionary, latents
from scrub.claims.sites import Site
from scrub.report.text import result_text
from scrub.score import dictionaries
from scrub.score.reconstruction import Reconstruction

KNOWN = Reconstruction("mlp 1", 1, 1.0, 0.0, 1.0, 0.0)
LEFT = 0.1  # of each vector, that the dictionaries miss


def corners() -> Dictionary:
    """One latent for each token, of which one is active at once: what lies between corners it does not know."""
    written = np.zeros((len(TOKENS), D))
    written[:, READ : READ + BITS] = TOKENS
    return Dictionary(written.T / BITS, (1 - LEFT) * written, topk=1)


def signs() -> Dictionary:
    """Two latents for each bit, which know every host that has three bits."""
    written = np.zeros((2 * BITS, D))
    for unit, (bit, sign) in enumerate(product(range(BITS), (1, -1))):
        written[unit, READ + bit] = sign
    return Dictionary(written.T, (1 - LEFT) * written)


def judged(site: Site, **options: Any) -> Any:
    asked = claim_of(site, **options)
    return scrub.test(asked, draws=8, explain=False, parts="none", controls="none", dtype="float64")


FIRST = " ".join(str(token) for token, bits in enumerate(TOKENS) if bits[0] > 0)


@pytest.mark.parametrize("rest", ["resample", "mean"])
def test_a_dictionary_that_does_not_know_scrubbed_hosts_is_told(rest: str) -> None:
    """Donors with the bit bring their corner, beside the corner of a frame without it."""
    result = judged(part(latents(corners(), FIRST)), rest=rest)
    (found,) = result.dictionaries
    assert (found.host, found.own_active) == ("mlp 1", 1)
    assert found.own_error == pytest.approx(LEFT**2)
    assert found.error > 0.1
    assert [text for text in result.warnings if "does not know" in text] == [found.warning]


def test_one_that_knows_them_is_not() -> None:
    result = judged(part(latents(signs(), "0 1")))
    (found,) = result.dictionaries
    assert (found.active, found.own_active) == (BITS, BITS)
    assert (found.error, found.own_error) == (pytest.approx(LEFT**2), pytest.approx(LEFT**2))
    assert not any("does not know" in text for text in result.warnings)


def test_scrubbed_hosts_are_the_frames_with_what_latents_write_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first bit is the donor's, up to what the latents miss of it, the others are the frame's."""
    seen: list[Any] = []
    monkeypatch.setattr(dictionaries, "_compared", lambda *given: seen.append(torch.cat(given[3])) or KNOWN)
    judged(part(latents(signs(), "0 1")))
    first, *others = seen[0][:, READ : READ + BITS].T.tolist()
    moved = 1 - 2 * LEFT
    assert {round(x, 9) for x in first} == {-1, -moved, moved, 1}
    assert {round(x, 9) for bit in others for x in bit} == {-1, 1}


def test_text_page_and_json_show_them() -> None:
    result = judged(part(latents(corners(), FIRST)))
    (found,) = result.dictionaries
    assert any(line.split(maxsplit=1) == ["dictionary", str(found)] for line in result_text(result).splitlines())
    kept = result.to_dict()
    assert kept["diagnostics"]["dictionaries"] == [found.to_dict()]
    assert str(found) in diagnostics(kept)
    kept["diagnostics"].pop("dictionaries")  # a run that was kept before these were asked
    assert "latents are active" not in diagnostics(kept)
    assert "latents are active" not in result_text(judged(part(scrub.directions(np.eye(D)[READ]))))
