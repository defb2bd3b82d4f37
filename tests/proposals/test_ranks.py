"""How many dimensions hold a variable: on a compiled model whose basis is known, against swaps made by hand."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from attrs import evolve
from click.testing import CliRunner
from test_propose import GALLERY, claim_in

import scrub
from scrub import attn, directions, fit, heads, queries
from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.claims.basis import Basis
from scrub.claims.collect import collect
from scrub.claims.sites import Site
from scrub.cli.group import main
from scrub.engine.cache import tensors
from scrub.engine.written import in_full, written_store
from scrub.errors import ClaimError, MetricError, ScrubError
from scrub.metrics import Arguments
from scrub.model.layers import unembed
from scrub.model.memory import Backend
from scrub.model.resolve import sound
from scrub.model.trace import trace
from scrub.proposals.subspace import HeldPlace, JointOrder, RankCurve, RankPoint, RowsUsed, grid, ordered, smallest
from scrub.proposals.swaps import PathCode, VariableSwaps
from scrub.score.das import SwapModel
from scrub.score.measure import MetricOnData
from scrub.score.patched import Patch, PatchedTransformer
from scrub.verbs.ranked import RankedClaim
from scrub.verbs.setup import weights_of
from scrub.zoo import words

NAMES = str(GALLERY / "names.py") + "::names"


def test_the_known_basis_of_a_compiled_model_is_found() -> None:
    """Head 0.1 writes one of eight orthogonal vectors: they differ in seven dimensions, of the space set by hand."""
    claim = claim_in("compose")
    found = fit.rank(claim, "wanted", rows=80, draws=2)
    assert (found.rank, found.width) == (len(words.ASKS) - 1, found.basis.array.shape[1])
    start = len(words.COMPILED_COMPOSE) + 24 + len(words.KEYS) + len(words.DECOYS)
    known = found.basis.array[:, start : start + len(words.ASKS)]
    np.testing.assert_allclose(np.linalg.norm(known, axis=1), 1, atol=1e-5)
    by_rank = {point.rank: point for point in found.points}
    assert by_rank[found.rank].explained > 0.999
    assert by_rank[found.rank - 1].recovered < 0.9
    held = claim.but(wanted=heads("0.1", at="END").part(directions(found.basis)).reads(v="asked"))
    assert "80 rows that a search saw" in str(scrub.check(held).claim.seen)


def test_of_several_components_each_has_what_is_needed_of_it() -> None:
    """Beside head 0.1 nothing is asked of head 0.0, which writes other things; both are swapped at once."""
    found = fit.rank(claim_in("compose"), "wanted", site=heads("0.0 0.1", at="END"), rows=80, draws=2)
    assert found.kept.ranks == (0, len(words.ASKS) - 1)
    assert [place.rank for place in found.places] == [0, len(words.ASKS) - 1]
    assert found.basis.component == Component("head", 0, 1)
    told = str(found)
    assert "rank of 0.0 0.1 @ END for wanted  7 of" in told
    assert "0.0 @ END  0.1 @ END" in told


def test_directions_of_all_are_in_one_order() -> None:
    """By what each is worth; what no gradient reads behind these, wherever it is."""
    draw = np.random.default_rng(0)
    swaps = SimpleNamespace(
        differences=lambda: [draw.normal(size=(400, 2)) * [1, 4], draw.normal(size=(400, 3)) * [2, 9, 0]],
        gradients=lambda: [draw.normal(size=(400, 2)), draw.normal(size=(400, 3)) * [1, 0, 1]],
    )
    order = JointOrder.of_swaps(swaps)  # type: ignore[arg-type]
    assert order.of.tolist() == [0, 1, 0, 1, 1]
    assert order.ranks(3) == (2, 1)
    assert [len(rows) for rows in order.first(4)] == [2, 2]


def test_directions_are_ordered_by_what_is_read_of_them() -> None:
    """The widest that differ come last where no gradient reads them; every k leaves the least of the change."""
    draw = np.random.default_rng(0)
    differences = draw.normal(size=(4000, 5)) * [10, 1, 3, 0.5, 0]
    gradients = draw.normal(size=(4000, 5)) * [0, 2, 1, 0, 5]
    rows = ordered(differences, gradients).rows
    np.testing.assert_allclose(rows @ rows.T, np.eye(5), atol=1e-10)
    np.testing.assert_array_equal(np.abs(rows).argmax(1), [2, 1, 0, 3, 4])
    assert np.abs(ordered(differences, np.zeros((1, 5))).rows[0]).argmax() == 0


def test_a_rank_keeps_what_no_larger_one_loses() -> None:
    points = [RankPoint(k, share, share, (k,)) for k, share in enumerate((0, 0.995, 0.9, 0.997, 1.02, 0.999, 1.0))]
    assert smallest(points, 0.01).rank == 5
    assert smallest(points, 0.05).rank == 3
    assert grid(3) == [0, 1, 2, 3]
    assert grid(100)[-3:] == [72, 90, 100]


def swaps_of(*components: Component, calls: int = 6) -> VariableSwaps:
    claim, source = sound(claim_in("names"))
    model = weights_of(source, claim.data, Backend(None, "float64", None))
    assert model is not None
    places = tuple((in_full(c, 16 if c.traits.is_channel else 64), Slot("END")) for c in components)
    store = written_store(model, claim, places, lambda n: None)
    arguments = Arguments.of(claim.metric, claim.data, source.tokenizer, model.device)
    rows = np.flatnonzero(claim.scored)
    return VariableSwaps(
        SwapModel(claim, model, store, places), MetricOnData(claim.metric, claim.data, arguments),
        rows[:calls], rows[calls : 2 * calls],
    )  # fmt: skip


def by_hand(swaps: VariableSwaps, kind: str, projected: np.ndarray) -> np.ndarray:
    """The metric with an array of layer 1, at the end, moved by what is projected of the donors' difference."""
    model, data = swaps.swapped.model, swaps.measure.data
    tokens, lengths = tensors(data, model.device)
    end, seen = torch.tensor(data.locate(Slot("END"))), dict[str, torch.Tensor]()
    each = torch.arange(len(swaps.rows))

    def written(x: torch.Tensor) -> torch.Tensor:
        return x[:, :, 2] if kind == "q" else x[:, :, 2] @ model.blocks[1].attn.W_O[2]

    def keep(name: str, layer: int, x: torch.Tensor) -> None:
        if (name, layer) == ({"q": "q", "attn_out": "z"}[kind], 1):
            seen["donors"] = written(x)[each, end[swaps.donors]]

    def put(name: str, layer: int, x: torch.Tensor) -> torch.Tensor | None:
        if (name, layer) == ("z", 1) and kind != "q":
            seen["own"] = written(x)[each, end[swaps.rows]]
        if (name, layer) != (kind, 1):
            return None
        own = written(x)[each, end[swaps.rows]] if kind == "q" else seen["own"]
        x, change = x.clone(), (seen["donors"] - own) @ torch.from_numpy(projected)
        at = (each, end[swaps.rows], torch.full_like(each, 2)) if kind == "q" else (each, end[swaps.rows])
        x[at] += change
        return x

    with torch.no_grad():
        trace(model, tokens[swaps.donors], lengths[swaps.donors], keep)
        x = trace(model, tokens[swaps.rows], lengths[swaps.rows], put)
        logits = unembed(model, x[each, end[swaps.rows]])
    io, s1 = (ids[torch.from_numpy(swaps.rows), 0] for ids in swaps.measure.arguments.ids)
    return (logits[each, io] - logits[each, s1]).numpy()


