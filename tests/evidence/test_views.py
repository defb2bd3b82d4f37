"""Views of compiled models show what was compiled; probes are those of `scrub.fit`; what is not shown says why."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

import scrub
from cli_cases import scrub as command
from report.browser import FOUND, browse, console, requests, width_on
from scrub import Dataset, Interpretation, claim, nodes
from scrub.anatomy.positions import Slot
from scrub.claims.collect import collect
from scrub.engine import cache as engine_cache
from scrub.errors import ClaimError
from scrub.evidence.probes import of_values, set_aside
from scrub.evidence.views import CAUTION, NAMES, Views
from scrub.model.memory import Backend
from scrub.model.open import open_weights
from scrub.model.source import find
from scrub.model.trace import trace
from scrub.score.probe import fit_probe
from scrub.storage.stored import sealed
from scrub.verbs.setup import references
from test_docs import GPT2, needs_gpt2

GALLERY = Path(scrub.__file__).parents[1] / "hypotheses"


@cache
def hypothesis(name: str) -> scrub.Hypothesis:
    (found,) = collect([f"{GALLERY / f'{name}.py'}::{name}"]).hypotheses
    return found


@cache
def seen(name: str) -> Views:
    return scrub.views(hypothesis(name), rows=80, draws=2)


def looks(name: str) -> dict[str, tuple[tuple[str, ...], float | None, str | None]]:
    found = seen(name).attention
    assert found is not None
    return {f"{h.head} @ {h.at}": (h.reads, h.share and round(h.share, 6), h.most) for h in found.heads}


def test_compiled_heads_look_where_they_were_made_to() -> None:
    both = {"1.0 @ END": (("VALUE",), 1.0, "VALUE")}
    assert looks("compose") == {
        **both, "0.0 @ VALUE": (("KEY",), 1.0, "KEY"), "0.1 @ END": (("ASK",), 1.0, "ASK"),
    }  # fmt: skip
    assert looks("either") == {
        **both, "0.2 @ VALUE": (("KEY",), 1.0, "KEY"), "0.0 @ END": (("ASK",), 1.0, "ASK"),
        "0.1 @ END": (("ASK",), 1.0, "ASK"),
    }  # fmt: skip


@pytest.mark.parametrize(("name", "score"), [("compose", 10.0), ("either", 20.0)])
def test_the_compiled_answer_is_one_heads_and_comes_from_the_value(name: str, score: float) -> None:
    direct = seen(name).direct
    assert direct is not None
    adds = {str(c.component): round(c.value, 4) for c in direct.contributions if abs(c.value) > 1e-4}
    assert adds == {"1.0": score}
    assert direct.logit == pytest.approx(score, abs=1e-4)
    (mover,) = [head for head in direct.sources if str(head.head) == "1.0"]
    assert {one.at for one in mover.sources if abs(one.share) > 1e-4} == {"VALUE"}


@pytest.mark.parametrize("name", ["compose", "either"])
def test_the_compiled_lookup_matches_keys_and_copies_values(name: str) -> None:
    """Along the claim's edges: what is asked for through one head, and the key before a value through another."""
    found = seen(name).matching
    assert found is not None
    (matching,) = found.matching
    assert (str(matching.head), matching.query, matching.key) == ("1.0", ("wanted",), "label")
    assert matching.matched == 1 > 0.3 > matching.chance
    copied = {(str(c.head), c.variable): c.first for c in found.copying}
    assert copied[("1.0", "value")] == 1
    assert {first for (head, _), first in copied.items() if head != "1.0"} == {0.0}


def test_the_lens_knows_the_answer_once_it_was_looked_up() -> None:
    lens = seen("compose").lens
    assert lens is not None
    at_end = [one for one in lens.layers if one.at == "END"]
    assert [one.layer for one in at_end if (one.answer or 0) > 0.9] == [2]
    decoded = {(d.variable, d.layer): d.share for d in lens.decoded if d.at == "END"}
    assert decoded["lookup", 2] == 1 > 0.5 > decoded["lookup", 1]


