"""How many rows a test needs, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrub.claims import seen
from scrub.claims.titles import short_name
from scrub.report.text import options_words
from scrub.score.design import SAMPLE

if TYPE_CHECKING:
    from scrub.score.power import Power


def power_text(p: Power) -> str:
    """What differences the test can tell, from which pilot."""
    from scrub.score.power import UPPER

    how, pilot = _draws(p.draws), f"{p.pilot_rows} rows x {_draws(p.pilot_draws)}"
    too_few = p.design == SAMPLE and p.rows < seen.VERDICT_ROWS
    few = f" Fewer than {seen.VERDICT_ROWS} rows give no verdict." if too_few else ""
    if p.flat:
        return (
            f"{short_name(p.hypothesis)}: the pilot of {pilot} saw no spread, and so tells nothing of how "
            f"many rows are needed ({p.rows} rows x {how} were asked for).{few}"
        )
    options = f" Options: {options_words(p.options)}." if p.options else ""
    return (
        f"{short_name(p.hypothesis)}: {p.rows} rows x {how} tell differences of {p.detectable:.3f} of what is "
        f"recovered, of {p.detectable_high:.3f} at worst (standard error {p.error:.3f}, at most {p.error_high:.3f} "
        f"with {UPPER:.0%} confidence, from {pilot}).{few}{options}"
    )


def _draws(draws: int | None) -> str:
    return "every draw" if draws is None else f"{draws} draws"
