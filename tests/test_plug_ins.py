"""One file each: the examples of CONTRIBUTING.md, plugged in from a folder of one's own, and files that are none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from attrs import evolve

import scrub
from circuit.test_equals_oracle import experiment_on, model_of
from cli_cases import scrub as command
from model.test_built import OPT
from model.tiny_models import bridged, hugging_face
from plugged import EXAMPLES, forgotten, kept_apart, written
from proposals.exact_nodes import Form, batch_of, made
from score.cases import VALUE, graph, rows_of
from scrub.circuit.bench import CircuitBench
from scrub.circuit.circuit import Circuit
from scrub.claims.wording import ABLATIONS, POINTS, plug_in
from scrub.errors import ClaimError, ModelError, PlugInError
from scrub.model.known import shape_of_config
from scrub.model.transformer import adapt
from scrub.proposals.methods import Asked, find

ABLATION = "from scrub.circuit.ablations import Ablation"
HYPOTHESES = Path(__file__).parents[1] / "hypotheses"


@pytest.fixture
def _plugged(tmp_path: Path) -> Iterator[None]:
    """All of CONTRIBUTING.md's examples, in one folder."""
    with kept_apart():
        plug_in(written(tmp_path / "own", **EXAMPLES))
        yield


plugged = pytest.mark.usefixtures("_plugged")


@plugged
def test_there_is_a_short_example_of_each() -> None:
    assert [[*EXAMPLES][i] for i in range(len(POINTS))] == [
        "margin", "halfway", "backwards", "movement", "distance", "opt"
    ]  # fmt: skip
    for (name, text), point in zip(EXAMPLES.items(), POINTS, strict=True):
        assert len(text.splitlines()) <= 20
        assert name in point.names()
        assert sum(name in other.names() for other in POINTS) == 1


@plugged
def test_an_ablation_of_a_graph() -> None:
    model = graph(h=lambda x: 2 * x, out=lambda h: h)
    data = rows_of({"x": x} for x in (1, 2, 6))
    asked = {"model": model, "data": data, "metric": VALUE}
    whole, mean, half = (
        scrub.run_circuit("x, h", without=True, ablation=ablation, **asked).table["score"]
        for ablation in ("zero", "mean", "halfway")
    )
    own = np.array([2.0, 4.0, 12.0])
    assert whole == pytest.approx(0 * own)
    assert mean == pytest.approx([6, 6, 6])
    assert half == pytest.approx((own + 6) / 2)


@plugged
def test_an_ablation_of_a_transformer() -> None:
    model = model_of("gpt2")
    averaged = experiment_on(model, "mean", "noising")
    halved = evolve(averaged, protocol=evolve(averaged.protocol, ablation="halfway"))
    mean, half = (
        CircuitBench.of(experiment, model, Circuit.parse("0.0")).runner.block(0) for experiment in (averaged, halved)
    )
    for name in ("embed", "z", "mlp"):
        own, means, found = (getattr(side, name) for side in (half.own, mean.ablated, half.ablated))
        torch.testing.assert_close(found[0], (own[0] + means[0]) / 2, rtol=1e-12, atol=1e-12)
    with pytest.raises(ClaimError, match="'halfway' draws nothing; only 'resample' does"):
        CircuitBench.of(halved, model, Circuit.parse("0.0"), draws=3)


@plugged
def test_a_format(tmp_path: Path) -> None:
    file = tmp_path / "circuit.txt"
    file.write_text("9.9.q <= 7.3  # a comment\nlogits <= 9.9\n")
    assert Circuit.read(file) == Circuit.parse(["7.3 -> 9.9.q", "9.9 -> logits"])
    file.write_text("9.9.q <= 77\n")
    with pytest.raises(ClaimError, match="read as edges, the receiver first; what is wrong with it"):
        Circuit.read(file)
    file.write_text("what is this?\n")
    with pytest.raises(ClaimError, match=r"edges with the receiver first: 9\.9\.q <= 7\.3$"):
        Circuit.read(file)


@plugged
def test_a_method() -> None:
    batch = batch_of(made(Form()))
    found = find("movement").nodes(batch, Asked(("embed", "head")))
    delta = batch.source_values["head", 1] - batch.base_values["head", 1]
    assert found["head"].shape[1:3] == (batch.model.shape.n_layers, batch.model.shape.n_heads)
    torch.testing.assert_close(found["head"][:, 1].sum(), (delta**2).sum())