@pytest.mark.parametrize("kind", ["q", "attn_out"])
def test_swaps_are_what_a_hook_does(kind: str) -> None:
    """Metrics to rounding, gradients against finite differences: of queries, and of what a head writes."""
    swaps = swaps_of(Component("q" if kind == "q" else "head", 1, 2))
    width = 16 if kind == "q" else 64
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(width, 3)))[0].T
    found = swaps.metric([basis])
    np.testing.assert_allclose(found, by_hand(swaps, kind, basis.T @ basis), rtol=1e-9)
    assert np.abs(found - swaps.metric([basis[:0]])).max() > 1e-3
    way = torch.from_numpy(np.random.default_rng(1).normal(size=(6, width)))
    slope = (swaps.gradients()[0].reshape(5, 6, width) * way.numpy()).sum(-1)
    with torch.no_grad():
        for share, rows in ((0.0, basis[:0]), (1.0, np.eye(width))):  # a path from the row itself to its donor
            end = swaps._score([PathCode(torch.zeros_like(way), share)], slice(0, 6))  # pyright: ignore[reportPrivateUsage]
            np.testing.assert_allclose(end.numpy(), swaps.metric([rows]), rtol=1e-9)
        for step in range(5):
            ends = [swaps._score([PathCode(e * way, (step + 0.5) / 5)], slice(0, 6)).numpy() for e in (1e-5, -1e-5)]  # pyright: ignore[reportPrivateUsage]
            np.testing.assert_allclose(slope[step], (ends[0] - ends[1]) / 2e-5, rtol=1e-4, atol=1e-6)


