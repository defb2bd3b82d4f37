"""The tree, the program, its cost and what it keeps: all known before anything is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from attrs import evolve
from graph_cases import bench_of, claim_of, drawn_rows, graph_of, story_of
from hooked import mixed_rows

import scrub
from model.tiny_models import hugging_face
from scrub import Hypothesis, Interpretation, claim, embed, heads, logits, mlps, nodes, recovers, resid
from scrub.anatomy.positions import Slot
from scrub.anatomy.transformer import Shape as Sizes
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.resolved import Claim
from scrub.engine.cost import forward_work, plan_claim
from scrub.engine.counted import PILOT_CALLS
from scrub.engine.draw import Calls, Draws
from scrub.engine.needs import Need, needs
from scrub.engine.number import Numbering
from scrub.engine.plan import Leaf, Program, SiteShape, Stream, compile_tree
from scrub.engine.unroll import as_networkx, unroll
from scrub.errors import ScrubError
from scrub.model.resolve import sound
from scrub.model.transformer import bridge_of
from scrub.score.sample import compile_claim
from scrub.verbs.setup import references
from strategies_models import named

DATA = mixed_rows(12, vocabulary=5)
SIZES = Sizes("gpt2", 3, 2, 2, 8, 4, 32, 31, 24)
GRAPH = TransformerGraph("tiny", SIZES)


class Weightless:
    """A model that is known by its shape alone: nothing here may ask for weights."""

    name, shape = "tiny", SIZES


A, B, END = Slot("A"), Slot("B"), Slot("END")


def on_tiny(sites: dict[str, Any], **options: Any) -> Hypothesis:
    """A claim about a model of three layers; variables are the tuple of what their sites read, or `kind`."""
    story = Interpretation()
    for name, where in sites.items():
        several = where if isinstance(where, tuple) else (where,)
        parents = dict.fromkeys(p for site in several for _, names in site.reading or () for p in names)
        story.variable(named(name, list(parents) or ["kind"], tuple))
    setting = {"data": DATA, "metric": "loss(label)", "expect": recovers(0.5), **options}
    return claim(story, model=Weightless(), **setting)(sites)


def resolved(hypothesis: Hypothesis) -> tuple[Claim, Program]:
    found, _ = sound(hypothesis)
    return found, compile_claim(found)[1]


def deep(through: str = "") -> Hypothesis:
    """`a` is read by both sites of `b`, and those by `c`."""
    sites = {
        "a": embed("A"),
        "b": (heads("0.0", at="B").reads(k="a", v="a"), heads("1.1", at="B").reads(v="a")),
        "c": heads("2.0", at="END").reads(k="b", v="b"),
        "answer": logits("END").reads(input="c"),
    }
    return on_tiny(sites, through=through)


TREE = """\
answer  logits @ END  + rest
└─ <input> c  2.0 @ END  + rest
   ├─ <k v> b  0.0 @ B  + rest
   │  └─ <k v> a  embed @ A
   └─ <k v> b  1.1 @ B  + rest
      └─ <v> a  embed @ A"""


def test_the_tree_is_printed_from_the_answer_down() -> None:
    assert str(unroll(sound(deep())[0])) == TREE


def test_the_tree_as_networkx() -> None:
    graph = as_networkx(unroll(sound(deep())[0]))
    c = "answer/input:2.0 @ END"
    first, second = f"{c}/k+v:0.0 @ B", f"{c}/k+v:1.1 @ B"
    assert set(graph) == {
        "answer", c, first, second, f"{first}/k+v:embed @ A", f"{second}/v:embed @ A"
    }  # fmt: skip
    assert nx.is_arborescence(graph.reverse())
    assert graph.nodes[c] == {"variable": "c", "site": "2.0 @ END", "leaf": False}
    assert [graph.nodes[path]["leaf"] for path in (f"{first}/k+v:embed @ A", "answer")] == [True, False]
    assert graph.edges[c, "answer"]["channels"] == ("input",)
    assert graph.edges[f"{second}/v:embed @ A", second]["channels"] == ("v",)


def test_paths_hold_no_names_of_variables() -> None:
    def paths(h: str, answer: str) -> set[str]:
        sites = {h: heads("1.0", at="END"), answer: logits("END").reads(input=h)}
        return {node.path for node in unroll(sound(on_tiny(sites))[0]).walk()}

    assert paths("h", "answer") == paths("zeta", "alpha") == {"answer", "answer/input:1.0 @ END"}


def test_a_program_holds_equal_steps_once() -> None:
    """Two occurrences of the embedding are one leaf; k and v of a head that see the same are one stream."""
    claim, program = resolved(deep())
    leaves = [step for step in program.steps if isinstance(step, Leaf)]
    assert [str(leaf.components[0]) for leaf in leaves] == ["embed"]
    streams = [step for step in program.steps if isinstance(step, Stream)]
    assert len(streams) == 3  # at A for both heads, at B for 2.0, at END for the answer
    assert len(program.steps) == 1 + 3 + 4
    assert len(list(unroll(claim).walk())) == 6
    both = [path for path, parts in program.parts.items() if parts == (0,)]
    assert len(both) == 2


def test_steps_come_after_what_they_read() -> None:
    _, program = resolved(deep("mlps"))
    for number, step in enumerate(program.steps):
        read = step.sources if isinstance(step, Stream) else ()
        read = [stream for stream, _, _ in step.views] if isinstance(step, SiteShape) else read
        assert all(source < number for source in read)


PROGRAM = """\
  0  leaf    embed @ A
  1  stream  at A: embed@A of 0
  2  site    0.0 @ B: k <- 1; q <- rest; v <- 1
  3  site    1.1 @ B: k <- rest; q <- rest; v <- 1
  4  stream  at B: 0.0@B of 2, 1.1@B of 3
  5  site    2.0 @ END: k <- 4; q <- rest; v <- 4
  6  stream  at END: 2.0@END of 5
  7  site    logits @ END: input <- 6"""


def test_the_text_of_a_program() -> None:
    assert str(resolved(deep())[1]) == PROGRAM


def test_a_linked_site_is_one_shape_for_each_moment() -> None:
    sites = {
        "a": embed("END"),
        "c": mlps("0 1", at="END").reads(input="a"),
        "answer": logits("END").reads(input="c"),
    }
    apart = resolved(on_tiny(sites))[1]
    linked = resolved(on_tiny({**sites, "c": sites["c"].linked()}))[1]
    path = "answer/input:mlp 0-1 @ END"
    found = next(path for path in apart.parts if path != "answer" and path.count("/") == 1)
    assert len(apart.parts[found]) == 1, path
    assert len(linked.parts[found]) == 2
    second = linked.steps[linked.parts[found][1]]
    assert isinstance(second, SiteShape)
    stream = linked.steps[second.views[0][0]]
    assert isinstance(stream, Stream)
    assert [str(x.component) for x in stream.landings] == ["embed", "mlp 0"]


@pytest.mark.parametrize(
    ("options", "site", "dense"),
    [
        ({}, embed("A"), False),
        ({"through": "mlps"}, embed("END"), False),
        ({"through": "heads"}, embed("A"), True),
        ({"through": "0.1"}, embed("A"), True),
        ({"through": "mlps", "rest": "mean", "within": "length"}, embed("END"), False),
        ({"through": "mlps", "rest": "zero"}, mlps("0", at="END"), True),
        ({"rest": "zero"}, embed("END"), False),
        ({"within": "length"}, embed("all"), True),
    ],
)
def test_streams_are_dense_only_where_they_must_be(options: dict[str, Any], site: Any, dense: bool) -> None:
    """Named slots suffice unless heads are passed, a site is everywhere, or an MLP stays on a mean row somewhere."""
    reader = heads("1.0", at="END").reads(k="a", v="a")
    sites = {"a": site, "c": reader, "answer": logits("END").reads(input="c")}
    _, program = resolved(on_tiny(sites, **options))
    assert program.dense is dense
    assert all((step.slot is None) is dense for step in program.steps if isinstance(step, Stream))


def planned(hypothesis: Hypothesis, draws: int = 5, rows: int | None = None) -> Any:
    return scrub.plan(hypothesis, rows=rows, draws=draws)


def square_claim(**options: Any) -> Hypothesis:
    graph = graph_of(a=lambda x: 2 * x, b=lambda y: 3 * y, out=lambda a, b: a + b)
    rows = [{"x": x, "y": y} for x in range(4) for y in range(4)]
    sites = {"u": nodes("a"), "w": nodes("b"), "answer": nodes("out").reads(a="u", b="w")}
    return claim_of(graph, story_of(u="x", w="y", answer="u w"), sites, rows, **options)


def test_a_plan_counts_what_is_asked_for_and_what_is_made() -> None:
    """Two leaves, two streams and the answer, for 16 rows and 5 draws; r is the row itself."""
    plan = planned(square_claim(rest="keep"))
    assert (plan.rows, plan.draws, plan.pool, plan.occurrences, plan.steps) == (16, 5, 16, 3, 5)
    assert plan.asked == 5 * 16 * 5
    # each leaf has 4 values, the rest 16 contexts: the same however many draws are taken
    assert plan.evaluations == 4 + 4 + 16 + 16 + 16
    assert planned(square_claim(rest="keep"), draws=50).evaluations == plan.evaluations
    assert plan.forwards is None
    assert plan.alone == {"u": 0, "w": 0}
    assert not plan.everywhere


def test_rows_that_nothing_can_replace_are_counted() -> None:
    graph = graph_of(a=lambda x: x, out=lambda a: a)
    rows = [{"x": x} for x in (0, 0, 0, 1, 2)]
    h = claim_of(graph, story_of(u="x", answer="u"), {"u": nodes("a"), "answer": nodes("out")}, rows)
    plan = planned(h)
    assert plan.alone == {"u": 2}
    assert "u 2" in str(plan)


@pytest.mark.parametrize("make", [lambda: square_claim(), deep, lambda: deep("mlps"), lambda: deep("all")])
def test_a_plan_counts_as_the_test_itself(make: Any) -> None:
    claim, _ = sound(make())
    used, draws, seed = references(claim, None, 3), 4, 3
    tree = unroll(claim)
    program = compile_tree(claim, tree)
    calls = Calls(np.repeat(used, draws), np.tile(np.arange(draws), len(used)))
    numbered = Numbering(claim, program).number(Draws(claim, seed).tree(tree, calls))
    plan = plan_claim(claim, used, draws, seed)
    assert (plan.asked, plan.evaluations) == (numbered.asked, numbered.evaluated)
    assert plan.evaluations < plan.asked


def test_contexts_are_shared_between_rows_draws_and_occurrences() -> None:
    """As many leaf contexts as there are different embeddings among the donors drawn, not one a call."""
    claim, program = resolved(deep())
    drawn = drawn_rows(claim, draws=6)
    numbered = Numbering(claim, program).number(drawn)
    donors = {int(row) for path, d in drawn.items() if path.endswith("embed @ A") for row in d.own}
    tokens = {DATA.rows[row].tokens[int(DATA.locate(A)[row])] for row in donors}
    assert len(numbered.batches[0]) == len(tokens) < len(donors) < len(drawn["answer"].own)
    for batch in numbered.batches.values():
        assert len(np.unique(batch.contexts, axis=0)) == len(batch)


def test_large_tests_are_counted_on_a_pilot() -> None:
    """All calls of the empty claim read one of 12 rows; the pilot is scaled by the number of calls."""
    h = on_tiny({"answer": logits("END")})
    small, large = planned(h, draws=100), planned(h, draws=1000)
    assert small.evaluations == len(DATA)
    assert large.asked == 12 * 1000 > PILOT_CALLS
    assert large.evaluations == round(12 * 12 * 1000 / PILOT_CALLS)


def test_forwards_of_the_empty_claim() -> None:
    """Each call is scored, by so many columns of the unembedding as its metric reads; nothing else is computed."""
    plan = planned(on_tiny({"answer": logits("END")}), draws=100)
    length = int(np.median(DATA.lengths))
    s = SIZES
    per_layer = 4 * s.d_model * s.n_heads * s.d_head + 2 * length * s.n_heads * s.d_head + 2 * s.d_model * s.d_mlp
    whole = length * (3 * per_layer + s.d_model * s.d_vocab)
    assert forward_work(GRAPH, length) == whole
    assert plan.forwards == pytest.approx(12 * 100 * s.d_model * s.d_vocab / whole)
    few = planned(on_tiny({"answer": logits("END")}, metric="logit_diff(label, other)"), draws=100)
    assert few.forwards == pytest.approx(plan.forwards * 2 / s.d_vocab)


@pytest.mark.parametrize("kind", ["LlamaForCausalLM", "GemmaForCausalLM", "GPT2LMHeadModel"])
def test_a_model_costs_the_same_by_its_directory_and_loaded(tmp_path: Path, kind: str) -> None:
    """The head's share alone would hide it: the pass that is the unit has gated MLPs, and so has the path."""
    module: Any = hugging_face(kind, **{"n_layer" if kind.startswith("GPT2") else "num_hidden_layers": 3})
    module.config.save_pretrained(tmp_path)
    by_directory, loaded = (scrub.plan(deep("mlps"), model=m).forwards for m in (tmp_path, bridge_of(module, kind)))
    assert by_directory == loaded


