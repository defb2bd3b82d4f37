"""GPT-NeoX, as Pythia: rotary positions, attention and MLP side by side, MLPs without gates."""

from __future__ import annotations

from attrs import evolve

from scrub.anatomy.shape import Shape
from scrub.model.architectures import Architecture
from scrub.model.config import Config, like_llama


def _pythia(layers: int, heads: int, width: int) -> Shape:
    return Shape("gpt_neox", layers, heads, heads, width, width // heads, 4 * width, 50304, 2048, "rotary", True)


def shape(config: Config) -> Shape:
    found = like_llama(config, "gpt_neox", gated=False)
    return evolve(found, parallel=config.flag("use_parallel_residual", True))


# from the models' own config.json files
MODELS = {
    "EleutherAI/pythia-14m": _pythia(6, 4, 128),
    "EleutherAI/pythia-70m": _pythia(6, 8, 512),
    "EleutherAI/pythia-160m": _pythia(12, 12, 768),
    "EleutherAI/pythia-410m": _pythia(24, 16, 1024),
    "EleutherAI/pythia-1b": _pythia(16, 8, 2048),
    "EleutherAI/pythia-1.4b": _pythia(24, 16, 2048),
}

ARCHITECTURE = Architecture("gpt_neox", shape, MODELS, place=2)
