"""A bridge is taken and checked once, as views of its own tensors, and never used as it was before a change."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import scrub
from model.tiny_models import EXACT, ROUNDED, bridged, native
from scrub.claims.collect import collect
from scrub.errors import ModelError
from scrub.model import state, transformer
from scrub.model.digest import digest
from scrub.model.load import load
from scrub.model.memory import Backend
from scrub.model.open import open_weights, zoo_bridge
from scrub.model.source import find
from scrub.model.transformer import adapt, taken_shape
from scrub.verbs.setup import weights_of

INDUCTION = Path(__file__).parents[2] / "hypotheses" / "induction.py"
BIG = ("W_E", "W_U", "W_pos"), ("W_Q", "W_K", "W_V", "W_O"), ("W_in", "W_out", "W_gate")


def matrices(model: Any) -> dict[str, Tensor]:
    owners = [(model, BIG[0]), *((b.attn, BIG[1]) for b in model.blocks), *((b.mlp, BIG[2]) for b in model.blocks)]
    found = {f"{i}.{name}": getattr(owner, name) for i, (owner, names) in enumerate(owners) for name in names
             if hasattr(owner, name)}  # fmt: skip
    return {name: tensor for name, tensor in found.items() if tensor is not None}


@pytest.mark.parametrize("kind", ["gpt2", "llama", "neox parallel", "native", "mixtral, experts"])
def test_no_matrix_is_copied(kind: str) -> None:
    bridge = (EXACT | ROUNDED)[kind]()
    dtype = next(bridge.original_model.parameters()).dtype
    model = adapt(bridge, dtype=dtype)
    own = {parameter.untyped_storage().data_ptr() for parameter in bridge.original_model.parameters()}
    assert not [n for n, tensor in matrices(model).items() if tensor.untyped_storage().data_ptr() not in own]
    boxes = [block.mlp.module for block in model.blocks if hasattr(block.mlp, "module")]
    experts = [parameter for box in boxes for parameter in box.parameters()]
    assert bool(experts) == ("experts" in kind)
    assert all(parameter.untyped_storage().data_ptr() in own for parameter in experts)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often weights were taken, compared and digested."""
    calls = {"taken": 0, "self_check": 0, "digest": 0}
    for name in calls:
        own = getattr(transformer, name)

        def told(*given: Any, name: str = name, own: Callable[..., Any] = own, **more: Any) -> Any:
            calls[name] += 1
            return own(*given, **more)

        monkeypatch.setattr(transformer, name, told)
    return calls


def test_whatever_is_asked_of_one_bridge_takes_and_checks_it_once(counted: dict[str, int]) -> None:
    bridge, (claim,) = zoo_bridge("induction"), collect([f"{INDUCTION}::induction"]).hypotheses
    claims = [claim.but(model=bridge, expect=scrub.recovers(0.5 + i / 100)) for i in range(10)]
    assert all(not scrub.check(one).problems for one in claims)
    scrub.plan(claims[0], rows=4)
    assert counted == {"taken": 1, "self_check": 0, "digest": 0}
    scrub.test(claims[0], rows=4, draws=2, controls="none", parts="none")
    scrub.compare(*claims[:2], rows=4, draws=2, controls="none")
    assert counted == {"taken": 1, "self_check": 1, "digest": 1}


def test_a_model_of_hugging_faces_is_wrapped_taken_and_checked_once(counted: dict[str, int]) -> None:
    module = bridged("GPT2LMHeadModel", torch.float32).original_model
    plain, drawn = type(module)(module.config), torch.get_rng_state()
    assert load(plain).W_E.data_ptr() == load(plain).W_E.data_ptr() == plain.transformer.wte.weight.data_ptr()
    assert counted == {"taken": 1, "self_check": 1, "digest": 0}
    assert torch.equal(torch.get_rng_state(), drawn), "what others draw is not touched"


def test_other_rows_are_checked_too_and_other_dtypes(counted: dict[str, int]) -> None:
    bridge = native()
    for given in ({}, {"data": scrub.Dataset.from_rows([{"tokens": [1, 2, 3]}])}, {"dtype": torch.float64}) * 2:
        adapt(bridge, **given)
    assert (counted["taken"], counted["self_check"]) == (2, 3)


def weight(bridge: Any) -> Any:
    return bridge.blocks[1].attn.q.original_component.weight


