"""Random claims about random models, built as a user builds them and accepted by the static check.

A generator takes a `random.Random`; with hypothesis, draw one by `strategies.randoms(use_true_random=False)`
or a seed by `strategies.integers()`.
"""

from __future__ import annotations

import zlib
from fractions import Fraction
from random import Random
from typing import Any

from attrs import define, field

from scrub.anatomy.graphs import ModelGraph
from scrub.anatomy.names import Component
from scrub.anatomy.positions import ALL
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.check import Subject, check_claim
from scrub.claims.dataset import Dataset
from scrub.claims.hypothesis import RESTS, SCOPES, Hypothesis, claim, recovers
from scrub.claims.interpretation import Interpretation
from scrub.claims.metric import Metric
from scrub.claims.parts import ClaimPart, parts_of
from scrub.claims.resolved import Claim
from scrub.claims.sites import Place, Site, attn, embed, heads, inside, logits, mlps, nodes, pos, resid
from scrub.model.computation import Computation
from scrub.model.weights import Transformer
from strategies_models import named, random_graph, random_rows, random_transformer
from strategies_parts import some_parts

TRIES = 200
SLOTS = ("A", "B", "END", "NEAR", "A B", "B END", "B-1", "-1", "all")


def some_sets(claim: Claim, rng: Random) -> list[frozenset[ClaimPart]]:
    """No part of a claim, each of four parts alone, and a few of its parts together."""
    parts = parts_of(claim)
    alone = rng.sample(parts, min(4, len(parts)))
    return [frozenset(), *(frozenset([part]) for part in alone), frozenset(rng.sample(parts, min(3, len(parts))))]


def random_graph_claim(rng: Random) -> tuple[Hypothesis, Computation, Dataset]:
    """A random claim about a random computation graph of three to seven nodes."""
    for _ in range(TRIES):
        model = Computation.of(random_graph(rng))
        data = random_rows(rng, model.inputs(), tokens=False)
        draft = Draft(rng, model, data, _through_nodes(rng, model))
        names = [name for name in model.nodes if name != "out"]
        sites = [nodes(" ".join(rng.sample(names, min(len(names), rng.choice([1, 1, 2]))))) for _ in range(4)]
        hypothesis = draft.claim(sites, nodes("out"))
        if _worthwhile(rng, checked(hypothesis, model, data)):
            return hypothesis, model, data
    raise AssertionError("no legal claim was found")


def random_transformer_claim(rng: Random, parts: bool = False) -> tuple[Hypothesis, Transformer, Dataset]:
    """A random claim about a random transformer, on rows of mixed length where the options allow it.

    With `parts` its sites hold parts of components.
    """
    for _ in range(TRIES):
        model = random_transformer(rng)
        data = random_rows(rng, (), tokens=True)
        through = rng.choice([(), (), ("mlps",), ("heads",), ("all",), ("mlps", "0.1"), ("attn 1",)])
        through = tuple(word for word in through if model.shape.d_mlp or word != "mlps")
        draft = Draft(rng, TransformerGraph(model.name, model.shape), data, through)
        end = rng.choice(["END", "END", "B", "-2"])
        slots = [rng.choice([*SLOTS, end, end, end]) for _ in range(rng.randint(2, 5))]
        sites = [_site(rng, model, slot) for slot in slots]
        sites = some_parts(rng, model, sites) if parts else sites
        hypothesis = draft.claim(sites, logits(end))
        if _worthwhile(rng, checked(hypothesis, model, data)):
            return hypothesis, model, data
    raise AssertionError("no legal claim was found")


def checked(hypothesis: Hypothesis, model: Computation | Transformer, data: Dataset) -> Claim | None:
    """The claim as the check resolves it; None where it has problems."""
    if isinstance(model, Computation):
        return check_claim(hypothesis, Subject(model), data).claim
    shape = model.shape
    graph = TransformerGraph(model.name, shape)
    return check_claim(hypothesis, Subject(graph, None, shape.d_vocab, shape.n_ctx), data).claim


def _worthwhile(rng: Random, claim: Claim | None) -> bool:
    """Sound, and mostly with something to swap below the answer, and below that."""
    if claim is None:
        return False
    reached = claim.placement.reached()
    deep = any(claim.placement.placed[name].parents for name in reached[1:])
    return rng.random() < (0.1 if len(reached) == 1 else 1 if deep else 0.5)