def test_several_components_are_swapped_all_at_once() -> None:
    """Wholes as patched heads, of a layer and of another behind it; gradients against finite differences."""
    swaps = swaps_of(Component("head", 0, 1), Component("head", 1, 2), Component("head", 1, 3))
    eye, patch = np.eye(64), Patch((heads("0.1 1.2 1.3", at="END"),), swaps.donors)
    logits = PatchedTransformer(swaps.swapped.claim, swaps.swapped.model).outputs(swaps.rows, (patch,))
    each = torch.arange(len(swaps.rows))
    io, s1 = (ids[torch.from_numpy(swaps.rows), 0] for ids in swaps.measure.arguments.ids)
    np.testing.assert_allclose(swaps.metric([eye] * 3), (logits[each, io] - logits[each, s1]).numpy(), rtol=1e-9)
    ways = [torch.from_numpy(np.random.default_rng(n).normal(size=(6, 64))) for n in range(3)]
    slopes = [(g[12:18] * way.numpy()).sum(-1) for g, way in zip(swaps.gradients(), ways, strict=True)]
    with torch.no_grad():
        codes = [[PathCode(e * way, 0.5) for way in ways] for e in (1e-5, -1e-5)]
        ends = [swaps._score(code, slice(0, 6)).numpy() for code in codes]  # pyright: ignore[reportPrivateUsage]
    np.testing.assert_allclose(sum(slopes), (ends[0] - ends[1]) / 2e-5, rtol=1e-4, atol=1e-6)


WRONG: list[tuple[dict[str, Any], type[ScrubError], str]] = [
    ({"variable": "name", "site": heads("1.2", at="all")}, ClaimError, "name components at named positions"),
    ({"variable": "name", "site": queries("0.2", at="S1")}, ClaimError, "nothing to keep"),
    ({"variable": "template", "site": queries("1.2", at="END"), "within": "template"}, ClaimError, "the same on all"),
    ({"variable": "gathered", "site": queries("1.2", at="END"), "metric": "accuracy(io)"}, MetricError, "derivative"),
    ({"variable": "gathered", "site": queries("1.2", at="END"), "worth": 2}, ClaimError, "between 0 and 1"),
]
WRONG_SITES: list[tuple[Any, str]] = [
    ([heads("1.2", at="END"), attn("1", at="END")], r"1\.2 and attn 1 at END overlap"),
    ("1.2", "site='1.2' is no site: write"),
    (heads("1.2", at="END").part(directions(np.eye(1, 64))), "found in a whole component, 1.2"),
]