def test_a_variable_can_be_read_where_it_was_written() -> None:
    found = seen("compose").probes
    assert found is not None
    assert {v.variable: v.also for v in found.variables} == {
        "answer": ("lookup", "value"), "asked": ("key", "label", "wanted"),
    }  # fmt: skip
    right = {(p.variable, p.at, p.layer): p.accuracy for p in found.probed}
    assert [right["asked", "END", layer] > 0.9 for layer in range(3)] == [False, True, True]
    assert [right["answer", "END", layer] > 0.9 for layer in range(3)] == [False, False, True]
    assert np.mean([p.shuffled for p in found.probed]) < 0.3


def test_probes_are_those_of_fit_on_the_stream_of_a_pass() -> None:
    """Rows fewer than the stream is wide, and here with all of its coordinates."""
    views = scrub.views(hypothesis("names"), rows=40, only="probes", seed=3)
    found, claim_ = views.probes, scrub.check(hypothesis("names")).claim
    assert found is not None
    assert claim_ is not None
    source = find("zoo:names")
    model = open_weights(source, Backend("cpu", "float32", None), claim_.data)
    used = references(claim_, 40, 3)
    assert len(used) < model.shape.d_model
    data, held_out = claim_.data.taken(used.tolist()), set_aside(claim_.data.identities[used], 3)
    tokens, lengths = engine_cache.tensors(data, model.device)
    kept: dict[int, np.ndarray] = {}

    def record(kind: str, layer: int, value: Any) -> None:
        if kind == "resid_pre":
            kept[layer] = value.double().numpy()[range(len(used)), data.locate(Slot("END"))]

    trace(model, tokens, lengths, record)
    classes = of_values([claim_.values["s1"][row] for row in used])
    for layer, x in kept.items():
        slow = fit_probe(x[~held_out], classes[~held_out], 0.01).accuracy(x[held_out], classes[held_out])
        (one,) = [p for p in found.probed if (p.variable, p.at, p.layer) == ("s1", "END", layer)]
        assert one.accuracy == pytest.approx(slow, abs=1.01 / held_out.sum())  # a row on the edge may fall either way


def test_every_view_says_that_it_is_no_test_and_enters_no_result() -> None:
    views = seen("compose")
    for shown in (str(views), views._repr_html_(), json.dumps(views.to_dict())):
        assert CAUTION in shown
    assert set(views.to_dict()["views"]) == set(NAMES)
    frame = views.frame()
    assert list(frame.columns) == ["view", "table", "row", "column", "value"]
    assert set(frame.view) == {"attention", "lens", "direct", "probes"}  # numbers; nothing is predicted otherwise


def test_what_a_wrong_claim_predicts_otherwise_is_marked() -> None:
    (no_key,) = collect([f"{GALLERY / 'compose.py'}::no_key"]).hypotheses
    views = scrub.views(no_key, rows=40, draws=4, only="otherwise")
    assert views.otherwise is not None
    assert views.otherwise.changed > 0.5
    first = views.otherwise.rows[0]
    assert first.probability > 0.99 > 0.5 > first.scrubbed
    assert first.instead not in (None, first.best)
    assert f"{first.best}</span>" in views._repr_html_()
    assert seen("compose").otherwise.changed == 0  # type: ignore[union-attr]


@needs_gpt2
def test_the_claim_of_26_heads_takes_at_most_three_passes_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config(n_embd=24, n_positions=64)).save_pretrained(tmp_path)
    for file in GPT2.glob("*token*"):
        shutil.copy(file, tmp_path)
    ran: list[int] = []

    def counted(model: Any, tokens: Any, lengths: Any, record: Any = None) -> Any:
        ran.append(len(tokens))
        return trace(model, tokens, lengths, record)

    monkeypatch.setattr(engine_cache, "trace", counted)
    views = scrub.views(hypothesis("ioi"), str(tmp_path), rows=16, draws=1)
    assert [text.partition(":")[0] for text in views.left_out] == ["probes"]  # nine names on 16 rows
    assert len(views.attention.heads) == 26 - 2 + 2  # type: ignore[union-attr]
    pool = 200  # the pool is run to scrub the claim, the rows that are looked at once more
    assert sum(ran) == pool + 16 <= 3 * pool


