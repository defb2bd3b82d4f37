"""What `model=` may be, told apart without torch: a graph, a zoo model, a directory, a name, a loaded model.

For a claim to be checked and planned a `config.json` suffices, or the table of well-known shapes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx as nx
from attrs import evolve, frozen

from scrub.anatomy.shape import Shape
from scrub.anatomy.transformer import TransformerGraph
from scrub.claims.hub import Pinned, cached_revision, hub_file, reachable
from scrub.claims.text import Tokenizer, open_tokenizer, words
from scrub.errors import ModelError, ScrubError, is_file, nearest, path_of, raised, unread
from scrub.model.checkpoints.beside import SUFFIXES, is_checkpoint, settings_beside
from scrub.model.computation import Computation
from scrub.model.known import official, shape_of_config, shapes
from scrub.model.shards import directory

if TYPE_CHECKING:
    from scrub.model.state import Adapted

ZOO = "zoo:"
CLOSE = 0.85  # names that differ more are those of other models


@frozen(eq=False)
class Source:
    """A model that was found: its graph and, for a transformer, its tokenizer and where weights come from.

    `loaded` is an object that holds weights already: a bridge, or a transformer's own values. `no_tokenizer` says
    why there is none that can be used, where the model brings something. `expected` is the digest of the weights that
    the claim was frozen with, where these are no revision of the hub. Of one that is `streamed` the layers are run
    from files. `read` is what was read of a bridge that was met for the first time: who computes with it at once
    does not read it again.
    """

    name: str
    graph: Computation | TransformerGraph
    tokenizer: Tokenizer | None = None
    loaded: Any = None
    no_tokenizer: str = ""
    expected: str = ""
    streamed: bool = False
    read: Adapted | None = None


@frozen
class Streamed:
    """A directory, or a model in the hub's cache, for `model=`: its layers are run from its files, one at a time.

    Models larger than memory are tested so; numbers are those of the model in memory, to rounding.
    """

    model: str | Path

    @classmethod
    def of(cls, model: Any) -> Streamed:
        """Raises ModelError for what is no directory that can be run from its files."""
        if isinstance(model, Streamed):
            return model
        if not isinstance(model, str | Path):
            raise ModelError(
                f"--stream runs a directory of Hugging Face's from its files, and model={type(model).__name__} is in "
                "memory already: leave --stream out, or name the directory, --model DIR."
            )
        return cls(model)


def find(model: Any) -> Source:
    """What a claim's `model=` stands for. Raises ModelError when it is nothing that can be checked."""
    if isinstance(model, Streamed):
        directory(model.model)
        return evolve(find(model.model), streamed=True)
    if isinstance(model, nx.DiGraph | Computation):
        graph = model if isinstance(model, Computation) else Computation.of(model)
        return Source(graph.name, graph)
    if isinstance(model, Pinned):
        _same_revision(model)
        return evolve(_named(str(model)), expected=model.revision if of_digest(str(model)) else "")
    if isinstance(model, str | Path):
        return _named(str(model))
    if hasattr(model, "shape") and isinstance(model.shape, Shape):
        return Source(model.name, TransformerGraph(model.name, model.shape), None, model)
    if is_wrappable(model):
        from scrub.model.transformer import wrapped

        return _bridge(wrapped(model), _beside(model))
    if is_bridge(model):
        return _bridge(model, getattr(model, "tokenizer", None))
    if callable(model) and not isinstance(model, type) and not hasattr(model, "forward"):  # a network is called, too
        return find(_made(model))
    raise ModelError(
        f"model={type(model).__name__} is no model: give a name, a directory, a checkpoint (model.pt), "
        "'zoo:induction', a language model of Hugging Face's, a TransformerBridge, or a networkx.DiGraph of "
        "functions."
    )


def is_bridge(model: Any) -> bool:
    """Whether an object is a TransformerBridge, told by what it has."""
    return hasattr(model, "original_model") and hasattr(model, "cfg")


def is_wrappable(model: Any) -> bool:
    """Whether an object is a module that TransformerLens wraps: Hugging Face's, or that of a native model."""
    return is_hugging_face(model) or type(model).__name__ == "NativeModel"


