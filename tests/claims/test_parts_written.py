"""Parts as users write them: read, printed, refused, told apart, frozen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import scrub
from scrub import (
    Dictionary,
    Interpretation,
    claim,
    directions,
    embed,
    heads,
    inside,
    keys,
    latents,
    logits,
    mlps,
    neurons,
    queries,
    recovers,
    resid,
    values,
)
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.sites import Place, Site, attn
from scrub.errors import ClaimError
from scrub.zoo import compiled_compose_rows
from strategies_models import random_transformer

D, E = 8, 4
U = np.eye(D)[:2]
FIVE = directions(np.eye(5)[:1], name="U")
MET = directions(U[:1] + U[1:], name="V")
DICTIONARY = Dictionary(np.eye(D, 9), np.eye(9, D), bias=np.zeros(9))


@pytest.mark.parametrize(
    ("site", "text"),
    [
        (neurons("5.1003 mlp 5.204", at="END"), "mlp 5.204, mlp 5.1003 @ END"),
        (queries("9.9 9.6", at="END"), "9.6.q 9.9.q @ END"),
        (values("L9H6.v", at="IO"), "9.6.v @ IO"),
        (heads("9.9", at="END").part(directions(U, name="U")), "9.9[U] @ END"),
        (keys("9.9", at="END").part(directions(U[:, :E], name="K")), "9.9.k[K] @ END"),
        (resid(8, at="END").part(latents(DICTIONARY, "8 1")), "resid 8[1 8] @ END"),
        (embed("IO").part(directions(U)), f"embed[{directions(U).digest[:8]}] @ IO"),
    ],
)
def test_parts_are_printed_as_they_are_written(site: Site, text: str) -> None:
    assert str(site) == text


def test_a_part_is_known_by_its_array_and_not_by_its_name() -> None:
    here, there, other = (
        heads("9.9", at="END").part(directions(array, name=name))
        for array, name in [(U, "U"), (U, "V"), (U[::-1], "U")]
    )
    assert here == there
    assert here.canonical == there.canonical
    assert here != other
    assert here.canonical != other.canonical


def test_directions_are_read_from_a_file(tmp_path: Path) -> None:
    save_file({"basis": U}, tmp_path / "span.safetensors")
    found = directions(tmp_path / "span.safetensors")
    assert found == directions(U)
    assert str(found) == "span"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: directions([[1.0, 0], [2, 0]]), r"the 2 rows of U span 1 dimensions only"),
        (lambda: directions([[np.nan, 0]]), r"1 of its numbers are not finite"),
        (lambda: directions([[1j, 0]]), r"is no array of numbers"),
        (lambda: directions("nowhere.safetensors"), r"nowhere\.safetensors'\): the file cannot be read"),
        (lambda: directions(np.zeros((2, 2, 2))), r"has the shape \[2, 2, 2\], and k directions are \[k, d\]"),
        (lambda: latents(DICTIONARY, "1 9"), r"latent 9 does not exist: they are 0 to 8"),
        (lambda: latents("DIR", "1"), r"there is no such file or directory"),
        (lambda: Dictionary(np.eye(3), np.eye(4)), r"decoder has the shape \[4, 4\], and is \[m d\]"),
        (lambda: Dictionary(np.eye(3), np.eye(3), topk=4), r"4 of its 3 latents cannot be active at once"),
        (lambda: neurons("5", at=0), r"'5' is no neuron\. Neurons are written 5\.1003"),
        (lambda: neurons("5.1", at=0).part(directions(U)), r"mlp 5\.1 has no parts"),
        (lambda: heads("0.1", at=0).part(U), r"give directions\(U\)"),
    ],
)
def test_what_is_no_part_is_refused(make: Any, said: str) -> None:
    with pytest.raises(ClaimError, match=said):
        make()


def checked(through: str = "", **places: Place) -> str:
    """All problems of a claim in which the answer reads a, b reads a, on a model of 3 layers of 2 heads."""
    story = Interpretation()
    places_of = {"A": 0, "END": 2}
    rows = [{"tokens": [i % 5, 1, 2], "positions": places_of, "columns": {"c": i % 2, "label": 1}} for i in range(12)]
    data = Dataset.from_rows(rows)

    def variable(name: str, parents: str) -> None:
        scope: dict[str, Any] = {}
        exec(f"def {name}({parents}): return ({parents},)", scope)
        story.variable(scope[name])

    for name in places:
        parents = dict.fromkeys(p for _, ps in places[name].reading or () for p in ps)  # type: ignore[union-attr]
        variable(name, ", ".join(parents) or "c")
    setting: dict[str, Any] = {"through": through} if through else {}
    made = claim(story, model="random", data=data, metric="loss(label)", expect=recovers(0.5), **setting)(places)
    from random import Random

    for seed in range(100):
        model = random_transformer(Random(seed))
        if model.shape.d_mlp and model.shape.n_layers == 3 and model.shape.n_heads == 2:
            return " ".join(" ".join(str(scrub.check(made, model=model)).split()).split())
    raise AssertionError


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ({"a": heads("0.1", at="END").part(FIVE)}, "U has rows of 5 numbers, and 0.1 writes 8 into the stream"),
        ({"a": queries("1.1", at="END").part(FIVE)}, "and 1.1.q writes 4 into its head"),
        ({"a": neurons("0.10", at="END")}, "has neurons 0.0 to 0.9"),
        ({"a": heads("0.1", at="END").part(directions(U, name="U"), MET)}, "0.1[U] and 0.1[V]"),
        ({"a": heads("0.1", at="END").part(MET), "b": attn(0, at="END")}, "0.1[V] and attn 0"),
        ({"a": neurons("0.1", at="END"), "b": neurons("0.1 0.2", at="END")}, "They share mlp 0.1"),
        ({"a": queries("1.1", at="END")}, "are read by their own heads alone, here by 1.1 through q"),
    ],
)
def test_parts_that_cannot_be_are_told(places: dict[str, Site], said: str) -> None:
    answer = logits("END").reads(input=" ".join(places))
    assert said in checked(**places, answer=answer)


@pytest.mark.parametrize("site", [resid(2, at="END"), resid(2, at="END").part(directions(U, name="U"))])
def test_nothing_is_carried_into_a_claimed_stream(site: Site) -> None:
    """What passes below it stays on the rest row, of a part what lies in its span: it would read nothing."""
    places = {"a": embed("A"), "x": site.reads(input="a"), "answer": logits("END").reads(input="x")}
    assert "what is written below a claimed stream is not passed through" in checked("all", **places)
    assert "no problems" in checked("all", **{**places, "a": embed("END")})
    told = checked("all", **places)
    assert 'x=heads("L.H", at="END").reads(v="a"), # in the claim' in told
    assert "x=inside, # with through=" in told


def lookup_claim(place: Place, **options: Any) -> Hypothesis:
    """That what is asked for is looked up in the stream of a layer later, from that before it at two positions."""
    story = Interpretation()
    scope: dict[str, Any] = {}
    exec(
        "def wanted(asked): return asked.upper()\n"
        "def pair(key, value): return key, value\n"
        "def found(wanted, pair): return pair[1] if wanted == pair[0] else None\n"
        "def answer(found): return found",
        scope,
    )
    for name in ("wanted", "pair", "found", "answer"):
        story.variable(scope[name])
    data = Dataset.from_rows(compiled_compose_rows(60, seed=1))
    places = {"wanted": resid(1, at="END"), "pair": resid(1, at="VALUE"), "found": place, "answer": logits("END")}
    setting = {"model": "zoo:compiled-compose", "data": data, "metric": "loss(value)", "expect": recovers(0.99)}
    return claim(story, **setting, **options)(places)  # type: ignore[arg-type]


def test_a_stream_of_an_earlier_one_is_claimed_as_its_error_says() -> None:
    """By what writes it, or left out and read through; the compiled model answers both with all of it."""
    refused = scrub.check(lookup_claim(resid(2, at="END"), through="all"))
    assert 'found=heads("L.H", at="END").reads(v="pair")' in str(refused.problems[0])
    read = {"q": "wanted", "k": "pair", "v": "pair"}
    for made in (lookup_claim(heads("1.0", at="END").reads(**read)), lookup_claim(inside, through="all")):
        found = scrub.test(made, draws=2, explain=False, parts="none")
        assert found.recovered.value == pytest.approx(1, abs=1e-3)
    wrong = scrub.test(lookup_claim(heads("1.1", at="END").reads(**read)), draws=2, explain=False, parts="none")
    assert wrong.recovered.value == pytest.approx(0, abs=0.01)


def test_an_earlier_stream_at_the_same_position_is_read_as_it_is() -> None:
    """And nothing between the two is passed through, which is said where something is to be."""
    places = {"a": resid(1, at="END"), "x": resid(2, at="END").reads(input="a")}
    answer = logits("END").reads(input="x")
    said = "x at resid 2 @ END reads a at resid 1 @ END as it is"
    assert said in checked("all", **places, answer=answer)
    assert said not in checked(**places, answer=answer)
    assert said not in checked("all", **{**places, "a": heads("0.1", at="END")}, answer=answer)


def test_parts_of_one_host_that_are_disjoint_may_be_read_together() -> None:
    first, second = (mlps(0, at="END").part(directions(U[[i]])) for i in (0, 1))
    assert "no problems" in checked(a=first, b=second, answer=logits("END").reads(input="a b"))


def test_a_claim_with_parts_is_frozen_with_its_arrays(tmp_path: Path) -> None:
    basis = np.random.default_rng(0).normal(size=(2, 64)).astype(np.float32)
    from scrub.claims.collect import collect

    file = Path(scrub.__file__).parents[1] / "hypotheses" / "induction.py"
    (made,) = [h for h in collect([str(file)]).hypotheses if h.title == "induction"]
    with_part = made.but(first=embed("A1").part(directions(basis, name="U")))
    scrub.freeze(with_part, tmp_path / "frozen")
    back = scrub.thaw(tmp_path / "frozen")
    assert scrub.check(back).claim.digest == scrub.check(with_part).claim.digest != scrub.check(made).claim.digest  # type: ignore[union-attr]
    (component,) = back.correspondence()["first"].components  # type: ignore[union-attr]
    np.testing.assert_array_equal(component.part.arrays["basis"], basis)
    assert str(component) == "embed[U]"
    file = tmp_path / "frozen" / "claim.json"
    record = json.loads(file.read_text())
    record["sites"]["first"][0]["parts"][0]["digest"] = "0" * 32
    file.write_text(json.dumps(record))
    with pytest.raises(ClaimError, match="do not lie beside the claim"):
        scrub.thaw(tmp_path / "frozen")
