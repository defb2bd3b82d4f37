"""A proposal written as a claim: it is accepted, names what was found, is tested on other rows, or is not written."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from click.testing import CliRunner, Result

import scrub
from scrub import Dataset
from scrub.anatomy.edges import parse_part
from scrub.anatomy.names import parse_component
from scrub.anatomy.positions import Slot
from scrub.anatomy.shape import Shape
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.collect import collect
from scrub.claims.hypothesis import Hypothesis
from scrub.cli.group import main
from scrub.errors import ClaimError, DataError, ScrubError
from scrub.proposals import places, sketch
from scrub.proposals.proposal import RankedEdge
from scrub.storage import files
from scrub.zoo import names_rows

GALLERY = Path(scrub.__file__).parents[1] / "hypotheses"
QUICK: dict[str, Any] = {"rows": 16, "draws": 0, "verify": 24}


def gallery(name: str) -> Hypothesis:
    return collect([GALLERY / f"{name}.py"]).hypotheses[0]


def read(file: Path) -> Hypothesis:
    found = collect([file])
    assert not found.problems, found.problems
    [hypothesis] = found.hypotheses
    return hypothesis


def sites(hypothesis: Hypothesis) -> dict[str, tuple[str, dict[str, str]]]:
    """Where every variable is placed, and what its channels read."""
    found = {}
    for name, site in hypothesis.correspondence().items():
        assert not isinstance(site, tuple)
        found[name] = str(site), {c: " ".join(names) for c, names in getattr(site, "reading", None) or ()}
    return found


def paired_rows(count: int = 60) -> list[dict[str, Any]]:
    """Rows of the names model, each with the number of another one of its length."""
    rows = names_rows(count, seed=3)
    lengths = [len(row["tokens"]) for row in rows]
    partners = [lengths.index(n, 0 if lengths.index(n) < i else i + 1) for i, n in enumerate(lengths)]
    return [row | {"columns": row["columns"] | {"partner": j}} for row, j in zip(rows, partners, strict=True)]


def scrub_with(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def names_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("names") / "start.py"
    scrub.propose(gallery("names"), write=file, **QUICK)
    return file


def test_heads_are_grouped_by_where_they_act_and_what_they_read(names_file: Path) -> None:
    """Those that gather the names, then the mover, which asks for what they gathered."""
    found = sites(read(names_file))
    gathering, mover = (found[f"group_{i}"] for i in (1, 2))
    assert {"0.0", "0.1"} <= set(gathering[0].removesuffix(" @ END").split()) <= {"0.0", "0.1", "0.3"}
    assert gathering[1] == {"k": "io s1 s2", "v": "io s1 s2"}
    assert mover[0].endswith("1.2 @ END")
    assert mover[1]["q"].split()[0] == "group_1"
    assert {"io", "s1"} <= set(mover[1]["k"].split())
    assert mover[1]["v"].split()[0] == "io"
    assert found["io"] == ("embed @ IO", {})
    assert found["answer"] == ("logits @ END", {})


def test_the_setting_is_that_of_the_claim(names_file: Path) -> None:
    ours, theirs = read(names_file), gallery("names")
    assert evolve(ours.options, seen=()) == theirs.options
    assert ours.criteria == theirs.criteria
    assert (ours.model, ours.metric) == (theirs.model, theirs.metric)
    assert ours.data().digest == theirs.data().digest  # pyright: ignore[reportCallIssue]


def test_it_is_accepted_without_a_warning(names_file: Path) -> None:
    checked = scrub.check(read(names_file))
    assert not checked.problems
    assert not checked.warnings
    assert checked.accuracy == 1.0
    found = scrub_with("check", names_file)
    assert found.exit_code == 0, found.output
    assert "no problems" in found.output


def test_the_rows_that_the_proposal_saw_are_not_tested(names_file: Path) -> None:
    claim = read(names_file)
    assert 16 < len(claim.options.seen) <= 32
    found = scrub.test(claim, draws=1).to_dict()
    data = gallery("names").data()  # pyright: ignore[reportCallIssue]
    dropped = [row for row in data.rows if row.input_digest in claim.options.seen]
    assert found["diagnostics"]["seen"]["rows"] == len(dropped) >= len(claim.options.seen)
    assert found["options"]["seen"] == len(claim.options.seen)
    assert found["rows"] == sum(row.columns["is_ioi"] for row in data.rows if row not in dropped)


def test_a_compiled_circuit_is_found_as_it_is(tmp_path: Path) -> None:
    """The model is sure of its answer, so that most estimates of edges are 0; what is patched is not."""
    scrub.propose(gallery("compose"), write=tmp_path / "start.py", **QUICK)
    claim = read(tmp_path / "start.py")
    assert sites(claim) == {
        "asked": ("embed @ ASK", {}),
        "key": ("embed @ KEY", {}),
        "value": ("embed @ VALUE", {}),
        "group_1": ("0.0 @ VALUE", {"v": "key"}),
        "group_2": ("0.1 @ END", {"v": "asked"}),
        "group_3": ("1.0 @ END", {"q": "group_2", "k": "group_1", "v": "value"}),
        "answer": ("logits @ END", {}),
    }
    assert scrub.test(claim, rows=30, draws=2).to_dict()["recovered"]["value"] > 0.99


@pytest.mark.parametrize("name", ["induction", "brackets", "either"])
def test_other_models_begin_claims_too(tmp_path: Path, name: str) -> None:
    """Without MLPs, reading both ways with padding, and where two heads do the same work."""
    scrub.propose(gallery(name), write=tmp_path / "start.py", **QUICK)
    claim = read(tmp_path / "start.py")
    checked = scrub.check(claim)
    assert not checked.problems
    assert claim.options.through == (("mlps",) if name == "brackets" else ())
    assert claim.options.within == ("length" if name == "brackets" else None)
    assert checked.claim is not None
    if name == "induction":
        assert sites(claim)["group_1"] == ("0.3 @ B1", {"v": "a"})
        assert sites(claim)["END_token"] == ("embed @ END", {})  # column `a` stands for the token at A1
        assert sites(claim)["group_2"] == ("1.0 1.2 @ END", {"q": "END_token", "k": "group_1", "v": "b"})


def test_the_bar_is_what_passes_on_the_rows_that_the_proposal_saw(tmp_path: Path) -> None:
    """On these the claim is not tested; of too few rows nothing is said, and a usual bar stands there."""
    scrub.propose(gallery("induction"), write=tmp_path / "start.py", **{**QUICK, "rows": 40})
    claim = read(tmp_path / "start.py")
    whole = scrub.check(claim).claim.data.origin  # pyright: ignore[reportOptionalMemberAccess]
    seen = whole.taken(i for i, row in enumerate(whole.rows) if row.input_digest in claim.options.seen)
    pilot = scrub.test(claim.but(data=seen, seen=()), parts="none", controls="none")
    assert claim.expect is not None
    assert claim.expect.share == pilot.passes_up_to != 0.8
    assert f"Up to recovers({claim.expect.share:g})" in (tmp_path / "start.py").read_text()
    scrub.propose(gallery("induction"), write=tmp_path / "few.py", **{**QUICK, "rows": 4})
    few = read(tmp_path / "few.py")
    assert few.expect is not None
    assert few.expect.share == 0.8


def test_data_at_hand_are_named_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    data = tmp_path / "rows" / "names.jsonl"
    data.write_text("\n".join(map(json.dumps, paired_rows())))
    file = tmp_path / "start.py"
    found = scrub_with(
        "propose", "--model", "zoo:names", "--data", data, "--metric", "logit_diff(io, s1)", "--pair", "partner",
        "--scored", "is_ioi", "--rows", 8, "--draws", 0, "--verify", 8, "--write", file,
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    assert f"scrub check {file}" in found.output
    assert 'Path(__file__).parent / "rows/names.jsonl"' in file.read_text()
    assert not file.with_suffix(".jsonl").exists()
    assert scrub_with("check", file).exit_code == 0
    claim = read(file)
    assert claim.options.scored == "is_ioi"
    assert claim.options.through == ("mlps",)


def test_positions_without_a_column_are_given_one_and_names_do_not_clash(tmp_path: Path) -> None:
    """Any column that stands for the token will do; the answer is read where nothing has a name."""
    rows = [
        {
            "tokens": row["tokens"],
            "positions": {"P": row["positions"]["IO"], "Q": row["positions"]["S1"], "R": row["positions"]["S2"]},
            "columns": {
                "right": row["tokens"][row["positions"]["IO"]], "wrong": row["tokens"][row["positions"]["S1"]],
                "not a word": row["tokens"][row["positions"]["S2"]], "group_1": 0, "answer": 0,
                "partner": row["columns"]["partner"],
            },
        }
        for row in paired_rows()
    ]  # fmt: skip
    file = tmp_path / "start.py"
    setting: dict[str, Any] = {"model": "zoo:names", "metric": "logit_diff(right, wrong)", "pair": "partner"}
    scrub.propose(data=Dataset.from_rows(rows), write=file, **setting, **QUICK)
    claim = read(file)
    placed = sites(claim)
    assert placed["right"] == ("embed @ P", {})
    assert placed["R_token"] == ("embed @ R", {})
    assert placed["answer_"] == ("logits @ -1", {})
    assert "group_1" not in placed
    assert not scrub.check(claim).problems
    assert len((tmp_path / "start.jsonl").read_text().splitlines()) == len(rows)


def test_without_positions_a_group_holds_the_answer(tmp_path: Path) -> None:
    rows = [{"tokens": row["tokens"], "columns": row["columns"]} for row in paired_rows()]
    setting: dict[str, Any] = {"model": "zoo:names", "metric": "logit_diff(io, s1)", "pair": "partner"}
    scrub.propose(data=Dataset.from_rows(rows), scored="is_ioi", write=tmp_path / "start.py", **setting, **QUICK)
    claim = read(tmp_path / "start.py")
    assert all(site.endswith("@ -1") and not reads for site, reads in sites(claim).values())
    checked = scrub.check(claim)
    assert not checked.problems
    assert checked.accuracy == 1.0


def refused(tmp_path: Path, error: type[ScrubError], said: str, **given: Any) -> None:
    """Nothing is written, and nothing that was there is changed."""
    before = {path: path.read_text() for path in tmp_path.iterdir()}
    given = {"hypothesis": gallery("induction"), "write": tmp_path / "start.py", **QUICK, **given}
    with pytest.raises(error, match=said):
        scrub.propose(**given)
    assert {path: path.read_text() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("there", ["start.py", "start.jsonl"])
def test_what_exists_is_left_as_it_is(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    refused(tmp_path, ClaimError, f"{there} exists already")


def test_nothing_is_written_where_nothing_is_strong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketch, "NO_HEAD", 1e6)
    refused(tmp_path, ClaimError, "patching any head changes next to nothing")


def test_claim_and_rows_are_written_both_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = files.write_text

    def failing(path: Path, content: str) -> None:
        if path.suffix == ".py":
            raise ClaimError(f"{path} cannot be written: no space left.")
        whole(path, content)

    monkeypatch.setattr(files, "write_text", failing)
    refused(tmp_path, ClaimError, "no space left")


def test_what_cannot_be_a_claim_is_told_before_anything_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scrub.proposals.search.search", None)
    refused(tmp_path, ClaimError, r"call it start\.py", write=tmp_path / "start.txt")
    refused(tmp_path, ClaimError, "told from edges", edges=False)
    refused(tmp_path, ClaimError, "begun with heads", nodes="mlps", hypothesis=gallery("names"))
    every: dict[str, Any] = {"data": Dataset.from_rows(paired_rows()), "metric": "logit_diff(io, s1)"}
    every |= {"hypothesis": None, "model": "zoo:names", "pair": "partner", "rows": 60}
    refused(tmp_path, ClaimError, "none be left", **every)


def test_rows_that_json_does_not_keep_are_refused(tmp_path: Path) -> None:
    data = gallery("induction").data()  # pyright: ignore[reportCallIssue]
    odd = Dataset([evolve(row, columns=row.columns | {"half": Fraction(1, 2)}) for row in data.rows])
    refused(tmp_path, DataError, "JSON does not keep", hypothesis=gallery("induction").but(data=odd))


def test_one_claim_is_written_at_a_time(tmp_path: Path) -> None:
    both = GALLERY / "induction.py", GALLERY / "compose.py"
    found = scrub_with("propose", *both, "--write", tmp_path / "start.py")
    assert found.exit_code == 2
    assert "one claim at a time" in found.output


GRAPH = TransformerGraph("small", Shape("gpt2", 2, 2, 2, 8, 4, 8, 10, 10))
A, B = Slot("A"), Slot("B")


def head(name: str, at: Slot, **reads: dict[Slot, float]) -> places.Acting:
    nothing = {"q": {at: 0.0}, "k": {A: 0.0, B: 0.0}, "v": {A: 0.0, B: 0.0}}
    return places.Acting(parse_component(name), at, 1.0, 1.0, {"A": 1.0}, nothing | reads)


def widths(**edges: float) -> sketch.Widths:
    """Edges written `embed__1_0_v=2`."""
    named = {tuple(name.replace("__", " -> ").replace("_", ".").split(" -> ")): size for name, size in edges.items()}
    listed = [
        RankedEdge(parse_part(f"{sender} -> {receiver}")[0], size) for (sender, receiver), size in named.items()
    ]
    return sketch.Widths.of(listed, frozenset())


def read_by(reader: places.Acting, *senders: places.Acting, **edges: float) -> dict[str, tuple[int | Slot, ...]]:
    return dict(sketch.reads_of([reader], "A", [[sender] for sender in senders], GRAPH, widths(**edges), (A, B)))


def test_a_channel_reads_what_has_strong_edges_where_patching_it_matters() -> None:
    reader, there, elsewhere = head("1.0", B, v={A: 1.0, B: 0.01}), head("0.0", A), head("0.1", B)
    edges = {"0_0__1_0_v": 1.0, "0_1__1_0_v": 9.0, "embed__1_0_v": 0.2}
    assert read_by(reader, there, elsewhere, **edges) == {"v": (0, A)}
    assert read_by(reader, there, elsewhere, **edges | {"embed__1_0_v": 0.05}) == {"v": (0,)}
    late = head("1.1", A)
    assert read_by(reader, late, **{"1_1__1_0_v": 1.0, "embed__1_0_v": 0.01}) == {"v": (A,)}


def test_where_estimates_say_nothing_groups_come_before_embeddings() -> None:
    reader = head("1.0", B, v={A: 1.0})
    assert read_by(reader, head("0.0", A)) == {"v": (0,)}
    assert read_by(reader, head("0.0", B)) == {"v": (A,)}


def test_a_pattern_gets_values() -> None:
    """Those that the keys read; what is attended to where only queries matter; else the group reads nothing."""
    keys = head("1.0", B, k={A: 0.0, B: 1.0})
    assert read_by(keys, head("0.0", B)) == {"k": (0,), "v": (0,)}
    queries = head("1.0", B, q={B: 1.0})
    assert read_by(queries, head("0.0", B)) == {"q": (0,), "k": (A,), "v": (A,)}
    nameless = evolve(queries, attends={"elsewhere": 1.0})
    made = sketch.reads_of([nameless], "elsewhere", [[head("0.0", B)]], GRAPH, widths(), (A, B))
    assert made == {}


def test_edges_lead_through_mlps_that_are_passed() -> None:
    """A path is as strong as its weakest edge."""
    edges = [RankedEdge(parse_part(" -> ".join(names))[0], size) for *names, size in [
        ("0.0", "mlp 0", -3.0), ("mlp 0", "mlp 1", 2.0), ("mlp 1", "logits", 5.0), ("0.0", "logits", 0.5),
    ]]  # fmt: skip
    through = sketch.Widths.of(edges, GRAPH.passed(["mlps"]))
    assert through.width(parse_component("0.0"), "logits") == 2.0
    assert sketch.Widths.of(edges, frozenset()).width(parse_component("0.0"), "logits") == 0.5


def test_positions_behind_the_mask_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[places.Acting] = []
    real = sketch.acting
    monkeypatch.setattr(sketch, "acting", lambda *given: found.extend(made := real(*given)) or made)
    scrub.propose(gallery("induction"), write=tmp_path / "start.py", **QUICK)
    [previous] = [one for one in found if str(one.head) == "0.3"]
    assert str(previous.at) == "B1"
    assert [str(slot) for slot in previous.reads["k"]] == ["A1", "B1"]
    assert previous.attends["A1"] > 0.9


def test_token_columns() -> None:
    data = Dataset.from_rows([{"tokens": [5, 9], "positions": {"IO": 1}, "columns": {"S_token": 1}}] * 2)
    assert data.with_tokens("IO").column("IO_token") == [9, 9]
    assert data.with_tokens("IO").rows[0].input_digest == data.rows[0].input_digest
    with pytest.raises(DataError, match=r"'I0' is missing in rows 0, 1. Did you mean 'IO'"):
        data.with_tokens("I0")
    with pytest.raises(DataError, match="a column 'IO_token' already"):
        data.with_tokens("IO").with_tokens("IO")
