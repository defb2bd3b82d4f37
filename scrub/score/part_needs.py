"""What the controls of a claim's parts will ask of its rows, so that one run of the pool serves them too."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from scrub.claims.resolved import Claim
from scrub.engine.needs import Need, needs
from scrub.engine.plan import compile_tree
from scrub.engine.reread import add_host
from scrub.engine.unroll import Occurrence
from scrub.errors import ClaimError
from scrub.model.codes import PartCodes
from scrub.model.weights import Transformer
from scrub.score.replaced import leaves_something, replaced, retold, sites_with_parts, tied, wholes


def part_needs(claim: Claim, tree: Occurrence, model: Transformer) -> Need:
    """What tied and whole runs read, and the hosts of which random parts are drawn; nothing without parts."""
    need, codes, sites = Need(), PartCodes(model), sites_with_parts(claim)
    for other in _others(claim):
        leaves, frames = needs(other, compile_tree(other, retold(tree, claim, other)))
        need.merge(leaves)
        if not claim.options.pseudo:
            need.merge(frames)
    for placed in sites.values():
        for component in filter(leaves_something, placed.site.components):
            add_host(need, codes, component, placed.site.at)
    return need


def _others(claim: Claim) -> Iterator[Claim]:
    """The claim with each site tied, and with whole hosts, as far as these can be made."""
    sites = sites_with_parts(claim)
    for made in [*(partial(tied, claim, where) for where in sites), *([partial(wholes, claim)] if sites else [])]:
        try:
            yield replaced(claim, made())
        except ClaimError:  # told where the control is asked for
            continue
