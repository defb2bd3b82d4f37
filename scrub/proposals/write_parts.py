"""The text of a hypothesis file over parts: neurons and latents, each where it acts, as leaves that the answer reads.

Nothing is known of what computes them, nor of what they hold beyond the answer: that is left to name.
"""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from attrs import evolve, frozen

from scrub.anatomy.names import Component
from scrub.anatomy.positions import Slot
from scrub.anatomy.table import TABLE
from scrub.claims.code import CALLS
from scrub.errors import ClaimError
from scrub.proposals.naming import ClaimSetting, free_name, readable
from scrub.proposals.nodes import KINDS, kind_of
from scrub.proposals.patching import PlacedNode
from scrub.proposals.places import candidates, named_like
from scrub.proposals.proposal import Proposal, Ranked
from scrub.proposals.search import STRONG
from scrub.proposals.setup import Setup
from scrub.proposals.verify import exact
from scrub.proposals.write import (
    EXPECTED,
    WIDTH,
    at_text,
    claim_text,
    criteria_text,
    expecting,
    function_text,
    rows_text,
    seen_text,
)

MOST = 24  # parts


@frozen
class ActingPart:
    """A part at the named position where patching it alone does most: the signed mean, and the mean of absolutes."""

    part: Component
    at: Slot
    effect: float
    size: float


@frozen
class PartSketch:
    """Parts of one host at one position together, and where the answer is read."""

    groups: tuple[tuple[ActingPart, ...], ...]
    at: Slot
    folders: Mapping[Component, str]


def of_parts(kinds: Sequence[str]) -> bool:
    """Whether all that is ranked are neurons or latents."""
    return bool(kinds) and all(kind not in KINDS or TABLE[kind].scalar for kind in kinds)


def sketch_of_parts(setup: Setup, proposal: Proposal, done: Callable[[int], None]) -> PartSketch:
    """Where the strongest parts act. Raises ClaimError where none is strong, or a dictionary lies nowhere."""
    answer, data = setup.experiment.answer, setup.experiment.data.origin
    assert answer is not None
    slots = candidates(data, answer)
    strong = list(dict.fromkeys(node.component for node in _strong(proposal)))
    if not strong:
        raise ClaimError("there is nothing to begin a claim with: patching any of these parts changes nothing.")
    placed = evolve(setup, at=slots)
    nodes = [PlacedNode(part, column) for part in strong for column in range(len(slots))]
    found = exact(placed, nodes, done).reshape(len(setup.rows), len(strong), len(slots))
    groups = defaultdict[tuple[Component, Slot], list[ActingPart]](list)
    for number, part in enumerate(strong):
        sizes = np.abs(found[:, number]).mean(0)
        best = int(sizes.argmax())
        one = ActingPart(part, slots[best], float(found[:, number, best].mean()), float(sizes[best]))
        groups[part.host, one.at].append(one)
    ordered = sorted(groups.items(), key=lambda item: (item[0][0], str(item[0][1])))
    return PartSketch(tuple(tuple(some) for _, some in ordered), named_like(answer, slots, data), _folders(setup))


def _strong(proposal: Proposal) -> list[Ranked]:
    parts = [n for n in proposal.nodes if n.component.is_part and n.kind != "error" and n.best]
    most = max((abs(n.best) for n in parts), default=0.0)
    return sorted((n for n in parts if abs(n.best) >= STRONG * most), key=lambda n: -abs(n.best))[:MOST]


def _folders(setup: Setup) -> dict[Component, str]:
    return {nodes.host: nodes.source for nodes in setup.dictionaries.values()}


