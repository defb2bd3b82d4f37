"""TransformerLens' models of attention alone, with learned positions; they have no config.json of Hugging Face's."""

from __future__ import annotations

from scrub.anatomy.shape import Shape
from scrub.model.architectures import Architecture


def _shape(layers: int) -> Shape:
    return Shape("attn-only", layers, 8, 8, 512, 64, 0, 48262, 1024)


ARCHITECTURE = Architecture("attn-only", None, {f"attn-only-{n}l": _shape(n) for n in range(1, 5)}, place=8)
