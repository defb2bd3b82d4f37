"""The static check as a whole: everything at once, each with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from claim_cases import TINY, checked, names_rows, names_sites, names_story, told
from scrub.claims.check import NO_EXPECTATION, Subject, check_claim, run_story
from scrub.claims.collect import collect
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import claim, recovers
from scrub.claims.interpretation import Interpretation
from scrub.claims.metric import Metric
from scrub.claims.placement import place
from scrub.claims.sites import Site, heads, nodes
from scrub.claims.titles import name_of

ROWS = """
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import claim, recovers
from scrub.claims.interpretation import Interpretation
from scrub.claims.sites import embed, heads, inside, logits, mlps, nodes
from claim_cases import names_rows

rows = names_rows()
del rows[4]["positions"]["S2"]
data = Dataset.from_rows(rows)
"""
STORY = """
story = Interpretation()

@story.variable
def doubled(s1, s2, shift=0.5):
    return 0.5 if s1 > 10 else s1

@story.variable
def name(doubled, oi):
    return oi

@story.variable
def spare(s1):
    return s1

@story.variable
def answer(name):
    return name
"""
CLAIM = """
@claim(story, model="tiny", data=data, metric="logit_dif(io, s1)", scored="evne",
       scoerd="even", through="mlps 0-9", together=[("s1", "x")])
def everything():
    return dict(
        s1=embed("S11"),
        s2=embed("S2"),
        doubled=heads("0.x", at="S2").reads(q="s2", k="s1", v="s1"),
        name=heads("7.0", at="END").reads(k="doubld"),
        spare=mlps(2, at=None),
        answer=logits("END"),
        extra="9.6",
    )
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "broken.py"
    path.write_text(ROWS + STORY + CLAIM)
    return path


def line_of(path: Path, text: str) -> int:
    return next(i for i, line in enumerate(path.read_text().splitlines(), start=1) if text in line)


def test_everything_is_told_at_once_with_its_place(file: Path) -> None:
    (hypothesis,) = collect([file]).hypotheses
    result = check_claim(hypothesis, Subject(TINY, vocabulary=50, context=16), hypothesis.data)  # type: ignore[arg-type]
    assert result.claim is None
    expected = [
        ("", "@claim", NO_EXPECTATION, None),
        ("", "@claim", "@claim has no argument 'scoerd'.", "scored"),
        ("", "@claim", "metric 'logit_dif(io, s1)' is unknown.", None),
        ("", "@claim", "through='mlps 0-9'", None),
        ("name", "def name", "'oi' is no variable and no column of the data.", "io"),
        ("doubled", "0.x", "'0.x' names no component", None),
        ("spare", "at=None", "None is no position", None),
        ("extra", "@claim", "extra='9.6' is no site", None),
        ("extra", "@claim", "'extra' is no variable", None),
        ("name", "7.0", "head 7.0 does not exist: tiny has layers 0 to 3", "3.0"),
        ("name", "7.0", ".reads(k='doubld'): not a placed parent", "doubled"),
        ("spare", "def spare", "this variable is unused", None),
        ("s1", "S11", "the data have no position 'S11'", "S1"),
        ("s2", '"S2")', "position S2 is missing in 1 of 12 rows: 4.", None),
        ("", "@claim", "together=('s1', 'x'): 'x' has no site", None),
        (
            "doubled",
            "def doubled",
            "in row 0 (and in rows 1, 3, 4, 6, 7, 9, 10): variable 'doubled': 0.5 is a float",
            None,
        ),
    ]
    shown = told(result)
    for variable, place_, found, near in expected:
        matching = [p for p in result.problems if p.found.startswith(found)]
        assert len(matching) == 1, (found, shown)
        (problem,) = matching
        # A decorator's line is that of its `@`, and a variable's that of its decorator.
        line = line_of(file, place_) - (place_.startswith("def "))
        assert (problem.variable, problem.file, problem.line, problem.nearest) == (
            variable,
            str(file),
            line,
            near,
        ), problem
        assert problem.hypothesis == "everything"
    assert len(result.problems) == len(expected), shown
    assert f"{file}:{line_of(file, '7.0')}  everything > name\n" in shown


def test_a_story_from_another_file_keeps_its_own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("told_story.py").write_text("from scrub.claims.interpretation import Interpretation\n" + STORY)
    Path("claims.py").write_text(ROWS + "from told_story import story\n" + CLAIM)
    (hypothesis,) = collect(["claims.py"]).hypotheses
    result = check_claim(hypothesis, Subject(TINY), hypothesis.data)  # type: ignore[arg-type]
    spare = [p for p in result.problems if p.variable == "spare" and "unused" in p.found]
    assert [(p.file, p.line) for p in spare] == [("told_story.py", line_of(Path("told_story.py"), "def spare") - 1)]
    assert [p.file for p in result.problems if "7.0" in p.found] == ["claims.py"]


