"""What is easily written wrong in Python is told in a sentence, never by an error of Python's from inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx
import pytest

import scrub
from score.cases import sum_claim
from scrub import Dataset, Interpretation, Metric, claim, embed, heads, logits, nodes, recovers, together
from scrub.errors import ScrubError

HERE: Any = heads("0.3", at="B1")
ROWS = Dataset.from_rows({"tokens": [1, 2], "positions": {"END": -1}, "columns": {"x": i}} for i in range(3))
TEXT: Any = Dataset.from_text


def made(**changed: Any) -> Any:
    story = Interpretation()
    story.variable(lambda x: x)
    return claim(story, **{"model": "zoo:induction", "data": ROWS, "metric": "loss(x)", **changed})


MISTAKES: list[tuple[str, Callable[[], Any], str]] = [
    ("a parent that is a number", lambda: HERE.reads(v=3), ".reads(v=3): 3 is no name of a parent: write text"),
    ("parents that are numbers", lambda: HERE.reads(v=["a", 3]), "3 is no name of a parent"),
    ("a parent without a channel", lambda: HERE.reads("a"), "say through which channel, such as .reads(v='a')"),
    ("omitted numbers", lambda: HERE.omits("a", 3), ".omits('a', 3): 3 is no name of a parent"),
    ("a head as a number", lambda: heads(3, at="END"), "3 names no heads: write a string"),
    ("heads nowhere", lambda: heads("9.9"), "a site without a position, 9.9: write at='END'"),
    ("an embedding nowhere", lambda: embed(), "a site without a position"),
    ("logits nowhere", lambda: logits(), "a site without a position"),
    ("half a position", lambda: heads("9.9", at=3.5), "3.5 is no position"),
    ("nodes as a number", lambda: nodes(3), "3 names no nodes"),
    (
        "rows of nothing",
        lambda: Dataset.from_rows(None),
        "from_rows takes a list of rows, each a mapping, found None",
    ),
    ("a number of rows", lambda: Dataset.from_rows(3), "found int"),
    ("one row", lambda: Dataset.from_rows({"tokens": [1]}), "found dict"),
    ("a number as a row", lambda: Dataset.from_rows([3]), "row 0: int is no row"),
    ("rows that are none", lambda: Dataset([3]), "Dataset(...) takes rows, found 3: use Dataset.from_rows"),
    ("no rows", lambda: Dataset(3), "Dataset(...) takes rows, found 3"),
    ("a file that is none", lambda: Dataset.from_jsonl(3), "from_jsonl takes the path of a file, found 3"),
    ("no texts", lambda: TEXT(None, tokenizer="x"), "from_text takes a list of texts, found NoneType"),
    ("a number as a text", lambda: TEXT(["a", 3], tokenizer="x"), "text 1: 3 is no text"),
    ("columns in a list", lambda: TEXT(["a"], tokenizer="x", columns=["a"]), "columns must be a mapping"),
    ("a column of one value", lambda: TEXT(["a"], tokenizer="x", columns={"c": 3}), "column 'c': give a list"),
    ("positions as a number", lambda: ROWS.with_tokens(3), "with_tokens takes names of positions"),
    ("a row beyond the last", lambda: ROWS.taken([1, 7]), "taken(7): the data have rows 0 to 2"),
    ("a row by name", lambda: ROWS.taken(["a"]), "taken('a'): the data have rows 0 to 2"),
    ("a column by number", lambda: ROWS.column(3), "the data have no column 3;"),
    ("a story from a dict", lambda: Interpretation.from_networkx({}), "from_networkx(dict): the story's graph"),
    ("a width in words", lambda: Interpretation().variable(round="x")(lambda a: a), "round='x' must be a positive"),
    ("a story run on a number", lambda: made()({}).story.run(3), "story.run(3): give a row's columns"),
    ("a test of a number", lambda: scrub.test(3), "3 is no hypothesis: import it from its file"),
    ("a test of a file", lambda: scrub.test("a.py"), "'a.py' is no hypothesis"),
    ("a test of a list", lambda: scrub.test([sum_claim()]), "list is no hypothesis"),
    ("a check of nothing", lambda: scrub.check(None), "None is no hypothesis"),
    ("a plan of a story", lambda: scrub.plan(Interpretation()), "Interpretation is no hypothesis"),
    ("an explanation of 3", lambda: scrub.explain(3), "3 is no hypothesis"),
    ("interchange of 3", lambda: scrub.interchange(3), "3 is no hypothesis"),
    ("power of 3", lambda: scrub.power(3), "3 is no hypothesis"),
    ("power from run 3", lambda: scrub.power(sum_claim(), run=3), "run=: 3 is no path"),
    ("a comparison of nothing", lambda: scrub.compare(), "compare(): give two claims or more"),
    ("a comparison of one", lambda: scrub.compare(sum_claim()), "compare(claim): give two claims or more"),
    ("a comparison in a list", lambda: scrub.compare([sum_claim()] * 2), "compare(list): give two claims or more"),
    ("freezing 3", lambda: scrub.freeze(3, "there"), "3 is no hypothesis"),
    ("freezing nowhere", lambda: scrub.freeze(sum_claim(), None), "None is no path"),
    ("thawing 3", lambda: scrub.thaw(3), "thaw(directory): 3 is no path"),
    ("a difference of 3", lambda: scrub.diff(3, 4), "3 is no hypothesis"),
    ("a misspelt option", lambda: made(scoerd="x"), "@claim has no argument 'scoerd'.  Did you mean scored?"),
    ("a claim of 3", lambda: made()(3), "decorate a function that returns dict(variable=site, ...)"),
    ("through 3", lambda: made(through=3), "through=3: write 'mlps'"),
    ("together 3", lambda: made(together=3), "together=3: write a list of groups"),
    ("together [3]", lambda: made(together=[3]), "together=[3]: write a list of groups"),
    ("together in a list", lambda: together(["a", "b"]), "write names of variables, together('a', 'b')"),
    ("a share in words", lambda: recovers("x"), "recovers('x'): say a share above 0"),
    ("a metric that is none", lambda: Metric(3), "Metric(fn): 3 is not a function"),
    ("no direction", lambda: Interpretation.from_networkx(nx.Graph()), "has no directions"),
]


@pytest.mark.parametrize(("wrong", "sentence"), [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES])
def test_a_mistake_is_told_in_a_sentence(wrong: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(ScrubError) as error:
        wrong()
    assert sentence in str(error.value)
