"""Where a problem is told to be."""

from __future__ import annotations

from pathlib import Path

from scrub.claims.problems import ClaimProblems, Problem, gathered, located, same_file
from scrub.errors import ScrubError, did_you_mean, nearest, some


def test_a_problem_says_place_name_finding_nearest_and_fix() -> None:
    problem = Problem("'a' is unknown.", "Rename it.", "b", "name", "ioi", "ioi.py", 7)
    assert str(problem) == "ioi.py:7  ioi > name\n    'a' is unknown.  Did you mean b?  Rename it."
    assert str(Problem("bad")) == "bad"
    assert str(Problem("bad", file="f.py")) == "f.py\n    bad"
    assert problem.to_dict()["line"] == 7


def test_a_claims_own_place_fills_what_is_missing() -> None:
    own, other, none = located(
        [
            Problem("a", file="./x.py", line=3),
            Problem("b", file=str(Path.cwd() / "stories.py"), line=4),
            Problem("c"),
        ],
        "ioi",
        "x.py",
        9,
    )
    assert (own.file, own.line, own.hypothesis) == ("x.py", 3, "ioi")
    assert (other.file, other.line) == ("stories.py", 4)
    assert (none.file, none.line) == ("x.py", 9)


def test_a_file_elsewhere_keeps_its_whole_path(tmp_path: Path) -> None:
    (problem,) = located([Problem("a", file=str(tmp_path / "s.py"), line=1)], "ioi", "x.py", 9)
    assert problem.file == str(tmp_path / "s.py")


def test_one_file_has_several_spellings() -> None:
    assert same_file(__file__, str(Path(__file__).parent / ".." / "claims" / Path(__file__).name))


def test_all_problems_make_one_error() -> None:
    error = ClaimProblems([Problem("a"), Problem("b")])
    assert isinstance(error, ScrubError)
    assert str(error) == "a\nb"
    assert len(error.problems) == 2


def test_lists_and_near_names_in_sentences() -> None:
    assert some(range(10), 3) == "0, 1, 2 and 7 more"
    assert some([1, 2]) == "1, 2"
    assert nearest("subjct", ["io", "subject"]) == "subject"
    assert did_you_mean("subjct", ["io", "subject"]) == " Did you mean 'subject'?"
    assert did_you_mean("qqq", ["io"]) == ""


def test_a_mistake_that_claims_share_is_told_once_with_all_of_them() -> None:
    claims = [("ioi", 9), ("f1", 20), ("f2", 21), ("f3", 22), ("f4", 23), ("f5", 24)]
    shared = [p for name, line in claims for p in located([Problem("the metric is unknown.")], name, "x.py", line)]
    (told,) = gathered(shared)
    assert str(told) == "x.py:9  ioi, f1, f2, f3 and 2 more\n    the metric is unknown."
    assert str(ClaimProblems(shared)) == str(told)
    assert len(ClaimProblems(shared).problems) == 6
    places = [Problem("head 9.9 does not exist.", file="x.py", line=line) for line in (3, 4)]
    assert [str(p) for p in gathered(places)] == [str(p) for p in places]  # two typing errors, though alike
