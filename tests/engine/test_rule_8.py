"""Rule 8 on a transformer: names align positions. And rule 9, where a pattern is made of queries and keys.

Each test computes the right logits and those of an engine that breaks the rule by hooks, and tells them apart.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from graph_cases import story_of
from hooked import Hooked, Places, engine, mixed_rows

import scrub
from model.tiny_models import native
from scrub import claim, embed, heads, logits, pos, recovers
from scrub.claims.sites import Site

ROWS = mixed_rows()


@pytest.fixture(scope="module")
def places() -> Places:
    return Places(Hooked(native(), 1e-10), ROWS)


def scrubbed_logits(
    places: Places, sites: dict[str, Site], **options: Any
) -> tuple[torch.Tensor, list[dict[str, Any]]]:
    """Logits of every row under two draws, and the (own, rest) rows of each call by variable."""
    parents = {name: "kind" for name in sites if name != "answer"}
    story = story_of(**parents, answer=" ".join(parents) or "kind")
    setting = {"data": ROWS, "metric": "loss(label)", "expect": recovers(0.5), **options}
    found = engine(claim(story, model="tiny", **setting)(sites), places.model)
    return found.logits, [found.rows(call) for call in range(len(found.calls))]


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-9, atol=1e-9)


def test_rule_8_a_value_lands_at_the_position_of_the_same_name(places: Places) -> None:
    """A is at another index in the donor; aligned by index the embedding would land beside it."""
    sites = {"e": embed("A"), "answer": logits("END")}
    found, calls = scrubbed_logits(places, sites, through="all")
    different = 0
    for logit, rows in zip(found, calls, strict=True):
        frame, donor = rows["answer"][1], rows["e"][0]
        by_name = places.taken("embed", "A", frame, donor)
        ((hook, _, value),) = by_name
        tokens, end = places.tokens(frame), places.at(frame, "END")
        at = min(places.at(donor, "A"), len(tokens) - 1)
        right = places.model.patched(tokens, by_name)["logits"][end]
        wrong = places.model.patched(tokens, [(hook, (at,), value)])["logits"][end]
        assert close(logit, right)
        different += not close(right, wrong)
    assert different > len(calls) / 2


def test_rule_8_the_answer_is_read_in_the_frame_of_the_rest(places: Places) -> None:
    """Logits at END of r, not at the index that END has in x."""
    found, calls = scrubbed_logits(places, {"answer": logits("END")})
    different = 0
    for logit, rows in zip(found, calls, strict=True):
        own, rest = rows["answer"]
        run = places.model.plain(places.tokens(rest))
        right, wrong = run[places.at(rest, "END")], run[min(places.at(own, "END"), len(run) - 1)]
        assert close(logit, right)
        different += not close(right, wrong)
    assert different > len(calls) / 3


def test_rule_8_a_query_is_made_at_the_frames_own_position(places: Places) -> None:
    """1.2 at END is computed in its own frame, at END there; its z then lands at END of the root's frame."""
    reader = heads("1.2", at="END").reads(q="", k="a", v="a")
    sites = {"a": heads("0.1", at="A"), "h": reader, "answer": logits("END").reads(input="h")}
    story = story_of(a="kind", h="a", answer="h")
    setting = {"data": ROWS, "metric": "loss(label)", "expect": recovers(0.5), "through": "all"}
    found = engine(claim(story, model="tiny", **setting)(sites), places.model)
    different, z = 0, "blocks.1.attn.hook_z"
    for call in range(len(found.calls)):
        rows = found.rows(call)
        (own, frame), rest = rows["h"], rows["answer"][1]
        # q reads no parent: it is the plain run's, while k and v see what landed at A
        patches = places.taken("0.1", "A", frame, rows["a"][0])
        kv = [f"blocks.1.attn.hook_{c}" for c in "kv"]
        seen = places.model.patched(places.tokens(frame), patches, kv)
        run = places.model.patched(places.tokens(frame), [(hook, (), seen[hook]) for hook in kv], [z])[z]
        ends = [places.at(frame, "END"), min(places.at(own, "END"), len(run) - 1)]
        right, wrong = (
            places.model.patched(places.tokens(rest), [(z, (places.at(rest, "END"), 2), run[end, 2])])["logits"][
                places.at(rest, "END")
            ]
            for end in ends
        )
        assert close(found.logits[call], right)
        different += not close(right, wrong)
    assert different > len(found.calls) / 3


