"""Dictionaries whose latents a proposal ranks: each is one of a component of the model, and has active latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from attrs import evolve, frozen
from jaxtyping import Float
from torch import Tensor

from scrub.anatomy.names import Component, parse_component
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.coded import Dictionary
from scrub.claims.dictionaries.card import StoredDictionary
from scrub.claims.dictionaries.host import of_other_models, other_host, reads_inside
from scrub.claims.dictionaries.layouts import read
from scrub.errors import ClaimError, path_of
from scrub.model.codes import PartCodes, latent_activity
from scrub.proposals.latents import LatentNodes
from scrub.proposals.nodes import kind_of
from scrub.proposals.setup import Setup

Given = str | Path | Dictionary
SAY = "say which component it is of, such as 'resid 8=DIR'"


@frozen(eq=False)
class PlacedDictionary:
    """A dictionary with the component that it is of; `folder` is where it lies, empty for one of arrays."""

    host: Component
    stored: StoredDictionary
    folder: str

    @property
    def name(self) -> str:
        return self.folder or "of arrays"


def dictionaries_of(
    given: Given | Sequence[Given] | Mapping[str, Given] | None, graph: TransformerGraph, model: str
) -> tuple[PlacedDictionary, ...]:
    """Directories, `COMPONENT=DIR`, or components with what is theirs, as dictionaries of a model.

    Raises ClaimError for one that cannot be read, whose component nothing says, or that is of another component,
    model or width, and for two of one component.
    """
    if given is None:
        return ()
    if isinstance(given, Mapping):
        listed: list[tuple[str, Any]] = list(given.items())
    else:
        listed = [_named(one) for one in ([given] if isinstance(given, str | Path | Dictionary) else given)]
    found = [_placed(host, one, graph, model) for host, one in listed]
    hosts = [one.host for one in found]
    if twice := [str(host) for host in dict.fromkeys(hosts) if hosts.count(host) > 1]:
        raise ClaimError(f"two dictionaries of {twice[0]} are given, whose latents overlap: rank one at a time.")
    return tuple(found)


def _named(one: Any) -> tuple[str, Any]:
    """`resid 8=DIR` as a component and a path."""
    if isinstance(one, str) and "=" in one and not Path(one).exists():
        host, _, folder = one.partition("=")
        return host, folder
    return "", one


def _placed(host: str, given: Any, graph: TransformerGraph, model: str) -> PlacedDictionary:
    name = "Dictionary" if isinstance(given, Dictionary) else str(given)
    stored = given.stored if isinstance(given, Dictionary) else read(path_of(given, "dictionary="))
    own = parse_component(host) if host else stored.card.host
    if own is None:
        raise ClaimError(f"dictionary {name}: nothing says which component it is of: {SAY}.")
    if not own.has_parts or own.traits.by_unit:
        raise ClaimError(f"dictionary {name}: latents of {own} are not ranked: streams, MLPs, attention, embeddings.")
    if not graph.has(own):
        found, nearest = graph.missing(own)
        raise ClaimError(f"dictionary {name} is of {own}: {found}; the nearest is {nearest}.")
    part, width = stored.part((0,)), graph.shape.d_model
    if of := other_host(own, part):
        raise ClaimError(f"dictionary {name} is of {of}, and {own} is named: leave {own} out, or take one of {own}.")
    if reads := reads_inside(own, part):
        raise ClaimError(
            f"dictionary {name} is a transcoder ({reads}), and {own} is no MLP: name the MLP, 'mlp 8=DIR'."
        )
    if (sizes := {stored.arrays["encoder"].shape[0], part.width}) != {width}:
        wrong = sorted(sizes - {width})[0]
        raise ClaimError(f"dictionary {name} is of vectors of {wrong} numbers, and {graph.name} has {width}.")
    if any(of_other_models([evolve(own, part=part)], model)):
        raise ClaimError(f"dictionary {name} is of {part.model}, and the model is {model}: take one of this model.")
    return PlacedDictionary(own, stored, "" if isinstance(given, Dictionary) else str(given))


def with_dictionaries(setup: Setup, placed: Sequence[PlacedDictionary]) -> Setup:
    """The same rows with the latents that are active on one of them, or on a partner, as nodes.

    Others change nothing when they are patched. Raises ClaimError where none is active, and ModelError for a layer's
    attention that is normed before it is added.
    """
    found = [_active(setup, one) for one in placed]
    return evolve(setup, dictionaries={kind_of(nodes.coded.component): nodes for nodes in found})


def _active(setup: Setup, placed: PlacedDictionary) -> LatentNodes:
    codes, host = PartCodes(setup.model), placed.host
    if host.traits.attends and setup.model.blocks[host.layer or 0].post_attn is not None:
        raise ClaimError(
            f"dictionary {placed.name}: {setup.model.name} norms what its heads write together before it is added, "
            f"and latents of {host} would be of what enters the stream: rank those of the stream behind it."
        )
    first = evolve(host, part=placed.stored.part((0,)))
    read = _read(setup, LatentNodes(host, codes.of(first)))
    assert first.part is not None
    active = torch.nonzero(latent_activity(first.part, read, setup.model.memory) > 0).flatten().tolist()
    if not active:
        raise ClaimError(f"dictionary {placed.name}: none of its {placed.stored.count} latents is active on any row.")
    return LatentNodes(host, codes.of(evolve(host, part=placed.stored.part(tuple(active)))), placed.folder)


def _read(setup: Setup, nodes: LatentNodes) -> Float[Tensor, "n d"]:
    """What the encoder reads at every position of the rows and of their partners."""
    found: list[Tensor] = []
    for _, batch in setup.batches():
        there = torch.arange(batch.base.shape[1], device=batch.base.device) < batch.lengths[:, None]
        for values in (batch.base_values, batch.source_values):
            found.append(nodes.coded.reads(values[nodes.read][there]).cpu())
    return torch.cat(found)
