"""What is not wrong but worth a second look."""

from __future__ import annotations

from typing import Any

from attrs import evolve

import scrub
from claim_cases import checked, names_rows, names_sites, names_story
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.check import Subject, check_claim
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Hypothesis, claim, recovers
from scrub.claims.sites import embed, heads, logits, nodes

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
    said = "s1 has the one value 1 on all rows: any row may replace any other there. Nothing is known of"
    assert any(sentence.startswith(said) for sentence in found)
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


def unclaimed(rows: list[dict[str, Any]], **options: Any) -> tuple[str, ...]:
    """y = x + u + h, h of w and v, where x alone is claimed."""
    from score.cases import claim_of, graph, rows_of

    model = graph(h=lambda w, v: w, y=lambda x, u, h: x + u + h)
    data = rows_of({"label": 0, "v": i % 5, **row} for i, row in enumerate(rows))
    made = claim_of(model, {"answer": lambda x: x}, {"x": "x", "answer": nodes("y").reads(x="x")}, data, **options)
    result = scrub.check(made)
    assert not result.problems, result.problems
    return tuple(s for s in result.warnings if "nothing is known" in s)


def test_an_unclaimed_input_with_one_value() -> None:
    rows = [{"x": i, "u": 3, "w": [i % 3]} for i in range(12)]
    (found,) = unclaimed(rows)
    assert found.startswith(
        "the unclaimed input 'u' has the one value 3 on all rows: nothing is known of what it does"
    )
    assert "rest_rows=" in found
    assert unclaimed([{**row, "u": row["x"]} for row in rows]) == ()
    assert len(unclaimed([{**row, "w": [[1.5], "a"]} for row in rows])) == 2  # of any type
    assert unclaimed([{**row, "u": 3 + (row["x"] == 11)} for row in rows]) == ()


def test_an_unclaimed_input_with_one_value_in_each_stratum() -> None:
    rows = [{"x": i, "u": i % 2, "w": i % 3, "kind": i % 2} for i in range(12)]
    assert unclaimed(rows) == ()
    (found,) = unclaimed(rows, within="kind")
    assert found.startswith("the unclaimed input 'u' has one value in each stratum: nothing is known")


def test_an_input_that_reaches_nothing_is_not_told() -> None:
    from score.cases import claim_of, graph, rows_of

    model = graph(y=lambda x: x, z=lambda u: u)
    data = rows_of({"x": i, "u": 1, "label": i} for i in range(10))
    made = claim_of(model, {"answer": lambda x: x}, {"x": "x", "answer": "y"}, data)
    assert scrub.check(made).warnings == ()