@pytest.mark.parametrize(("given", "error", "sentence"), WRONG)
def test_what_has_no_rank(given: dict[str, Any], error: type[ScrubError], sentence: str) -> None:
    changed = {name: given.pop(name) for name in ("within", "metric") if name in given}
    with pytest.raises(error, match=sentence):
        fit.rank(claim_in("names").but(**changed), rows=24, **given)


@pytest.mark.parametrize(("site", "sentence"), WRONG_SITES)
def test_what_is_no_place_for_a_rank(site: Any, sentence: str) -> None:
    with pytest.raises(ClaimError, match=sentence):
        fit.rank(claim_in("names"), "name", rows=24, site=site)


OF_QUERIES = """
    gathered_held=queries('1.2.q', at='END').part(directions(BASIS)).reads(input='gathered'),
    name=[heads('1.2', at='END').reads(q='gathered_held', k='io s1 s2', v='io s1 s2'),"""
OF_HEAD = """
    gathered=[heads('0.1', at='END').part(directions(BASIS)).reads(k='io s1 s2', v='io s1 s2'), heads('0.0 0.3', """


OF_BOTH_QUERIES = (
    "name=[heads('1.2', at='END').reads(q='gathered_held', k='io s1 s2', v='io s1 s2'), "
    "heads('1.3', at='END').reads(q='gathered_held1', "
)
OF_ALL_HEADS = """
    gathered=[heads('0.0', at='END').part(directions(HERE / "low_0_0_END.safetensors"))"""


@pytest.mark.parametrize(
    ("of", "ranks", "placed"),
    [
        (queries("1.2", at="END"), (2,), OF_QUERIES),
        (heads("0.1", at="END"), (2,), OF_HEAD),
        (queries("1.2 1.3", at="END"), (3, 1), OF_BOTH_QUERIES),
        (heads("0.0 0.1 0.3", at="END"), (2, 0, 1), OF_ALL_HEADS),
    ],
)
def test_a_claim_is_written_of_the_directions(tmp_path: Path, of: Site, ranks: tuple[int, ...], placed: str) -> None:
    """Beside the claim that it is made of, and sound; of a component that holds none of them nothing is left."""
    shutil.copy(GALLERY / "names.py", tmp_path)
    (names,) = collect([f"{tmp_path / 'names.py'}::names"]).hypotheses
    seen = tuple(row.input_digest for row in scrub.check(names).claim.data.rows[:24])
    width, places = 16 if of.components[0].traits.is_channel else 64, list[HeldPlace]()
    for component, rank in zip(of.components, ranks, strict=True):
        basis = Basis(np.eye(rank, width), "rank", "gathered", component, "END", seen)
        places.append(HeldPlace(component, "END", width, basis if rank else None))
    points, used = (RankPoint(0, 0, 0, ()), RankPoint(sum(ranks), 1, 1, ranks)), RowsUsed(12, 12, 48)
    curve = RankCurve("names", "gathered", tuple(places), "m", 0, 0.01, points, (0.0, 1.0), used)
    sites = [Site((component,), of.at) for component in of.components]
    bases = RankedClaim.planned(names, "gathered", sites, None, tmp_path / "low.py").write(curve)
    assert len(bases) == sum(rank > 0 for rank in ranks)
    assert placed in (tmp_path / "low.py").read_text()
    (made,) = collect([tmp_path / "low.py"]).hypotheses
    found = scrub.check(made)
    assert (found.problems, found.claim.seen.rows) == ((), 24)
    where = (
        s.site for name, placed in found.claim.placement.placed.items() if "gathered" in name for s in placed.sites
    )
    parts = {evolve(c, part=None): c.part.size for site in where for c in site.components if c.part is not None}
    assert parts == {c: rank for c, rank in zip(of.components, ranks, strict=True) if rank}


