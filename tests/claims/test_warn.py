"""What is not wrong but worth a second look."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from claim_cases import checked, names_rows, names_sites, names_story
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.check import Subject, check_claim
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Hypothesis, claim, recovers
from scrub.claims.sites import embed, heads, logits

SITES = names_sites()
DATA = Dataset.from_rows(names_rows())
DECLARED = claim(names_story(), model="tiny", data=DATA, metric="logit_diff(io, s1)", expect=recovers(0.8))


def warned(hypothesis: Hypothesis | None = None, /, **changes: Any) -> tuple[str, ...]:
    if hypothesis is None:
        result = checked(**changes)
    else:
        from claim_cases import TINY

        graph: TransformerGraph = TINY
        result = check_claim(hypothesis, Subject(graph), DATA)
    assert not result.problems, result.problems
    return result.warnings


@DECLARED
def twice() -> dict[str, Any]:
    sites = {
        "io": embed("S1"),
        "io": embed("IO"),  # noqa: F601
    }
    return {**SITES, **sites}


literal = DECLARED(
    {
        "s1": embed("IO"),
        "s1": embed("S1"),  # noqa: F601
        **{name: site for name, site in SITES.items() if name != "s1"},
    }
)


def test_a_sound_claim_has_no_warnings() -> None:
    assert warned() == ()


def test_duplicate_keys_of_a_function_and_of_a_literal() -> None:
    assert warned(twice) == ("the correspondence names 'io' twice; Python keeps the last.",)
    assert warned(literal) == ("the correspondence names 's1' twice; Python keeps the last.",)
    assert warned(literal.but(rest="keep")) == ()


def test_a_pattern_without_values() -> None:
    doubled = heads("0.1", at="S2").reads(q="s2", k="s1")
    (found,) = warned(sites=names_sites(doubled=doubled))
    assert found.startswith("doubled at 0.1 @ S2: q or k has parents while v has none")


def test_a_variable_with_one_value() -> None:
    rows = names_rows()
    for row in rows:
        row["columns"].update(s1=1, s2=1)
    found = warned(data=Dataset.from_rows(rows))
    assert "s1 has the one value 1 on all rows: any row may replace any other there." in found
    assert [sentence.split()[0] for sentence in found] == ["s1", "s2", "doubled"]


def test_a_site_that_nothing_reads() -> None:
    name = heads("2.0", at="END").reads(v="io").omits("doubled")
    found = warned(sites=names_sites(name=name))
    assert [s for s in found if s.startswith("doubled")] == [
        "doubled has a site, but no site on the way to the output reads it."
    ]
    assert {s.split()[0] for s in found} == {"doubled", "s1", "s2"}


def test_a_story_that_is_wrong_on_its_own() -> None:
    (found,) = warned(predicts="s1")
    assert found == "the story by itself is right on only 0.0% of the scored rows."
    assert "warning: the story by itself" in str(checked(predicts="s1"))


def test_what_was_noticed_as_rows_were_made_is_told() -> None:
    noted = evolve(DATA, notes=("look at these rows.",))
    assert warned(data=noted) == ("look at these rows.",)
    assert warned(data=noted.taken(range(11))) == ("look at these rows.",)


def test_problems_silence_what_would_follow_from_them() -> None:
    assert checked(names_sites(doubled=heads("7.0", at="S2"), answer=logits("END"))).warnings == ()
