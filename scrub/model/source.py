"""What `model=` may be, told apart without torch: a graph, a zoo model, a directory, a name, a loaded model.

For a claim to be checked and planned a `config.json` suffices, or the table of well-known shapes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
from attrs import frozen

from scrub.claims.hub import Pinned, cached_revision, hub_file, reachable
from scrub.claims.text import Tokenizer, open_tokenizer, words
from scrub.errors import ModelError, ScrubError, did_you_mean, path_of, raised
from scrub.model.computation import Computation
from scrub.model.graph import Shape, TransformerGraph
from scrub.model.known import ALIASES, SHAPES, shape_of_config

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
    if isinstance(model, nx.DiGraph | Computation):
        graph = model if isinstance(model, Computation) else Computation.of(model)
        return Source(graph.name, graph)
    if isinstance(model, Pinned):
        _same_revision(model)
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
    if callable(model) and not isinstance(model, type) and not hasattr(model, "forward"):  # a network is called, too
        return find(_made(model))
    raise ModelError(
        f"model={type(model).__name__} is no model: give a name, a directory, 'zoo:induction', a "
        "TransformerBridge, or a networkx.DiGraph of functions."
    )


# kept with its function, so that the id stays its own
_models: dict[int, tuple[Callable[[], Any], Any]] = {}


def _made(function: Callable[[], Any]) -> Any:
    """What a function of `model=` returns; it is called once in a process."""
    try:
        if id(function) not in _models:
            _models[id(function)] = function, function()
        return _models[id(function)][1]
    except ScrubError:
        raise
    except Exception as error:
        raise ModelError(raised("model=", function, error)) from error


def _named(name: str) -> Source:
    if name.startswith(ZOO):
        from scrub import zoo

        title = name.removeprefix(ZOO)
        return Source(name, TransformerGraph(name, zoo.shape(title)), words(zoo.vocabulary(title)))
    path = _home(name)
    if path.is_dir():
        return _directory(path)
    official = ALIASES.get(name, name)
    shape = SHAPES.get(name)
    if shape is None:
        config = hub_file(official, "config.json")
        if config is None:
            raise _unknown(name)
        shape = shape_of_config(_read(config), name)
    tokenizer = hub_file(official, "tokenizer.json")
    return Source(name, TransformerGraph(name, shape), open_tokenizer(tokenizer) if tokenizer else None)


def _home(name: str) -> Path:
    """The path that a name may be, `~` being the user's own directory. Raises ClaimError for what can be no path."""
    try:
        return path_of(name, "model=").expanduser()
    except RuntimeError:  # of a user who is not known here
        return Path(name)


def revision_of(name: str) -> str | None:
    """The revision of a model of the hub in the local cache, without loading it; None for any other model."""
    if name.startswith(ZOO) or _home(name).is_dir():
        return None
    return cached_revision(ALIASES.get(name, name))


def _same_revision(model: Pinned) -> None:
    """Raises ModelError where the cache holds another revision than the one that a claim was frozen with."""
    there = revision_of(str(model))
    if there is not None and there != model.revision:
        raise ModelError(
            f"the claim was frozen with revision {model.revision} of {model}, and the local cache holds {there}: "
            f"give a directory with that revision, --model DIR; or say that yours will do, --model {model}."
        )


def _unknown(name: str) -> ModelError:
    from scrub.zoo import NAMES

    near = did_you_mean(name, [*SHAPES, *(ZOO + title for title in NAMES)])
    hub = "the hub has no such model" if reachable() else "the Hugging Face hub cannot be reached"
    return ModelError(
        f"model {name!r} is not here: there is no such directory, it is neither in the table of well-known "
        f"models nor in the hub's cache, and {hub}.{near} A directory with config.json, *.safetensors and "
        "tokenizer.json works without the hub: --model DIR."
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
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read: {error}.") from None
    if not isinstance(found, dict):
        raise ModelError(f"{file} describes no model: it holds no JSON object.")
    return found
