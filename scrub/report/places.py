"""Where a claim's variables stand and who reads whom, with what a run measured there: the words of its figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from scrub.claims.resolved import Claim
from scrub.claims.values import codes, key
from scrub.engine.unroll import Occurrence
from scrub.report.swaps import agreeing, other_inputs, share

Effect = Mapping[str, Any]
NOTHING = " reads nothing claimed"


@frozen
class BoxPlace:
    """A variable at one of its sites; `values` counts different ones, `paths` its occurrences in the tree."""

    variable: str
    site: str
    reads: tuple[str, ...]
    values: int
    paths: tuple[str, ...]

    @property
    def key(self) -> str:
        return f"{self.variable} at {self.site}"


@frozen
class ReadLine:
    """What a reader reads of a variable; `paths` are those of the sender's occurrences there."""

    reader: str
    at: str
    channels: tuple[str, ...]
    sender: str
    site: str
    paths: tuple[str, ...]

    @property
    def key(self) -> str:
        return edge_key(self.reader, self.at, self.sender, self.site)


def edge_key(reader: str, at: object, sender: str, site: object) -> str:
    return f"{reader} at {at} reads {sender} at {site}"


def places(claim: Claim, tree: Occurrence) -> list[BoxPlace]:
    """Every variable at every site that is reached, readers first."""
    found: dict[tuple[str, str], list[Occurrence]] = {}
    for node in tree.walk():
        found.setdefault((node.variable, node.site), []).append(node)
    return [
        BoxPlace(variable, site, tuple(_reads(nodes[0])), kinds(claim, variable), tuple(n.path for n in nodes))
        for (variable, site), nodes in found.items()
    ]


def edges(tree: Occurrence) -> list[ReadLine]:
    """Every site of a reader with every site that it reads, readers first."""
    found: dict[tuple[str, str, tuple[str, ...], str, str], list[str]] = {}
    for node in tree.walk():
        for child in node.children:
            ends = node.variable, node.site, child.channels, child.variable, child.site
            found.setdefault(ends, []).append(child.path)
    return [ReadLine(*ends, tuple(paths)) for ends, paths in found.items()]


def _reads(node: Occurrence) -> Iterable[str]:
    for channel, parents in node.placed.reads:
        yield f"{channel} reads {', '.join(parents)}" if parents else f"{channel}{NOTHING}"


def kinds(claim: Claim, variable: str) -> int:
    """How many different values a variable has."""
    return len(set(codes(map(key, claim.values[variable])).tolist()))


def hover_words(found: Iterable[BoxPlace], links: Iterable[ReadLine], result: Mapping[str, Any]) -> dict[str, str]:
    """What a result, in its JSON form, knows of each box and edge of the figure, by their keys."""
    swaps = {s["variable"]: s for s in result["diagnostics"]["variables"]}
    effects = result["diagnostics"]["effects"]
    words: dict[str, str] = {}
    for place in found:
        known = [swapped(swaps[place.variable])] if place.variable in swaps else []
        words[place.key] = "; ".join([*known, *effects_at(place.paths, effects)])
    for edge in links:
        words[edge.key] = "; ".join(effects_at(edge.paths, effects, ("donor",)))
    return {key: words for key, words in words.items() if words}


def swapped(swaps: Mapping[str, Any]) -> str:
    """`2 to 106 rows agree; 168 donors; other inputs in 85% of swaps, own row in 12%`."""
    rates = f"other inputs in {other_inputs(swaps)} of swaps, own row in {share(swaps['self_swaps'])}"
    return f"{agreeing(swaps)} rows agree; {swaps['donors']} donors; {rates}"


def effects_at(
    paths: Sequence[str], effects: Sequence[Effect], kinds: Sequence[str] = ("donor", "rest")
) -> list[str]:
    """What single swaps do there, in words."""
    lines: list[str] = []
    for kind in kinds:
        if e := effect_at(paths, effects, kind):
            alone = "" if e["only"] is None else f"{e['only']:z.2f} is recovered when its {kind} alone is swapped, "
            lines.append(f"{alone}{e['gain']:+z.2f} when it alone is not")
    return lines


def effect_at(paths: Sequence[str], effects: Sequence[Effect], kind: str) -> Effect | None:
    """The single swap of a kind whose undoing gains most, where a place occurs several times."""
    there = [e for e in effects if {*e["paths"]} & {*paths} and e["kind"] == kind and e["gain"] is not None]
    return max(there, key=lambda e: e["gain"], default=None)
