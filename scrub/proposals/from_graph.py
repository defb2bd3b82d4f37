"""An attribution graph as the text of a hypothesis file: its groups are variables, its links are reads.

What a graph does not know, what the variables compute, is written as stubs, `return ...`, which `scrub check` names.
"""

from __future__ import annotations

import builtins
import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from keyword import iskeyword
from string import Template

from attrs import frozen

from scrub.errors import ClaimError, some
from scrub.proposals.attributed import LOGIT, AttributionGraph, GraphNode
from scrub.proposals.supernodes import EMBEDDED, GraphSite, GraphStory, GraphVariable

WIDTH = 100
PUBLIC = "Dataset Interpretation claim embed latents logits mlps recovers"
OWN = f"{PUBLIC} Path story rows DICTIONARIES from_graph answer dict right wrong all"
BEGINS = re.compile(r"<[^>]*>|\[CLS\]")
SHOWN = 4
_TEXTS = Template("""\
# The prompt of the graph: one row. Add texts with the same marks, and a value to each column.
def rows(tokenizer):  # filled with the model's own
    texts = [$marked]
    columns = $columns
    return Dataset.from_text(texts, tokenizer=tokenizer, columns=columns$bos)""")
_TOKENS = Template("""\
# The prompt of the graph, by its token ids: one row. Bring more, or all as texts:
#     def rows(tokenizer):  # filled with the model's own
#         texts = [$marked, ...]
#         return Dataset.from_text(texts, tokenizer=tokenizer, columns={"right": [...], ...}$bos)
def rows():
    return Dataset.from_rows(
        [
            {
                "tokens": $tokens,
                "positions": $positions,
                "columns": $columns,
            },
        ]
    )""")


@frozen
class GraphSetting:
    """What the file says besides: its name, the model's, and of each layer its transcoder as a Python expression."""

    file: str
    model: str
    dictionaries: Mapping[int, str]


@frozen
class GraphNames:
    """What variables and positions are called."""

    variables: tuple[str, ...]
    positions: Mapping[int, str]

    def column(self, position: int) -> str:
        """The column that holds the token at a position, as text."""
        return f"token_{self.positions[position].lower()}"


def graph_file(graph: AttributionGraph, found: GraphStory, setting: GraphSetting) -> str:
    """Raises ClaimError where the graph has no logit, or nothing that is grouped leads to one."""
    asked = _asked(graph)
    if not found.answer:
        raise ClaimError(
            f"{graph.file}: no link leads from what is grouped to a logit, so that the claim would say nothing about "
            "the answer: group the latents that the logits are read from too."
        )
    names = _names(graph, found, asked[0].position)
    parts = [
        "\n\n".join([_head(graph, found, setting), _imports(found, setting), "story = Interpretation()"]),
        *(_variable(i, one, names, graph) for i, one in enumerate(found.variables)),
        _answer(found, names, asked),
        *_dictionaries(found, setting),
        _rows(graph, names, asked),
        _claim(found, names, setting, asked),
    ]
    return "\n\n\n".join(parts)


def layers_of(found: GraphStory) -> dict[int, tuple[int, ...]]:
    """The latents that are claimed of each layer."""
    made: dict[int, set[int]] = {}
    for site in (s for one in found.variables for s in one.sites if s.layer != EMBEDDED):
        made.setdefault(site.layer, set()).update(site.latents)
    return {layer: tuple(sorted(made[layer])) for layer in sorted(made)}


def _asked(graph: AttributionGraph) -> list[GraphNode]:
    """The logit that the graph explains, and the most probable other one."""
    logits = sorted(graph.of(LOGIT), key=lambda node: (not node.target, -node.probability, node.name))
    if not logits:
        raise ClaimError(f"{graph.file}: it has no node of feature_type 'logit', and so no answer.")
    return logits[:2]


