"""`scrub fit`: directions from data, for a variable of a claim."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scrub.anatomy.names import parse_component
from scrub.anatomy.positions import parse_slots
from scrub.claims.hypothesis import Hypothesis
from scrub.claims.sites import Site
from scrub.cli.endings import FINE
from scrub.cli.freeze import one_claim
from scrub.cli.options import ExistingPath, Results, about, on_device, on_model, reporting, say
from scrub.errors import ClaimError
from scrub.storage import files

METHODS = ("mean_difference", "class_means", "probe", "pca", "fourier", "concepts", "das")
RANKED = ("class_means", "probe", "pca", "concepts", "das")


@click.command(short_help="Find directions for a variable in data.")
@click.argument("method", type=click.Choice(METHODS))
@click.argument("target", metavar="FILE::NAME")
@click.option("--variable", required=True, metavar="NAME", help="A variable of the story, or a column.")
@click.option("--out", required=True, type=ExistingPath(), metavar="FILE.safetensors", help="Where to write them.")
@click.option("--rank", type=int, help="How many directions (default: 1; of classes, all that they differ by).")
@click.option("--frequencies", metavar="NUMBERS", help="Of fourier, such as '1 2 5'.")
@click.option("--period", type=int, help="Of fourier: after how many numbers a turn is full.")
@click.option("--component", metavar="NAME", help="Where to read, such as 9.9 (default: the variable's own site).")
@click.option("--at", metavar="POSITION", help="The position there.")
@click.option("--rows", type=int, help="Rows to see (default: half of the scored ones).")
@click.option("--seed", default=0, show_default=True, help="The seed of every draw.")
@on_model
@on_device
@reporting
def fit(method: str, target: str, variable: str, out: Path, rank: int | None, **options: Any) -> tuple[Results, int]:
    """Find directions for a variable in what a component writes; directions('FILE.safetensors') takes them.

    A claim with these directions is tested on the rows that were not seen.
    """
    from scrub.verbs import fit as fits

    files.writable(out)
    site = _site(options.pop("component"), options.pop("at"))
    asked = _asked(method, rank, options.pop("frequencies"), options.pop("period"))
    hypothesis: Hypothesis = one_claim(target, options["model"])
    with about(hypothesis):
        found = getattr(fits, method)(hypothesis, variable, **asked, site=site, **options)
    found.save(out)
    say(f"{found}\nwritten: {out}; use it as directions({str(out)!r})")
    return [found.to_dict()], FINE


def _asked(method: str, rank: int | None, frequencies: str | None, period: int | None) -> dict[str, Any]:
    """The options of one method. Raises ClaimError for those of another, and for what it lacks."""
    if method == "fourier":
        words = (frequencies or "").replace(",", " ").split()
        if period is None or not words or not all(word.isdecimal() for word in words) or rank is not None:
            raise ClaimError("fit fourier takes --frequencies '1 2 5' and --period 113, and no --rank.")
        return {"frequencies": [int(word) for word in words], "period": period}
    if frequencies is not None or period is not None:
        raise ClaimError(f"--frequencies and --period are of fourier, and not of {method}.")
    if rank is not None and method not in RANKED:
        raise ClaimError(f"--rank {rank}: {method} finds one direction.")
    return {} if rank is None else {"rank": rank}


def _site(component: str | None, at: str | None) -> Site | None:
    if component is None and at is None:
        return None
    if component is None or at is None:
        raise ClaimError("--component and --at belong together: --component 9.9 --at END.")
    return Site((parse_component(component, parts=True),), parse_slots(at))
