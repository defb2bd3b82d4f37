"""`scrub.propose`: which rows it sees, what it ranks and verifies, what it says of the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scrub
from plugged import kept_apart
from scrub import Dataset, Hypothesis
from scrub.claims.collect import collect
from scrub.claims.wording import plug_in
from scrub.proposals import setup as setups
from scrub.proposals.bound import ASSUMPTION
from scrub.proposals.methods import names
from scrub.proposals.proposal import Proposal
from scrub.zoo import names_rows

GALLERY = Path(__file__).parents[2] / "hypotheses"


def claim_in(file: str) -> Hypothesis:
    return next(h for h in collect([str(GALLERY / f"{file}.py")]).hypotheses if not h.foil_reason)


@cache
def found(method: str = "recommended", direction: str = "noising") -> Proposal:
    return scrub.propose(claim_in("names"), method=method, direction=direction, rows=24)


def scores(proposal: Proposal) -> dict[str, float]:
    return {node.node: node.score for node in proposal.nodes}


def paired(count: int = 40) -> Dataset:
    """Prompts about two people, each followed by its counterfactual, in which the other one acts."""
    made: list[Mapping[str, Any]] = []
    for row in names_rows(count, seed=5):
        if not row["columns"]["is_ioi"]:
            continue
        tokens, at, columns = list(row["tokens"]), row["positions"], row["columns"]
        tokens[at["S2"]] = tokens[at["IO"]]
        number = len(made)
        made.append({**row, "columns": {**columns, "partner": number + 1}})
        other = {**columns, "s2": columns["io"], "is_ioi": False, "partner": number}
        made.append({"tokens": tokens, "positions": at, "columns": other})
    return Dataset.from_rows(made)


def at_hand(**given: Any) -> Proposal:
    defaults = {"model": "zoo:names", "data": paired(), "metric": "logit_diff(io, s1)", "pair": "partner"}
    return scrub.propose(**{**defaults, "scored": "is_ioi", "read": "END", **given})


def test_a_result_has_what_every_reader_needs() -> None:
    told = json.loads(json.dumps(found().to_dict()))
    keys = {"method", "direction", "nodes", "edges", "agreement", "bound", "passes", "seed"}
    assert keys <= set(told)
    assert {"node", "position", "score", "exact"} <= set(told["nodes"][0])
    assert {"sender", "receiver", "score"} <= set(told["edges"][0])
    assert {"pearson", "spearman", "live", "sign", "slope", "false_negatives"} <= set(told["agreement"])
    assert [bound["level"] for bound in told["bound"]] == [0.9, 0.99, 0.999]
    assert told["bounded"]["assumption"] == ASSUMPTION
    assert (told["method"], told["direction"], told["rows"]) == ("recommended", "noising", 24)
    assert told["provenance"]["model"]["name"] == "zoo:names"


@pytest.mark.parametrize("method", ["recommended", *names()])
def test_every_method_ranks_and_names_itself(method: str) -> None:
    proposal = found(method)
    best = [abs(node.score) for node in proposal.nodes if node.kind not in ("embed", "resid")]
    assert best == sorted(best, reverse=True)
    assert best[0] > 0
    assert all(np.isfinite(node.score) for node in proposal.nodes)
    if method != "recommended":
        assert {node.method for node in proposal.nodes} == {method}


def test_exact_scores_are_the_effects_that_verification_finds() -> None:
    exact = {node.node: node.absolute for node in found("exact").nodes}
    verified = {node.node: node.exact for node in found().nodes if node.exact is not None}
    assert len(verified) > 20
    assert verified == pytest.approx({name: exact[name] for name in verified}, rel=1e-4, abs=1e-6)


def test_exact_heads_are_those_of_a_sweep() -> None:
    heads = [f"{layer}.{head}" for layer in range(3) for head in range(4)]
    exact = at_hand(method="exact", rows=12, verify=0, draws=0)
    rows = [{"tokens": r.tokens, "positions": r.positions, "columns": r.columns} for r in paired().rows]
    seen = set(exact.seen)
    for row, made in zip(rows, paired().rows, strict=True):
        row["columns"] = {**row["columns"], "mine": made.columns["is_ioi"] and made.input_digest in seen}
    swept = scrub.sweep(
        heads, model="zoo:names", data=Dataset.from_rows(rows), metric="logit_diff(io, s1)", read="END",
        scored="mine", ablation="paired", pair="partner",
    )  # fmt: skip
    effects = {str(effect.sender): effect.effect for effect in swept.effects}
    assert {name: scores(exact)[name] for name in heads} == pytest.approx(effects, rel=1e-4, abs=1e-5)


def test_directions_exchange_the_runs() -> None:
    forth, back = found("exact"), found("exact", "denoising")
    assert (forth.base, forth.source) == pytest.approx((back.source, back.base))
    assert (
        abs(scores(forth)["1.2"] + scores(back)["1.2"]) > 0.1
    )  # not one another's negative: the model is not linear
    whole = {node.node: node.exact for node in forth.nodes}["embed"]
    assert whole == pytest.approx(forth.source - forth.base, rel=1e-5)


def test_the_order_and_size_of_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first = at_hand(rows=12, draws=32)
    monkeypatch.setattr(setups, "ROWS", 5)
    second = at_hand(rows=12, draws=0)
    assert scores(first) == pytest.approx(scores(second), rel=1e-4, abs=1e-5)
    shuffled = paired().rows[::-1]
    last = len(shuffled) - 1
    turned = [
        {
            "tokens": r.tokens,
            "positions": r.positions,
            "columns": {**r.columns, "partner": last - r.columns["partner"]},
        }
        for r in shuffled
    ]
    assert at_hand(rows=12, draws=0, data=Dataset.from_rows(turned)).rows == 12


def test_the_same_seed_gives_the_same_numbers() -> None:
    assert at_hand(rows=10).to_dict() == at_hand(rows=10).to_dict()
    assert at_hand(rows=10, seed=1).seen != at_hand(rows=10).seen


def test_recommended_takes_each_kind_by_its_method() -> None:
    proposal = scrub.propose(claim_in("names"), nodes="heads v q k neurons resid", rows=12, verify=4, draws=0)
    by_kind: dict[str, set[str]] = {}
    for node in proposal.nodes:
        by_kind.setdefault(node.kind, set()).add(node.method)
    assert by_kind["head"] == by_kind["v"] == {"relp"}
    assert by_kind["neuron"] == {"atp"}
    assert by_kind["resid"] == {"exact"}
    assert by_kind["q"] | by_kind["k"] <= {"atp qkfix", "relp qkfix"}
    assert all(set(node.companions) == {"atp", "relp (ln)"} for node in proposal.nodes)


def test_estimates_are_kept_row_by_row() -> None:
    proposal = found("relp")
    table = proposal.per_row()
    assert table.shape == (24, len(proposal.nodes))
    assert dict(table.mean()) == pytest.approx(scores(proposal))
    assert list(proposal.frame()["node"]) == list(table.columns)


def test_rules_are_told_with_what_they_did() -> None:
    assert found("relp").rules == {"ln": "live", "identity": "live", "half": "nothing to act on"}
    assert found("atp").rules == {}
    assert set(found("attnlrp").rules) == {"ln", "qknorm", "identity", "half", "split"}
    assert found("cplrp").rules["gate"] == "nothing to act on"
    rules = scrub.propose(claim_in("names"), method="relp", rules="ln", rows=8, verify=0, draws=0, edges=False).rules
    assert rules == {"ln": "live"}


def test_edges_are_aggregated_as_they_say() -> None:
    """Absolute values where these are asked for, of each row; alone, a method's own choice is about its nodes."""
    asked = {"method": "atp", "rows": 4, "verify": 0, "draws": 0}
    own, absolute, signed = (at_hand(**asked, absolute=told) for told in (None, True, False))
    assert (own.aggregate, own.edge_aggregate) == ("mean of absolute values", "mean")
    assert (absolute.aggregate, absolute.edge_aggregate) == ("mean of absolute values",) * 2
    assert (signed.aggregate, signed.edge_aggregate) == ("mean", "mean")
    assert own.edges == signed.edges
    size = {(e.sender, e.receiver): e.score for e in absolute.edges}
    mean = {(e.sender, e.receiver): e.score for e in signed.edges}
    assert all(size[edge] >= abs(score) - 1e-6 for edge, score in mean.items())
    assert min(mean.values()) < 0 <= min(size.values())
    assert max(size[edge] - abs(score) for edge, score in mean.items()) > 0.1  # rows that cancelled
    assert absolute.to_dict()["edge_aggregate"] == "mean of absolute values"
    assert "means of |estimate|" in str(absolute)
    assert "signed mean estimates" in str(own)