def test_a_sound_claim_is_resolved() -> None:
    result = checked()
    assert result.claim is not None
    assert result.accuracy == 1.0
    assert result.claim.values["doubled"] == result.claim.values["s1"]
    assert (
        result.claim.classes(("io", "s1")).tolist() == [0, 1, 2] * 4
        or len(set(result.claim.classes(("io", "s1")).tolist())) == 3
    )
    assert str(result).endswith("::build: no problems; the story is right on 100.0% of scored rows")
    assert result.to_dict() == {"hypothesis": result.name, "problems": [], "warnings": [], "accuracy": 1.0}


def test_a_missing_expectation_is_a_problem_but_the_claim_still_stands() -> None:
    result = checked(expect=None)
    (problem,) = result.problems
    assert problem.found == NO_EXPECTATION
    assert problem.fix == "State it beforehand: expect=recovers(0.8)."
    assert result.claim is not None


def test_problems_as_data() -> None:
    (problem,) = checked(names_sites(io=heads("7.0", at="END"))).to_dict()["problems"]
    assert set(problem) == {"file", "line", "variable", "found", "nearest", "fix"}
    assert (problem["variable"], problem["nearest"]) == ("io", "3.0")


def bad_place() -> dict[str, Any]:
    raise ZeroDivisionError("layers")


def no_component() -> dict[str, Any]:
    return {"io": Site((), ()).part(1)}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (bad_place, "the claim raised ZeroDivisionError: layers"),
        (no_component, ".part(1): give directions(U), or latents"),
        (lambda: [1], "<lambda> returns list; it must return"),
    ],
)
def test_a_claim_that_fails_is_told_with_its_line(build: Any, message: str) -> None:
    data = Dataset.from_rows(names_rows())
    hypothesis = claim(names_story(), model="tiny", data=data, metric="kl", predicts="io", expect=recovers(1))(build)
    result = check_claim(hypothesis, Subject(TINY), data)
    (problem,) = result.problems
    assert problem.found.startswith(message)
    assert problem.line == build.__code__.co_firstlineno + (build.__name__ != "<lambda>")


def test_too_little_data() -> None:
    assert "the data set is empty.  A pool of rows is needed" in told(checked(data=Dataset(())))
    assert "the data set has one row only: there is nothing to swap" in told(
        checked(data=Dataset.from_rows(names_rows(1)))
    )


def row_changes(change: Any) -> Dataset:
    rows = names_rows()
    for number, row in enumerate(rows):
        change(number, row)
    return Dataset.from_rows(rows)


def drop_io(number: int, row: dict[str, Any]) -> None:
    if number in (2, 5):
        del row["columns"]["io"]


def float_io(number: int, row: dict[str, Any]) -> None:
    if number > 9:
        row["columns"]["io"] = 0.5


def test_columns() -> None:
    found = told(checked(data=row_changes(lambda _, row: row["columns"].update(name=1))))
    assert "build > name\n    a variable is named like a column of the data.  Rename one of them." in found
    found = told(checked(data=row_changes(drop_io)))
    assert "column 'io' is missing in rows 2, 5.  Every row needs it." in found
    assert "KeyError" not in found
    found = told(checked(data=row_changes(float_io), metric="loss(s1)"))
    assert "build > name\n    in row 10 (and in rows 11): variable 'name': 0.5 is a float" in found
    assert "build > io\n    column 'io': in row 10 (and in rows 11): 0.5 is a float" in found
    assert "the rows have no tokens, and the model is a transformer" in told(
        checked(data=row_changes(lambda _, row: (row.pop("tokens"), row.pop("positions"))))
    )


def test_inputs_of_a_computation_graph_are_columns() -> None:
    import networkx as nx

    from scrub.model.computation import Computation

    graph = nx.DiGraph([("xs", "out")])
    graph.nodes["out"]["function"] = lambda xs: xs
    story = Interpretation()

    @story.variable
    def answer(x: int) -> int:
        return x

    def found(*rows: dict[str, Any]) -> str:
        sites = {"answer": nodes("out")}
        return told(
            checked(
                sites,
                story=story,
                graph=Computation.of(graph),
                metric="loss(x)",
                data=Dataset.from_rows({"columns": r} for r in rows),
            )
        )

    assert (
        "the model's input 'xs' is read from the column of that name, missing in every row.  Did you mean x?"
        in found({"x": 1}, {"x": 2})
    )
    assert found({"x": 1, "xs": 1}, {"x": 2}).endswith(
        "the model's input 'xs' is read from the column of that name, missing in rows 1."
    )
    assert found({"x": 1, "xs": 1}, {"x": 2, "xs": 1}) == ""


