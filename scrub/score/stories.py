"""The rows that suffer: what stood in each place of the tree in the draw that hurt most, and what came out."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen
from torch import Tensor

from scrub.claims.dataset import Row
from scrub.claims.text import Tokenizer
from scrub.engine.draw import ROWS, Calls, Drawn, Draws
from scrub.engine.on_transformer import TransformerRows
from scrub.engine.unroll import Occurrence, rest_inputs
from scrub.model.layers import unembed
from scrub.score.sample import ClaimBench, Samples


@frozen
class Donation:
    """Where one occurrence of a scrubbed row came from: its donor, or what its rest was read from.

    `site` is the one that was given the row, for a rest that each input draws apart the channel of a component.
    """

    variable: str
    site: str
    kind: str
    depth: int
    row: int
    text: str
    agrees: str
    own: bool


@frozen
class RowStory:
    """A row that suffers: its tokens with named positions, both answers, and where every value came from.

    `scrubbed` is the mean metric of its draws; `draw` is the worst of them, the one that is told.
    """

    row: int
    text: str
    columns: dict[str, Any]
    model: float
    scrubbed: float
    model_answer: str
    scrubbed_answer: str
    draw: int
    donations: tuple[Donation, ...]


def row_story(bench: ClaimBench, samples: Samples, at: int, seed: int) -> RowStory:
    """The draw in which a row suffers most."""
    sign = 1 if bench.claim.metric.better == "higher" else -1
    tokenizer = bench.measured.tokenizer
    reference = samples.references[at : at + 1]
    draw = int(np.argmin(sign * samples.scrubbed[at]))
    calls = Calls(reference, np.array([draw]))
    drawn = Draws(bench.claim, seed).tree(bench.tree, calls)
    answer = bench.evaluator.answers(bench.numbering.number(drawn))
    row = bench.claim.data.rows[int(reference[0])]
    return RowStory(
        int(reference[0]), row_text(row, tokenizer), row.columns if row.tokens else {}, float(samples.model[at]),
        float(samples.scrubbed[at].mean()), _said(bench, bench.rows.outputs(reference), tokenizer),
        _said(bench, answer, tokenizer), draw, tuple(_donations(bench, drawn, tokenizer)),
    )  # fmt: skip


def _donations(bench: ClaimBench, drawn: dict[str, Drawn], tokenizer: Tokenizer | None) -> list[Donation]:
    claim, found = bench.claim, list[Donation]()

    def tell(node: Occurrence, row: int, caller: int, depth: int, rest: str = "") -> None:
        """A donor, or what the `rest` of a site, or of a channel, was read from."""
        kind, site, agrees = ("rest", rest, ()) if rest else ("donor", node.site, node.agree)
        same = ", ".join(f"{name} = {claim.values[name][row]!r}" for name in agrees)
        text = row_text(claim.data.rows[row], tokenizer)
        found.append(Donation(node.variable, site, kind, depth, row, text, same, row == caller))

    def visit(node: Occurrence, caller: int, depth: int) -> None:
        own = int(drawn[node.path].own[0])
        if not node.is_root:
            tell(node, own, caller, depth)
        if not node.leaf and claim.options.rest in ROWS:
            for rest, (channel, component) in zip(
                drawn[node.path].rest[0].tolist(), rest_inputs(claim, node), strict=True
            ):
                site = node.site if component is None else f"{channel} of {component}"
                tell(node, rest, own, depth, site)
        for child in node.children:
            visit(child, own, depth + 1)

    visit(bench.tree, int(drawn[bench.tree.path].own[0]), 0)
    return found


def row_text(row: Row, tokenizer: Tokenizer | None) -> str:
    """A row's tokens, each named position marked as `token[NAME]`; a row without tokens shows its columns."""
    if not row.tokens:
        return "  ".join(f"{name}={value!r}" for name, value in row.columns.items())
    names: dict[int, list[str]] = {}
    for name, index in row.positions.items():
        names.setdefault(index, []).append(name)
    pieces: list[str] = []
    for index, token in enumerate(row.tokens):
        text = tokenizer.decode([token], skip_special_tokens=False).strip() if tokenizer else str(token)
        pieces.append(text + (f"[{','.join(names[index])}]" if index in names else ""))
    return " ".join(pieces)


def _said(bench: ClaimBench, outputs: Any, tokenizer: Tokenizer | None) -> str:
    """The answer in words: the most likely token, or the output node's value."""
    if not isinstance(bench.rows, TransformerRows):
        return repr(outputs[0])
    logits: Tensor = unembed(bench.rows.model, outputs)[0]
    best = int(logits.argmax())
    text = tokenizer.decode([best], skip_special_tokens=False).strip() if tokenizer else str(best)
    return f"{text} ({float(logits.softmax(-1)[best]):.0%})"
