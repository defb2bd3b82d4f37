"""`scrub new --from-graph`: a hypothesis file to start from, after an attribution graph and its transcoders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from scrub.claims.dictionaries.card import StoredDictionary
from scrub.claims.dictionaries.layouts import read
from scrub.errors import ClaimError, path_of, some
from scrub.model.known import shapes
from scrub.proposals.attributed import read_graph
from scrub.proposals.from_graph import GraphSetting, graph_file, layers_of
from scrub.proposals.supernodes import story_of
from scrub.storage.files import path_from, write_text
from scrub.verbs.new import free_for_a_claim, given_model

Found = tuple[Path, StoredDictionary]


def write_from_graph(file: Path, graph: Path, dictionaries: Sequence[Path] = (), model: str | None = None) -> None:
    """Write a hypothesis file after an attribution graph: its groups as variables over latents of transcoders.

    `dictionaries` are transcoders, or folders of them, as `latents` reads them; those of layers that are not among
    them are stubs, and so is what the variables compute. `model` is a name or a directory; unsaid, that of the
    transcoders, or of the graph. Raises ClaimError for a file that exists, for a graph that cannot be read or has
    nothing grouped, and for dictionaries that do not have its latents.
    """
    free_for_a_claim(file)
    found = read_graph(path_of(graph, "--from-graph"))
    story = story_of(found)
    used = _used(layers_of(story), [path_of(one, "--dictionary") for one in dictionaries])
    name = given_model(model) if model is not None else _model(found.model, [one for _, one in used.values()])
    written = {layer: path_from(file, path) for layer, (path, _) in used.items()}
    write_text(file, graph_file(found, story, GraphSetting(file.name, name, written)).rstrip())


def _used(layers: Mapping[int, tuple[int, ...]], given: Sequence[Path]) -> dict[int, Found]:
    """The transcoder of each layer that has one. Raises ClaimError with all that do not fit."""
    found: dict[int, Found] = {}
    problems: list[str] = []
    for path, dictionary in (one for folder in given for one in _read(folder)):
        layer, of = _layer(dictionary), dictionary.card.host or "no known place"
        if layer is None:
            latents = "the latents of a graph are of transcoders of MLPs"
            problems.append(f"--dictionary {path}: it is of {of}, and {latents}.")
        elif layer in layers:
            problems += _unfit(path, dictionary, layers[layer], found.get(layer))
            found[layer] = (path, dictionary)
    if problems:
        raise ClaimError("\n".join(problems))
    return found


def _layer(dictionary: StoredDictionary) -> int | None:
    """The layer of a transcoder, None for another dictionary."""
    host = dictionary.card.host
    return host.layer if host is not None and dictionary.card.reads else None


def _unfit(path: Path, dictionary: StoredDictionary, latents: Sequence[int], known: Found | None) -> Iterator[str]:
    of = dictionary.card.host
    if known is not None:
        yield f"--dictionary {path}: a second one of {of}, beside {known[0]}: name one."
    if beyond := [number for number in latents if number >= dictionary.count]:
        yield (
            f"--dictionary {path}: it has {dictionary.count} latents, and the graph names {some(beyond, 3)} of {of}: "
            "give the transcoders that the graph was made with."
        )


def _read(path: Path) -> Iterator[Found]:
    """The dictionary at a path, or those of the files and folders in it."""
    try:
        yield path, read(path)
        return
    except ClaimError as error:
        refused = error
    inner = (
        sorted(one for one in path.iterdir() if one.is_dir() or one.suffix == ".safetensors") if path.is_dir() else []
    )
    if not inner:
        raise refused
    for one in inner:
        yield one, read(one)


def _model(said: str, used: Sequence[StoredDictionary]) -> str:
    """The model's name by the transcoders, else by the graph, with its owner where it is a well-known one."""
    names = {one.card.model for one in used if one.card.model}
    name = names.pop() if len(names) == 1 else said
    known = [full for full in shapes() if full.rpartition("/")[2].lower() == name.lower()]
    return known[0] if known and "/" not in name else name
