"""`scrub new --from-graph`: what an attribution graph says becomes a claim, and what it does not know a stub.

The graph is made by hand from the published layout (circuit-tracer's graph_models.py and create_graph_files.py).
"""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import scrub
from scrub import embed, latents, logits, mlps
from scrub.claims.collect import collect
from scrub.claims.hypothesis import Hypothesis
from scrub.errors import ClaimError
from scrub.verbs.new_from_graph import write_from_graph

D, M = 64, 40  # of the zoo's `names`
TOKENS = ["<bos>", "When", " Mary", " and", " John", " to"]


def latent(layer: int, number: int, place: int, label: str = "") -> dict[str, Any]:
    paired = (layer + number) * (layer + number + 1) // 2 + number
    return {
        "node_id": f"{layer}_{number}_{place}", "feature": paired, "layer": str(layer), "ctx_idx": place,
        "feature_type": "cross layer transcoder", "jsNodeId": f"{layer}_{number}-0", "clerp": label, "influence": 0.3,
    }  # fmt: skip


def other(name: str, kind: str, place: int, **said: Any) -> dict[str, Any]:
    layer, number, _ = name.split("_")
    return {"node_id": name, "feature": int(number), "layer": layer, "ctx_idx": place, "feature_type": kind, **said}


LINKS = (
    "E_5_2>0_5_2 E_5_2>0_7_2 0_5_2>1_3_2 0_7_2>1_9_5 0_11_5>1_9_5 0_5_2>1_9_5 1_9_5>4_20_5 1_3_2>4_20_5 E_5_2>4_20_5 "
    "0_-1_2>1_9_5 1_30_5>4_20_5 1_3_2>2_8_5"
)
GRAPH: dict[str, Any] = {
    "metadata": {"slug": "s", "scan": "zoo:names", "prompt_tokens": TOKENS, "prompt": "".join(TOKENS)},
    "qParams": {
        "pinnedIds": ["E_5_2", "0_5_2", "1_9_5", "0_11_5", "2_8_5", "4_20_5"],
        "supernodes": [["names", "0_5_2", "0_7_2", "1_3_2"], ["say a name", "1_9_5", "9_9_9"]],
        "linkType": "both", "clickedId": "", "sg_pos": "",
    },
    "nodes": [
        latent(0, 5, 2, "a name"), latent(0, 7, 2), latent(1, 3, 2), latent(1, 9, 5), latent(0, 11, 5, 'to "whom"'),
        latent(1, 30, 5, "in no group"), latent(2, 8, 5, "leads nowhere"),
        *(other(f"E_{i + 3}_{i}", "embedding", i) for i in range(len(TOKENS))),
        other("0_-1_2", "mlp reconstruction error", 2),
        other("4_21_5", "logit", 5, token_prob=0.7, clerp='Output " John" (p=0.700)'),
        other("4_20_5", "logit", 5, token_prob=0.2, clerp='Output " Mary" (p=0.200)', is_target_logit=True),
    ],
    "links": [dict(zip(("source", "target"), link.split(">"), strict=True), weight=-0.5) for link in LINKS.split()],
}  # fmt: skip


def transcoders(folder: Path, layers: tuple[int, ...] = (0, 1)) -> Path:
    folder.mkdir()
    draw = np.random.default_rng(0)
    shapes = {"W_enc": (D, M), "b_enc": (M,), "W_dec": (M, D), "b_dec": (D,)}
    for layer in layers:
        arrays = {name: draw.normal(size=shape).astype("f4") for name, shape in shapes.items()}
        save_file(arrays, folder / f"layer_{layer}.safetensors")
    (folder / "config.yaml").write_text(
        "model_kind: transcoder_set\nfeature_input_hook: hook_resid_mid\nfeature_output_hook: hook_mlp_out\n"
    )
    return folder


def stored(folder: Path, graph: Any) -> Path:
    file = folder / "graph.json"
    file.write_text(json.dumps(graph))
    return file


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def written(at: Path, graph: Any = GRAPH, dictionaries: tuple[Path, ...] | None = None) -> Path:
    given = (transcoders(at / "set"),) if dictionaries is None else dictionaries
    file = at / "claims.py"
    write_from_graph(file, stored(at, graph), given)
    return file