def parts_file(
    found: PartSketch, proposal: Proposal, setting: ClaimSetting, file: str, stated: float | None = None
) -> str:
    """The text of `file`; `stated` is the bar that the claim would pass on the rows that the proposal saw."""
    hidden = {*setting.data.columns}
    names = [free_name(f"part_{number + 1}", hidden) for number in range(len(found.groups))]
    said = free_name("answer", hidden)
    label = setting.label if setting.label is not None and readable(setting.label, setting.data) else None
    answer = function_text(said, names, names[:1], "what they say together: write it down")
    words = sorted({_call(group[0].part) for group in found.groups} | ({"latents"} if found.folders else set()))
    words += ["protocol"] if criteria_text(setting.criteria) else []
    imported = sorted({"Dataset", "Interpretation", "claim", "logits", "recovers", *words})
    sites = [
        f"        {name}={_site(group, found.folders)}," for name, group in zip(names, found.groups, strict=True)
    ]
    path = "from pathlib import Path\n\n" if "Path(" in setting.file else ""
    opening = [_head(found, proposal, setting, file, stated), f"{path}from scrub import {', '.join(imported)}"]
    parts = [
        "\n\n".join([*opening, "story = Interpretation()"]),
        *(_group(name, group, label) for name, group in zip(names, found.groups, strict=True)),
        "\n".join(answer),
        rows_text(setting),
        seen_text(setting),
        claim_text(setting, EXPECTED if stated is None else stated,
                   [*sites, f"        {said}=logits({at_text(found.at)}),"]),
    ]  # fmt: skip
    return "\n\n\n".join(parts)


def _call(part: Component) -> str:
    return CALLS.get(part.kind, part.kind)


def _site(group: Sequence[ActingPart], folders: Mapping[Component, str]) -> str:
    first, at = group[0].part, at_text(group[0].at)
    if first.part is None:
        units = " ".join(f"{one.part.layer}.{one.part.unit}" for one in sorted(group, key=lambda one: one.part))
        return f'{_call(first)}("{units}", at={at})'
    indices = " ".join(map(str, sorted(i for one in group if one.part.part for i in one.part.part.indices)))
    where = at if first.traits.single else f"{first.layer}, at={at}"
    return f'{_call(first)}({where}).part(latents({str(Path(folders[first.host]).resolve())!r}, "{indices}"))'


def _group(name: str, group: Sequence[ActingPart], label: str | None) -> str:
    lines = [f"# Parts of {group[0].part.host} at {group[0].at}.", "#    part            effect      size"]
    lines += [f"#    {one.part!s:<14}{one.effect:>+8.3g}{one.size:>10.3g}" for one in group]
    what = "all that tells answers apart: say what they hold"
    return "\n".join([*lines, *function_text(name, [label] if label else [], [label or "None"], what)])


def _words(part: Component) -> str:
    return kind_of(part) if part.part else f"neurons of {part.host}"


def _head(found: PartSketch, proposal: Proposal, setting: ClaimSetting, file: str, stated: float | None) -> str:
    count = sum(map(len, found.groups))
    kinds = ", ".join(dict.fromkeys(_words(one.part) for group in found.groups for one in group))
    origin = (
        f"How it came about: a proposal ({proposal.method}, {proposal.direction}) looked at {proposal.rows} rows and "
        f"their partners, seed {proposal.seed}, and patched {proposal.metric} from {proposal.base:.3g} to "
        f"{proposal.source:.3g}. Below, effect (mean) and size (mean of absolute effects) are exact, each part "
        f"patched alone where it acts. Data {proposal.provenance.get('data', '')}. The rows that it saw are in SEEN: "
        "no test of this claim uses them."
    )
    steps = (
        "Name the variables: the groups say where parts act, not what they hold. Each holds the answer, whole.",
        "Say what computes them: these are leaves, all upstream of which comes from one row.",
        expecting(stated),
        "Add foils: rivals that you know to be false, and that data and metric should refute.",
    )
    listed = [textwrap.fill(f"{i}. {step}", WIDTH, subsequent_indent="   ") for i, step in enumerate(steps, 1)]
    model = setting.model.replace("\\", "/").replace('"', "'")
    title = textwrap.fill(f"A start for a claim about parts of {model}: {count} of {kinds}.", WIDTH)
    verbs = f"    scrub check {file}\n    scrub test  {file}     on rows that the proposal did not see"
    return '"""' + "\n\n".join([title, "\n".join(listed), verbs, textwrap.fill(origin, WIDTH)]) + '\n"""'
