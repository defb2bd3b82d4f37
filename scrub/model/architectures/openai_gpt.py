"""The first GPT: learned positions, the stream itself normed after attention and after each MLP."""

from __future__ import annotations

from scrub.anatomy.shape import Shape
from scrub.model.architectures import Architecture
from scrub.model.config import Config


def _shape(layers: int, heads: int, width: int, vocabulary: int, context: int) -> Shape:
    return Shape(
        "openai-gpt", layers, heads, heads, width, width // heads, 4 * width, vocabulary, context, stream_norms=True
    )


def shape(config: Config) -> Shape:
    found = config.numbers("n_layer", "n_head", "n_embd", "vocab_size", "n_positions")
    config.shared("n_embd", "n_head")
    layers, heads, width, vocabulary, context = found.values()
    return _shape(layers, heads, width, vocabulary, context)


# from the model's own config.json
MODELS = {
    "openai-community/openai-gpt": _shape(12, 12, 768, 40478, 512),
    "openai-gpt": _shape(12, 12, 768, 40478, 512),
}

ARCHITECTURE = Architecture("openai-gpt", shape, MODELS, place=11)