def test_verification_stops_when_the_largest_stand_or_the_budget_ends() -> None:
    few = at_hand(rows=10, verify=6, top=5, draws=0)
    patched = [n for n in few.nodes if n.exact is not None and n.kind not in ("embed", "resid")]
    assert (len(patched), few.stands) == (6, False)
    none = at_hand(rows=10, verify=0, draws=0)
    assert none.agreement is None
    assert none.bounded.bounds == ()
    every = at_hand(rows=10, verify=500, top=500, draws=16)
    assert every.stands
    assert [bound.value for bound in every.bounded.bounds] == [0.0, 0.0, 0.0]


def test_the_bound_holds_for_what_was_not_patched() -> None:
    exact = {node.node: abs(node.signed) for node in found("exact").nodes}
    unpatched = [
        exact[n.node] for n in found().nodes if n.exact is None and n.kind in ("embed", "q", "k", "v", "head", "mlp")
    ]
    assert unpatched
    assert max(unpatched) <= found().bounded.bounds[0].value
    values = [bound.value for bound in found().bounded.bounds]
    assert values == sorted(values)


def test_subsets_are_drawn_from_the_finest_kinds() -> None:
    from scrub.proposals.search import finest

    assert finest(("embed", "q", "head", "attn", "mlp", "resid")) == ("embed", "q", "head", "mlp")
    assert finest(("attn", "mlp", "neuron")) == ("attn", "neuron")
    assert finest(("resid",)) == ("resid",)
    few = scrub.propose(claim_in("names"), nodes="neurons", rows=8, verify=2, draws=16, edges=False)
    assert few.bounded_kinds == ("neuron",)
    assert few.bounded.nodes == len(few.nodes) - 2