def test_a_gated_mlp_costs_three_matrices() -> None:
    gated = evolve(GRAPH, shape=evolve(SIZES, gated=True))
    more = 10 * SIZES.n_layers * SIZES.d_model * SIZES.d_mlp
    assert forward_work(gated, 10) - forward_work(GRAPH, 10) == more


def test_forwards_grow_with_what_is_passed_through() -> None:
    direct, mlps_passed, everything = (planned(deep(through)).forwards for through in ("", "mlps", "all"))
    assert 0 < direct < mlps_passed < everything
    # a head at named slots costs a small part of a forward pass, even in a model as small as this
    assert direct / (12 * 5) < 0.5


def test_a_plan_in_words() -> None:
    text = str(planned(deep("all")))
    assert "12 rows x 5 draws from a pool of 12" in text
    assert "6 occurrences" in text
    assert "every position" in text
    assert "every position" not in str(planned(deep()))
    assert "forward passes" not in str(planned(square_claim()))


def test_a_plan_of_a_subset_of_rows() -> None:
    plan = planned(deep(), rows=4)
    assert plan.rows == 4
    assert plan.asked == planned(deep()).asked * 4 / 12
    with pytest.raises(ScrubError, match="--rows 0"):
        planned(deep(), rows=0)


def kept(hypothesis: Hypothesis) -> tuple[Need, Need]:
    return needs(*resolved(hypothesis))


