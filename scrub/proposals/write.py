"""The text of a hypothesis file to start from: the outline of a proposal as a claim whose variables have no names."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import fields

from scrub.anatomy.names import print_components
from scrub.anatomy.positions import Slot
from scrub.anatomy.table import CHANNELS
from scrub.claims.dataset import Dataset
from scrub.claims.protocol import Protocol
from scrub.errors import DataError
from scrub.proposals.naming import ClaimSetting, Names, names_of, readable
from scrub.proposals.places import ELSEWHERE, Acting
from scrub.proposals.proposal import Proposal
from scrub.proposals.sketch import Group, Sketch

WIDTH = 100
EXPECTED = 0.8
TABLE = "  head    effect      size   attention   everywhere"
PUBLIC = ("Dataset", "Interpretation", "claim", "embed", "heads", "logits", "protocol", "recovers")


def hypothesis_file(
    outline: Sketch, proposal: Proposal, setting: ClaimSetting, file: str, stated: float | None = None
) -> str:
    """The text of `file`; `stated` is the bar that the claim would pass on the rows that the proposal saw.

    Raises DataError where a leaf's column cannot be added to the data.
    """
    names = names_of(outline, setting)
    setting.data.with_tokens(" ".join(names.added))
    opening = [_head(outline, proposal, setting, file, stated), _imports(names, setting), "story = Interpretation()"]
    parts = [
        "\n\n".join(opening),
        *(_group(i, group, proposal, names, setting) for i, group in enumerate(outline.groups)),
        _answer(outline, names, setting),
        rows_text(setting, names.added),
        seen_text(setting),
        claim_text(setting, EXPECTED if stated is None else stated, _sites(outline, names)),
    ]
    return "\n\n\n".join(parts)


def rows_file(data: Dataset) -> str:
    """Rows as JSON, one a line, behind one of words for their ids. Raises DataError for what JSON does not keep."""
    lines = [] if data.vocab is None else [data.vocab.line]
    for number, row in enumerate(data.rows):
        made = {"tokens": row.tokens, "positions": row.positions, "columns": row.columns}
        try:
            line = json.dumps(made, ensure_ascii=False)
            kept = Dataset.from_rows([json.loads(line)]).rows[0] == row
        except (TypeError, ValueError) as error:
            raise DataError(_unkept(number, str(error))) from None
        if not kept:
            raise DataError(_unkept(number, "what is read back differs"))
        lines.append(line)
    return "\n".join(lines)


def _unkept(number: int, why: str) -> str:
    return f"the rows cannot be written beside the claim: row {number} has a column that JSON does not keep ({why})."


def _head(outline: Sketch, proposal: Proposal, setting: ClaimSetting, file: str, stated: float | None) -> str:
    heads = sum(len(group.members) for group in outline.groups)
    model = setting.model.replace("\\", "/").replace('"', "'")
    rows, digest = proposal.rows, proposal.provenance.get("data", "")
    edges = f"; edges are estimates of {proposal.edge_method}" if proposal.edge_method else ""
    origin = (
        f"How it came about: a proposal ({proposal.method}, {proposal.direction}) looked at {rows} rows and their "
        f"partners, seed {proposal.seed}, and patched {proposal.metric} from {proposal.base:.3g} to "
        f"{proposal.source:.3g}. Below, effect (mean) and size (mean of absolute effects) are exact, each head "
        f"patched alone where it acts; attention is the mean weight{edges}. "
        f"Data {digest}. The rows that it saw are in SEEN: no test of this claim uses them."
    )
    steps = (
        "Name the variables: the groups say where heads act and where they look, not what they compute.",
        "Narrow what they carry. Each holds all that it reads, whole, which claims next to nothing; let each "
        "function return the one thing that matters, and the answer what the model should say.",
        expecting(stated),
        "Add foils: rivals that you know to be false, and that data and metric should refute.",
    )
    listed = [
        textwrap.fill(step, WIDTH, initial_indent=f"{i}. ", subsequent_indent="   ")
        for i, step in enumerate(steps, 1)
    ]
    title = f"A start for a claim about {model}: {_count(heads, 'head')} in {_count(len(outline.groups), 'group')}."
    verbs = (
        f"    scrub check {file}     every mistake in this file at once",
        f"    scrub test  {file}     on rows that the proposal did not see",
    )
    found = [title, "\n".join(["What is left to do:", "", *listed]), "\n".join(verbs), textwrap.fill(origin, WIDTH)]
    if outline.unread:
        found.append(textwrap.fill(_unread(outline.unread), WIDTH))
    return '"""' + "\n\n".join(found) + '\n"""'


def expecting(stated: float | None) -> str:
    if stated is None:
        return f"State the expectation before you test: recovers({EXPECTED:g}) stands there to be changed."
    return (
        f"State the expectation before you test. Up to recovers({stated:g}) this start passes on the rows in SEEN, "
        "on which it is not tested; a claim that says more recovers less."
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _unread(unread: Sequence[Acting]) -> str:
    listed = ", ".join(f"{one.head} at {one.at} ({one.effect:+.3g})" for one in unread)
    return f"Left out, since no strong edge leads from there to the answer: {listed}."


def _imports(names: Names, setting: ClaimSetting) -> str:
    used = [name for name in PUBLIC if name != "embed" or names.leaves]
    used = [name for name in used if name != "protocol" or criteria_text(setting.criteria)]
    path = "from pathlib import Path\n\n" if "Path(" in setting.file else ""
    return f"{path}from scrub import {', '.join(used)}"


def _group(number: int, group: Group, proposal: Proposal, names: Names, setting: ClaimSetting) -> str:
    lines = [f"# Acts at {group.at}, attends {_where(group)}.", f"#   {TABLE}"]
    lines += [f"#   {_acting(one, group.target, proposal)}" for one in group.members]
    parents = [names.of(source) for source in group.parents]
    carried = "what it reads, whole: say what of it is carried"
    if not group.reads:
        label = setting.label
        parents = [label] if label is not None and readable(label, setting.data) else []
        carried = "what it reads has no name among the positions: say what it finds"
    return "\n".join([*lines, *function_text(names.groups[number], parents, parents or ["None"], carried)])


def _where(group: Group) -> str:
    if group.target == ELSEWHERE:
        return ELSEWHERE
    return "to itself" if group.target == str(group.at) else f"to {group.target}"


def _acting(one: Acting, target: str, proposal: Proposal) -> str:
    """A line of the table: a head's effects where it acts, its attention, what is known of it over all positions."""
    whole = [n for n in proposal.nodes if n.component == one.head and n.position is None]
    words = [f"{n.best:.3g} {'estimated' if n.exact is None else 'exact'}" for n in whole]
    line = f"{one.head!s:>6}{one.effect:>+10.3g}{one.size:>10.3g}{one.attends[target]:>12.2f}   {''.join(words)}"
    return line.rstrip()


