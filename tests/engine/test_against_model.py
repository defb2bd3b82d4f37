"""The engine against the model itself: a TransformerBridge and its own hooks, one patched forward at a time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hooked import Hooked, Patch, Places, Scrubbed, engine, mixed_rows

import scrub
from model.tiny_models import EXACT, bridged, native
from scrub import Interpretation, attn, claim, embed, heads, logits, mlps, pos, recovers, resid
from scrub.claims.sites import Site
from strategies_models import named

DATA = mixed_rows()
MODELS = {
    "gpt2": lambda: Hooked(bridged("GPT2LMHeadModel"), 1e-10),
    "native, grouped, rotary": lambda: Hooked(
        native(positional_embedding_type="rotary", n_key_value_heads=2, gated_mlp=True, act_fn="silu"), 1e-10
    ),
    "bert, norms of the stream itself": lambda: Hooked(EXACT["bert, norms of the stream itself"](), 1e-10),
    # a Llama of Hugging Face computes norms and angles in fp32, whatever its weights are
    "llama": lambda: Hooked(bridged("LlamaForCausalLM"), 3e-5),
}


@pytest.fixture(scope="module", params=list(MODELS))
def model(request: pytest.FixtureRequest) -> Hooked:
    return MODELS[request.param]()


@pytest.fixture(scope="module")
def places(model: Hooked) -> Places:
    return Places(model, DATA)


def claim_of(sites: dict[str, Site], **options: Any) -> scrub.Hypothesis:
    """Every variable that is read has the value of the column `kind`; the others are tuples of their parents."""
    story = Interpretation()
    for name, site in sites.items():
        parents = dict.fromkeys(p for _, names in site.reading or () for p in names)
        story.variable(named(name, list(parents) or ["kind"], tuple))
    setting = {"model": "tiny", "data": DATA, "metric": "loss(label)", "expect": recovers(0.5)}
    return claim(story, **{**setting, **options})(sites)


def agrees(found: Scrubbed, call: int, expected: torch.Tensor, model: Hooked) -> None:
    torch.testing.assert_close(found.logits[call], expected, rtol=model.tolerance, atol=model.tolerance)


def calls(found: Scrubbed) -> range:
    """Every third call; the rows drawn in them are of several lengths."""
    chosen = range(0, len(found.calls), 3)
    assert len(set(DATA.lengths[found.drawn["answer"].rest[chosen, 0]].tolist())) > 1
    return chosen


KEPT: dict[str, dict[str, Site]] = {
    "nothing": {"answer": logits("END")},
    "an embedding": {"e": embed("A"), "answer": logits("END").reads(input="e")},
    "a head and its reader": {
        "a": heads("0.1", at="A"),
        "b": heads("1.2 1.3", at="END").reads(q="", k="a", v="a"),
        "answer": logits("END").reads(input="b"),
    },
    "layers": {
        "e": embed("END"),
        "m": mlps(0, at="END").reads(input="e"),
        "r": resid(2, at="END").reads(input="m"),
        "answer": logits("END").reads(input="r"),
    },
}


@pytest.mark.parametrize("what", KEPT)
def test_with_everything_kept_the_model_answers(model: Hooked, places: Places, what: str) -> None:
    """Every row is alone in its class and r is the row itself: whatever is claimed, nothing changes."""
    sites = KEPT[what]
    story = Interpretation()
    for name, site in sites.items():
        parents = dict.fromkeys(p for _, names in site.reading or () for p in names)
        story.variable(named(name, [*parents, "row"], tuple))
    declare = claim(
        story, model="tiny", data=DATA, metric="loss(label)", expect=recovers(1), rest="keep", through="all"
    )
    found = engine(declare(sites), model, draws=1)
    for call, row in enumerate(found.calls.reference.tolist()):
        agrees(found, call, model.plain(places.tokens(row))[places.at(row, "END")], model)


@pytest.mark.parametrize("slot", ["END", "-1", "A+1"])
def test_the_empty_claim_reads_its_rest_whole(model: Hooked, places: Places, slot: str) -> None:
    found = engine(claim_of({"answer": logits(slot)}), model)
    for call in calls(found):
        _, rest = found.rows(call)["answer"]
        agrees(found, call, model.plain(places.tokens(rest))[places.at(rest, slot)], model)


WHOLE: list[tuple[Site, str]] = [
    (heads("0.1", at="A"), "0.1"),
    (heads("1.3", at="END"), "1.3"),
    (heads("0.0 0.3", at="B END"), "0.0, 0.3"),
    (heads("0.2 1.1", at="END"), "0.2, 1.1"),
    (attn(0, at="A"), "attn 0"),
    (attn("0 1", at="END"), "attn 0, attn 1"),
    (mlps(0, at="B"), "mlp 0"),
    (mlps("0 1", at="A END"), "mlp 0, mlp 1"),
    (embed("A"), "embed"),
    (embed("B A"), "embed"),
    (resid(0, at="A"), "resid 0"),
    (resid(1, at="A B"), "resid 1"),
    (resid(2, at="END"), "resid 2"),
    (pos("A"), "pos"),
    (heads("0.1 1.0", at="all"), "0.1, 1.0"),
    (resid(1, at="all"), "resid 1"),
]


@pytest.mark.parametrize("rest", ["keep", "resample"])
@pytest.mark.parametrize(("site", "names"), WHOLE, ids=lambda value: str(value).replace(" ", "_"))
def test_a_site_taken_on_another_row_is_a_patched_run(
    model: Hooked, places: Places, site: Site, names: str, rest: str
) -> None:
    """With all components passed through, the scrub of one leaf is activation patching."""
    everywhere = str(site).endswith("all")
    sites = {"a": site, "answer": logits("END").reads(input="a")}
    claimed = claim_of(sites, rest=rest, through="all", within="length" if everywhere else None)
    if names == "pos" and model.weights.W_pos is None:
        told = [problem.found for problem in scrub.check(claimed, model.weights).problems]
        assert any("no learned position embedding" in found for found in told)
        return
    found = engine(claimed, model)
    slots = str(site).split("@")[1].strip()
    for call in calls(found):
        rows = found.rows(call)
        frame, donor = rows["answer"][1], rows["a"][0]
        assert (frame == found.calls.reference[call]) or rest == "resample"
        run = model.patched(places.tokens(frame), places.taken(names, slots, frame, donor))
        agrees(found, call, run["logits"][places.at(frame, "END")], model)


@pytest.mark.parametrize("through", ["", "mlps", "all"])
@pytest.mark.parametrize(
    ("name", "site"), [("0.1", heads("0.1", at="END")), ("embed", embed("END")), ("resid 1", resid(1, at="END"))]
)
def test_the_path_to_the_answer(model: Hooked, places: Places, name: str, site: Site, through: str) -> None:
    """Everything that is not passed through is frozen on r; the norms are the model's own, on the new stream."""
    sites = {"a": site, "answer": logits("END").reads(input="a")}
    found = engine(claim_of(sites, through=through), model)
    for call in calls(found):
        rows = found.rows(call)
        frame, donor = rows["answer"][1], rows["a"][0]
        patches = places.taken(name, "END", frame, donor)
        run = model.patched(places.tokens(frame), patches, frozen_on=model.frozen(through))
        agrees(found, call, run["logits"][places.at(frame, "END")], model)


