"""Several views of one scene: the rows are run once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from attrs import frozen

from scrub.engine.cache import Store
from scrub.engine.needs import Need
from scrub.evidence import attention, direct, lens, matching, probes, written
from scrub.evidence.scene import Scene, Unseen


@frozen
class Viewed:
    """How a view is made: what it `asks` of the rows, and what is seen when one `look`s at them."""

    asks: Callable[[Scene, Need], None]
    look: Callable[[Scene, Store], Any]


VIEWS = {
    "attention": Viewed(attention.asks, attention.look),
    "lens": Viewed(lens.asks, lens.look),
    "written": Viewed(written.asks, written.look),
    "matching": Viewed(matching.asks, matching.look),
    "direct": Viewed(direct.asks, direct.look),
    "probes": Viewed(probes.asks, probes.look),
}


def seen(scene: Scene, names: Sequence[str], done: Callable[[int], None]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The views by name, and sentences about those that the claim or its model does not have."""
    need, left_out, asked = Need(), list[str](), list[str]()
    for name in names:
        own = Need()
        try:
            VIEWS[name].asks(scene, own)
        except Unseen as error:
            left_out.append(str(error))
        else:
            asked.append(name)
            need.merge(own)
    store, found = scene.run(need, done), dict[str, Any]()
    for name in asked:
        try:
            with torch.no_grad():
                found[name] = VIEWS[name].look(scene, store)
        except Unseen as error:
            left_out.append(str(error))
    return found, tuple(left_out)
