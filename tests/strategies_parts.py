"""Random parts of what random sites hold."""

from __future__ import annotations

from random import Random

import numpy as np

from scrub.anatomy.part import HostPart
from scrub.anatomy.positions import print_slots
from scrub.claims.coded import Dictionary, directions, latents
from scrub.claims.sites import Site, keys, neurons, queries, values
from scrub.model.weights import Transformer


def some_parts(rng: Random, model: Transformer, sites: list[Site]) -> list[Site]:
    """Most sites with parts instead; before some heads their queries, keys or values."""
    found: list[Site] = []
    for site in sites:
        if site.components[0].traits.is_head and rng.random() < 0.6:
            found.append(_channels(rng, model, site))
        found.append(_part(rng, model, site) if rng.random() < 0.7 else site)
    return found


def _part(rng: Random, model: Transformer, site: Site) -> Site:
    at = print_slots(site.at)
    if site.components[0].kind == "mlp" and rng.random() < 0.5:
        layer = site.components[0].layer
        units = rng.sample(range(model.shape.d_mlp), rng.randint(1, 3))
        return neurons(" ".join(f"{layer}.{unit}" for unit in units), at=at)
    return site.part(*_codes(rng, model.shape.d_model))


def _channels(rng: Random, model: Transformer, site: Site) -> Site:
    make = rng.choice([queries, keys, values])
    at = print_slots(site.at) if make is queries else rng.choice(["A", "B", print_slots(site.at)])
    names = " ".join(map(str, site.components))
    made = make(names, at=at)
    return made.part(*_codes(rng, model.shape.d_head)) if rng.random() < 0.6 else made


def _codes(rng: Random, width: int) -> list[HostPart]:
    """One subspace, two that are orthogonal, all directions, or latents."""
    draw = np.random.default_rng(rng.randrange(2**31))
    basis = np.linalg.qr(draw.normal(size=(width, width)))[0]
    match rng.randrange(5):
        case 0:
            return [directions(draw.normal(size=(width, width)))]
        case 1:
            return [directions(basis[:1]), directions(basis[1:3])]
        case 2:
            floor = draw.normal(size=7) if rng.random() < 0.5 else None
            bias, centre = draw.normal(size=7), draw.normal(size=width)
            made = Dictionary(draw.normal(size=(width, 7)), draw.normal(size=(7, width)), bias, centre, floor)
            return [latents(made, " ".join(map(str, rng.sample(range(7), rng.randint(1, 3)))))]
        case _:
            return [directions(draw.normal(size=(rng.randint(1, 2), width)))]