def only(file: Path) -> Hypothesis:
    found = collect([file])
    assert not found.problems, found.problems
    return found.hypotheses[0]


def test_groups_are_variables_and_links_are_reads(tmp_path: Path) -> None:
    """`names` is two: 1/3 reads what 0/5 writes, and 1/9 cannot read its own layer."""
    claim = only(written(tmp_path))
    zero, one = (tmp_path / "set" / f"layer_{layer}.safetensors" for layer in (0, 1))
    wanted = {
        "mary": embed("MARY"),
        "names": mlps(0, at="MARY").part(latents(zero, "5 7")).reads(input="mary"),
        "to_whom": mlps(0, at="END").part(latents(zero, "11")),
        "names_2": mlps(1, at="MARY").part(latents(one, "3")).reads(input="names"),
        "say_a_name": mlps(1, at="END").part(latents(one, "9")).reads(input="names to_whom"),
        "answer": logits("END").reads(input="mary names_2 say_a_name"),
    }
    assert claim.entries() == wanted
    assert {v.name: v.parents for v in claim.story.variables.values()} == {
        "mary": ("token_mary",), "names": ("mary",), "to_whom": ("token_end",), "names_2": ("names",),
        "say_a_name": ("names", "to_whom"), "answer": ("mary", "names_2", "say_a_name"),
    }  # fmt: skip
    text = (tmp_path / "claims.py").read_text()
    assert "of the graph 1 of its latents and 1 of its error nodes" in " ".join(text.split())
    assert "Left out, since nothing leads from there to the answer: leads nowhere." in " ".join(text.split())
    assert "not among the nodes of the file: 9_9_9" in " ".join(text.split())
    assert claim.metric == "logit_diff(right, wrong)"
    assert claim.options.through == ("heads",)


def test_check_names_every_stub_and_that_one_row_is_no_pool(tmp_path: Path) -> None:
    checked = scrub.check(only(written(tmp_path)))
    found = {(p.variable, p.found) for p in checked.problems}
    stubs = {(name, "this variable is a stub: it returns `...`.") for name in
             ("names", "names_2", "to_whom", "say_a_name", "answer")}  # fmt: skip
    assert found == stubs | {("", "the data set has one row only: there is nothing to swap.")}
    assert all(p.line for p in checked.problems)


def test_filled_in_it_is_tested(tmp_path: Path) -> None:
    file = written(tmp_path)
    text = re.sub(r"\((\w+)(.*)\):\n    return \.\.\..*", r"(\1\2):\n    return \1", file.read_text())
    row = text[text.index("            {\n") : text.index("            },\n")]
    row += "            },\n"
    others = [row.replace("[3, 4, 5", f"[3, 4, {5 + i % 4}").replace('" Mary"', f'" {i % 4}"') for i in range(40)]
    file.write_text(text.replace(row, "".join(others)))
    result = scrub.test(only(file), draws=2, parts="none", controls="none")
    assert result.verdict in ("refuted", "inconclusive", "undefined")
    assert result.rows == 40


def test_what_the_graph_does_not_have_is_asked_for(tmp_path: Path) -> None:
    """No transcoders: a stub of each layer. No embeddings: the prompt as a text. One logit: its loss."""
    graph = deepcopy(GRAPH)
    graph["nodes"] = [n for n in graph["nodes"] if n["node_id"] not in ("E_3_0", "4_21_5")]
    file = written(tmp_path, graph, ())
    claim = only(file)
    assert '    texts = ["When{MARY| Mary} and John{END| to}"]' in file.read_text()
    assert "columns=columns, bos=True)" in file.read_text()
    assert claim.metric == "loss(right)"
    assert "Name the transcoders of layers 0, 1 in DICTIONARIES." in file.read_text()
    found = [str(p) for p in scrub.check(only(written(folder(tmp_path / "b"), GRAPH, ()))).problems]
    assert sum("no such file" in text and "layer_0.safetensors" in text for text in found) == 2