def _through_nodes(rng: Random, model: Computation) -> tuple[str, ...]:
    functions = [name for name, node in model.nodes.items() if node.function and name != "out"]
    return rng.choice([(), (), ("all",), tuple(rng.sample(functions, rng.randint(1, len(functions))))])


def _site(rng: Random, model: Transformer, at: str) -> Site:
    shape = model.shape
    layer = rng.randrange(shape.n_layers)
    kinds = ["heads"] * 4 + ["attn", "resid", "embed", "embed"]
    kinds += ["mlp"] * 2 * (shape.d_mlp > 0) + ["pos"] * (shape.positions == "learned")
    match rng.choice(kinds):
        case "heads":
            every = [f"{la}.{h}" for la in range(layer, shape.n_layers) for h in range(shape.n_heads)]
            return heads(" ".join(rng.sample(every, min(len(every), rng.randint(1, 3)))), at=at)
        case "attn":
            return attn(" ".join(map(str, rng.sample(range(shape.n_layers), rng.randint(1, 2)))), at=at)
        case "mlp":
            return mlps(" ".join(map(str, rng.sample(range(shape.n_layers), rng.randint(1, 2)))), at=at)
        case "resid":
            return resid(rng.randint(0, shape.n_layers), at=at)
        case "embed":
            return embed(at)
        case _:
            return pos(at)