def function_text(name: str, parents: Sequence[str], value: Sequence[str], comment: str) -> list[str]:
    """A variable: its function's parameters, and the parts of the tuple that it returns."""
    body = _listed("    return ", value, "") if len(value) > 1 else [f"    return {value[0]}"]
    noted = f"{body[0]}  # {comment}"
    body = [noted] if len(body) == 1 and len(noted) <= WIDTH else [f"    # {comment}", *body]
    return ["@story.variable", *_listed(f"def {name}", parents, ":", bare=False), *body]


def _listed(opening: str, parts: Sequence[str], closing: str, bare: bool = True) -> list[str]:
    """Parts after one another, in brackets if need be: on one line, on one of their own, or each on its own."""
    joined, indent = ", ".join(parts), " " * (len(opening) - len(opening.lstrip()))
    line = f"{opening}{joined}{closing}" if bare else f"{opening}({joined}){closing}"
    if len(line) <= WIDTH or not parts:
        return [line]
    inner = [f"{indent}    {joined}"] if not bare and len(indent) + 4 + len(joined) <= WIDTH else []
    return [f"{opening}(", *(inner or [f"{indent}    {part}," for part in parts]), f"{indent}){closing}"]


def _answer(outline: Sketch, names: Names, setting: ClaimSetting) -> str:
    read = [names.groups[i] for i in outline.answer]
    path = next(_paths_to(setting.label, outline, names, setting), None)
    comment = "what the model should answer" if path is None else f"{setting.label}: say how it follows"
    return "\n".join(function_text(names.answer, read, read if path is None else [path], comment))