def changed(node: str = "", qparams: dict[str, Any] | None = None, **said: Any) -> dict[str, Any]:
    graph = deepcopy(GRAPH)
    graph["qParams"] |= qparams or {}
    if node:
        next(n for n in graph["nodes"] if n["node_id"] == node).update(said)
    return {**graph, **({} if node else said)}


NONE: dict[str, Any] = {"supernodes": [], "pinnedIds": []}


@pytest.mark.parametrize(
    ("graph", "sentences"),
    [
        ([], ["an attribution graph is a JSON object with metadata, qParams, nodes, links, found list"]),
        ({**changed(), "nodes": {}}, ["'nodes' is no list, found dict"]),
        ({"metadta": {}, **{k: GRAPH[k] for k in ("qParams", "nodes", "links")}},
         ["an attribution graph has 'metadata'", "Did you mean 'metadta'?"]),
        (changed(metadata={"prompt_tokns": ["a"]}), ["no 'prompt_tokens', a list of texts.", "mean 'prompt_tokns'?"]),
        (changed(qparams=NONE), ["nothing is grouped", "pin and group nodes"]),
        (changed(qparams={**NONE, "pinnedIds": ["8_8_8"]}), ["nothing is grouped"]),
        (changed(qparams={"supernodes": ["names"]}), ['a supernode is ["title", "node_id", ...], found \'names\'']),
        (changed("1_9_5", feature_type="lorsa"), ["node '1_9_5': feature_type 'lorsa' is not known", "embedding"]),
        (changed("1_9_5", ctx_idx=6), ["node '1_9_5': ctx_idx 6 is no place among its 6 prompt_tokens"]),
        (changed("1_9_5", layer="2"), ["'1_9_5': its node_id is no LAYER_LATENT_POSITION of layer '2', ctx_idx 5"]),
        (changed("1_9_5", node_id=7), ["nodes[3]: a node is an object with a node_id"]),
        (changed(links=[{"source": "a"}]), ["links[0]: a link has a source and a target"]),
        (changed(links=[]), ["no link leads from what is grouped to a logit"]),
        (changed(nodes=GRAPH["nodes"][:-2]), ["no node of feature_type 'logit'"]),
    ],
)  # fmt: skip
def test_what_is_no_graph_is_told(tmp_path: Path, graph: Any, sentences: list[str]) -> None:
    with pytest.raises(ClaimError) as told:
        written(tmp_path, graph, ())
    assert all(f"{tmp_path / 'graph.json'}: " in line for line in str(told.value).splitlines())
    assert all(sentence in str(told.value) for sentence in sentences), str(told.value)
    assert not (tmp_path / "claims.py").exists()


def test_a_graph_in_another_encoding_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "graph.json").write_text("{}", encoding="utf-16")
    with pytest.raises(ClaimError, match=r"graph\.json: no JSON that can be read: it is no text in UTF-8"):
        write_from_graph(tmp_path / "claims.py", tmp_path / "graph.json")


def test_transcoders_that_are_not_the_graphs(tmp_path: Path) -> None:
    given = transcoders(tmp_path / "set")
    graph = deepcopy(GRAPH)
    graph["nodes"].append(latent(1, 4000, 5))
    graph["qParams"]["supernodes"][1].append("1_4000_5")
    with pytest.raises(ClaimError) as told:
        written(tmp_path, graph, (given, given / "layer_0.safetensors"))
    assert f"it has {M} latents, and the graph names 4000 of mlp 1" in str(told.value)
    assert "a second one of mlp 0, beside" in str(told.value)
    with pytest.raises(ClaimError, match="no dictionary that is known lies there"):
        written(tmp_path, GRAPH, (Path(__file__),))


def test_an_attribution_graph_is_no_circuit_and_says_what_reads_it(tmp_path: Path) -> None:
    with pytest.raises(ClaimError, match=r"attribution graph.*scrub new CLAIM\.py --from-graph"):
        scrub.Circuit.read(stored(tmp_path, GRAPH))