@torch.no_grad()
def in_place(bridge: Any) -> None:
    weight(bridge).mul_(-1)


def by_data(bridge: Any) -> None:
    weight(bridge).data[3] *= -1


def by_numpy(bridge: Any) -> None:
    weight(bridge).detach().numpy()[:2] = 0.5


def by_another(bridge: Any) -> None:
    bridge.blocks[1].attn.q.original_component.weight = torch.nn.Parameter(weight(bridge).detach() * 2)


def by_state(bridge: Any) -> None:
    bridge.load_state_dict(native(seed=7).state_dict())


@pytest.mark.parametrize("change", [in_place, by_data, by_numpy, by_another, by_state])
def test_what_was_changed_is_taken_and_checked_anew(change: Callable[[Any], None], counted: dict[str, int]) -> None:
    bridge = native()
    before = adapt(bridge, dtype=torch.float64).revision
    change(bridge)
    after = adapt(bridge, dtype=torch.float64)  # the self-check, run again, finds what it computes now
    assert counted["self_check"] == counted["taken"] == 2
    assert before != after.revision == digest(after)


def test_a_test_of_a_known_bridge_reads_its_weights_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bridge, read = native(), list[Tensor]()
    adapt(bridge)
    own = state._sum
    monkeypatch.setattr(state, "_sum", lambda tensor: read.append(tensor) or own(tensor))
    open_weights(find(bridge), Backend())  # what every verb does first
    assert read
    assert len(read) == len({tensor.data_ptr() for tensor in read})


def test_the_first_test_of_a_bridge_reads_its_weights_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bridge, (claim,) = zoo_bridge("induction"), collect([f"{INDUCTION}::induction"]).hypotheses
    own, read = state._sum, list[int]()
    monkeypatch.setattr(state, "_sum", lambda tensor: read.append(tensor.data_ptr()) or own(tensor))
    scrub.test(claim.but(model=bridge), rows=4, draws=1, controls="none", parts="none")
    assert len(read) == len({*read}) > 20


def test_what_was_read_for_a_shape_is_gone_by_once() -> None:
    """A source that is used again, and one that was found by a verb before, tell nothing of the numbers."""
    bridge = native()
    source = find(bridge)
    before = open_weights(source, Backend()).revision
    by_data(bridge)
    after = open_weights(source, Backend()).revision
    assert after != before
    other = native()
    assert find(other).read is not None
    by_data(other)
    assert open_weights(find(other), Backend()).revision == after


def test_a_digest_is_computed_once_and_when_it_is_asked_for(counted: dict[str, int]) -> None:
    bridge = native()
    model = weights_of(find(bridge), scrub.Dataset.from_rows([{"tokens": [1, 2, 3]}]), Backend())
    assert model is not None
    assert counted["digest"] == 0
    assert model.revision == adapt(bridge, dtype=None).revision == digest(model)
    assert counted["digest"] == 1


def test_a_shape_is_that_of_the_tensors_which_are_there() -> None:
    bridge = bridged("GPT2LMHeadModel", torch.float32)
    before = taken_shape(bridge)[1]
    bridge.original_model.load_state_dict({
        name: tensor * 2 for name, tensor in bridge.original_model.state_dict().items()
    })  # fmt: skip
    assert taken_shape(bridge)[1] == before
    own = bridge.embed.original_component
    own.weight = torch.nn.Parameter(own.weight.detach()[:-1].clone())
    assert taken_shape(bridge)[1] != before


def test_a_hook_or_another_function_is_seen_after_the_model_was_taken() -> None:
    bridge = native()
    adapt(bridge)
    bridge.add_hook("blocks.0.attn.hook_z", lambda value, hook: value * 0)
    with pytest.raises(ModelError, match="hooks that change values"):
        adapt(bridge)
    bridge.reset_hooks()
    adapt(bridge)
    mlp = bridge.blocks[0].mlp.original_component
    own = mlp.forward
    mlp.forward = lambda *given: own(*given) * 2
    with pytest.raises(ModelError, match="not reproduced"):
        adapt(bridge)


def test_a_bridge_is_let_go() -> None:
    bridge = native()
    adapt(bridge)
    gone = weakref.ref(bridge)
    del bridge
    gc.collect()
    assert gone() is None
