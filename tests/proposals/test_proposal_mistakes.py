"""What `scrub propose` refuses: one clear sentence, before anything is run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformer_lens.model_bridge import TransformerBridge

import scrub
from proposals.test_propose import at_hand, claim_in, paired
from scrub import Dataset
from scrub.errors import ClaimError, DataError, MetricError, ModelError, ScrubError
from scrub.proposals import attribute, live


def edited(number: int, **columns: Any) -> Dataset:
    """The data with another row at some number."""
    rows = [{"tokens": r.tokens, "positions": r.positions, "columns": r.columns} for r in paired().rows]
    rows[number] = {**rows[number], **columns}
    return Dataset.from_rows(rows)


def shorter() -> Dataset:
    row = paired().rows[1]
    return edited(1, tokens=row.tokens[1:], positions={k: v - 1 for k, v in row.positions.items()})


def same() -> Dataset:
    return edited(1, tokens=paired().rows[0].tokens)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"data": shorter()}, DataError, ("rows 0", "another length", "Pair rows of equal length")),
        ({"data": same()}, DataError, ("rows 0", "identical", "scored=")),
        ({"pair": None}, DataError, ("no counterfactuals", "--pair", "'id'")),
        ({"pair": "partnr"}, DataError, ("partnr", "partner")),
        ({"metric": "accuracy(io)"}, MetricError, ("no derivative", "logit_diff")),
        ({"metric": scrub.Metric(lambda output, row: 0.0)}, MetricError, ("no derivative",)),
        ({"metric": "kl"}, MetricError, ("kl", "denoising", "eap-ig")),
        ({"method": "atpp"}, ClaimError, ("atpp", "Did you mean 'atp'")),
        ({"rules": "ln identiy"}, ClaimError, ("identiy", "identity")),
        ({"rules": 5}, ClaimError, ("5", "'ln identity half'")),
        ({"method": "recomended"}, ClaimError, ("Did you mean 'recommended'",)),
        ({"nodes": "heds"}, ClaimError, ("heds", "heads")),
        ({"nodes": "q", "method": "cplrp"}, ClaimError, ("pattern constant", "qkfix")),
        ({"nodes": "q", "method": "dla"}, ClaimError, ("dla says nothing about q",)),
        ({"nodes": "neurons", "model": "zoo:compiled-compose"}, ScrubError, ()),
        ({"at": "MIDDLE"}, DataError, ("MIDDLE", "END")),
        ({"at": "all"}, DataError, ("one length", "IO")),
        ({"direction": "sideways"}, ClaimError, ("sideways", "noising")),
        ({"rows": 0}, ClaimError, ("rows=0",)),
        ({"verify": -1}, ClaimError, ("verify=-1",)),
        ({"steps": 0}, ClaimError, ("steps=0",)),
        ({"model": None}, ClaimError, ("model",)),
        ({"over": "outputs", "method": "eap-ig"}, ClaimError, ("outputs", "activations", "senders")),
        ({"over": "activation", "method": "eap-ig"}, ClaimError, ("Did you mean 'activations'",)),
        ({"points": "middle", "method": "ig"}, ClaimError, ("middle", "midpoint")),
        ({"points": "left"}, ClaimError, ("points='left'", "recommended takes no points", "eap-ig, ig")),
        ({"over": "activations", "method": "ig"}, ClaimError, ("ig takes no over", "eap-ig")),
        ({"steps": 9, "method": "atp"}, ClaimError, ("atp takes no steps",)),
        ({"rules": "ln", "method": "atp"}, ClaimError, ("atp takes no rules", "relp")),
        ({"rules": "half gate"}, ClaimError, ("'half' (a gated product", "'gate' (the gate is constant", "exclude")),
        ({"rules": "attention split", "method": "eap"}, ClaimError, ("exclude each other",)),
    ],
)  # fmt: skip
def test_one_clear_sentence(given: dict[str, Any], error: type[ScrubError], words: tuple[str, ...]) -> None:
    with pytest.raises(error) as caught:
        at_hand(**{"rows": 1000, **given})
    for word in words:
        assert word in str(caught.value)


def test_neurons_of_a_model_without_mlps() -> None:
    with pytest.raises(ClaimError, match="no MLPs"):
        scrub.propose(claim_in("induction"), nodes="neurons")


def test_rows_without_a_like_reference_row() -> None:
    claim = claim_in("names").but(criteria=scrub.protocol(reference="is_abc", group="label"))
    with pytest.raises(DataError, match=r"no counterfactual|fewer than"):
        scrub.propose(claim)


def test_a_model_in_training_mode() -> None:
    from scrub.model.open import zoo_bridge as bridge

    model: TransformerBridge = bridge("names")
    model.train()
    with pytest.raises(ModelError, match=r"training mode.*eval\(\)"):
        at_hand(model=model)
    model.eval()
    rows = [
        {"tokens": r.tokens, "positions": r.positions, "columns": {
            **r.columns, "io": r.tokens[r.positions["IO"]], "s1": r.tokens[r.positions["S1"]],
        }}
        for r in paired().rows
    ]  # fmt: skip
    found = at_hand(model=model, data=Dataset.from_rows(rows), rows=4, verify=0, draws=0, edges=False)
    assert found.nodes[0].score > 1


@pytest.mark.parametrize(
    "switched", [lambda: torch.set_grad_enabled(mode=False), torch.no_grad, torch.inference_mode]
)
def test_gradients_that_the_caller_switched_off(switched: Callable[[], Any]) -> None:
    """Weights taken meanwhile are ordinary ones, and what was off is off again afterwards."""
    asked = {"method": "eap-ig", "rules": "ln", "rows": 4, "verify": 2, "draws": 4}
    with switched():
        found = at_hand(**asked)
        assert not torch.is_grad_enabled()
    assert found.to_dict() == at_hand(**asked).to_dict()
    assert found.edges


def test_gradients_that_are_not_finite_name_their_node(monkeypatch: pytest.MonkeyPatch) -> None:
    from scrub.proposals.forward import PatchBatch

    own = PatchBatch.score

    def broken(self: Any, x: Any, *rest: Any) -> Any:
        return own(self, x, *rest) * torch.where(torch.arange(len(x)) == 0, torch.inf, 1.0)

    monkeypatch.setattr(PatchBatch, "score", broken)
    with pytest.raises(MetricError, match=r"not finite at .*in rows"):
        at_hand(method="atp", rows=4)


def test_a_rule_that_does_not_reach_the_gradient_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    own = attribute.steps_of
    monkeypatch.setattr(attribute, "steps_of", lambda rules: own(()))  # the run forgets its rules, the check does not
    with pytest.raises(ModelError, match="'ln' does not reach the gradient"):
        at_hand(method="relp", rows=4)
    monkeypatch.setattr(live, "steps_of", lambda rules: own(()))
    assert at_hand(method="relp", rows=4, edges=False).rules["ln"] == "changes nothing here"