def is_hugging_face(model: Any) -> bool:
    """Whether an object is a loaded model of the library `transformers`, told by what it has."""
    return all(hasattr(model, name) for name in ("config", "named_parameters", "save_pretrained")) and not is_bridge(
        model
    )


def _bridge(bridge: Any, tokenizer: Any) -> Source:
    """A loaded model. One whose tokenizer cannot be used is as good as one without: data may be token ids."""
    from scrub.model.transformer import taken_shape

    opened, why = None, ""
    name, shape, read = taken_shape(bridge)
    try:
        opened = None if tokenizer is None else open_tokenizer(tokenizer)
    except ModelError as error:
        why = str(error)
    return Source(name, TransformerGraph(name, shape), opened, bridge, why, read=read)


def _beside(model: Any) -> Path | None:
    """The tokenizer's file where a model of Hugging Face's was loaded from, if it is still there."""
    name = str(getattr(model, "name_or_path", ""))
    file = Path(name) / "tokenizer.json"
    return file if name and file.is_file() else hub_file(name, "tokenizer.json")


# What a function of `model=` made: it is called once in a process. Kept by the function, which is given nothing and
# stays alive here, so that its id stays its own.
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
    if is_checkpoint(path):
        return _checkpoint(path)
    hub = official(name)
    shape = shapes().get(name)
    if shape is None:
        config = hub_file(hub, "config.json")
        if config is None:
            raise _unknown(name)
        shape = shape_of_config(_read(config), f"config.json of {name}")
    tokenizer = hub_file(hub, "tokenizer.json")
    return Source(name, TransformerGraph(name, shape), open_tokenizer(tokenizer) if tokenizer else None)


def _home(name: str) -> Path:
    """The path that a name may be, `~` being the user's own directory. Raises ClaimError for what can be no path."""
    try:
        return path_of(name, "model=").expanduser()
    except RuntimeError:  # of a user who is not known here
        return Path(name)


def revision_of(name: str) -> str | None:
    """The revision of a model of the hub in the local cache, without loading it; None for any other model."""
    return None if of_digest(name) else cached_revision(official(name))


def of_digest(name: str) -> bool:
    """Whether a model is known by the digest of its weights: one of the zoo, and files of one's own."""
    path = _home(name)
    return name.startswith(ZOO) or path.is_dir() or is_checkpoint(path)


def has_weights(name: str) -> bool:
    """Whether the weights of such a model are there, and not only its configuration."""
    path = _home(name)
    return (
        name.startswith(ZOO)
        or path.is_file()
        or any(file for suffix in (".safetensors", ".bin") for file in path.glob(f"*{suffix}"))
    )


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

    if is_file(path := _home(name)):
        beside = f"its directory, {path.parent}" if (path.parent / "config.json").is_file() else "a directory"
        return ModelError(
            f"model {name!r} is a file, and no checkpoint, whose name ends in {', '.join(SUFFIXES)}: give one, or "
            f"{beside} with config.json, *.safetensors and tokenizer.json."
        )
    known = {re.split("[/:]", full)[-1]: full for full in (*shapes(), *(ZOO + title for title in NAMES))}
    close = nearest(re.split("[/:]", name)[-1], known, CLOSE)  # whose it is says nothing of which it is
    near = f" Did you mean {known[close]!r}?" if close and known[close] != name else ""
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
    shape = shape_of_config(_read(file), str(file))
    tokenizer = open_tokenizer(path) if (path / "tokenizer.json").is_file() else None
    return Source(str(path), TransformerGraph(path.resolve().name, shape), tokenizer)


def _checkpoint(path: Path) -> Source:
    """A file of weights; it is opened where its configuration does not say all sizes."""
    said = settings_beside(path)
    if said is None or said.missing():
        from scrub.model.checkpoints.opened import settings_of

        said = settings_of(path)
    tokenizer = open_tokenizer(path.parent) if (path.parent / "tokenizer.json").is_file() else None
    return Source(str(path), TransformerGraph(path.stem, said.shape()), tokenizer)


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} cannot be read: {unread(error)}.") from None
    if not isinstance(found, dict):
        raise ModelError(f"{file} describes no model: it holds no JSON object.")
    return found