Lands = dict[str, list[tuple[str, str, str]]]  # channel -> what lands: (variable, component, slot)

RECEIVED: dict[str, tuple[dict[str, Site], Lands]] = {
    "q": ({"a": heads("0.1", at="END")}, {"q": [("a", "0.1", "END")]}),
    "k": ({"a": heads("0.1", at="A")}, {"k": [("a", "0.1", "A")]}),
    "v": ({"a": heads("0.3", at="B")}, {"v": [("a", "0.3", "B")]}),
    "k v": ({"a": embed("A")}, {"k": [("a", "embed", "A")], "v": [("a", "embed", "A")]}),
    "all with three donors": (
        {"e": embed("END"), "a": heads("0.0", at="A"), "b": mlps(0, at="B")},
        {"q": [("e", "embed", "END")], "k": [("a", "0.0", "A")], "v": [("b", "mlp 0", "B")]},
    ),
    "several that land in one channel": (
        {"e": embed("A"), "a": heads("0.0", at="A"), "b": heads("0.2", at="B")},
        {"k": [("a", "0.0", "A")], "v": [("e", "embed", "A"), ("a", "0.0", "A"), ("b", "0.2", "B")]},
    ),
}


@pytest.mark.parametrize("through", ["", "mlps", "all"])
@pytest.mark.parametrize("what", RECEIVED)
def test_paths_into_a_head_and_on_to_the_answer(model: Hooked, places: Places, what: str, through: str) -> None:
    """Each channel has its own frozen run; the head is computed from the three, then put into a run on r."""
    sources, lands = RECEIVED[what]
    if through == "all" and any(name.startswith("mlp") for rows in lands.values() for _, name, _ in rows):
        through = "mlps"
    reader = heads("1.2", at="END").reads(**{c: " ".join(v for v, _, _ in found) for c, found in lands.items()})
    sites = {**sources, "h": reader, "answer": logits("END").reads(input="h")}
    found = engine(claim_of(sites, through=through), model)
    for call in calls(found):
        rows = found.rows(call)
        (_, frame), (_, rest) = rows["h"], rows["answer"]
        seen: list[Patch] = []
        for channel, landed in lands.items():
            hook = f"blocks.1.attn.hook_{channel}"
            patches = [p for v, name, slot in landed for p in places.taken(name, slot, frame, rows[v][0])]
            frozen = _without_claimed(model.frozen(through))
            run = model.patched(places.tokens(frame), patches, [hook], frozen)
            seen.append((hook, (), run[hook]))
        z = model.patched(places.tokens(frame), seen, ["blocks.1.attn.hook_z"])["blocks.1.attn.hook_z"]
        put: Patch = ("blocks.1.attn.hook_z", (places.at(rest, "END"), 2), z[places.at(frame, "END"), 2])
        run = model.patched(places.tokens(rest), [put], frozen_on=model.frozen(through))
        agrees(found, call, run["logits"][places.at(rest, "END")], model)


