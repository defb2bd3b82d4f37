"""Trains the dictionary of hypotheses/names_latents.py on what stands in the stream behind its movers; seconds.

PYTHONPATH=hypotheses python examples/fit_names_latents.py --out somewhere
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scrub import Dataset, claim, fit, heads, logits, resid
from scrub.zoo import names_rows

GALLERY = Path(__file__).parents[1] / "hypotheses"
ROWS, LATENTS, ACTIVE, PEOPLE = 200, 48, 4, 5


def main(out: Path) -> None:
    from names import ALL_THREE, NAMES, SETTING, story

    whole = claim(story, **{**SETTING, "data": Dataset.from_rows(names_rows(600, seed=1, people=PEOPLE))})(
        dict(
            **NAMES,
            gathered=heads("0.0 0.1 0.3", at="END").reads(**ALL_THREE),
            name=heads("1.2 1.3", at="END").reads(q="gathered", **ALL_THREE),
            answer=logits("END"),
        )
    )
    place = {"site": resid(2, at="END"), "rows": ROWS}
    print(fit.dictionary(whole, "name", out / "names_dictionary", latents=LATENTS, topk=ACTIVE, **place))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=GALLERY, help="folder for its own (default: the gallery)")
    main(parser.parse_args().out)
