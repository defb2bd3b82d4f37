"""Circuits of sub-skills: whose they are, how reliably they are found, how many others do as well."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

import scrub
from model.tiny_models import native
from score.cases import claim_of, graph, rows_of, story_of
from scrub import Dataset, Hypothesis, Metric, claim, embed, heads, logits, nodes, recovers
from scrub.anatomy.names import Component
from scrub.errors import ClaimError
from scrub.proposals.exchanges import as_good
from scrub.proposals.skills import jaccard
from scrub.report.skills import specific
from scrub.score.skill_matrix import SkillMatrix
from scrub.zoo import compiled

ERROR = Metric(lambda output, row: abs(output - row.columns["label"]), better="lower", name="error")
SEVERAL = 3  # rows of each kind
COMMAND = {"left": 1, "right": 2}
VALUES = range(3, 7)


def on_graph(shared: bool, **options: Any) -> Hypothesis:
    """a answers where `one` is asked for; where `two` is, b does, or, shared, a as well. c and d do nothing."""
    rows = [
        {"mode": m, "x": x, "y": y, "one": m == 0, "two": m == 1, "label": 5 * y if m and not shared else 3 * x}
        for m, x, y, _ in product(range(2), range(4), range(4), range(SEVERAL))
    ]
    model = graph(
        a=lambda x: 3 * x, b=lambda y: 5 * y, c=lambda x, y: x + y, d=lambda y: y,
        out=lambda mode, a, b, c, d: b if mode and not shared else a,
    )  # fmt: skip
    story = {
        "low": lambda x: 3 * x, "high": lambda y: 5 * y,
        "answer": lambda mode, low, high: high if mode and not shared else low,
    }  # fmt: skip
    sites = {
        "x": "x", "y": "y", "mode": "mode", "low": nodes("a").reads(x="x"), "high": nodes("b").reads(y="y"),
        "answer": nodes("out").reads(mode="mode", a="low", b="high"),
    }  # fmt: skip
    return claim_of(model, story, sites, rows_of(rows), **{"metric": ERROR, "skills": "one two", **options})


def matrix_of(hypothesis: Hypothesis, **options: Any) -> SkillMatrix:
    plain = {"draws": 2, "controls": "none", "parts": "none"}
    found = scrub.test(hypothesis, skills=True, **{**plain, **options}).matrix
    assert found is not None
    return found


def value(matrix: SkillMatrix, circuit: str, skill: str) -> float:
    share = matrix.cell(circuit, skill).share.value
    assert share is not None
    return share


def parts(matrix: SkillMatrix) -> dict[str, list[str]]:
    return {circuit.skill: list(map(str, circuit.parts)) for circuit in matrix.circuits}


def test_skills_with_circuits_of_their_own() -> None:
    """High on the diagonal, low off it: a says 3x where 5y is asked for, and on the mean of the other the error is
    that of a constant."""
    matrix = matrix_of(on_graph(shared=False))
    assert parts(matrix) == {"claimed": ["a", "b"], "one": ["a"], "two": ["b"]}
    assert [value(matrix, name, name) for name in ("one", "two")] == [1, 1]
    assert value(matrix, "one", "two") == pytest.approx(0)
    assert value(matrix, "two", "one") < 0.5
    assert [value(matrix, "claimed", name) for name in ("one", "two")] == [1, 1]
    assert matrix.cell("one", "two").overlap == 0
    assert matrix.cell("claimed", "two").overlap == 0.5
    assert specific(matrix.to_dict())[0].startswith("every skill has a circuit of its own")


def test_skills_that_share_a_circuit() -> None:
    """Off the diagonal as much as on it."""
    matrix = matrix_of(on_graph(shared=True))
    assert parts(matrix)["one"] == parts(matrix)["two"] == ["a"]
    for circuit, skill in product(("one", "two"), repeat=2):
        assert value(matrix, circuit, skill) == 1
        assert matrix.cell(circuit, skill).overlap == 1
    (said,) = specific(matrix.to_dict())
    assert said.startswith("circuits are not specific to their skills: 2 of 2 recover as much")


def test_what_is_asked_of_a_circuit() -> None:
    one = matrix_of(on_graph(shared=True)).circuits[1]
    assert one.needed == one.parts
    assert one.seeds is not None
    assert one.halves is not None
    assert (one.seeds.mean, one.seeds.pairs, one.halves.mean, one.halves.pairs) == (1, 6, 1, 3)
    assert one.as_good is not None
    assert (one.as_good.count, one.as_good.circuits, one.as_good.tried) == (0, 3, 3)


def two_heads() -> Any:
    """At the end 0.0 copies position 1 where `left` is said, 0.1 position 2 where `right` is; else both rest."""
    spaces = compiled.Spaces({"token": 7, "position": 4, "answer": 4})
    d, size = spaces.width, 8
    config = {"n_layers": 1, "n_heads": 3, "d_model": d, "d_head": size, "n_ctx": 4, "d_vocab": 7}
    state = compiled._silent(config)  # pyright: ignore[reportPrivateUsage]
    state["embed.weight"][:] = spaces.rows("token")
    state["pos_embed.weight"][:] = spaces.rows("position")
    state["unembed.weight"][[*VALUES]] = compiled.SURE * spaces.rows("answer")
    for head, own, other, at in (("0.0", 1, 2, 1), ("0.1", 2, 1, 2)):
        compiled._set_head(  # pyright: ignore[reportPrivateUsage]
            state, head, size, compiled._Head(  # pyright: ignore[reportPrivateUsage]
                q=spaces.rows("token", np.array([own, other])), k=spaces.rows("position", np.array([at, 0])),
                v=spaces.rows("token", np.array([*VALUES])), o=spaces.rows("answer"),
            ),
        )  # fmt: skip
    bridge = native(**config, d_mlp=0, attn_only=True, normalization_type=None)
    weights = {name: torch.from_numpy(array).double() for name, array in state.items()}
    bridge.load_state_dict({**weights, "unembed.bias": torch.zeros(7).double()})
    return bridge


def test_heads_of_a_transformer_that_serve_one_skill_each() -> None:
    def row(a: int, b: int, side: str, number: int) -> dict[str, Any]:
        columns = {"a": a, "b": b, "side": side, "label": a if side == "left" else b, "number": number}
        marks = {name: side == name for name in COMMAND}
        at = {"A": 1, "B": 2, "END": -1}
        return {"tokens": [0, a, b, COMMAND[side]], "positions": at, "columns": columns | marks}

    data = Dataset.from_rows(row(*found) for found in product(VALUES, VALUES, COMMAND, range(2)))
    story = story_of(
        first=lambda side, a: a if side == "left" else None, second=lambda side, b: b if side == "right" else None,
        answer=lambda first, second: second if first is None else first,
    )  # fmt: skip
    places = {
        "a": embed("A"), "b": embed("B"), "side": embed("END"),
        "first": heads("0.0", at="END").reads(q="side", v="a"),
        "second": heads("0.1", at="END").reads(q="side", v="b"), "answer": logits("END"),
    }  # fmt: skip
    setting: dict[str, Any] = {"model": two_heads(), "data": data, "metric": "loss(label)", "expect": recovers(0.8)}
    matrix = matrix_of(claim(story, skills="left right", **setting)(places))
    assert parts(matrix) == {"claimed": ["0.0", "0.1"], "left": ["0.0"], "right": ["0.1"]}
    for name, other in (("left", "right"), ("right", "left")):
        assert value(matrix, name, name) > 0.9
        assert value(matrix, name, other) < 0.5
        less = matrix.cell(name, other).less
        assert less.low is not None
        assert less.low > 0.3
    assert specific(matrix.to_dict())[0].startswith("every skill has a circuit of its own")


def test_how_many_circuits_do_as_well() -> None:
    """Of eight parts two are in the circuit; either can be exchanged for a twin of it, and both for both twins."""
    nodes_ = [Component.for_node(name) for name in "abABuvwx"]

    def share(several: Any) -> np.ndarray:
        names = [{str(part).lower() for part in circuit} for circuit in several]
        return np.array([len(found & {"a", "b"}) / 2 for found in names])

    found = as_good(share, frozenset(nodes_[:2]), nodes_, 0)
    assert found is not None
    assert (found.count, found.low, found.high, found.tried) == (3, 3, 3, 2 * 6 + 15)
    assert as_good(share, frozenset(nodes_), nodes_, 0) is None


def test_a_sample_of_exchanges_has_an_interval_that_contains_the_count() -> None:
    """One of ten parts is idle: what it is exchanged for does not matter."""
    parts = [Component.for_node(f"n{i:02}") for i in range(60)]
    own, needed = frozenset(parts[:10]), frozenset(parts[:9])

    def share(several: Any) -> np.ndarray:
        return np.array([float(needed <= circuit) for circuit in several])

    found = as_good(share, own, parts, 3)
    assert found is not None
    assert found.tried < found.circuits == 10 * 50 + 45 * 1225 + 120 * 19600
    assert found.low < 50 < found.high


def test_the_overlap_of_two_circuits() -> None:
    a, b, c = map(Component.for_node, "abc")
    assert jaccard([a, b], [b, c]) == pytest.approx(1 / 3)
    assert jaccard([], []) == 1


def test_scores_of_a_skill_are_those_of_a_test_on_its_rows() -> None:
    hypothesis = on_graph(shared=False).but(low=nodes("a").omits("x"))
    result = scrub.test(hypothesis, draws=4)
    assert [skill.skill for skill in result.skills] == ["one", "two"]
    for skill in result.skills:
        alone = scrub.test(hypothesis.but(scored=skill.skill, skills=()), draws=4)
        assert skill.recovered == alone.recovered
        assert skill.explained == alone.unexplained.explained
        assert skill.story == alone.story
        assert skill.rows == alone.rows
    assert result.skills[0].recovered != result.skills[1].recovered


def test_a_claim_without_skills_says_what_it_lacks() -> None:
    with pytest.raises(ClaimError, match=r"names no sub-skills: skills='select order' in @claim"):
        scrub.test(on_graph(shared=False, skills=()), skills=True)


def test_what_keeps_circuits_from_being_found_is_told() -> None:
    """Where the model does no better on a skill's rows than with everything ablated, it has no circuit."""
    hypothesis = on_graph(shared=False)
    rows = [
        {**row.columns, "one": row.columns["x"] == 0 and row.columns["mode"] == 0} for row in hypothesis.data.rows
    ]
    for row in rows:
        row["label"] = 4.5 if row["one"] else row["label"]
    matrix = matrix_of(hypothesis.but(data=rows_of(rows)))
    (none,) = [circuit for circuit in matrix.circuits if circuit.skill == "one"]
    assert none.note == "the model does no better on the skill's rows than with everything ablated"
    assert parts(matrix)["two"] == ["b"]