def _names(graph: AttributionGraph, found: GraphStory, end: int) -> GraphNames:
    places = sorted({site.position for one in found.variables for site in one.sites} - {end})
    positions = {end: "END"}
    for place in places:
        positions[place] = _distinct(_word(graph.tokens[place]).upper() or f"T{place}", [*positions.values(), "ALL"])
    taken = [*OWN.split(), *dir(builtins), *(f"token_{name.lower()}" for name in positions.values())]
    variables: list[str] = []
    for i, one in enumerate(found.variables):
        variables.append(_distinct(_word(one.title).lower() or f"variable_{i}", [*taken, *variables]))
    return GraphNames(tuple(variables), positions)


def _word(text: str) -> str:
    """An identifier of the letters of a text, or nothing."""
    word = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:40].rstrip("_")
    return f"n_{word}" if word[:1].isdecimal() else word


def _distinct(word: str, taken: Sequence[str]) -> str:
    free = (w for w in (word, *(f"{word}_{n}" for n in range(2, len(taken) + 3))) if w not in taken)
    return next(w for w in free if not iskeyword(w))


def _head(graph: AttributionGraph, found: GraphStory, setting: GraphSetting) -> str:
    lacking = [layer for layer in layers_of(found) if layer not in setting.dictionaries]
    steps = [
        "Say what each variable computes of its parents: `return ...` is a stub, and `scrub check` names them all.",
        "Bring more rows, with the same names of positions. The graph is of one prompt, and a claim is tested by "
        "swapping values between rows: at least 30 to be scored, on which each variable takes several values.",
    ]
    if lacking:
        steps.append(f"Name the transcoders of layers {some(lacking, 12)} in DICTIONARIES.")
    steps += [
        "Look whether `model` is the name or directory of the model that the graph was made on.",
        "State the expectation before you test, and add foils: rivals that you know to be false.",
    ]
    listed = [
        textwrap.fill(step, WIDTH, initial_indent=f"{i}. ", subsequent_indent="   ")
        for i, step in enumerate(steps, 1)
    ]
    count = len(found.variables)
    verbs = (
        f"    scrub check {setting.file}     what is left to do, and every mistake",
        f"    scrub test  {setting.file}     whether the model agrees",
    )
    told = textwrap.fill(_clean(" ".join(_told(graph, found))), WIDTH)
    variables = f"{count} variable{'s' * (count != 1)} of an attribution graph"
    title = f"A start for a claim about {_clean(setting.model)}: {variables}."
    return (
        '"""'
        + "\n\n".join([title, "\n".join(["What is left to do:", "", *listed]), "\n".join(verbs), told])
        + '\n"""'
    )


def _clean(text: str) -> str:
    return text.replace("\\", "/").replace('"', "'")


def _told(graph: AttributionGraph, found: GraphStory) -> Iterator[str]:
    yield (
        "A link of the graph leads through attention with its patterns frozen; here heads are passed through and "
        "compute their patterns again."
    )
    yield (
        f"What is not grouped is not claimed, and is taken from another row: of the graph {found.ungrouped:,} of its "
        f"latents and {found.errors:,} of its error nodes (through='all' lets MLPs carry what is claimed as well)."
    )
    if found.unread:
        yield f"Left out, since nothing leads from there to the answer: {some(found.unread, 12)}."
    if graph.unknown:
        yield f"Grouped, and not among the nodes of the file: {some(graph.unknown, 6)}."


def _imports(found: GraphStory, setting: GraphSetting) -> str:
    sites = [site for one in found.variables for site in one.sites]
    unused = {"embed"} if all(site.layer != EMBEDDED for site in sites) else set[str]()
    unused |= {"latents", "mlps"} if all(site.layer == EMBEDDED for site in sites) else set()
    names = [name for name in PUBLIC.split() if name not in unused]
    path = "from pathlib import Path\n\n" if any("Path(" in one for one in setting.dictionaries.values()) else ""
    return f"{path}from scrub import {', '.join(names)}"


def _variable(number: int, one: GraphVariable, names: GraphNames, graph: AttributionGraph) -> str:
    name = names.variables[number]
    places = list(dict.fromkeys(site.position for site in one.sites))
    where = ", ".join(f"{names.positions[p]} ({graph.tokens[p]!r})" for p in places)
    labels = [label for label in one.labels if label != one.title]
    about = f"{one.title!r}, at {where}" + (f": {some(map(repr, labels), SHOWN)}" if labels else "")
    noted = textwrap.fill(f"{about}.", WIDTH, initial_indent="# ", subsequent_indent="# ")
    read = [names.variables[i] for i in one.parents] or [names.column(p) for p in places]
    known = one.embedded and len(read) == 1
    body = f"    return {read[0]}" if known else f"    return ...  # STUB: say what it is of {', '.join(read)}"
    return "\n".join([noted, "@story.variable", f"def {name}({', '.join(read)}):", body])


