"""Every mistake in naming, running and judging a circuit gets one clear sentence, at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import scrub
from engine.graph_cases import OUTPUT, graph_of, rows_of
from scrub import Dataset, Hypothesis, Interpretation, claim, embed, heads, logits, recovers
from scrub.circuit.circuit import Circuit
from scrub.errors import ClaimError, DataError, ModelError, ScrubError
from scrub.zoo import compiled_compose_rows

MODEL = "zoo:compiled-compose"
GRAPH = graph_of(h1=lambda x: 2 * x, h2=lambda x, h1: 3 * (x + h1), out=lambda x, h1, h2: x + h1 + h2)
ROWS = rows_of(
    {
        "x": i, "next": (i + 1) % 6, "half": None if i == 2 else (i + 1) % 6, "far": i + 3,
        "single": 2 if i == 5 else i % 2, "one": i == 0,
    }
    for i in range(6)
)  # fmt: skip
ON_GRAPH: dict[str, Any] = {"model": GRAPH, "data": ROWS, "metric": OUTPUT}


def compose() -> Hypothesis:
    """The claim of the gallery about the compiled model, on few rows."""
    story = Interpretation()

    @story.variable
    def wanted(asked: str) -> str:
        return asked.upper()

    @story.variable
    def lookup(wanted: str, key: str, value: str) -> str | None:
        return value if wanted == key else None

    @story.variable
    def answer(lookup: str | None) -> str | None:
        return lookup

    data = Dataset.from_rows(compiled_compose_rows(40, seed=1))
    places = {
        "asked": embed("ASK"),
        "key": heads("0.0", at="VALUE"),
        "value": embed("VALUE"),
        "wanted": heads("0.1", at="END").reads(v="asked"),
        "lookup": heads("1.0", at="END").reads(q="wanted", k="key", v="value"),
        "answer": logits("END"),
    }
    return claim(story, model=MODEL, data=data, metric="loss(value)", expect=recovers(0.5))(lambda: places)


CLAIM = compose()


def ragged() -> Dataset:
    """Rows of the compiled model; the fourth has no VALUE."""
    rows = compiled_compose_rows(12, seed=1)
    for i, row in enumerate(rows):
        kept = {name: at for name, at in row["positions"].items() if (name, i) != ("VALUE", 3)}
        rows[i] = {**row, "positions": kept}
    return Dataset.from_rows(rows)


ON_RAGGED: dict[str, Any] = {"model": MODEL, "data": ragged(), "metric": "loss(value)"}


def refused(run: Callable[[], Any], error: type[ScrubError], *said: str) -> None:
    with pytest.raises(error) as found:
        run()
    message = str(found.value)
    assert all(text in message for text in said), message


def criteria(circuit: Any = None, **options: Any) -> Any:
    return scrub.criteria(CLAIM, circuit=circuit, **options)


def run(circuit: Any, **options: Any) -> Any:
    return scrub.run_circuit(circuit, CLAIM, **options)


def on_graph(circuit: Any, **options: Any) -> Any:
    return scrub.run_circuit(circuit, **ON_GRAPH, **options)


def paths(text: Any, **options: Any) -> Any:
    return scrub.patch_paths(text, CLAIM, **options)


def sweep(senders: Any = "heads", to: str = "-> logits", **options: Any) -> Any:
    return scrub.sweep(senders, to, CLAIM, **options)


VERBS: dict[str, Callable[..., Any]] = {
    "criteria": criteria,
    "run_circuit": lambda **options: run("0.0", **options),
    "patch_paths": lambda **options: paths("0.0 -> logits", **options),
    "sweep": sweep,
}


def test_good_inputs_are_good() -> None:
    """Else all of this could fail for another reason."""
    assert run("0.0 @ VALUE, 0.1 @ END", rows=4).rows == 4
    assert paths("0.1 @ END -> 1.0.q -> logits", rows=4).rows == 4
    assert sweep(at="END", rows=4).rows == 4
    assert on_graph("h1", ablation="paired", pair="next").rows == 6
    assert on_graph("h1", rows=100).rows == 6, "as many as there are"


@pytest.mark.parametrize("nothing", [Circuit(), "", [], " , ;"])
def test_an_empty_circuit_for_criteria(nothing: Any) -> None:
    refused(lambda: criteria(nothing), ClaimError, "an empty circuit", "name")


@pytest.mark.parametrize("nothing", ["", " , ;\n", []])
def test_names_of_nothing(nothing: Any) -> None:
    refused(lambda: Circuit.parse(nothing), ClaimError, "empty circuit: name at least one component or edge")
    refused(lambda: on_graph(nothing), ClaimError, "empty circuit: name at least one component or edge")


@pytest.mark.parametrize("ablation", ["mean", "resample"])
def test_too_few_reference_rows(ablation: str) -> None:
    few = "fewer than 2 reference rows in their group"
    refused(lambda: on_graph("h1", reference="one", ablation=ablation), DataError, "rows 0, 1, 2, 3, 4, 5", few)
    refused(lambda: on_graph("h1", group="single", ablation=ablation), DataError, "group='single'", "the rows 5", few)
    with pytest.raises(DataError, match="Widen the group, or mark more rows"):
        scrub.patch_paths("h1 -> out", **ON_GRAPH, group="single", ablation=ablation)
    with pytest.raises(DataError, match="Widen the group, or mark more rows"):
        scrub.sweep("h1 h2", "-> out", **ON_GRAPH, group="single", ablation=ablation)


def test_a_position_of_the_row_that_too_few_rows_have() -> None:
    """No name stands there, and one row alone is as long."""
    tokens = [[1, 2, 3], [3, 2], [2, 1]]
    data = Dataset.from_rows({"tokens": row, "columns": {"label": 1}} for row in tokens)
    refused(
        lambda: scrub.run_circuit("0.0", model=MODEL, data=data, metric="loss(label)"),
        DataError, "positions 2 of rows 0", "fewer than 2 reference rows", "widen group=",
    )  # fmt: skip


def test_rows_with_positions_that_their_donors_lack() -> None:
    refused(
        lambda: scrub.run_circuit("0.0", **ON_RAGGED, at="END", ablation="resample"),
        DataError, "'resample' needs every position of a row in its donor", "group=",
    )  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_paired_without_a_column(verb: str) -> None:
    refused(lambda: VERBS[verb](ablation="paired"), ClaimError, "'paired' needs the column", "pair='column'")


def test_partners_that_are_missing() -> None:
    paired = {"ablation": "paired"}
    refused(lambda: on_graph("h1", **paired, pair="half"), DataError, "pair='half': rows 2 have no partner")
    refused(lambda: on_graph("h1", **paired, pair="far"), DataError, "pair='far': rows 3, 4, 5 have no partner")
    refused(lambda: on_graph("h1", **paired, pair="nxet"), DataError, "no column 'nxet'", "Did you mean next?")


def test_columns_that_do_not_exist_or_hold_something_else() -> None:
    refused(lambda: on_graph("h1", group="singel"), DataError, "no column 'singel'", "Did you mean single?")
    refused(lambda: on_graph("h1", reference="on"), DataError, "no column 'on'", "Did you mean one?")
    refused(lambda: on_graph("h1", reference="x"), DataError, "column 'x' must hold True or False")


def test_positions_that_some_rows_lack() -> None:
    lacking = "position VALUE is missing in rows 3"
    given = {**ON_RAGGED, "at": "END"}
    refused(lambda: scrub.run_circuit("0.0 @ VALUE", **given), ClaimError, lacking)
    refused(lambda: scrub.run_circuit("embed -> 0.0.k @ VALUE, 0.0 -> logits", **given), ClaimError, lacking)
    refused(lambda: scrub.patch_paths("0.0 @ VALUE -> logits", **given), ClaimError, lacking)
    refused(lambda: scrub.sweep("heads", at="VALUE", read="END", **ON_RAGGED), ClaimError, lacking)
    refused(lambda: scrub.run_circuit("0.0", **ON_RAGGED, at="VALUE"), DataError, lacking)


@pytest.mark.parametrize(
    "mistaken",
    [
        lambda: run("0.0 @ VALEU"),
        lambda: criteria("0.0 @ VALEU"),
        lambda: paths("0.0 @ VALEU -> logits"),
        lambda: sweep(at="VALEU"),
        lambda: scrub.run_circuit("0.0", **ON_RAGGED, at="VALEU"),
    ],
)
def test_positions_that_nobody_has(mistaken: Callable[[], Any]) -> None:
    refused(mistaken, ScrubError, "the data have no position 'VALEU'", "ASK, KEY, VALUE, END")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("0.9", ["there is no 0.9", "heads 0.0 to 0.1", "did you mean 0.1?"]),
        ("3.1", ["there is no 3.1", "layers 0 to 1", "did you mean 1.1?"]),
        ("mlp 0", ["there is no mlp 0", "attention only", "did you mean attn 0?"]),
        ("had 0.1", ["'had 0.1' names no component", "Heads are written 9.6"]),
    ],
)
def test_parts_that_do_not_exist(name: str, said: list[str]) -> None:
    refused(lambda: run(name), ClaimError, *said)
    refused(lambda: criteria(name), ClaimError, *said)
    refused(lambda: paths(f"{name} -> logits"), ClaimError, *said)
    if name != "mlp 0":  # in a sweep a word for all MLPs of a layer
        refused(lambda: sweep([name]), ClaimError, said[0])


def test_every_part_that_does_not_exist_is_told_at_once() -> None:
    refused(lambda: run("0.9, 0.0, 5.0, mlp 1"), ClaimError, "no 0.9", "no 5.0", "no mlp 1")
    refused(lambda: run("had 0.1, 0.0, hed 0.2"), ClaimError, "'had 0.1'", "'hed 0.2'")


def test_nodes_that_do_not_exist() -> None:
    known = "the nodes x, h1, h2, out"
    refused(lambda: on_graph("h9"), ClaimError, "there is no h9", known, "did you mean h2?")
    refused(lambda: scrub.patch_paths("h9 -> out", **ON_GRAPH), ClaimError, "there is no h9", known)
    refused(lambda: scrub.sweep("h1 h9", "-> out", **ON_GRAPH), ClaimError, "there is no h9", known)


@pytest.mark.parametrize(
    ("edge", "said"),
    [
        ("1.0 -> 0.0.q", ["no such edge, 0.0.q does not read 1.0", "other way round there is 0.0 -> 1.0.q"]),
        ("0.1 -> embed", ["no such edge, embed does not read 0.1", "other way round there is embed -> 0.1"]),
        ("0.0 -> 0.1.q", ["no such edge, 0.1.q does not read 0.0"]),
        ("0.0 -> 1.7.q", ["there is no 1.7", "did you mean 1.1?"]),
        ("0.0 -> logits.q", ["logits has one channel", "only heads have q, k and v"]),
        ("0.0 -> 1.0.x", ["1.0.x' names no component"]),
    ],
)
def test_edges_that_do_not_exist(edge: str, said: list[str]) -> None:
    refused(lambda: run(edge), ClaimError, *said)
    refused(lambda: criteria(edge), ClaimError, *said)


def test_paths_that_go_the_wrong_way() -> None:
    refused(lambda: paths("1.0 -> 0.0.q -> logits"), ClaimError, "0.0.q does not read 1.0")
    refused(lambda: sweep("1.0", "-> 0.0.q -> logits"), ClaimError, "none of the senders '1.0' reaches")


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize("text", ['{"weights": [1, 2]}', "hello there\nthis is text\n", "[1, 2, 3]", "17"])
def test_a_file_of_unknown_form(text: str, tmp_path: Path) -> None:
    file = written(tmp_path, "circuit.json", text)
    refused(lambda: run(Circuit.read(file)), ClaimError, str(file), "no circuit that can be read", "Known are")


def test_a_file_that_is_not_there_or_a_pickle(tmp_path: Path) -> None:
    refused(lambda: Circuit.read(tmp_path / "none.json"), ClaimError, "none.json: cannot be read")
    refused(lambda: Circuit.read(written(tmp_path, "circuit.pt", "")), ClaimError, "pickles and .pt files")


def test_a_file_for_another_model(tmp_path: Path) -> None:
    content = {
        "cfg": {"n_layers": 12, "n_heads": 2, "d_model": 768},
        "nodes": {"input": True, "a0.h0": True, "logits": True},
        "edges": {"input->a0.h0<q>": {"in_graph": True}, "a0.h0->logits": {"in_graph": True}},
    }
    circuit = Circuit.read(written(tmp_path, "graph.json", json.dumps(content)))
    said = ["made for another model", "n_layers 12, d_model 768", f"{MODEL} has n_layers 2"]
    refused(lambda: run(circuit), ClaimError, *said)
    refused(lambda: criteria(circuit), ClaimError, *said)
    refused(lambda: on_graph(circuit), ClaimError, "there is no embed", "the nodes x, h1, h2, out")


def test_budgets_and_numbers_of_random_circuits() -> None:
    refused(lambda: criteria(budget=0), ClaimError, "budget=0", "at least one part")
    refused(lambda: criteria(budget=-2), ClaimError, "budget=-2", "at least one part")
    refused(lambda: criteria(random=-1), ClaimError, "random=-1", "0 for effects alone", "100 is the default")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("word", "value", "said"),
    [
        ("ablation", "men", ["ablation='men'", "Did you mean 'mean'?", "mean, resample, zero, paired"]),
        ("direction", "noise", ["direction='noise'", "Did you mean 'noising'?", "noising, denoising"]),
        ("level", "edge", ["level='edge'", "Did you mean 'edges'?", "components, edges"]),
        ("abltaion", "mean", ["no argument 'abltaion'", "Did you mean 'ablation'?"]),
        ("group", 3, ["group=3", "name of a column"]),
    ],
)
def test_words_of_the_protocol(verb: str, word: str, value: Any, said: list[str]) -> None:
    refused(lambda: VERBS[verb](**{word: value}), ClaimError, *said)


def test_passed_through_parts() -> None:
    refused(lambda: run("0.0", through="mpls"), ClaimError, "'mpls' names nothing", "'mlps', 'heads', 'all'")
    refused(lambda: run("0.0", through="heads 0"), ClaimError, "0.0: passed through", "pass through less")
    refused(lambda: on_graph("h1", through="h1"), ClaimError, "h1: passed through", "pass through less")


def test_a_level_that_a_circuit_does_not_have() -> None:
    refused(lambda: criteria("0.0", level="edges"), ClaimError, "level='edges'", "names no edges")


def test_no_setting() -> None:
    said = ["give a hypothesis", "or model=, data= and metric=", "lacking: model, data, metric"]
    refused(lambda: scrub.run_circuit("0.0"), ClaimError, *said)
    refused(lambda: scrub.patch_paths("0.0 -> logits"), ClaimError, *said)
    refused(lambda: scrub.sweep("heads"), ClaimError, *said)
    refused(lambda: scrub.run_circuit("h1", model=GRAPH, data=ROWS), ClaimError, "lacking: metric.")
    refused(lambda: scrub.run_circuit("h1", model=3, data=ROWS, metric=OUTPUT), ModelError, "is no model")


@pytest.mark.parametrize("nothing", ["", " ;\n", []])
def test_no_paths(nothing: Any) -> None:
    refused(lambda: paths(nothing), ClaimError, "no paths are given", "such as")


@pytest.mark.parametrize("text", ["0.0", "-> logits", "0.0 ->", "0.0 ~mlps> logits"])
def test_what_is_no_path(text: str) -> None:
    refused(lambda: paths(text), ClaimError, f"{text!r} is no path", "write 'sender -> receiver.channel -> logits'")


def test_a_path_that_does_not_end_at_the_output() -> None:
    said = ["does not end at the output", "~all~> logits"]
    refused(lambda: paths("0.0 -> 1.0.q"), ClaimError, "0.0 -> 1.0.q", *said)
    refused(lambda: sweep("heads", "-> 1.0.q"), ClaimError, *said)
    refused(lambda: scrub.patch_paths("x -> h1", **ON_GRAPH), ClaimError, "x -> h1 does not end at the output")


def test_what_a_hop_may_pass_and_what_is_swept() -> None:
    refused(lambda: paths("0.0 ~junk~> logits"), ClaimError, "'junk' names nothing", "'mlps', 'heads', 'all'")
    refused(lambda: sweep("hads"), ClaimError, "'hads' names no component")
    refused(lambda: sweep([]), ClaimError, "no senders are named", "'heads', 'mlps'")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("rows", 0, ["rows=0", "at least one"]),
        ("rows", -3, ["rows=-3", "at least one"]),
        ("rows", 2.5, ["rows=2.5", "whole number"]),
        ("rows", "ten", ["rows='ten'", "whole number"]),
        ("draws", 0, ["draws=0", "at least one"]),
        ("draws", 1.5, ["draws=1.5", "whole number"]),
        ("draws", True, ["draws=True", "whole number"]),
        ("draws", 3, ["draws=3", "'mean' draws nothing"]),
        ("seed", -1, ["seed=-1", "from 0 on"]),
        ("dtype", "float7", ["dtype 'float7'", "float32", "float64"]),
        ("dtype", "half", ["dtype 'half'", "bfloat16", "float16"]),
        ("device", "gpu9", ["device gpu9", "no such device"]),
    ],
)
def test_numbers_and_types_out_of_range(verb: str, name: str, value: Any, said: list[str]) -> None:
    refused(lambda: VERBS[verb](**{name: value}), ScrubError, *said)


def test_nodes_whose_values_have_no_mean() -> None:
    graph = graph_of(h1=lambda x: "a" * x, out=lambda h1: len(h1))
    refused(
        lambda: scrub.run_circuit("h1", model=graph, data=ROWS, metric=OUTPUT),
        DataError, "values have no mean", "use 'resample' or 'paired'",
    )  # fmt: skip
