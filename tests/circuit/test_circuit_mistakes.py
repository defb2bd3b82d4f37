"""Arguments in each other's places or of another kind, misspelt names, and positions that coincide: one sentence."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest
from test_circuit_errors import (
    CLAIM,
    GRAPH,
    MODEL,
    ON_GRAPH,
    ROWS,
    VERBS,
    criteria,
    on_graph,
    paths,
    refused,
    run,
    sweep,
)

import scrub
from engine.graph_cases import OUTPUT
from scrub import Dataset
from scrub.circuit.arguments import counted
from scrub.circuit.circuit import Circuit
from scrub.circuit.sweep import cases_of
from scrub.errors import ClaimError, DataError
from scrub.model.source import find
from scrub.zoo import compiled_compose_rows

CIRCUIT = Circuit.parse("0.0")


@pytest.mark.parametrize("verb", VERBS)
def test_columns_are_told_in_the_users_own_word(verb: str) -> None:
    for word in ("group", "reference"):
        refused(
            lambda word=word: VERBS[verb](**{word: "lenght"}), DataError, f"{word}=: the data have no column 'lenght'"
        )
    refused(lambda: VERBS[verb](reference="key"), DataError, "reference=: column 'key' must hold True or False")


def test_columns_of_the_claim_are_told_in_its_words() -> None:
    alone = CLAIM.but(within="pairs", data=Dataset.from_rows(compiled_compose_rows(2, seed=1)))
    with pytest.raises(DataError, match=r"within='pairs': the rows .* fewer than 2 reference rows"):
        scrub.run_circuit("0.0", alone)
    with pytest.raises(DataError, match=r"group='key': the rows .* fewer than 2 reference rows"):
        scrub.run_circuit("0.0", alone, group="key")


def test_what_is_possible_without_a_partner() -> None:
    with pytest.raises(DataError, match="have no partner") as found:
        on_graph("h1", ablation="paired", pair="half")
    assert "scored=" in str(found.value)
    assert "empty=" not in str(found.value)
    lone = Dataset.from_rows(
        {"columns": {**row.columns, "whole": row.columns["half"] is not None}} for row in ROWS.rows
    )
    given = {**ON_GRAPH, "data": lone, "ablation": "paired", "pair": "half"}
    assert scrub.run_circuit("h1", **given, scored="whole").rows == 5, "the advice can be followed"


def test_numbers_as_the_user_writes_them() -> None:
    refused(lambda: run("0.0", rows=0), ClaimError, "rows=0: at least one row")
    refused(lambda: counted("--{} {!r}", draws=0), ClaimError, "--draws 0: at least one draw")
    for verb in VERBS.values():
        with pytest.raises(ClaimError) as found:
            verb(draws="many")
        assert str(found.value) == "draws='many': write a whole number."


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("hed 1", "'attn 1'"), ("had 0.1", "'0.1'"), ("9,9", "9.9"), ("0/1", "'0.1'"), ("atn 0", "'attn 0'"),
        ("emb", "'embed'"), ("logit", "'logits'"),
    ],
)  # fmt: skip
def test_the_nearest_good_name(name: str, good: str) -> None:
    refused(lambda: run(name), ClaimError, f"{name!r} names no component", good)


def test_the_nearest_head_of_a_query() -> None:
    refused(lambda: run("0.7.q"), ClaimError, "there is no 0.7.q", "did you mean 0.1?")


@pytest.mark.parametrize("name", ["hed 3", "mlpp 0", "9/9", "hed 7.7", "mlp 1 2"])
def test_the_nearest_name_is_one_that_the_model_has(name: str) -> None:
    with pytest.raises(ClaimError, match="Did you mean") as found:
        run(name)
    assert run(str(found.value).split("'")[-2], rows=4).rows == 4


def test_channels_that_no_head_has() -> None:
    refused(
        lambda: run("0.0 -> 1.0.x"), ClaimError, "'1.0.x' names no component", "channels q, k and v", "such as 1.0.q"
    )
    refused(lambda: run("0.0 -> 1.0.val"), ClaimError, "'1.0.val' names no component", "such as 1.0.v")
    refused(lambda: run("0.0 -> 1.0.q -> logits"), ClaimError, "is a path", "patch_paths")


@pytest.mark.parametrize("senders", [["mlp 0"], "mlp 0", ["heads", "mlps 0-1"], "mlps", "mlpp 1"])
def test_senders_that_an_attention_only_model_lacks(senders: Any) -> None:
    said = ["Did you mean 'attn 1'"] if senders == "mlpp 1" else ["attention only, no MLPs"]
    refused(lambda: sweep(senders), ClaimError, *said)


def test_misspelt_senders() -> None:
    refused(lambda: sweep("hads"), ClaimError, "'hads' names no component", "'heads'")
    refused(lambda: sweep("heads 7"), ClaimError, "'heads 7': there is no layer 7", "layers 0 to 1")
    refused(lambda: sweep("9,9"), ClaimError, "'9,9' names no component", "9.9")


WRONG: list[tuple[Callable[[], Any], list[str]]] = [
    (lambda: paths(3), ["3 names no paths", "'9.9 -> logits'"]),
    (lambda: paths(None), ["None names no paths"]),
    (lambda: paths([3]), ["3 among the paths"]),
    (lambda: sweep(3), ["3 names no senders", "'heads'"]),
    (lambda: sweep([3]), ["3 among the senders"]),
    (lambda: sweep("heads", 3), ["to=3", "'-> logits'"]),  # type: ignore[arg-type]
    (lambda: sweep(at=1.5), ["at=1.5", "'END'"]),
    (lambda: run([3]), ["3 among the parts is no text"]),
    (lambda: run("0.0", through=3), ["3 names no components to pass through"]),
    (lambda: criteria(random="x"), ["random='x'", "whole number"]),
    (lambda: criteria(budget=1.5), ["budget=1.5", "whole number"]),
    (lambda: scrub.criteria(CLAIM, CIRCUIT), ["model= is a Circuit", "circuit=..."]),
    (lambda: scrub.criteria(CIRCUIT), ["hypothesis= is a Circuit", "circuit=..."]),
    (lambda: scrub.run_circuit(CLAIM, CIRCUIT), ["hypothesis= is a Circuit", "run_circuit(circuit, hypothesis)"]),
    (lambda: scrub.run_circuit("0.0", model=CLAIM), ["model= is a hypothesis", "hypothesis=..."]),
    (lambda: scrub.patch_paths(CLAIM, "0.0 -> logits"), ["a hypothesis stands where paths stand"]),  # type: ignore
    (lambda: scrub.sweep("heads", CLAIM), ["to= is a hypothesis", "hypothesis=..."]),  # type: ignore[arg-type]
    (lambda: scrub.criteria("names.py"), ["'names.py' is no hypothesis"]),  # type: ignore[arg-type]
    (lambda: on_graph("h1", device="cuda"), ["device cuda", "a computation graph runs on the cpu"]),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_arguments_of_another_kind(number: int) -> None:
    refused(WRONG[number][0], ClaimError, *WRONG[number][1])


def test_data_of_another_kind() -> None:
    refused(lambda: scrub.run_circuit("h1", model=GRAPH, data=3, metric=OUTPUT), DataError, "data=3 is no Dataset")  # type: ignore


def twins() -> dict[str, Any]:
    """TWIN is where VALUE is in rows 2 and 5, where KEY is in all others."""
    rows = compiled_compose_rows(12, seed=1)
    for i, row in enumerate(rows):
        places = row["positions"]
        rows[i] = {**row, "positions": {**places, "TWIN": places["VALUE" if i in (2, 5) else "KEY"]}}
    return {"model": MODEL, "data": Dataset.from_rows(rows), "metric": "loss(value)"}


TWINS = twins()


def test_positions_of_one_component_that_coincide() -> None:
    said = ["0.0 @ TWIN and 0.0 @ VALUE", "same position in rows 2, 5"]
    steps = "embed -> 0.0.v @ VALUE -> logits; embed -> 0.0.v @ TWIN -> logits"
    both = "0.0 @ VALUE -> 1.0.k ~all~> logits; embed -> 0.0.v @ TWIN -> 1.0.k ~all~> logits"
    for text in (steps, both):
        refused(lambda text=text: scrub.patch_paths(text, **TWINS), ClaimError, *said)
    refused(lambda: scrub.sweep("embed", "-> 0.0.v @ VALUE TWIN -> logits", read="END", **TWINS), ClaimError, *said)


def test_positions_that_coincide_for_a_sweep() -> None:
    """What stands in for a position is found by its names: the effect at one would depend on the other."""
    with pytest.raises(ClaimError, match=r"same position in rows 2, 5\. Patch one after the other"):
        scrub.sweep("0.0", at=["VALUE", "TWIN"], read="END", **TWINS)
    several = "0.0 @ VALUE -> 1.0.k ~all~> logits; embed @ TWIN -> 1.0.q ~all~> logits"
    assert scrub.patch_paths(several, at="END", **TWINS).rows == 12, "of different components"
    assert scrub.run_circuit("0.0 @ VALUE, 0.0 @ TWIN", at="END", **TWINS).rows == 12, "a set of parts"


def test_senders_that_are_written_too_late_are_left_out() -> None:
    graph = find(MODEL).graph
    assert {str(node) for node, _ in cases_of("heads", "-> 1.0.q -> logits", None, graph)} == {"0.0", "0.1"}
    refused(lambda: sweep("heads", "-> 1.0.q -> 0.0.q -> logits"), ClaimError, "0.0.q does not read 1.0 directly")


@pytest.mark.parametrize("direction", ["noising", "denoising"])
@pytest.mark.parametrize("ablation", ["mean", "zero"])
@pytest.mark.parametrize("verb", ["run_circuit", "patch_paths", "sweep"])
def test_the_bar_is_full_when_all_is_done(
    verb: str, ablation: str, direction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars: list[tuple[int, list[int]]] = []

    @contextmanager
    def progress(_: str, total: int) -> Generator[Callable[[int], None]]:
        bars.append((total, []))
        yield bars[-1][1].append

    for module in {verb, "run_circuit"}:
        monkeypatch.setattr(f"scrub.verbs.{module}.progress", progress)
    VERBS[verb](ablation=ablation, direction=direction, rows=7, group="pairs")
    on_graph("h1", ablation="resample", direction=direction, draws=3)
    assert [total for total, _ in bars] == [sum(done) for _, done in bars]
    assert bars[1][0] == 2 * 6 * 3


def test_a_run_shows_itself_in_a_notebook() -> None:
    found = run("0.0 @ VALUE, 0.1 @ END", rows=4)
    page = found._repr_html_()
    assert page.startswith("<div><strong>0.0 @ VALUE, 0.1 @ END  mean ablation, noising</strong>")
    assert all(line.strip() in page for line in str(found).splitlines()[1:])
    assert "-&gt;" in paths("0.0 -> logits", rows=4)._repr_html_()