def as_sets(need: Need) -> dict[str, tuple[set[str], set[int]]]:
    return {
        f"{kind} {time}": ({str(slot or "everywhere") for slot in slots}, need.heads[kind, time])
        for (kind, time), slots in need.slots.items()
    }


def test_only_what_is_read_is_kept() -> None:
    """Streams at the slots where something lands, z of claimed heads, K and V of receiving heads alone."""
    leaves, frames = kept(deep())
    assert as_sets(leaves) == {"embed 0": ({"A"}, set())}
    everywhere = {"everywhere"}
    assert as_sets(frames) == {
        "embed 0": ({"A"}, set()),
        "resid_pre 0": ({"A"}, set()),  # read by 0.0 at A
        "resid_pre 1": ({"A"}, set()),  # by 1.1 at A
        "resid_pre 2": ({"B"}, set()),  # by 2.0 at B
        "resid_pre 3": ({"END"}, set()),
        "q 0": ({"B"}, {0}),
        "k 0": (everywhere, {0}),
        "v 0": (everywhere, {0}),
        "q 1": ({"B"}, {1}),
        "k 1": (everywhere, {1}),
        "v 1": (everywhere, {1}),
        "q 2": ({"END"}, {0}),
        "k 2": (everywhere, {0}),
        "v 2": (everywhere, {0}),
        "z 0": ({"B"}, {0}),
        "z 1": ({"B"}, {1}),
        "z 2": ({"END"}, {0}),
    }


