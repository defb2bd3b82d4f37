"""`scrub fit`: directions from data, for a variable of a claim; or a small dictionary."""

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

DICTIONARY = "dictionary"
METHODS = ("mean_difference", "class_means", "probe", "pca", "fourier", "concepts", "das", DICTIONARY)
RANKED = ("class_means", "probe", "pca", "concepts", "das")


@click.command(short_help="Find directions for a variable in data.")
@click.argument("method", type=click.Choice(METHODS))
@click.argument("target", metavar="FILE::NAME")
@click.option("--variable", required=True, metavar="NAME", help="A variable of the story, or a column.")
@click.option("--out", required=True, type=ExistingPath(), metavar="FILE.safetensors|DIR", help="Where to write.")
@click.option("--rank", type=int, help="How many directions (default: 1; of classes, all that they differ by).")
@click.option("--frequencies", metavar="NUMBERS", help="Of fourier, such as '1 2 5'.")
@click.option("--period", type=int, help="Of fourier: after how many numbers a turn is full.")
@click.option("--latents", type=int, help="Of dictionary: how many latents.")
@click.option("--topk", type=int, help="Of dictionary: how many are active at once (default: 8).")
@click.option("--steps", type=int, help="Of dictionary: steps of training (default: 2000).")
@click.option("--component", metavar="NAME", help="Where to read, such as 9.9 (default: the variable's own site).")
@click.option("--at", metavar="POSITION", help="The position there.")
@click.option("--rows", type=int, help="Rows to see (default: half of the scored ones).")
@click.option("--seed", default=0, show_default=True, help="The seed of every draw.")
@on_model
@on_device
@reporting
def fit(method: str, target: str, variable: str, out: Path, rank: int | None, **options: Any) -> tuple[Results, int]:
    """Find directions for a variable in what a component writes; directions('FILE.safetensors') takes them.

    dictionary trains a small TopK dictionary there, in a new directory; latents('DIR', '3 17') takes it. A claim with
    what was found is tested on the rows that were not seen.
    """
    from scrub.verbs import fit as fits

    site = _site(options.pop("component"), options.pop("at"))
    sparse = _sparse(method, {name: options.pop(name) for name in ("latents", "topk", "steps")})
    asked = _asked(method, rank, options.pop("frequencies"), options.pop("period"))
    _free(out, method)
    hypothesis: Hypothesis = one_claim(target, options["model"])
    where = (variable, out) if method == DICTIONARY else (variable,)
    with about(hypothesis):
        found = getattr(fits, method)(hypothesis, *where, **asked, **sparse, site=site, **options)
    if method != DICTIONARY:
        found.save(out)
    used = f"latents({str(out)!r}, '0')" if method == DICTIONARY else f"directions({str(out)!r})"
    say(f"{found}\nwritten: {out}; use it as {used}")
    return [found.to_dict()], FINE


def _free(out: Path, method: str) -> None:
    """Raises ClaimError before anything is computed for a place where it could not be written, or something is."""
    if method != DICTIONARY and out.suffix != ".safetensors":
        raise ClaimError(
            f"--out {out}: directions are a .safetensors file: call it {out.with_suffix('.safetensors').name}."
        )
    files.free(out, "--out ")


def _sparse(method: str, given: dict[str, int | None]) -> dict[str, int]:
    """What a dictionary is asked to be. Raises ClaimError for another method, and where no size is said."""
    asked = {name: count for name, count in given.items() if count is not None}
    if method != DICTIONARY and asked:
        raise ClaimError(f"--{next(iter(asked))} is of dictionary, and not of {method}.")
    if method == DICTIONARY and "latents" not in asked:
        raise ClaimError("fit dictionary takes --latents 192: how many latents it has.")
    return asked


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
        why = "a dictionary has --latents" if method == DICTIONARY else f"{method} finds one direction"
        raise ClaimError(f"--rank {rank}: {why}.")
    return {} if rank is None else {"rank": rank}


def _site(component: str | None, at: str | None) -> Site | None:
    if component is None and at is None:
        return None
    if component is None or at is None:
        raise ClaimError("--component and --at belong together: --component 9.9 --at END.")
    return Site((parse_component(component, parts=True),), parse_slots(at))
