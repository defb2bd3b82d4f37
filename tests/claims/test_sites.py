"""Sites as a user writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.claims.problems import collecting
from scrub.claims.sites import Site, attn, embed, heads, inside, logits, mlps, nodes, pos, resid
from scrub.errors import ClaimError


@pytest.mark.parametrize(
    ("site", "text"),
    [
        (heads("L10H11 9.6", at="END"), "9.6 10.11 @ END"),
        (mlps("0-1", at="S1 S2"), "mlp 0, mlp 1 @ S1 S2"),
        (mlps(3, at=-1), "mlp 3 @ -1"),
        (attn(2, at="all"), "attn 2 @ all"),
        (resid(12, at="S1+1"), "resid 12 @ S1+1"),
        (embed("IO"), "embed @ IO"),
        (pos(0), "pos @ 0"),
        (logits("END"), "logits @ END"),
        (nodes("h2 h1"), "h1 h2"),
    ],
)
def test_a_site_prints_in_canonical_order(site: Site, text: str) -> None:
    assert str(site) == text


def test_reads_omits_and_linked() -> None:
    site = heads("9.6", at="END").reads(q="a", k="b c").reads(v=["b", "c"]).omits("d", "e f").linked()
    assert site.reading == (("q", ("a",)), ("k", ("b", "c")), ("v", ("b", "c")))
    assert site.omitted == ("d", "e", "f")
    assert site.is_linked
    assert not heads("9.6", at="END").is_linked
    with pytest.raises(ClaimError, match=r"names the channel k twice on 9\.6 @ END"):
        site.reads(k="x")


def test_equality_is_of_meaning_not_of_place() -> None:
    first = heads("9.6", at="END")
    second = heads("a9.h6", at="END")
    assert first == second
    assert first.line != second.line
    assert {first} == {second}


def test_the_canonical_text_does_not_depend_on_the_order_of_slots() -> None:
    assert heads("9.6", at="S2 S1").canonical == heads("9.6", at="S1 S2").canonical
    assert heads("9.6", at="S2 S1") != heads("9.6", at="S1 S2")


def test_a_site_knows_where_it_was_written() -> None:
    site = nodes("h1").reads(x="a")
    assert Path(str(site.file)).name == "test_sites.py"
    assert site.line == test_a_site_knows_where_it_was_written.__code__.co_firstlineno + 1


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda: heads("9.x", at="END"), "'9.x' names no component"),
        (lambda: heads("9.6", at="S1*2"), "is no position"),
        (lambda: mlps("a", at="END"), "is not a layer of mlp"),
        (lambda: nodes(""), "no nodes are named"),
    ],
)
def test_a_wrong_site_is_an_error_at_once(write: Callable[[], Site], message: str) -> None:
    with pytest.raises(ClaimError, match=message):
        write()


def test_within_collecting_wrong_sites_are_told_together() -> None:
    with collecting() as problems:
        wrong = [heads("9.x", at="S1*2"), nodes(""), heads("9.6", at="END")]
    assert [bool(site.components) for site in wrong] == [False, False, True]
    assert [p.found.split()[0] for p in problems] == ["'9.x'", "'S1*2'", "no"]
    assert {p.line for p in problems} == {wrong[0].line}
    with pytest.raises(ClaimError):
        heads("9.x", at="END")


def test_inside_and_the_values_behind() -> None:
    assert repr(inside) == "inside"
    assert heads("0.1", at="END").components == (Component("head", 0, 1),)
    assert heads("0.1", at="END").at == (Slot("END"),)


def test_reserved_names_can_be_imported_and_say_so() -> None:
    import scrub

    with pytest.raises(ClaimError, match="reserved and not built yet"):
        scrub.estimate(0)  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="no attribute 'neuron'"):
        scrub.neuron  # type: ignore[attr-defined]  # noqa: B018
