"""What changes in a claim as Python text: sites as they are written, and a file that imports the claim."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from attrs import evolve, field, frozen

from scrub.anatomy.names import print_components
from scrub.anatomy.part import HostPart
from scrub.anatomy.positions import print_slots
from scrub.claims.sites import Inside, Place, Site
from scrub.errors import ClaimError

WIDTH = 100
CALLS = {  # other kinds are written by their own word
    "head": "heads", "mlp": "mlps", "node": "nodes", "neuron": "neurons",
    "q": "queries", "k": "keys", "v": "values",
}  # fmt: skip
HELD = "held_by"  # of `scrub.claims.edited`: parts that are known by arrays, which no text has


@frozen
class Changes:
    """How a claim differs from the one that it is made of.

    `places` are other sites, None for a column that has none any more; `coarser` values that are one, by variable;
    `reads` what variables read besides, new ones too; `tokens` positions whose tokens become columns. `parts` are
    the words for parts that text has: all others are taken from the claim itself.
    """

    places: Mapping[str, Place | None] = field(factory=dict[str, "Place | None"])
    options: Mapping[str, Any] = field(factory=dict[str, Any])
    coarser: Mapping[str, Any] = field(factory=dict[str, Any])
    reads: Mapping[str, str] = field(factory=dict[str, str])
    tokens: str = ""
    parts: Mapping[HostPart, str] = field(factory=dict[HostPart, str])

    @property
    def empty(self) -> bool:
        return not (self.places or self.options or self.coarser or self.reads)

    def code(self, of: str, name: str, seen: bool, taken: Collection[str] = ()) -> str:
        """The statement that makes the claim called `name` of the one called `of`.

        Where variables or columns have the name of a setting, which are `taken`, `.but` cannot say it.
        """
        made = of
        if self.tokens:
            made = f'with_tokens({made}, "{self.tokens}")'
        if self.reads:
            made = f"also({made}, {_arguments(self.reads)})"
        if self.coarser:
            made = f"coarser({made}, {_arguments(self.coarser)})"
        settings = {key: repr(value) for key, value in self.options.items()} | ({"seen": "SEEN"} if seen else {})
        apart = self.said_apart(seen, taken)
        given = [f"{key}={place_code(place, of, key, self.parts)}" for key, place in self.places.items()]
        given += [f"{key}={value}" for key, value in settings.items() if key not in apart]
        text = "\n".join([f"{made}.but(", *(f"    {argument}," for argument in given), ")"]) if given else made
        last = "".join(f", {key}={settings[key]}" for key in apart)
        return f"{name} = with_settings({text}{last})" if apart else f"{name} = {text}"

    def said_apart(self, seen: bool, taken: Collection[str]) -> tuple[str, ...]:
        """The settings whose names are taken."""
        return tuple(name for name in [*self.options, *(["seen"] if seen else [])] if name in taken)

    def imports(self, seen: bool, taken: Collection[str]) -> Iterator[str]:
        sites = [site for place in self.places.values() for site in _sites(place)]
        words = {_call(site) for site in sites if not _held(site, self.parts)}
        words |= {text.partition("(")[0] for text in self.parts.values()}
        words |= {"inside" for place in self.places.values() if isinstance(place, Inside)}
        apart = self.said_apart(seen, taken)
        edited = {
            "also": self.reads, "coarser": self.coarser, "with_tokens": self.tokens, "with_settings": apart,
            HELD: any(_held(site, self.parts) for site in sites),
        }  # fmt: skip
        edits = [word for word, said in edited.items() if said]
        if words:
            yield f"from scrub import {', '.join(sorted(words))}"
        if edits:
            yield f"from scrub.claims.edited import {', '.join(edits)}"


def _arguments(given: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in given.items())


@frozen
class ImportedClaim:
    """A claim that another file imports: the line that imports it as `_claim`, and what names its story has taken."""

    line: str
    taken: frozenset[str] = frozenset()


def claim_file(changes: Changes, own: ImportedClaim, called: str, head: str, seen: tuple[str, ...]) -> str:
    """The text of a file with the claim `called`, made of the one that it imports as `_claim`."""
    body = "\n".join(textwrap.fill(part, WIDTH, subsequent_indent="  ") for part in head.split("\n"))
    digests = "\n".join(textwrap.wrap(" ".join(seen), WIDTH))
    told = [f'"""{body}\n"""', "\n".join([*changes.imports(bool(seen), own.taken), own.line])]
    if seen:
        note = "# the rows on which this was found, by digest: no test of this claim uses them"
        told.append(f'{note}\nSEEN = """\n{digests}\n"""')
    return "\n\n".join([*told, changes.code("_claim", called, bool(seen), own.taken)]) + "\n"


def place_code(
    place: Place | None, of: str = "", variable: str = "", parts: Mapping[HostPart, str] | None = None
) -> str:
    """A site, a list of sites, `inside`, or None, as a claim has it; parts known by arrays as the claim `of` does."""
    if place is None or isinstance(place, Inside):
        return repr(place)
    made = [_site(site, of, variable, parts or {}) for site in _sites(place)]
    return f"[{', '.join(made)}]" if isinstance(place, tuple) else made[0]


def _sites(place: Place | None) -> tuple[Site, ...]:
    return () if place is None or isinstance(place, Inside) else place if isinstance(place, tuple) else (place,)


def _call(site: Site) -> str:
    kind = site.components[0].kind
    return CALLS.get(kind, kind)


def _held(site: Site, parts: Mapping[HostPart, str]) -> bool:
    """Whether it has parts that no text has."""
    return any(component.part is not None and component.part not in parts for component in site.components)


def _site(site: Site, of: str, variable: str, parts: Mapping[HostPart, str]) -> str:
    """Raises ClaimError for a site that says what it holds by a function, which only its own file has."""
    if site.held is not None:
        raise ClaimError(f"{site} says by a function what it holds, which cannot be written elsewhere.")
    at, call = print_slots(site.at), _call(site)
    place = [f"at={at!r}"] if at else []
    whole = sorted({evolve(component, part=None) for component in site.components})
    named = [repr(at)] if whole[0].traits.single else [repr(print_components(tuple(whole))), *place]
    if _held(site, parts):
        call, named = HELD, [of, repr(variable), *(repr(str(c)) for c in site.components), f"at={at!r}"]
        return f"{call}({', '.join(named)}){_said(site)}"
    coded = [parts[c.part] for c in site.components if c.part is not None]
    part = f".part({', '.join(dict.fromkeys(coded))})" if coded else ""
    return f"{call}({', '.join(named)}){part}{_said(site)}"


def _said(site: Site) -> str:
    reads = ", ".join(f"{channel}={' '.join(names)!r}" for channel, names in site.reading or () if names)
    said = f".reads({reads})" if reads else ""
    said += f".omits({', '.join(map(repr, site.omitted))})" if site.omitted else ""
    return f"{said}{'.linked()' if site.is_linked else ''}"
