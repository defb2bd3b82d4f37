"""What `model=` may be, told apart without torch: a graph, a zoo model, a directory, a name, a loaded model.

For a claim to be checked and planned a `config.json` suffices, or the table of well-known shapes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import networkx as nx
from attrs import frozen

from scrub.claims.text import Tokenizer, open_tokenizer, words
from scrub.errors import ModelError
from scrub.model.computation import Computation
from scrub.model.graph import Shape, TransformerGraph
from scrub.model.known import SHAPES, shape_of_config

ZOO = "zoo:"


@frozen(eq=False)
class Source:
    """A model that was found: its graph and, for a transformer, its tokenizer and where weights come from.

    `loaded` is an object that holds weights already: a bridge, or a transformer's own values.
    """

    name: str
    graph: Computation | TransformerGraph
    tokenizer: Tokenizer | None = None
    loaded: Any = None


def find(model: Any) -> Source:
    """What a claim's `model=` stands for. Raises ModelError when it is nothing that can be checked."""
    if callable(model) and not hasattr(model, "cfg") and not isinstance(model, type):
        model = model()
    if isinstance(model, nx.DiGraph | Computation):
        graph = model if isinstance(model, Computation) else Computation.of(model)
        return Source(graph.name, graph)
    if isinstance(model, str | Path):
        return _named(str(model))
    if hasattr(model, "shape") and isinstance(model.shape, Shape):
        return Source(model.name, TransformerGraph(model.name, model.shape), None, model)
    if hasattr(model, "cfg") and hasattr(model, "blocks"):
        from scrub.model.transformer import adapt

        taken = adapt(model)
        tokenizer = getattr(model, "tokenizer", None)
        opened = open_tokenizer(tokenizer) if tokenizer is not None else None
        return Source(taken.name, TransformerGraph(taken.name, taken.shape), opened, model)
    raise ModelError(
        f"model={type(model).__name__} is no model: give a name, a directory, 'zoo:induction', a TransformerBridge, or "
        "a networkx.DiGraph of functions."
    )


def _named(name: str) -> Source:
    if name.startswith(ZOO):
        from scrub import zoo

        title = name.removeprefix(ZOO)
        return Source(name, TransformerGraph(name, zoo.shape(title)), words(zoo.vocabulary(title)))
    path = Path(name)
    if path.is_dir():
        return _directory(path)
    config = _cached(name, "config.json")
    if config is not None:
        return Source(name, TransformerGraph(name, shape_of_config(_read(config), name)), _tokenizer(name))
    if name in SHAPES:
        return Source(name, TransformerGraph(name, SHAPES[name]), _tokenizer(name))
    raise ModelError(
        f"model {name!r} is not here: no such directory, nothing in the hub's cache, and its shape is not in the table of "
        "well-known models. Download it where the hub can be reached, then give the directory: --model DIR "
        "(config.json, *.safetensors, tokenizer.json)."
    )


def _directory(path: Path) -> Source:
    file = path / "config.json"
    if not file.is_file():
        raise ModelError(f"the directory {path} has no config.json: it is no model.")
    shape = shape_of_config(_read(file), str(path))
    tokenizer = open_tokenizer(path) if (path / "tokenizer.json").is_file() else None
    return Source(str(path), TransformerGraph(path.resolve().name, shape), tokenizer)


def _read(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ModelError(f"{file} cannot be read: {error}.") from None


def _tokenizer(name: str) -> Tokenizer | None:
    file = _cached(name, "tokenizer.json")
    return open_tokenizer(file) if file is not None else None


def _cached(name: str, file: str) -> Path | None:
    """A file of a model in the hub's cache; nothing is downloaded."""
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(name, file)
    except Exception:  # a name that cannot be one of the hub's
        return None
    return Path(found) if isinstance(found, str) else None