def test_passed_mlps_are_kept_where_a_change_can_reach_them() -> None:
    _, direct = kept(deep())
    _, passed = kept(deep("mlps"))
    more = {kind: slots for kind, slots in as_sets(passed).items() if kind not in as_sets(direct)}
    assert {kind for kind in more if kind.startswith("mlp_out")} == {"mlp_out 0", "mlp_out 1", "mlp_out 2"}
    assert as_sets(passed)["mlp_out 0"][0] == {"A", "B", "END"}
    assert as_sets(passed)["mlp_out 2"][0] == {"END"}
    assert "everywhere" not in {slot for kind, (slots, _) in more.items() for slot in slots}


def test_a_residual_stream_is_one_array() -> None:
    sites = {"a": resid(1, at="END"), "answer": logits("END").reads(input="a")}
    leaves, frames = kept(on_tiny(sites))
    assert as_sets(leaves) == {"resid_pre 1": ({"END"}, set())}
    assert as_sets(frames) == {"resid_pre 1": ({"END"}, set()), "resid_pre 3": ({"END"}, set())}


def test_grouped_heads_keep_the_keys_they_share() -> None:
    """Query heads 2 and 3 of four share the second of two key/value heads."""

    class Grouped(Weightless):
        shape = Sizes("llama", 2, 4, 2, 8, 4, 32, 31, 24, "rotary")

    sites = {
        "a": embed("A"),
        "c": heads("1.2 1.3", at="END").reads(v="a"),
        "answer": logits("END").reads(input="c"),
    }
    _, frames = kept(on_tiny(sites).but(model=Grouped()))
    assert {kind: frames.heads[kind] for kind in frames.heads if kind[0] in "qkv"} == {
        ("q", 1): {2, 3}, ("k", 1): {1}, ("v", 1): {1}
    }  # fmt: skip


def test_a_graph_program_names_arguments() -> None:
    assert str(bench_of(square_claim()).program).splitlines() == [
        "  0  leaf    a @ -",
        "  1  leaf    b @ -",
        "  2  stream  at a: a@None of 0",
        "  3  stream  at b: b@None of 1",
        "  4  site    out @ -: a <- 2; b <- 3",
    ]