def test_a_claim_is_told_what_it_leaves_out() -> None:
    names_claim = claim_in("names")
    whole = scrub.propose(names_claim, method="exact", rows=16)
    assert "1.2" not in whole.left_out
    assert not any(name.startswith("mlp") for name in whole.left_out)  # passed through
    without = names_claim.but(name=scrub.heads("1.3", at="END").reads(q="gathered", k="io s1 s2", v="io s1 s2"))
    left = scrub.propose(without, method="exact", rows=16).left_out
    assert {"1.2", "1.2.k"} <= set(left)


def test_positions_are_nodes_of_their_own() -> None:
    proposal = at_hand(at="END S2", nodes="heads resid q", rows=8, draws=32, verify=20)
    assert {node.position for node in proposal.nodes} == {"END", "S2"}
    final = {n.position: n for n in proposal.nodes if n.node == "resid 3"}
    assert final["S2"].score == 0
    assert final["END"].score == pytest.approx(abs(proposal.source - proposal.base), rel=1e-2)


def test_half_of_the_rows_are_left_to_test_a_claim_on() -> None:
    data = paired(60)
    proposal = at_hand(data=data, verify=0, draws=0, edges=False)
    scored = sum(row.columns["is_ioi"] for row in data.rows)
    assert proposal.rows == scored // 2
    digests = {row.input_digest for row in data.rows}
    assert set(proposal.seen) < digests
    assert len(proposal.seen) == 2 * proposal.rows  # each with its partner


def test_direct_attribution_tells_its_source_tokens() -> None:
    proposal = at_hand(method="dla", rows=10, verify=0, draws=0)
    shares = [s for s in proposal.sources if str(s.head) == "1.2"]
    assert {s.position for s in shares} == {"IO", "S1", "S2", "END", None}
    assert max(shares, key=lambda s: s.share).position == "IO"  # it copies the name it attends to


def test_a_new_file_is_a_new_method(tmp_path: Path) -> None:
    from scrub.proposals import methods

    source = (Path(methods.__file__).parent / "atp.py").read_text()
    (tmp_path / "twice_atp.py").write_text(
        source.replace("at_base(batch, asked.kinds)", "_twice(batch, asked)")
        + """

def _twice(batch, asked):
    return {kind: 2 * found for kind, found in at_base(batch, asked.kinds).items()}
"""
    )
    with kept_apart():
        plug_in(tmp_path)
        assert "twice-atp" in names()
        single, double = (at_hand(method=m, rows=6, verify=0, draws=0, edges=False) for m in ("atp", "twice-atp"))
    assert scores(double) == pytest.approx({name: 2 * score for name, score in scores(single).items()})


def test_a_graph_of_functions_is_patched_exactly() -> None:
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_node("x")
    graph.add_node("h", function=lambda x: 2 * x)
    graph.add_node("idle", function=lambda x: x % 2)
    graph.add_node("out", function=lambda h, idle: h)
    graph.add_edges_from([("x", "h"), ("x", "idle"), ("h", "out"), ("idle", "out")])
    rows = Dataset.from_rows([{"columns": {"x": i, "next": (i + 1) % 6}} for i in range(6)])
    metric = scrub.Metric(lambda output, row: float(output), better="higher")
    proposal = scrub.propose(model=graph, data=rows, metric=metric, pair="next", rows=6, absolute=True)
    told = scores(proposal)
    assert told["idle"] == 0
    assert told["h"] == pytest.approx(np.mean([2, 2, 2, 2, 2, 10]))


def test_all_nodes_are_verified_where_that_is_asked_for() -> None:
    every = at_hand(rows=10, nodes="heads mlps", verify="all", top=2, draws=8)
    assert all(node.exact is not None for node in every.nodes)
    assert every.bounded.nodes == 0
    assert "every node is patched" in str(every)


def test_base_and_source_are_run_once() -> None:
    """Whatever comes after estimates finds what every node was: of each row two passes, and one for each method."""
    asked = {"rows": 10, "nodes": "heads resid", "method": "relp", "edges": True, "draws": 0}
    without, patched = at_hand(**asked, verify=0), at_hand(**asked, verify=4)
    assert without.passes["forward"] == 3  # relp, the source, the edges' own: base is what relp's was
    assert patched.passes["forward"] - without.passes["forward"] <= 4