def _answer(found: GraphStory, names: GraphNames, asked: Sequence[GraphNode]) -> str:
    read = ", ".join(names.variables[i] for i in found.answer)
    labels = ", rather than ".join(node.label or f"token {node.number}" for node in asked)
    return "\n".join(
        [f"# What the model should say: {' '.join(labels.split())}.", "@story.variable", f"def answer({read}):",
         f"    return ...  # STUB: the value of the column `right`, as it follows from {read}"]
    )  # fmt: skip


def _dictionaries(found: GraphStory, setting: GraphSetting) -> Iterator[str]:
    if layers := list(layers_of(found)):
        lines = [
            f"    {n}: {setting.dictionaries[n]}," if n in setting.dictionaries
            else f'    {n}: "layer_{n}.safetensors",  # STUB: where the transcoder of layer {n} lies'
            for n in layers
        ]  # fmt: skip
        yield "\n".join(
            ["# The transcoders whose latents the graph speaks of, by layer.", "DICTIONARIES = {", *lines, "}"]
        )


def _rows(graph: AttributionGraph, names: GraphNames, asked: Sequence[GraphNode]) -> str:
    columns = dict(zip(("right", "wrong"), (node.number for node in asked), strict=False))
    told = {names.column(place): graph.tokens[place] for place in sorted(names.positions)}
    begins = BEGINS.fullmatch(graph.tokens[0]) is not None
    marked = "".join(
        f"{{{names.positions[i]}|{token}}}" if i in names.positions else token
        for i, token in enumerate(graph.tokens) if i or not begins
    )  # fmt: skip
    bos = ", bos=True" if begins else ""
    if graph.ids is None:
        listed = {name: [value] for name, value in {**columns, **told}.items()}
        return _TEXTS.substitute(marked=_text(marked), columns=_text(listed), bos=bos)
    places = {name: place for place, name in sorted(names.positions.items())}
    return _TOKENS.substitute(
        marked=_text(marked), bos=bos, tokens=_text(graph.ids), positions=_text(places),
        columns=_text({**columns, **told}),
    )  # fmt: skip


def _claim(found: GraphStory, names: GraphNames, setting: GraphSetting, asked: Sequence[GraphNode]) -> str:
    metric = "logit_diff(right, wrong)" if len(asked) > 1 else "loss(right)"
    sites = [line for i, one in enumerate(found.variables) for line in _entry(names.variables[i], one, names)]
    read = " ".join(names.variables[i] for i in found.answer)
    return "\n".join(
        ["@claim(", "    story,", f"    model={_text(setting.model)},", "    data=rows,", f'    metric="{metric}",',
         '    through="heads",', "    expect=recovers(0.8),", ")", "def from_graph():", "    return dict(", *sites,
         f'        answer=logits("END").reads(input="{read}"),', "    )"]
    )  # fmt: skip


def _entry(name: str, one: GraphVariable, names: GraphNames) -> Iterator[str]:
    written = [_site(site, read, names) for site, read in zip(one.sites, one.reads, strict=True)]
    if len(written) == 1:
        yield f"        {name}={written[0]},"
        return
    yield from (f"        {name}=[", *(f"            {site}," for site in written), "        ],")


def _site(site: GraphSite, read: Sequence[int], names: GraphNames) -> str:
    at = names.positions[site.position]
    if site.layer == EMBEDDED:
        return f'embed("{at}")'
    numbers = " ".join(map(str, site.latents))
    parents = " ".join(names.variables[i] for i in read)
    reads = f'.reads(input="{parents}")' if parents else ""
    return f'mlps({site.layer}, at="{at}").part(latents(DICTIONARIES[{site.layer}], "{numbers}")){reads}'


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
