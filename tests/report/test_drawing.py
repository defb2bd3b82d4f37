"""`scrub show`: the tree beside the claim as a drawing, and what values its variables take."""

from __future__ import annotations

from claim_cases import names_claim, names_sites
from score.cases import claim_of, graph, rows_of, tiny_transformer, token_claim, token_rows
from scrub import heads, nodes
from scrub.engine.unroll import unroll
from scrub.model.resolve import sound
from scrub.report.drawing import beside, show_text


def shown(hypothesis: object) -> list[str]:
    claim, _ = sound(hypothesis, expecting=False)  # pyright: ignore[reportArgumentType]
    return show_text(claim, unroll(claim)).splitlines()


def test_a_claim_about_a_transformer() -> None:
    lines = shown(token_claim(tiny_transformer(), token_rows(), metric="kl"))
    assert lines[0] == "claim"
    assert lines[1] == "    kl on random, 12 rows"
    assert lines[3] == "answer  logits @ END  + rest              END"
    assert lines[4] == "└─ <input> label  embed @ END     logits  answer"
    assert lines[5].split() == ["embed", "label"]
    assert lines[7].split() == ["variable", "different", "values", "example"]
    assert [line.split()[0] for line in lines[8:]] == ["answer", "label"]


def test_layers_go_up_and_positions_across() -> None:
    two = [heads("0.1", at="S2").reads(q="s2", k="s1", v="s1"), heads("1.0 0.0", at="S2").reads(v="s2")]
    from claim_cases import TINY
    from scrub.claims.check import Subject, check_claim

    hypothesis = names_claim(sites=names_sites(doubled=two))
    claim = check_claim(hypothesis, Subject(TINY, vocabulary=50, context=16), hypothesis.data).claim  # pyright: ignore
    assert claim is not None
    grid = show_text(claim, unroll(claim)).splitlines()
    head = next(i for i, line in enumerate(grid) if line.split()[-4:] == ["IO", "S1", "S2", "END"])
    levels = [line[grid[head].index("IO") - 8 :] for line in grid[head + 1 :] if line.strip()]
    text = "\n".join(levels)
    assert (
        text.index("logits")
        < text.index("attn 2")
        < text.index("attn 1")
        < text.index("attn 0")
        < text.index("embed")
    )
    assert "name: 2.0 2.1" in text
    assert "doubled: 1.0" in text
    assert "doubled: 0.1; doubled: 0.0" in text


def test_a_claim_about_a_graph_shows_its_nodes_from_the_answer_down() -> None:
    model = graph(h=lambda x: x, out=lambda h, y: h + y)
    claim = claim_of(
        model, {"mid": lambda x: x % 2, "answer": lambda mid: mid},
        {"x": "x", "mid": "h", "answer": nodes("out").reads(h="mid")},
        rows_of({"x": i, "y": i, "label": 0} for i in range(6)),
    )  # fmt: skip
    lines = shown(claim.foil("h is all of x"))
    assert lines[0] == "claim  (foil: h is all of x)"
    assert [line.split()[-2:] for line in lines[3:7]] == [
        ["variable", "nodes"], ["answer", "out"], ["mid", "h"], ["x", "x"],
    ]  # fmt: skip
    assert [line.split() for line in lines[-3:]] == [["answer", "2", "0"], ["mid", "2", "0"], ["x", "6", "0"]]


def test_blocks_stand_side_by_side_where_they_fit() -> None:
    assert beside(["a", "bbb"], ["1"]) == ["a       1", "bbb"]
    assert beside(["a" * 60], ["1" * 60]) == ["a" * 60, "", "1" * 60]