@plugged
def test_a_section(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert command("test", HYPOTHESES / "either.py", "--rows", 32, "--draws", 2, "--out", out).exit_code == 0
    assert command("report", out).exit_code == 0
    page = (out / "report.html").read_text()
    low, bar = ((r := json.loads((out / "run.json").read_text())["results"][0])["recovered"]["low"], r["bar"])
    assert page.index(">Scores<") < page.index(">Distance from the bar<") < page.index(">The claim<")
    assert f"The interval begins {low - bar:+.2f} from the bar." in page


def test_a_section_that_fails_is_named(tmp_path: Path) -> None:
    with kept_apart():
        text = EXAMPLES["distance"].replace('["bar"]', '["bars"]')
        plug_in(written(tmp_path / "own", distance=text))
        out = tmp_path / "run"
        command("test", HYPOTHESES / "either.py", "--rows", 32, "--draws", 2, "--out", out)
        found = command("report", out)
    assert found.exit_code == 2
    assert "report section 'distance': its file raised KeyError: 'bars' (distance.py:8)" in found.stderr


@plugged
def test_an_architecture() -> None:
    sizes = {**OPT, "num_key_value_heads": 4}
    config = hugging_face("OPTForCausalLM", **sizes).config.to_dict()
    assert shape_of_config(config, "tiny").d_mlp == OPT["ffn_dim"]
    taken = adapt(bridged("OPTForCausalLM", **sizes)).shape
    assert shape_of_config(config, "tiny") == evolve(taken, family="opt")
    with pytest.raises(ModelError, match="'ffn_dim' is -1, no whole number from 1"):
        shape_of_config({**config, "ffn_dim": -1}, "tiny")


def test_all_files_that_are_none_are_named_with_what_each_lacks(tmp_path: Path) -> None:
    place = written(
        tmp_path / "own",
        empty="x = 1\n",
        worded="WORDS = {'rows': 'reference'}\n",
        unworded="ABLATION = 1\n",
        odd="WORDS = {'rows': 'others', 'draws': -1}\nABLATION = 1\n",
        broken="def (",
        entries="FORMAT = 1\n",
        mean=EXAMPLES["halfway"],
        good=EXAMPLES["halfway"],
    )
    with pytest.raises(PlugInError) as told:
        plug_in(place)
    nouns = "metric, ablation, circuit format, attribution method, report section or architecture"
    values = "FORMULA, ABLATION, FORMAT, METHOD, SECTION or ARCHITECTURE"
    lacking = f"is no {nouns}: it has no {values}. CONTRIBUTING.md shows a file of each."
    lines = {Path(line.split(":")[0].split(" ")[0]).stem: line for line in str(told.value).splitlines()}
    assert set(lines) == {"broken", "empty", "entries", "mean", "odd", "unworded", "worded"}
    assert "it is no Python" in lines["broken"]
    assert lines["empty"] == f"{place / 'empty.py'} {lacking}"
    assert lines["worded"] == f"{place / 'worded.py'} {lacking}"
    assert lines["entries"].endswith("there is a circuit format 'entries' already: give the file another name.")
    assert "is no ablation: it has no WORDS. An ablation's file holds WORDS = " in lines["unworded"]
    assert "say rows='others': say 'pair', 'reference' or 'own'; they say draws=-1: say how" in lines["odd"]
    assert "there is an ablation 'mean' already" in lines["mean"]
    assert "good" not in ABLATIONS.names()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ABLATION = 3", "ablation 'wrong': ABLATION of its file is 3. An ablation's file holds"),
        (f"{ABLATION}\nABLATION = Ablation()", "ablation 'wrong': it has both donors and a value, or neither"),
        (f"{ABLATION}\nABLATION = Ablation(value=print, averaged=True)",
         "it takes means over reference rows, and its WORDS say rows='own'"),
        ("ABLATION = 1 / 0", r"ablation 'wrong': its file raised ZeroDivisionError: division by zero \(wrong.py:2\)"),
    ],
)  # fmt: skip
def test_a_value_that_is_none(tmp_path: Path, text: str, said: str) -> None:
    with kept_apart():
        plug_in(written(tmp_path / "own", wrong=f"WORDS = {{}}\n{text}\n"))
        with pytest.raises(PlugInError, match=said):
            scrub.run_circuit(
                "h", model=graph(h=lambda x: x), data=rows_of([{"x": 1}]), metric=VALUE, ablation="wrong"
            )
        forgotten("wrong")
