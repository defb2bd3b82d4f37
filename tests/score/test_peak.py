"""What a plan says of memory, against the arrays that are kept and the contexts that are held under a bound."""

from __future__ import annotations

import re
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import scrub
from model.test_stream import copies
from model.tiny_models import hugging_face
from scrub.claims.collect import collect
from scrub.engine.cost import Peak
from scrub.engine.on_transformer import TransformerRows
from scrub.errors import ClaimError
from scrub.model.memory import Backend
from scrub.model.open import open_weights
from scrub.model.resolve import sound
from scrub.report.plan import plan_text
from scrub.verbs.setup import bench_of

GALLERY = Path(__file__).parents[2] / "hypotheses"


def induction(**setting: Any) -> Any:
    return collect([f"{GALLERY / 'induction.py'}::induction"]).hypotheses[0].but(**setting)


@pytest.mark.parametrize("setting", [{}, {"through": "mlps"}, {"through": "all"}, {"rest": "zero", "through": "all"}])
def test_rows_that_are_kept_are_those_that_were_planned(setting: dict[str, Any]) -> None:
    hypothesis = induction(**setting)
    claim, source = sound(hypothesis)
    rows = bench_of(claim, source, open_weights(source, Backend())).rows
    assert isinstance(rows, TransformerRows)
    stores = [rows.store] + [rows.frames.store] * (rows.frames.store is not rows.store)
    assert kept(scrub.plan(hypothesis)) == pytest.approx(
        sum(array.nbytes for store in stores for array in store.arrays.values()), rel=0.1
    )


class LiveBytes(TorchDispatchMode):
    """The bytes of tensors that are alive together, at most, of those that are made meanwhile; files are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.known, self.now, self.most = dict[int, int](), 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {self._of(tensor) for tensor in _tensors((args, kwargs))}
        made = func(*args, **(kwargs or {}))
        for tensor in _tensors(made):
            number, storage = self._of(tensor), tensor.untyped_storage()
            if number not in self.known and number not in given and "from_file" not in str(func):
                self.known[number] = storage.nbytes()
                self.now += storage.nbytes()
                weakref.finalize(storage, self._freed, number)
        self.most = max(self.most, self.now)
        return made

    def _of(self, tensor: torch.Tensor) -> int:
        return tensor.untyped_storage()._cdata

    def _freed(self, number: int) -> None:
        self.now -= self.known.pop(number, 0)


def _tensors(values: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]


def kept(plan: Any) -> int:
    assert plan.peak is not None
    return plan.peak.kept


@pytest.mark.parametrize(
    ("setting", "part"), [({}, 1), ({"through": "mlps"}, 2), ({"through": "all"}, 1), ({"through": "all"}, 4)]
)
def test_arrays_fill_what_was_planned(setting: dict[str, Any], part: int) -> None:
    """Counted as they are made and freed; beneath a bound, where rows lie in files and blocks are cut, too."""
    hypothesis, asked = induction(**setting), {"rows": 32, "draws": 4}  # of fewer no part is asked what it earns
    free = scrub.plan(hypothesis, **asked).peak
    assert free is not None
    bound = None if part == 1 else free.bytes // part
    planned = scrub.plan(hypothesis, memory=bound, **asked).peak
    assert planned is not None
    settings: dict[str, Any] = {"explain": False}
    scrub.test(hypothesis, rows=2, draws=1, **settings)  # what a process makes once
    with LiveBytes() as live:
        scrub.test(hypothesis, memory=bound, **asked, **settings)
    assert 0.8 < planned.bytes / live.most < 1.6
    assert bound is None or live.most < bound


def test_criteria_keep_to_a_bound_on_layers_from_files(tmp_path: Path) -> None:
    """Circuits that wait for one another between two layers hold their streams alone."""
    module: Any = hugging_face("LlamaForCausalLM", num_hidden_layers=6)
    module.save_pretrained(tmp_path)
    asked: dict[str, Any] = {"model": str(tmp_path), "stream": True, "rows": 6, "budget": 1, "tests": False}
    scrub.criteria(copies("mlps"), random=0, **asked)  # what a process makes once
    with LiveBytes() as live:
        scrub.criteria(copies("mlps"), memory=3e5, random=8, **asked)
    assert live.most < 3e5


def test_a_bound_is_kept_to() -> None:
    free = scrub.plan(induction(through="all")).peak
    assert free is not None
    for bound in (free.bytes // 2, free.bytes // 4):
        held = scrub.plan(induction(through="all"), memory=bound).peak
        assert held is not None
        assert held.bytes <= bound
    with pytest.raises(ClaimError, match=r"memory 2\.0kB: one row of .* takes .*: give at least --memory"):
        scrub.plan(induction(), memory="2kB")


def test_a_bound_that_holds_a_test_and_no_criteria_says_what_these_need() -> None:
    plan = scrub.plan(induction(), memory="200kB", rows=24, draws=4)
    told = re.search(
        r"    memory of criteria: memory 200kB: one row of .*give at least --memory (\S+) ", plan_text(plan)
    )
    assert told
    assert plan.to_dict()["criteria"] == plan.criteria
    assert isinstance(scrub.plan(induction(), memory=told[1], rows=24, draws=4).criteria, Peak)


def test_the_peak_as_it_reads() -> None:
    plan = scrub.plan(induction())
    assert plan.peak is not None
    assert plan.to_dict()["peak"]["bytes"] == plan.peak.bytes == Peak(*astuple(plan.peak)).bytes
    assert "    memory: " in plan_text(plan)
    assert Peak(10, 5, 7, 3).bytes == 17


def astuple(peak: Peak) -> tuple[int, ...]:
    return peak.kept, peak.pool, peak.block, peak.answers