def test_together_needs_a_shared_reader() -> None:
    assert told(checked(together=[("s1", "s2")])) == ""
    assert "together=('s1', 'io'): these never share a reader.  Only parents of one call" in told(
        checked(together=[("s1", "io")])
    )


def test_what_follows_from_a_failure_is_left_out() -> None:
    story = Interpretation()

    @story.variable
    def first(s1: int) -> int:
        return 1 // 0

    @story.variable
    def second(first: int) -> int:
        return first

    @story.variable
    def third(io: int) -> int:
        return io

    data = Dataset.from_rows(names_rows())
    values, (problem,) = run_story(story, None, data)
    assert set(values) == {"third"}
    assert (problem.variable, problem.line) == ("first", first.__code__.co_firstlineno)
    assert "variable 'first' raised ZeroDivisionError" in problem.found


def test_a_failing_variable_does_not_leave_its_column_to_others() -> None:
    story = Interpretation()

    @story.variable
    def s1(io: int) -> float:
        return 0.5

    @story.variable
    def answer(s1: int) -> int:
        return s1

    values, (problem,) = run_story(story, None, Dataset.from_rows(names_rows()))
    assert values == {}
    assert problem.variable == "s1"


def test_a_wrong_through_blames_no_edge() -> None:
    sites = names_sites(name=heads("2.0", at="END").reads(q="doubled", v="io"))
    (problem,) = checked(sites, through="haeds").problems
    assert problem.found.startswith("through='haeds' names nothing")


def never_zero(output: Any, row: Any) -> float:
    return 1.0


@pytest.mark.parametrize(
    ("options", "accuracy"),
    [
        ({}, 1.0),
        ({"predicts": "s1"}, 0.0),
        ({"metric": "kl", "predicts": "io"}, 1.0),
        ({"metric": Metric(never_zero), "predicts": "length"}, 0.0),
        ({"scored": "even", "predicts": "even"}, 0.0),
    ],
)
def test_how_often_the_story_is_right(options: dict[str, Any], accuracy: float) -> None:
    assert checked(**options).accuracy == accuracy


def test_only_scored_rows_count_for_the_story() -> None:
    def change(number: int, row: dict[str, Any]) -> None:
        row["columns"]["label"] = row["columns"]["io"] if number % 2 == 0 else 0

    assert checked(data=row_changes(change), predicts="label").accuracy == 0.5
    assert checked(data=row_changes(change), predicts="label", scored="even").accuracy == 1.0


def test_the_digest_is_of_meaning() -> None:
    def digest(**options: Any) -> str:
        found = checked(**options).claim
        assert found is not None
        return found.digest

    def renamed() -> str:
        story = Interpretation()

        @story.variable
        def twice(s1: int, s2: int) -> int | None:
            return s2 if s1 == s2 else None

        @story.variable
        def who(twice: int | None, io: int) -> int:
            return io

        @story.variable
        def said(who: int) -> int:
            return who

        sites = names_sites()
        new = {
            "io": sites["io"],
            "s1": sites["s1"],
            "s2": sites["s2"],
            "twice": sites["doubled"],
            "said": sites["answer"],
        }
        return digest(story=story, sites=new | {"who": heads("2.1 2.0", at="END").reads(k="twice io", v="twice io")})

    same = digest()
    assert renamed() == same
    others = [
        digest(rest="keep"),
        digest(scored="even"),
        digest(through="mlps"),
        digest(expect=recovers(0.7)),
        digest(metric="loss(io)"),
        digest(together=[("s1", "s2")]),
        digest(sites=names_sites(name=heads("2.0", at="END").reads(k="doubled io", v="io doubled"))),
        digest(data=Dataset.from_rows(names_rows(11))),
        digest(sites=names_sites(name=heads("2.0 2.1", at="END").reads(k="doubled io", v="io doubled").linked())),
    ]
    assert len({same, *others}) == len(others) + 1


def test_names_of_claims(file: Path) -> None:
    (hypothesis,) = collect([file]).hypotheses
    assert name_of(hypothesis) == f"{file}::everything"
    assert place(names_story(), names_sites(), TINY)[1] == []
