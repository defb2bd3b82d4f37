"""Parts and their hosts: what is recovered with the rest of a host tied, with random parts, with whole hosts."""

from __future__ import annotations

from scrub.report.page.blocks import Block, table
from scrub.report.page.sections import ClaimSection, StoredClaim
from scrub.report.page.words import span
from scrub.score.control import PERMUTED_FIT, RANDOM_PARTS, TIED, UNTRAINED_FIT, WHOLE

SAID = (
    "Tied: the rest of the host takes the donor of its part too; a claim that needs it to stay on another row is "
    "refuted. Random parts: directions drawn where the host writes, neurons and latents that are as often active."
)
SHOWN = (RANDOM_PARTS, WHOLE, PERMUTED_FIT, UNTRAINED_FIT)


def blocks(stored: StoredClaim) -> list[Block | None]:
    found = [c for c in stored.result["controls"] if c["name"] in SHOWN or _is_tied(c["name"])]
    rows = [("the claim", span(stored.result["recovered"]), ""), *((c["name"], span(c), c["note"]) for c in found)]
    return [table(("parts", "recovers", "note"), rows, SAID) if found else None]


def _is_tied(name: str) -> bool:
    return name.startswith(f"{TIED} ")


SECTION = ClaimSection("Parts and their hosts", blocks, place=2.5)
