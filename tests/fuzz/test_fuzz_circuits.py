"""Circuit files that were changed: a circuit that is read back the same, or a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

import scrub as package
from circuit_file_cases import HOOKS
from fuzz.fuzz_claims import good
from fuzz.fuzzing import changed, counted, damaged, limited, runs
from scrub.circuit.circuit import Circuit
from scrub.errors import ScrubError
from scrub.model.computation import Computation

pytestmark = pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
FORMS: list[Any] = [
    {
        "cfg": {"n_layers": 12, "n_heads": 4, "parallel_attn_mlp": False, "d_model": 64},
        "nodes": {"input": {"in_graph": True}, "a0.h0": {"in_graph": True, "score": 0.5}, "m0": True},
        "edges": {
            "input->a0.h0<q>": {"score": 0.25, "in_graph": True}, "a0.h0->m0": {"score": -2.0, "in_graph": True},
            "a9.h3->logits": {"score": 1, "in_graph": True},
        },
    },
    HOOKS,
    [list(pair) for pair in zip(HOOKS[::2], HOOKS[1::2], strict=False)],
    {"nodes": ["9.6 @ END", "mlp 0", "embed @ S1"], "edges": ["7.3 -> 9.9.q", "9.9 @ END -> logits @ END"]},
    ["A9.6->A9.9.Q", "Resid Start->MLP 0", "MLP 11->Resid End", "A0.1->MLP 3"],
    "9.6 @ END, mlp 3\n# a comment\n7.3 -> 9.9.q\n[9.9 @ S1+1]\n",
    "blocks.9.hook_q_input[:, :, 6] -> blocks.7.attn.hook_result[:, :, 3]\n",
]  # fmt: skip
OF_GRAPH: list[Any] = [
    {"nodes": ["h", "b"], "edges": ["h -> out.h"]},
    ["h", "b -> out.b", "a -> h.a"],
    "h\nb -> out.b\na -> h.a, a -> g.a\n",
]


def content(rng: Random, forms: list[Any]) -> bytes:
    form = rng.choice(forms)
    if isinstance(form, str):
        return damaged(rng, form.encode())
    text = json.dumps(changed(rng, form) if rng.random() < 0.7 else form).encode()
    return damaged(rng, text) if rng.random() < 0.4 else text


def _again(file: Path, nodes: Computation | None) -> Circuit | None:
    try:
        return Circuit.read(file, nodes)
    except ScrubError:
        return None


@runs(100)
def test_circuit_files(tmp_path: Path, cases: int) -> None:
    file, again, own = tmp_path / "circuit.txt", tmp_path / "again.json", good(tmp_path)
    nodes = Computation.of(own.model())

    def case(name: str, rng: Random) -> str:
        of_graph = rng.random() < 0.4
        file.write_bytes(content(rng, OF_GRAPH if of_graph else FORMS))
        with limited():
            try:
                found = Circuit.read(file, nodes if of_graph or rng.random() < 0.2 else None)
            except ScrubError as error:
                return "refused" if str(error) else "refused without a word"
            try:
                found.write(again)
            except ScrubError as error:  # names that are none of a graph's
                return "not written" if str(error) else "refused without a word"
            assert found in (_again(again, None), _again(again, nodes)), name
            assert str(found).strip(), name
            try:
                package.run_circuit(found, own, ablation="resample", draws=1)
            except ScrubError as error:
                return "read" if str(error) else "refused without a word"
            return "run"

    ends = counted("circuit files", cases, case)
    assert "refused without a word" not in ends


@runs(100)
def test_names_of_circuits(tmp_path: Path, cases: int) -> None:
    """What is written after `--circuit`."""
    names = "9.6 9.9 @ END, mlp 3 -> 9.9.q, embed @ S1+1, resid 3, 7.3 ~mlps~> logits"

    def case(name: str, rng: Random) -> str:
        text = damaged(rng, names.encode()).decode(errors="replace")
        try:
            with limited():
                return "read" if str(Circuit.parse(text)) else "without a word"
        except ScrubError as error:
            return "refused" if str(error) else "without a word"

    assert "without a word" not in counted("names of circuits", cases, case)
