"""A value that is read where it does not stand, said as two variables, there and here, in the user's own names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from scrub.anatomy.names import print_components
from scrub.anatomy.positions import Slot, print_slots
from scrub.claims.sites import Site

INDENT = "\n        "


def split(parent: str, reader: str, source: Site, at: Site, others: Sequence[Site]) -> str:
    """What to do where the reader's site `at` reads a parent that stands elsewhere, at `source`.

    `others` are the parent's own sites: heads among them that stand where it is read bring the value there.
    """
    here = at.at[0]
    name = f"{parent}_at_{_word(here)}"
    bring = next((s for s in others if s.at == at.at and all(c.traits.attends for c in s.components)), None)
    heads = "L.H" if bring is None else print_components(bring.components)
    unknown = f" (L.H: heads that read {print_slots(source.at)} from {here})" if bring is None else ""
    return INDENT.join(
        [
            f"Split the variable in two, {parent!r} there and what brings it to {here}, and let {reader!r} read the "
            f"second{unknown}:",
            f"@story.variable{INDENT}def {name}({parent}): return {parent}",
            f'{name}=heads("{heads}", at="{here}").reads(v="{parent}"),  # in the claim',
        ]
    )


def between(parent: str, reader: str, source: Site, at: Site, others: Sequence[Site]) -> str:
    """What to do where a claimed stream should be what layers make of a parent: nothing passes below one."""
    here = print_slots(at.at)
    return INDENT.join(
        [
            f"A claimed stream is all that is written before it, so that nothing carries {parent!r} there. Claim "
            f"what writes {reader!r} there, heads (L.H) that read {print_slots(source.at)}, or leave it out, and let "
            f"what reads {reader!r} read {parent!r} through the layers between:",
            f'{reader}=heads("L.H", at="{here}").reads(v="{parent}"),  # in the claim; or attn("L", ...)',
            f'{reader}=inside,  # with through="all"',
        ]
    )


def _word(slot: Slot) -> str:
    """A position as a part of a name: `s1_plus_1`, `minus_1`."""
    words = str(slot).replace("+", "_plus_").replace("-", "_minus_").lower()
    return re.sub(r"\W", "_", words).strip("_")
