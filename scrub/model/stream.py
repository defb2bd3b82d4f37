"""A directory's model run from its files: a layer's weights are taken as it runs, and let go after it.

Hugging Face's model is opened in the dtype of its files, so that its tensors are views of these, mapped into memory;
attention and MLP of a layer are taken of it when they are asked for (`scrub.model.later`), and two layers are held at
most. It is checked like any other: against the model's own logits, which runs from the same files, layer by layer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import torch
from attrs import define, field

from scrub.claims.dataset import Dataset
from scrub.model.later import Lending
from scrub.model.load import from_directory
from scrub.model.mapped import MappedTensors
from scrub.model.memory import Memory
from scrub.model.places import devices
from scrub.model.precision import HALF
from scrub.model.selfcheck import probe_data
from scrub.model.shards import directory, dtype_of, stamps
from scrub.model.take import Take
from scrub.model.transformer import adapt_in_parts, bridge_of, compare_in_parts
from scrub.model.weights import Transformer

DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}
CHECKED = "layers run from files; logits compared with the model's own, which ran from the same files in {dtype}"


@define(eq=False)
class _Opened:
    """A directory that is open: its bridge, its weights, also in full precision, and the rows that were compared."""

    bridge: Any
    model: Transformer
    exact: Transformer
    compared: set[tuple[Any, ...]] = field(factory=set[tuple[Any, ...]])


# Kept by the directory, the sizes and times of its files, and how they are taken: the one that was opened last.
_opened: dict[tuple[Any, ...], _Opened] = {}


def stream(source: str | Path, take: Take, data: Dataset | None, memory: int | None) -> Transformer:
    """The checked weights of a directory, or of a model in the hub's cache, run from its files.

    A directory is opened once, as long as its files stay what they are. Raises ModelError for what is none, for
    weights that are no `.safetensors`, with the names of those that are missing, and for all that `adapt` refuses.
    """
    path = directory(source)
    files = sorted(path.glob("*.safetensors"))
    key = stamps((path / "config.json", *files)), take
    if key not in _opened:
        _opened.clear()  # before another one is in memory
        _opened[key] = _open(path, files, take)
    found = _opened[key]
    model = attrs.evolve(found.model, memory=Memory.on(devices(found.model), memory))
    rows = probe_data(model, data)
    told = *rows[0].flatten().tolist(), *rows[1].tolist()
    if told not in found.compared:
        compare_in_parts(model, attrs.evolve(found.exact, memory=model.memory), found.bridge, rows)
        found.compared.add(told)
    return model


def _open(path: Path, files: list[Path], take: Take) -> _Opened:
    module = from_directory(path, DTYPES[dtype_of(path)])
    mapped = MappedTensors.of(module.parameters(), files)
    bridge = bridge_of(module, path.name, mapped.let_go)
    model, exact = adapt_in_parts(bridge, path.name, attrs.evolve(take, lending=Lending(mapped.let_go)))
    mapped.let_go()
    precisions = (exact.dtype, model.precision) if model.precision in HALF else (exact.dtype,)
    told = " and in ".join(str(dtype).removeprefix("torch.") for dtype in precisions)
    return _Opened(bridge, attrs.evolve(model, checked=CHECKED.format(dtype=told)), exact)