def test_no_claim_is_written_where_none_is_sound(tmp_path: Path) -> None:
    """That is told, and nothing computed."""
    shutil.copy(GALLERY / "names.py", tmp_path)
    (names,) = collect([f"{tmp_path / 'names.py'}::names"]).hypotheses
    sentence = r"no claim is made of name in a part of 0\.2 @ END; --write no\.safetensors"
    with pytest.raises(ClaimError, match=sentence) as told:
        RankedClaim.planned(names, "name", [heads("0.2", at="END")], None, tmp_path / "no.py")
    assert "the parent 'gathered' is read by no channel of 0.2[U] @ END." in str(told.value)
    assert not re.search(r"\.py:\d", str(told.value))  # nobody wrote the claim that is not sound


def test_a_file_that_cannot_be_imported_is_told(tmp_path: Path) -> None:
    shutil.copy(GALLERY / "names.py", tmp_path / "my-names.py")
    (names,) = collect([f"{tmp_path / 'my-names.py'}::names"]).hypotheses
    with pytest.raises(ClaimError, match=r"'my-names' is no name of a module: call it my_names\.py"):
        RankedClaim.planned(names, "name", [heads("1.2", at="END")], None, tmp_path / "no.py")


@pytest.mark.parametrize(
    ("more", "there"), [([], "low.safetensors"), (["--component", "1.1 @ END", "--joint"], "low_1_1_END.safetensors")]
)
def test_directions_that_are_there_are_not_written_over(tmp_path: Path, more: list[str], there: str) -> None:
    """Those that would lie beside a claim; nothing is computed."""
    shutil.copy(GALLERY / "names.py", tmp_path)
    (tmp_path / there).write_text("mine")
    given = ["propose", f"{tmp_path / 'names.py'}::names", "--rank", "gathered", "--component", "1.2 @ END", *more]
    ran = CliRunner().invoke(main, [*given, "--write", str(tmp_path / "low.py")])
    assert (ran.exit_code, f"{there} exists already, and is left" in " ".join(ran.output.split())) == (2, True)
    assert (tmp_path / there).read_text() == "mine"


def test_queries_of_a_head_take_few_dimensions(tmp_path: Path) -> None:
    """On the command line: the curve as a table, picture and page, its directions in a file, refusals."""
    basis, picture, told = (tmp_path / name for name in ("q.safetensors", "q.svg", "q.json"))
    where = ["--component", "1.2.q", "--at", "END"]
    given = ["propose", NAMES, "--rank", "gathered", *where, "--write", str(basis), "--picture", str(picture)]
    ran = CliRunner().invoke(main, [*given, "--json", str(told), "--out", str(tmp_path / "run")])
    assert ran.exit_code == 0, ran.output
    assert "rank of 1.2.q @ END for gathered  2 of 16 directions keep it" in ran.output
    (result,) = json.loads(told.read_text())["results"]
    assert (result["component"], result["rank"], result["width"]) == ("1.2.q", 2, 16)
    assert directions(basis).size == 2
    assert "2 of 16 directions keep it" in picture.read_text()
    assert CliRunner().invoke(main, ["report", str(tmp_path / "run")]).exit_code == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Rank of 1.2.q @ END for gathered in names" in page
    for more, sentence in (
        (["--rank", "gathered", "--method", "atp"], "--rank takes"),
        (["--rank", "gatherd"], "Did you mean 'gathered'?"),
        (["--rank", "name", "--write", str(basis)], "or all at once with --joint"),
        (["--rank", "name", "--joint", "--at", "S1"], "'name' is at END, and not at S1"),
        (["--joint"], "--joint is of --rank"),
        (["--rank", "gathered", *where, "--write", "claim.json"], "claim.py or claim.safetensors"),
        (["--rank", "gathered", *where, "--write", "claim.py"], "write it beside it"),
        (["--rank", "gathered", *where, "--write", str(basis)], "q.safetensors exists already, and is left as it is"),
        (["--component", "1.2"], "--component is of --rank"),
    ):
        ran = CliRunner().invoke(main, ["propose", NAMES, *more])
        assert ran.exit_code == 2
        assert sentence in " ".join(ran.output.split())