def test_rule_8_positions_are_the_frames_unless_they_are_claimed(places: Places) -> None:
    sites = {"e": embed("B"), "answer": logits("END")}
    claimed = {"e": embed("B"), "p": pos("B"), "answer": logits("END")}
    found, calls = scrubbed_logits(places, sites, through="all")
    both, calls_both = scrubbed_logits(places, claimed, through="all", together=[("e", "p")])
    different = 0
    for logit, rows in zip(found, calls, strict=True):
        frame, donor = rows["answer"][1], rows["e"][0]
        tokens, end = places.tokens(frame), places.at(frame, "END")
        patches = places.taken("embed", "B", frame, donor)
        right = places.model.patched(tokens, patches)["logits"][end]
        wrong = places.model.patched(tokens, patches + places.taken("pos", "B", frame, donor))["logits"][end]
        assert close(logit, right)
        different += not close(right, wrong)
    assert different > len(calls) / 3
    for logit, rows in zip(both, calls_both, strict=True):
        frame, donor = rows["answer"][1], rows["e"][0]
        assert donor == rows["p"][0]
        patches = places.taken("embed", "B", frame, donor) + places.taken("pos", "B", frame, donor)
        assert close(logit, places.model.patched(places.tokens(frame), patches)["logits"][places.at(frame, "END")])


def test_rule_8_padding_is_not_counted(places: Places) -> None:
    """-1 is the last token of each row, whatever the longest row of its batch."""
    found, calls = scrubbed_logits(places, {"answer": logits(-1)})
    longest, different = int(ROWS.lengths.max()), 0
    for logit, rows in zip(found, calls, strict=True):
        tokens = places.tokens(rows["answer"][1])
        right = places.model.plain(tokens)[-1]
        wrong = places.model.plain((*tokens, *[0] * (longest - len(tokens))))[-1]
        assert close(logit, right)
        different += not close(right, wrong)
    assert different > len(calls) / 3


def test_rule_8_all_needs_rows_of_one_length() -> None:
    sites = {"e": embed("all"), "answer": logits("END")}
    setting = {"data": ROWS, "metric": "loss(label)", "expect": recovers(0.5), "through": "all"}
    h = claim(story_of(e="kind", answer="e"), model=Hooked(native(), 0).weights, **setting)(sites)
    assert "different lengths" in str(scrub.check(h))
    assert "different lengths" not in str(scrub.check(h.but(within="length")))


def test_rule_9_a_head_that_reads_values_alone_takes_its_pattern_from_the_rest(places: Places) -> None:
    reader = heads("1.2", at="END").reads(v="e")
    sites = {"e": embed("A"), "h": reader, "answer": logits("END").reads(input="h")}
    story = story_of(e="kind", h="e", answer="h")
    setting = {"data": ROWS, "metric": "loss(label)", "expect": recovers(0.5), "through": "all"}
    found = engine(claim(story, model="tiny", **setting)(sites), places.model)
    different, z, v = 0, "blocks.1.attn.hook_z", "blocks.1.attn.hook_v"
    for call in range(len(found.calls)):
        rows = found.rows(call)
        frame, rest = rows["h"][1], rows["answer"][1]
        tokens, end = places.tokens(frame), places.at(frame, "END")
        whole = places.model.patched(tokens, places.taken("embed", "A", frame, rows["e"][0]), [z, v])
        alone = places.model.patched(tokens, [(v, (), whole[v])], [z])
        right, wrong = (
            places.model.patched(places.tokens(rest), [(z, (places.at(rest, "END"), 2), run[z][end, 2])])["logits"][
                places.at(rest, "END")
            ]
            for run in (alone, whole)
        )
        assert close(found.logits[call], right)
        different += not close(right, wrong)
    assert different > len(found.calls) / 3
