"""What is recorded about a model of the zoo: its configuration, its words, what it can do. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from scrub.anatomy.shape import Shape
from scrub.errors import ModelError, did_you_mean, some
from scrub.zoo.compiled import COMPILED

FOLDER = Path(__file__).parent / "weights"
TRAINED = ("induction", "brackets", "names", "addition")
NAMES = (*TRAINED, *COMPILED)


@frozen
class Card:
    """One model: `config` holds the fields of a native TransformerLens configuration.

    `accuracy` is the share of right answers on `rows` rows of `data_seed`, `chance` the share that the most
    frequent answer would get; `digest` is that of the weights.
    """

    name: str
    note: str
    config: Mapping[str, Any] = field(converter=MappingProxyType[str, Any])
    vocabulary: tuple[str, ...]
    accuracy: float
    chance: float
    rows: int
    data_seed: int
    digest: str
    script: str


def weights_path(name: str) -> Path:
    """The file of a trained model's weights."""
    return FOLDER / f"{name}.safetensors"


def logits_path(name: str) -> Path:
    """The file of what a model's bridge said of some rows."""
    return FOLDER / f"{name}.logits.safetensors"


@cache  # kept by name: the files are scrub's own, and a card cannot be written to
def info(name: str) -> Card:
    """The card of the model called `name`. Raises ModelError, with the nearest name, when there is none."""
    if name in COMPILED:
        return _compiled_card(name)
    if name not in TRAINED:
        raise ModelError(f"The zoo has no model {name!r}; it has {some(NAMES)}.{did_you_mean(name, NAMES)}")
    given: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    given["vocabulary"] = tuple(given["vocabulary"])
    return Card(**given)


def _compiled_card(name: str) -> Card:
    made = COMPILED[name]
    return Card(
        name=name,
        note=made.note,
        config=made.config,
        vocabulary=made.vocabulary,
        accuracy=1.0,
        chance=made.chance,
        rows=1000,
        data_seed=1,
        digest=made.digest,
        script="scrub/zoo/compiled.py",
    )


def shape(name: str) -> Shape:
    """The numbers that a claim about the model is checked against."""
    card = info(name)
    config = card.config
    return Shape(
        family="native",
        n_layers=config["n_layers"],
        n_heads=config["n_heads"],
        n_kv_heads=config["n_heads"],
        d_model=config["d_model"],
        d_head=config["d_head"],
        d_mlp=0 if config.get("attn_only") else config["d_mlp"],
        d_vocab=len(card.vocabulary),
        n_ctx=config["n_ctx"],
        positions="learned",
        parallel=False,
        causal=config.get("attention_dir", "causal") == "causal",
        gated=bool(config.get("gated_mlp")),
    )


def vocabulary(name: str) -> list[str]:
    """The words of the model; the index of a word is its token id."""
    return list(info(name).vocabulary)