def _paths_to(label: str | None, outline: Sketch, names: Names, setting: ClaimSetting) -> Iterator[str]:
    """Expressions for the right answer among what the answer's groups hold, in those groups' names."""
    if label is None or label not in setting.data.columns:
        return
    scored = setting.options.get("scored")
    rows = [row.columns for row in setting.data.rows if scored is None or row.columns.get(scored) is True]

    def right(column: str) -> bool:
        return column == label or all(row.get(column) == row.get(label) for row in rows)

    def within(group: Group, so_far: str) -> Iterator[str]:
        if not group.reads and readable(label, setting.data):
            yield so_far
        for i, source in enumerate(group.parents):
            part = so_far if len(group.parents) == 1 else f"{so_far}[{i}]"
            if isinstance(source, int):
                yield from within(outline.groups[source], part)
            elif right(names.of(source)):
                yield part

    for number in outline.answer:
        yield from sorted(within(outline.groups[number], names.groups[number]), key=len)


def rows_text(setting: ClaimSetting, tokens: Sequence[str] = ()) -> str:
    """The function that reads the rows, with columns of the `tokens` at some positions."""
    added = f".with_tokens({_text(' '.join(tokens))})" if tokens else ""
    return f"def rows():\n    return Dataset.from_jsonl({setting.file}){added}"


def seen_text(setting: ClaimSetting) -> str:
    lines = textwrap.wrap(" ".join(setting.seen), WIDTH)
    return "\n".join(["# the rows that the proposal saw, by digest", 'SEEN = """', *lines, '"""'])


def _sites(outline: Sketch, names: Names) -> list[str]:
    sites = [f"        {column}=embed({_text(str(slot))})," for slot, column in names.leaves.items()]
    sites += [_site(names.groups[i], group, names) for i, group in enumerate(outline.groups)]
    return [*sites, f"        {names.answer}=logits({at_text(outline.at)}),"]


def claim_text(setting: ClaimSetting, expected: float, sites: Sequence[str]) -> str:
    """The claim with its setting, and a line for each site."""
    given = {
        "model": _text(setting.model), "data": "rows", "metric": _text(str(setting.metric)),
        **{name: _option(value) for name, value in setting.options.items()},
    }  # fmt: skip
    if criteria := criteria_text(setting.criteria):
        given["criteria"] = criteria
    given |= {"expect": f"recovers({expected:g})", "seen": "SEEN"}
    note = "  # the model was handed in loaded: does this name lead to it?" if setting.loaded else ""
    arguments = [f"    {name}={value},{note if name == 'model' else ''}" for name, value in given.items()]
    return "\n".join(
        ["@claim(", "    story,", *arguments, ")", "def proposed():", "    return dict(", *sites, "    )"]
    )


def _site(name: str, group: Group, names: Names) -> str:
    said = [f"{c}={_text(' '.join(map(names.of, group.reads[c])))}" for c in CHANNELS if c in group.reads]
    where = f"heads({_text(print_components(one.head for one in group.members))}, at={at_text(group.at)})"
    return "\n".join(
        _listed(f"        {name}={where}.reads", said, ",", bare=False) if said else [f"        {name}={where},"]
    )


def at_text(slot: Slot) -> str:
    return _text(str(slot)) if slot.name else str(slot.offset)


def criteria_text(criteria: Protocol) -> str:
    plain = Protocol()
    given = {f.name: getattr(criteria, f.name) for f in fields(Protocol) if f.name != "published"}
    said = [f"{n}={_option(v)}" for n, v in given.items() if v != getattr(plain, n)]
    return f"protocol({', '.join(said)})" if said else ""


def _option(value: Any) -> str:
    return _text(", ".join(value)) if isinstance(value, tuple) else _text(value)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def model_name(given: Any, name: str) -> tuple[str, bool]:
    """How a claim names its model, and whether it was handed in loaded. Directories are named in full."""
    if not isinstance(given, str | Path):
        return name, True
    path = Path(given).expanduser()
    return (str(path.resolve()) if path.is_dir() else str(given)), False
