"""Rows that a search saw are left out of everything that a claim is tested on."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import scrub
from claim_cases import TINY, checked, names_claim, names_rows, told
from cli_cases import FALSE, HEAD, Write
from cli_cases import scrub as run_scrub
from cli_cases import write as write
from scrub.claims.check import Checked, Subject, check_claim
from scrub.claims.dataset import Dataset, Row
from scrub.claims.hypothesis import Hypothesis, Options
from scrub.claims.protocol import protocol
from scrub.errors import ClaimError
from scrub.model.resolve import sound
from scrub.verbs.setup import references

SPACE: dict[str, Any] = {}
exec(HEAD + FALSE, SPACE)


def numbered(count: int) -> Dataset:
    """Unlike rows of the small graph: equal columns would be one input."""
    return Dataset.from_rows(
        {"columns": {"a": i % 6, "b": i % 4, "sum": i % 6 // 2 + i % 4, "n": i, "even": i % 2 == 0}}
        for i in range(count)
    )


GRAPH, MORE = numbered(24), numbered(48)  # too few rows for a verdict, and enough
HALF = tuple(range(0, 24, 3))


def digests(data: Dataset, rows: Any) -> tuple[str, ...]:
    return tuple(data.rows[row].input_digest for row in rows)


def without(data: Dataset, rows: Any) -> Dataset:
    return Dataset([row for number, row in enumerate(data.rows) if number not in rows])


def make(data: Dataset = GRAPH, **changed: Any) -> Hypothesis:
    """A claim of the small graph that is half right, so that every draw shows in its numbers."""
    return SPACE["make"](SPACE["odd"], data=data, **changed)


def unlike(count: int = 12) -> Dataset:
    """The rows of the names with a token of their own each."""
    rows = names_rows(count)
    for number, row in enumerate(rows):
        row["tokens"][2] = 20 + number
        row["columns"]["id"] = f"row {number}"
    return Dataset.from_rows(rows)


def with_partners(partners: list[Any], data: Dataset | None = None) -> Dataset:
    rows = (unlike() if data is None else data).rows
    return Dataset([Row(r.tokens, r.positions, {**r.columns, "to": p}) for r, p in zip(rows, partners, strict=True)])


def paired(data: Dataset, rows: Any, **options: Any) -> Checked:
    hypothesis = names_claim(data=data, rest="paired", pair="to", seen=digests(data, rows), **options)
    return check_claim(hypothesis, Subject(TINY, vocabulary=50, context=16), data)


def test_an_input_is_its_tokens_or_without_tokens_its_columns() -> None:
    row = Row((1, 2), {"END": 1}, {"a": 1})
    assert len(row.input_digest) == 16
    assert int(row.input_digest, 16) >= 0
    assert Row((1, 2), {}, {"a": 2, "b": 3}).input_digest == row.input_digest
    assert Row((1, 3), {"END": 1}, {"a": 1}).input_digest != row.input_digest
    bare = Row((), {}, {"a": 1, "b": 2})
    assert Row((), {}, {"b": 2, "a": 1}).input_digest == bare.input_digest
    assert Row((), {}, {"a": 1, "b": 3}).input_digest != bare.input_digest
    assert bare.input_digest == "9f2f2ca1874fa82d"  # files store it: it must stay


def test_digests_come_as_a_tuple_or_as_one_text_and_are_a_set() -> None:
    first, second = digests(GRAPH, (0, 1))
    assert Options(seen=(second, first, second)) == Options(seen=f"\n    {first}\n    {second}\n")
    assert Options(seen=[second, first]).deviations() == {"seen": tuple(sorted((first, second)))}
    assert Options(seen=(first, second), scored="even").shown() == {"scored": "even", "seen": 2}
    assert Options(scored="even").shown() == {"scored": "even"}
    assert Options(seen="").deviations() == {}


@pytest.mark.parametrize(
    ("seen", "sentence"),
    [
        (("0123456789abcde",), "seen=: '0123456789abcde' is no digest of rows: write those of row.input_digest"),
        ("0123456789abcdeg 0123456789abcdef x", "seen=: '0123456789abcdeg', 'x' are no digests"),
        ((3, "0123456789abcdef\n"), r"seen=: 3, '0123456789abcdef\\n' are no digests"),
        (64, "seen=: 64 is no digest"),
        (None, "seen=: None is no digest"),
    ],
)
def test_what_is_no_digest(seen: Any, sentence: str) -> None:
    with pytest.raises(ClaimError, match=sentence):
        make(seen=seen)
    with pytest.raises(ClaimError, match=sentence):
        make().but(seen=seen)


@pytest.mark.parametrize(
    "options", [{}, {"scored": "even"}, {"rest_rows": "even"}, {"within": "even"}, {"rest": "mean"}]
)
@pytest.mark.parametrize("exact", [False, True])
def test_numbers_are_those_of_data_without_the_rows(options: dict[str, Any], exact: bool) -> None:
    third = range(0, 48, 3)
    seen = scrub.test(make(MORE, seen=digests(MORE, third), **options), exact=exact, draws=5)
    less = scrub.test(make(without(MORE, third), **options), exact=exact, draws=5)
    for name, column in less.table.items():
        assert np.array_equal(seen.table[name], column), name
    mine, other = seen.to_dict(), less.to_dict()
    assert mine.pop("digest") != other.pop("digest")
    assert mine["options"].pop("seen") == len(third)
    assert mine["diagnostics"].pop("seen") == {"digests": len(third), "rows": len(third), "partners": 0}
    assert other["diagnostics"].pop("seen") == {"digests": 0, "rows": 0, "partners": 0}
    assert (mine["provenance"].pop("left_out"), other["provenance"].pop("left_out")) == (len(third), 0)
    few = [w for w in mine["diagnostics"]["warnings"] if "a search saw 16 rows; 16 scored rows are left" in w]
    assert len(few) == ("scored" in options)
    mine["diagnostics"]["warnings"] = [w for w in mine["diagnostics"]["warnings"] if w not in few]
    assert mine == other


@pytest.mark.parametrize("rest", ["resample", "mean", "keep"])
def test_a_model_never_reads_what_was_seen(rest: str) -> None:
    poison = 999

    def sound_row(a: int) -> int:
        assert a < poison / 100  # a mean over a seen row would be larger
        return a // 2

    def model() -> Any:
        made = SPACE["graph"]()
        made.nodes["h"]["function"] = sound_row
        return made

    rows = [r for r in GRAPH.rows] + [Row((), {}, {**r.columns, "a": poison}) for r in GRAPH.rows[:6]]
    data = Dataset(rows[3:] + rows[:3])
    bad = [row.input_digest for row in rows if row.columns["a"] == poison]
    claim = make(data, model=model, rest=rest, seen=bad)
    assert scrub.test(claim, draws=10).rows == 24
    assert scrub.test(claim, exact=True).seen.rows == 6
    assert {word.row for word in scrub.explain(claim, draws=2).worst} <= set(range(24))
    with pytest.raises(scrub.errors.ScrubError, match="AssertionError"):
        scrub.test(claim.but(seen=bad[1:]), draws=10)


def test_a_resolved_claim_has_every_array_cut() -> None:
    claim, _ = sound(make(seen=digests(GRAPH, HALF), scored="even", within="b", rest_rows="even", empty="self"))
    left = [row for row in range(24) if row not in HALF]
    assert claim.data.numbers is not None
    assert claim.data.numbers.tolist() == left
    assert [row.columns["n"] for row in claim.data.rows] == left
    for array in (claim.stratum, claim.scored, claim.rest_from, claim.pair, *claim.values.values()):
        assert len(array) == len(left)
    assert claim.scored.tolist() == claim.rest_from.tolist() == [row % 2 == 0 for row in left]
    assert sorted(references(claim, None, 0)) == [i for i, row in enumerate(left) if row % 2 == 0]
    plan = scrub.plan(make(seen=digests(GRAPH, HALF)), draws=2)
    assert (plan.rows, plan.pool) == (16, 16)


def test_the_check_counts_the_rows_that_are_left() -> None:
    rows = [Row((), {}, {**r.columns, "sum": r.columns["sum"] + (i < 6)}) for i, r in enumerate(MORE.rows)]
    assert scrub.check(make(Dataset(rows))).accuracy == pytest.approx(42 / 48)
    checks = scrub.check(make(Dataset(rows), seen=digests(Dataset(rows), range(6))))
    assert (checks.accuracy, checks.warnings, checks.problems) == (1.0, (), ())
    broken = [r if i not in (5, 9) else Row((), {}, {"a": "x", "b": i}) for i, r in enumerate(MORE.rows)]
    text = told(scrub.check(make(Dataset(broken), seen=digests(Dataset(broken), (2, 5)))))
    assert "rows 7" in text  # row 9 of the data; the seen row 5 is not spoken of
    assert "rows 5" not in text


def test_the_digest_changes_with_what_was_seen() -> None:
    none, one, other = (), digests(GRAPH, (0,)), digests(GRAPH, (1,))
    unmatched = [("0" * 16,), ("f" * 16,)]  # on the same rows: the digests count, not how many there are
    found = [sound(make(seen=seen))[0].digest for seen in (none, one, other, one + other, *unmatched)]
    assert len(set(found)) == 6
    assert sound(make(seen=other + one))[0].digest == found[3]
    assert sound(make().but(seen=one))[0].digest == found[1]
    assert sound(make(seen=one).but(seen=()))[0].digest == found[0]


def test_equal_inputs_are_all_left_out() -> None:
    data = Dataset.from_rows(names_rows())
    result = checked(data=data, seen=digests(data, (0,)))
    assert result.claim is not None
    assert result.claim.seen.rows == 4  # rows 3, 6 and 9 have the tokens of row 0, with another column
    assert len(result.claim.data) == 8


def test_digests_that_match_nothing_are_warned_of() -> None:
    gone = ("0" * 16, "f" * 16)
    [warning] = scrub.check(make(MORE, seen=digests(MORE, (0, 1)) + gone)).warnings
    assert warning.startswith("seen=: 2 of 4 digests match no row: the data have changed since")
    result = scrub.test(make(seen=gone), draws=2)
    assert result.to_dict()["diagnostics"]["seen"] == {"digests": 2, "rows": 0, "partners": 0}
    assert "left out" not in str(result)
    assert "2 of 2 digests match no row" in str(result)


def test_a_text_counts_and_never_lists_digests() -> None:
    result = scrub.test(make(seen=digests(GRAPH, range(5))), draws=2)
    text = str(result)
    assert [line.split() for line in text.splitlines() if "left out" in line] == [
        ["left", "out", "5", "rows", "that", "a", "search", "saw"]
    ]
    assert "seen=5" in text
    assert not any(digest in text + json.dumps(result.to_dict()) for digest in digests(GRAPH, range(5)))
    assert "1 row that a search saw" in str(scrub.test(make(seen=digests(GRAPH, (3,))), draws=2))


@pytest.mark.parametrize(("left", "words"), [(0, "none are left"), (1, "1 is left")])
def test_nothing_left_to_swap(left: int, words: str) -> None:
    claim = make(seen=digests(GRAPH, range(24 - left)))
    [problem] = scrub.check(claim).problems
    assert problem.found == f"seen=: a search saw {24 - left} rows, of 24: {words}, and there is nothing to swap."
    assert problem.fix == "Give the claim more data, or search on fewer rows (--rows)."
    with pytest.raises(ClaimError, match="a search saw"):
        scrub.test(claim)
    assert scrub.check(make(seen=digests(GRAPH, range(22)))).problems == ()


def test_no_scored_row_or_no_rest_row_left() -> None:
    even = digests(GRAPH, range(0, 24, 2))
    [problem] = scrub.check(make(scored="even", seen=even)).problems
    assert problem.text.startswith("scored=: a search saw every row that column 'even' marks.  Give the claim more")
    found = scrub.check(make(within="b", rest_rows="even", scored="even", seen=digests(GRAPH, (2, 6, 10, 14, 18))))
    assert found.problems == ()
    found = scrub.check(make(within="a", rest_rows="even", seen=even[::3]))
    assert "A search saw 4 rows, which are left out." in told(found)


def test_few_rows_are_warned_of_before_the_verdict() -> None:
    claim = make(MORE, seen=digests(MORE, range(19)))
    [warning] = scrub.check(claim).warnings
    assert "seen=: a search saw 19 rows; 29 scored rows are left, and a verdict takes 30." in warning
    assert scrub.test(claim, draws=2).verdict == "undefined"
    assert scrub.check(make(MORE, seen=digests(MORE, range(18)))).warnings == ()


NEXT = [(i + 1) % 12 for i in range(12)]
MUTUAL = [i ^ 1 for i in range(12)]


@pytest.mark.parametrize("texts", [False, True])
def test_partners_are_numbered_anew(texts: bool) -> None:
    """Rows 2k and 2k + 1 are partners: with one that was seen goes the other."""
    data = with_partners([f"row {i}" for i in MUTUAL] if texts else MUTUAL)
    result = paired(data, (2, 9))
    assert result.problems == ()
    assert result.claim is not None
    assert result.claim.data.numbers is not None
    assert result.claim.data.numbers.tolist() == [0, 1, 4, 5, 6, 7, 10, 11]
    assert result.claim.pair.tolist() == [1, 0, 3, 2, 5, 4, 7, 6]
    assert result.claim.seen.to_dict() == {"digests": 2, "rows": 2, "partners": 2}
    assert str(result.claim.seen) == "2 rows that a search saw, and 2 rows whose partner it saw"


def test_whoever_needs_a_row_that_goes_goes_too() -> None:
    chain = with_partners([1, 2, 3, 3, 5, 4, *([4] * 6)])
    result = paired(chain, (3,))  # 2 needs it, 1 needs 2, 0 needs 1
    assert result.claim is not None
    assert [row.columns["id"] for row in result.claim.data.rows] == [f"row {i}" for i in range(4, 12)]
    assert result.claim.seen.partners == 3
    assert result.claim.pair.tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    nobody = paired(with_partners(NEXT), (3,))
    assert "a search saw 1 row and the partners of 11 more, of 12: none are left" in told(nobody)


def test_where_a_row_may_be_its_own_rest_orphans_are_donors_alone() -> None:
    data = with_partners([*MUTUAL[:10], None, None])
    result = paired(data, (2, 9), empty="self")
    assert result.claim is not None
    assert result.claim.data.numbers is not None
    assert result.claim.data.numbers.tolist() == [0, 1, 3, 4, 5, 6, 7, 8, 10, 11]
    assert result.claim.pair.tolist() == [1, 0, -1, 4, 3, 6, 5, -1, -1, -1]
    assert result.claim.scored.tolist() == [i not in (3, 8) for i in result.claim.data.numbers]
    assert result.claim.seen.partners == 2
    last = paired(with_partners([11] * 12), (11,), empty="self")
    assert "pair='to': a search saw the partner of every scored row." in told(last)


def test_circuits_are_run_on_the_rows_that_are_left() -> None:
    """Also where partners are told by number, in the criteria alone."""
    whole = Dataset.from_rows({"columns": {**row.columns, "to": i ^ 1}} for i, row in enumerate(GRAPH.rows))
    saw = [0, 1, 6, 7]
    less = [i for i in range(24) if i not in saw]
    lacking = Dataset.from_rows({"columns": {**whole.rows[i].columns, "to": less.index(i ^ 1)}} for i in less)
    for chosen in (protocol(ablation="paired", pair="to"), protocol(ablation="mean")):
        runs = [
            scrub.run_circuit("h", make(data, criteria=chosen, seen=seen)).table
            for data, seen in ((whole, digests(whole, saw)), (lacking, ()))
        ]
        columns = [{name: np.sort(np.asarray(column)) for name, column in run.items()} for run in runs]
        assert set(columns[0]) == set(columns[1])
        for name in columns[0]:
            assert np.array_equal(columns[0][name], columns[1][name]), name
    found = scrub.criteria(make(seen=digests(GRAPH, HALF)), random=5, tests=False)
    assert found.to_dict()["provenance"]["left_out"] == len(HALF)
    assert found.to_dict()["provenance"]["pool"] == 16


def test_on_the_command_line(write: Write) -> None:
    claim = """
GRAPH = Dataset.from_rows([{"columns": {**row.columns, "n": i}} for i, row in enumerate(rows().rows)])
SAW = "\\n".join(row.input_digest for row in GRAPH.rows[:8])
half_right = make(odd, data=GRAPH, seen=SAW)
"""
    path = write(claim.replace("\\\\n", "\\n"))
    found = run_scrub("test", path, "--draws", 2, "--json", "out.json")
    assert found.exit_code == 1
    assert "left out" in found.stdout
    assert "8 rows that a search saw" in found.stdout
    [result] = json.loads((path.parent / "out.json").read_text())["results"]
    assert (result["rows"], result["options"]["seen"], result["diagnostics"]["seen"]["rows"]) == (40, 8, 8)
    assert "pool of 40" in run_scrub("plan", path).stdout
    assert run_scrub("check", path).exit_code == 0
    wrong = write(claim.replace("SAW)", "SAW + ' seventeen')"), "wrong.py")
    found = run_scrub("check", wrong)
    assert found.exit_code == 2
    assert "seen=: 'seventeen' is no digest" in found.stdout