def _without_claimed(hooks: list[str]) -> list[str]:
    """Only what lies below the reading layer need be frozen."""
    return [hook for hook in hooks if hook.startswith("blocks.0")]


@pytest.mark.parametrize("through", ["", "mlps"])
def test_a_path_through_a_claimed_mlp(model: Hooked, places: Places, through: str) -> None:
    """embed -> mlp 0 -> answer: the claimed MLP reads its own frame, later ones follow if they are passed."""
    sites = {
        "e": embed("END"),
        "m": mlps(0, at="END").reads(input="e"),
        "answer": logits("END").reads(input="m"),
    }
    found = engine(claim_of(sites, through=through), model)
    hook = "blocks.0.hook_mlp_out"
    for call in calls(found):
        rows = found.rows(call)
        (_, frame), (_, rest) = rows["m"], rows["answer"]
        patches = places.taken("embed", "END", frame, rows["e"][0])
        run = model.patched(places.tokens(frame), patches, [hook], ["blocks.0.attn.hook_z"])
        put: Patch = (hook, (places.at(rest, "END"),), run[hook][places.at(frame, "END")])
        run = model.patched(places.tokens(rest), [put], frozen_on=model.frozen(through))
        agrees(found, call, run["logits"][places.at(rest, "END")], model)


def test_a_passed_head_that_is_claimed_stays_on_the_rest(model: Hooked, places: Places) -> None:
    """embed @ A -> everything -> answer, but head 0.1 at END is claimed elsewhere: there it does not carry."""
    sites = {"e": embed("A"), "a": heads("0.1", at="END"), "answer": logits("END").reads(input="e a")}
    found = engine(claim_of(sites, through="all"), model)
    hook = "blocks.0.attn.hook_z"
    for call in calls(found):
        rows = found.rows(call)
        frame = rows["answer"][1]
        patches = [
            *places.taken("embed", "A", frame, rows["e"][0]),
            *places.taken("0.1", "END", frame, rows["a"][0]),
        ]
        run = model.patched(places.tokens(frame), patches)
        agrees(found, call, run["logits"][places.at(frame, "END")], model)
    omitted = {**sites, "a": heads("0.1", at="END"), "answer": logits("END").reads(input="e").omits("a")}
    story = Interpretation()
    for name, parents in {"e": ["kind"], "a": ["kind"], "answer": ["e", "a"]}.items():
        story.variable(named(name, parents, tuple))
    declare = claim(story, model="tiny", data=DATA, metric="loss(label)", expect=recovers(0.5), through="all")
    found = engine(declare(omitted), model)
    for call in calls(found):
        rows = found.rows(call)
        frame = rows["answer"][1]
        patches = places.taken("embed", "A", frame, rows["e"][0]) + places.taken("0.1", "END", frame, frame)
        run = model.patched(places.tokens(frame), patches, keep=[hook])
        agrees(found, call, run["logits"][places.at(frame, "END")], model)


def test_a_passed_mlp_that_is_claimed_takes_its_own_value(model: Hooked, places: Places) -> None:
    """embed @ END -> MLPs -> answer, and mlp 0 at END is a leaf of another row: it does not follow the embedding."""
    sites = {"e": embed("END"), "m": mlps(0, at="END"), "answer": logits("END").reads(input="e m")}
    found = engine(claim_of(sites, through="mlps"), model)
    for call in calls(found):
        rows = found.rows(call)
        frame = rows["answer"][1]
        patches = places.taken("embed", "END", frame, rows["e"][0])
        patches += places.taken("mlp 0", "END", frame, rows["m"][0])
        run = model.patched(places.tokens(frame), patches, frozen_on=model.frozen("mlps"))
        agrees(found, call, run["logits"][places.at(frame, "END")], model)


def test_the_numbers_of_a_result_are_the_bridges_own(model: Hooked, places: Places) -> None:
    """The public way: a loaded bridge as `model=`, the loss of its own logits, in fp64."""
    h = claim_of({"answer": logits("END")})
    result = scrub.test(h, model=model.bridge, draws=3, dtype="float64", explain=False)
    rows = range(len(DATA))
    own = [model.plain(places.tokens(r))[places.at(r, "END")].double().log_softmax(-1) for r in rows]
    labels = DATA.column("label")
    loss = sum(-float(own[r][labels[r]]) for r in rows) / len(DATA)
    assert result.metric.model == pytest.approx(loss, rel=model.tolerance)
    assert result.metric.scrubbed == result.metric.random != result.metric.model
    found = engine(h, model, draws=3)
    losses = [-float(own[found.rows(c)["answer"][1]][labels[found.rows(c)["answer"][0]]]) for c in range(30)]
    assert result.metric.random == pytest.approx(sum(losses) / len(losses), rel=model.tolerance)