@define
class Draft:
    """A claim in the making: variables from the lowest site up, each reading some of the earlier ones."""

    rng: Random
    graph: ModelGraph
    data: Dataset
    through: tuple[str, ...]
    sites: dict[str, list[Site]] = field(factory=dict)
    parents: dict[str, list[str]] = field(factory=dict)
    taken: frozenset[Component] = frozenset()

    def claim(self, candidates: list[Site], output: Site) -> Hypothesis:
        self.taken = frozenset(atom for s in candidates for c in s.components for atom in self.graph.atoms(c))
        groups = [[site] for site in sorted(candidates, key=lambda s: max(map(self.graph.order, s.components)))]
        if len(groups) > 2 and self.rng.random() < 0.4:
            i = self.rng.randrange(len(groups) - 1)
            groups[i : i + 2] = [groups[i] + groups[i + 1]]
        for i, group in enumerate(groups):
            self.add(f"v{i}", group)
        self.finish(output)
        story, places = self.told()
        metric = Metric(lambda output, row: 0.0, better="higher", name="zero")
        model, share = self.graph.name, recovers(0.5)
        options = self.options()
        declare = claim(story, model=model, data=self.data, metric=metric, expect=share, predicts="label", **options)
        return declare(lambda: places)

    def add(self, name: str, sites: list[Site]) -> None:
        """A variable, or a placed column where it would read nothing and the data have one left."""
        reading = [self.reading(site) for site in sites]
        spare = [c for c in ("p0", "p1", "p2") if c not in self.sites]
        read = [p for one in reading for names in one.values() for p in names]
        if not read and spare and self.rng.random() < 0.5:
            self.sites[spare[0]] = sites
            return
        made = [self.apply(site, one) for site, one in zip(sites, reading, strict=True)]
        left = [p for p in self.parents if p not in read]
        if left and self.rng.random() < 0.15:
            omitted = self.rng.choice(left)
            made[0], read = made[0].omits(omitted), [*read, omitted]
        self.sites[name], self.parents[name] = made, list(dict.fromkeys(read))

    def finish(self, output: Site) -> None:
        """The answer reads what it can; what nobody reads it omits."""
        reading = self.reading(output)
        read = {p for names in reading.values() for p in names}
        unread = [v for v in self.parents if v not in read and not any(v in ps for ps in self.parents.values())]
        output = self.apply(output, reading)
        self.sites["answer"] = [output.omits(*unread) if unread else output]
        self.parents["answer"] = sorted(read | set(unread))

    def reading(self, site: Site) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for channel in dict.fromkeys(c for one in site.components for c in self.graph.channels(one)):
            chosen: list[str] = []
            for parent in reversed(self.sites):
                able = all(self.can_read(source, site, channel) for source in self.sites[parent])
                clear = not any(
                    _meet(a, b, self.graph) for c in chosen for a in self.sites[c] for b in self.sites[parent]
                )
                if able and clear and self.rng.random() < 0.65:
                    chosen.append(parent)
            found[channel] = chosen
        return found

    def can_read(self, source: Site, site: Site, channel: str) -> bool:
        """A guess at what the check will say; the check has the last word."""
        readers = [c for c in site.components if channel in self.graph.channels(c)]
        return all(self._reached(source, site, reader, channel) for reader in readers)

    def _reached(self, source: Site, site: Site, reader: Component, channel: str) -> bool:
        passed = self.graph.passed(self.through)
        if not self.graph.sequence:
            passed -= self.taken
        carried = any(self.graph.carries(w, reader, channel, passed) for w in source.components)
        fed = any(self.graph.feeds(w, reader, channel) for w in source.components)
        if not site.at or ALL in source.at + site.at:
            return fed or carried
        pairs = [(self.data.locate(a), self.data.locate(b)) for a in source.at for b in site.at]
        if channel in ("k", "v"):
            return fed and (not self.graph.causal or any((a <= b).any() for a, b in pairs))
        return (fed and any((a == b).any() for a, b in pairs)) or (carried and any((a <= b).any() for a, b in pairs))

    def apply(self, site: Site, reading: dict[str, list[str]]) -> Site:
        site = site.reads(**{channel: " ".join(names) for channel, names in reading.items()})
        return site.linked() if len(site.components) > 1 and self.rng.random() < 0.4 else site

    def told(self) -> tuple[Interpretation, dict[str, Place]]:
        """The story of random functions; now and then some parents are read by way of a variable inside."""
        story, places = Interpretation(), dict[str, Any]()
        used = {p for names in self.parents.values() for p in names}
        for name, sites in self.sites.items():
            if name in self.parents or name in used:
                places[name] = sites[0] if len(sites) == 1 else sites
        for name, parents in self.parents.items():
            arguments = list(parents)
            if len(arguments) > 1 and self.rng.random() < 0.25:
                mid, hidden = f"mid_{name}", arguments[:2]
                story.variable(_feature(self.rng, mid, hidden))
                places[mid], arguments = inside, [*arguments[2:], mid]
            if not arguments or self.rng.random() < 0.4:
                arguments.append(self.rng.choice(["c0", "c1"]))
            story.variable(_feature(self.rng, name, arguments))
        return story, places

    def options(self) -> dict[str, Any]:
        rng = self.rng
        rest = rng.choice(["resample", "resample", *RESTS])
        everywhere = any(ALL in site.at for sites in self.sites.values() for site in sites)
        found: dict[str, Any] = {"rest": rest, "through": self.through, "together": self.groups()}
        found["rest_scope"] = rng.choice(["occurrence", "occurrence", *SCOPES])
        aligned = everywhere or rest == "mean" or found["rest_scope"] == "input"
        found["within"] = rng.choice(["length", "both"] if aligned else [None, None, "group", "length"])
        found["scored"], found["rest_rows"] = rng.choice([None, "scored"]), rng.choice([None, "spare"])
        if rest == "paired":
            found["pair"] = rng.choice(["mate", "mate_or_none"])
        if rest == "paired" or found["rest_rows"]:
            found["empty"] = "self"
        return found

    def groups(self) -> list[tuple[str, ...]]:
        calls = [site.reading for sites in self.sites.values() for site in sites if site.reading]
        present = [list(dict.fromkeys(p for _, names in call for p in names)) for call in calls]
        several = [names for names in present if len(names) > 1]
        if not several or self.rng.random() < 0.5:
            return []
        return [tuple(self.rng.sample(names, 2)) for names in self.rng.sample(several, 1) * self.rng.randint(1, 2)]


def _meet(a: Site, b: Site, graph: ModelGraph) -> bool:
    atoms = [{atom for c in site.components for atom in graph.atoms(c)} for site in (a, b)]
    return bool(atoms[0] & atoms[1]) and (not a.at or bool(set(a.at) & set(b.at)) or ALL in a.at + b.at)


def _feature(rng: Random, name: str, arguments: list[str]) -> Any:
    """A random function into one to three values of a random type."""
    salt, classes, kind = rng.randrange(10**6), rng.choice([1, 2, 2, 3]), rng.randrange(5)

    def value(values: list[Any]) -> Any:
        code = zlib.crc32(repr((salt, values)).encode()) % classes
        return (code, bool(code), (code, None), Fraction(code, 2), None if code == 0 else str(code))[kind]

    return named(name, arguments, value)


__all__ = ["checked", "random_graph_claim", "random_transformer_claim"]