def graph() -> scrub.Hypothesis:
    made = nx.DiGraph([("a", "out")])
    made.nodes["out"]["function"] = lambda a: a
    story = Interpretation()
    story.variable(answer)
    data = Dataset.from_rows([{"columns": {"a": i}} for i in range(4)])
    return claim(story, model=made, data=data, metric=scrub.Metric(lambda out, row: out, better="higher"),
                 predicts="a", expect=scrub.recovers(0.5))(sites)  # fmt: skip


def answer(a: int) -> int:
    return a


def sites() -> dict[str, Any]:
    return {"a": nodes("a"), "answer": nodes("out").reads(a="a")}


def test_a_graph_has_no_views() -> None:
    with pytest.raises(ClaimError, match="computation graph, which has no attention, streams or logits"):
        scrub.views(graph())


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"only": "attenton"}, "'attenton' is no view. Did you mean 'attention'?"),
        ({"only": ""}, "nothing is no view"),
        ({"show": -1}, "show=-1: how many rows"),
        ({"rows": 0}, "--rows 0"),
        ({"draws": 0}, "--draws 0"),
    ],
)
def test_bad_input_gets_a_sentence(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ClaimError, match=said.replace("?", r"\?")):
        scrub.views(hypothesis("compose"), **asked)


def test_what_cannot_be_seen_says_why() -> None:
    """A view that the rows do not suffice for is left out."""
    few = scrub.views(hypothesis("compose"), rows=4, only="probes")
    assert few.left_out == ("probes: 4 rows are too few to fit on some and to try on others: give 16.",)
    assert "not shown" in str(few)


@pytest.fixture(scope="module")
def stored_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every view of a wrong claim, stored."""
    folder = tmp_path_factory.mktemp("views")
    found = command(
        "views", f"{GALLERY / 'compose.py'}::no_key", "--rows", 40, "--out", folder, "--json", folder / "j"
    )
    assert found.exit_code == 0, found.stderr
    assert CAUTION in found.stdout
    assert command("report", folder).exit_code == 0
    return folder


def test_the_command_stores_and_makes_a_page(stored_run: Path) -> None:
    (result,) = json.loads((stored_run / "j").read_text())["results"]
    assert set(result["views"]) == set(NAMES)
    page = (stored_run / "report.html").read_text()
    assert page.count(CAUTION) == 1
    assert all(title.capitalize() in page.replace("&#39;", "'") for title in NAMES.values())
    assert f"scrub views {GALLERY / 'compose.py'}::no_key --rows 40" in page


@pytest.mark.skipif(FOUND is None, reason="no browser is installed")
def test_the_page_is_quiet_and_fits_a_phone(stored_run: Path, tmp_path: Path) -> None:
    page, log = stored_run / "report.html", tmp_path / "net.json"
    seen_by = browse(page, tmp_path, f"--log-net-log={log}", "--dump-dom")
    assert "</main>" in seen_by.stdout
    assert console(seen_by.stderr) == requests(log) == []
    assert width_on(page, tmp_path, 360) == (360, 360)


def marked(found: Any) -> Any:
    """The same, every string being markup, names of fields as they are."""
    if isinstance(found, dict):
        return {name: marked(part) for name, part in found.items()}
    if isinstance(found, list):
        return [marked(part) for part in found]
    return f"<script>{found}" if isinstance(found, str) else found


def test_what_a_stranger_stored_is_escaped_or_refused(stored_run: Path, tmp_path: Path) -> None:
    stored = json.loads((stored_run / "views.json").read_text())
    (result,) = stored["results"]
    direct = result["views"].pop("direct")  # whose components have names that are read
    for views, said in ((result["views"], None), ({"direct": direct}, "is damaged"), ({"lens": 3}, "is damaged")):
        changed = stored | {"results": [marked(result | {"views": views})]}
        (tmp_path / "views.json").write_text(json.dumps(sealed(changed)))
        found = command("report", tmp_path)
        assert (found.exit_code == 0) == (said is None), found.stderr
        assert (said or "") in found.stderr
        assert "<script" not in ((tmp_path / "report.html").read_text() if said is None else "")
    (tmp_path / "views.json").write_text(json.dumps(stored | {"results": []}))
    assert "does not match its digest" in command("report", tmp_path).stderr
