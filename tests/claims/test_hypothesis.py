"""Claims as they are declared, varied, rivalled and marked as foils."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from claim_cases import names_claim, names_rows, names_sites, names_story
from scrub.anatomy.names import Component
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Hypothesis, Options, claim, recovers, together
from scrub.claims.problems import collecting
from scrub.claims.sites import Site, heads, inside, logits, nodes
from scrub.errors import ClaimError

STORY, DATA = names_story(), Dataset.from_rows(names_rows())
SETTING: dict[str, Any] = {"model": "tiny", "data": DATA, "metric": "logit_diff(io, s1)"}


@claim(STORY, **SETTING, expect=recovers(0.8), through="mlps")
def ioi(backups: bool = True, extra: str = "3.0") -> dict[str, Any]:
    return names_sites(name=[heads("2.0", at="END")] + ([heads(extra, at="END")] if backups else []))


def heads_of(hypothesis: Hypothesis) -> list[Component]:
    sites = hypothesis.correspondence()["name"]
    assert isinstance(sites, tuple)
    return [c for site in sites for c in site.components]


def test_a_claim_runs_late_and_knows_its_place() -> None:
    calls: list[int] = []
    made = claim(STORY, **SETTING)(lambda: calls.append(1) or {})  # type: ignore[func-returns-value]
    assert not calls
    assert made.correspondence() == {}
    assert calls == [1]
    assert ioi.name == "ioi"
    assert Path(str(ioi.file)).name == "test_hypothesis.py"
    assert Path(__file__).read_text().splitlines()[int(str(ioi.line)) - 1].startswith("@claim(STORY")
    assert repr(ioi) == "Hypothesis(ioi)"


def test_variants() -> None:
    assert ioi.variants == {"backups": True, "extra": "3.0"}
    assert [str(c) for c in heads_of(ioi(extra="3.1"))] == ["2.0", "3.1"]
    assert [str(c) for c in heads_of(ioi(extra="3.1")(backups=False))] == ["2.0"]
    assert ioi(extra="3.1")(backups=False).title == "ioi[backups=False,extra='3.1']"
    assert ioi.title == "ioi"
    with pytest.raises(
        ClaimError,
        match=r"ioi has no variant 'backup'\. Did you mean 'backups'\? Its parameters: backups, extra",
    ):
        ioi(backup=False)
    with pytest.raises(ClaimError, match="Its parameters: none"):
        names_claim()(x=1)


def test_a_rival_changes_sites_and_settings() -> None:
    rival = ioi.but(name=heads("3.1", at="END"), rest="keep", expect=recovers(0.5)).but(io=inside)
    sites = rival.correspondence()
    assert str(sites["name"]) == "3.1 @ END"
    assert sites["io"] is inside
    assert (rival.options.rest, rival.options.through, rival.expect) == ("keep", ("mlps",), recovers(0.5))
    assert rival.name == "ioi.but(name, rest, expect).but(io)"
    assert rival.line == test_a_rival_changes_sites_and_settings.__code__.co_firstlineno + 1
    assert ioi.options.rest == "resample"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subjct": inside}, r"ioi\.but\(subjct=\.\.\.\): no variable, column or setting of that name"),
        ({"rset": "keep"}, r"Did you mean rest\?"),
        ({"rest": "kep"}, "rest='kep' is unknown. Did you mean 'keep'"),
        ({"expect": 0.9}, r"expect=0\.9: write expect=recovers\(0\.8\)"),
    ],
)
def test_wrong_rivals(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ClaimError, match=message):
        ioi.but(**changes)


def test_a_foil_needs_its_reason() -> None:
    foil = ioi.foil(" one of two heads ")
    assert foil.foil_reason == "one of two heads"
    assert repr(foil) == "Hypothesis(ioi (foil))"
    for reason in ("", "  ", None):
        with pytest.raises(ClaimError, match=r"ioi\.foil\(\.\.\.\) needs its reason"):
            ioi.foil(reason)  # type: ignore[arg-type]


def test_a_dict_is_an_equal_way_in() -> None:
    made = claim(STORY, **SETTING)({"answer": nodes("out"), "io": inside})
    assert str(made.correspondence()["answer"]) == "out"
    assert made.variants == {}
    assert made.name == "claim"
    assert made.line == test_a_dict_is_an_equal_way_in.__code__.co_firstlineno + 1
    assert made.file == __file__


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, r"bad returns NoneType; it must return dict\(variable=site"),
        ({"io": "9.6"}, r"io='9\.6' is no site: use heads\(\.\.\.\)"),
        ({"io": []}, r"io=\[\] is no site"),
        ({"io": [logits("END"), inside]}, r"io=\[.*inside\] is no site"),
    ],
)
def test_what_is_no_correspondence(returned: Any, message: str) -> None:
    def bad() -> Any:
        return returned

    with pytest.raises(ClaimError, match=message):
        claim(STORY, **SETTING)(bad).correspondence()


def test_lists_of_sites_become_tuples() -> None:
    sites = [logits("END"), heads("0.0", at="END")]
    assert names_claim(sites={"io": sites}).correspondence()["io"] == tuple(sites)
    assert isinstance(names_claim().correspondence()["io"], Site)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scoerd": "even"}, r"@claim has no argument 'scoerd'\.  Did you mean scored\?"),
        ({"expct": 1}, r"Did you mean expect\?"),
        ({"expect": 0.8}, r"expect=0\.8: write expect=recovers\(0\.8\)"),
        ({"rest": "means"}, "rest='means' is unknown. Did you mean 'mean'.*Known: resample, keep"),
        ({"rest_scope": "all"}, "rest_scope='all' is unknown.*Known: occurrence, input, draw"),
        ({"empty": "slef"}, "empty='slef' is unknown. Did you mean 'self'"),
        ({"rest": "paired"}, "rest='paired' needs pair='column'"),
        ({"pair": "partner"}, "pair='partner' is used by rest='paired' alone; rest is 'resample'"),
        ({"scored": True}, "scored=True: write the name of a column"),
        ({"within": ["length"]}, r"within=\['length'\]: write the name of a column"),
        ({"through": [3]}, "through=3: write 'mlps', 'heads', 'all'"),
        ({"together": ("io", "s1")}, r"together=\('io', 's1'\): write a list of groups"),
        ({"together": "io s1"}, "write a list of groups"),
        ({"together": [("io", "io")]}, r"together\('io', 'io'\) must name at least two different"),
        ({"metric": None}, "@claim needs metric=: every claim says its model"),
        ({"model": None}, "@claim needs model="),
        ({"data": None}, "@claim needs data="),
        ({"metric": None, "metrc": "kl"}, r"@claim has no argument 'metrc'\.  Did you mean metric\?"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ClaimError, match=message):
        claim(STORY, **{**SETTING, **arguments})(lambda: {})


def test_every_wrong_option_is_told_and_the_others_hold() -> None:
    wrong = {"rest": "means", "rest_scope": "all", "predicts": "io", "pair": "partner", "empty": "self"}
    with collecting():
        made = claim(STORY, **{**SETTING, **wrong})(lambda: {})
        rival = made.but(empty="slef", scored="even")
    assert [p.found.split()[0] for p in made.wrong] == ["rest='means'", "rest_scope='all'"]
    assert (made.options.predicts, made.options.empty, made.options.rest) == ("io", "self", "resample")
    assert [p.found.split()[0] for p in rival.wrong[2:]] == ["empty='slef'"]
    assert (rival.options.empty, rival.options.scored) == ("self", "even")


def test_the_story_comes_first() -> None:
    with pytest.raises(ClaimError, match="the first argument is the story, an Interpretation"):
        claim(names_sites, **SETTING)  # type: ignore[arg-type]


def test_a_parameter_without_default_is_no_variant() -> None:
    def bad(layer: int) -> dict[str, Any]:
        return {}

    with pytest.raises(ClaimError, match="the parameter 'layer' of a claim is a variant and needs a default"):
        claim(STORY, **SETTING)(bad)


@pytest.mark.parametrize("share", [0, -0.1, 1.01, True, "0.8", float("nan")])
def test_wrong_expectations(share: Any) -> None:
    with pytest.raises(ClaimError, match=r"recovers\(.*\): say a share above 0 and up to 1"):
        recovers(share)


def test_expectations_and_groups() -> None:
    assert str(recovers(0.8)) == "recovers(0.8)"
    assert recovers(1).share == 1.0
    assert together("a", "b") == ("a", "b")
    with pytest.raises(ClaimError, match="must name at least two different variables"):
        together("a")


def test_only_deviations_from_defaults_are_told() -> None:
    assert Options().deviations() == {}
    chosen = Options(rest="keep", through="mlps 0-3,  heads", together=[["a", "b"]], empty="self", scored="even")
    assert chosen.deviations() == {
        "rest": "keep",
        "through": ("mlps 0-3", "heads"),
        "together": (("a", "b"),),
        "empty": "self",
        "scored": "even",
    }


def test_a_rival_of_a_foil_is_no_foil() -> None:
    foil = ioi.foil("false on purpose")
    assert foil.foil_reason == "false on purpose"
    assert foil.but(rest="zero").foil_reason is None
