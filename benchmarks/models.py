"""Which architectures are accepted, and how exactly: a tiny random model of each, in a process of its own.

python benchmarks/models.py                      # about three minutes; writes docs/models.md
python benchmarks/models.py GPT2LMHeadModel ...  # these alone, printed

Every model is saved and read by its directory, and taken as a loaded bridge. Compared are logits at every position
with the model's own, and three arrays with the bridge's hooks: `hook_z`, `hook_mlp_out`, and the logits after a head
of the last layer was given another row's z there while the layer's MLP kept its own (a direct effect). Errors are the
largest differences, over the standard deviation of what is compared.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import logging
import multiprocessing
import re
import resource
import signal
import sys
import tempfile
import types
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from attrs import evolve, frozen
from tiny import CLASSES, tiny
from torch import Tensor

from scrub.errors import ScrubError
from scrub.model.layers import unembed
from scrub.model.load import load
from scrub.model.selfcheck import probe
from scrub.model.source import find
from scrub.model.trace import trace
from scrub.model.transformer import adapt, bridge_of
from scrub.model.weights import Transformer

PAGE = Path(__file__).resolve().parents[1] / "docs" / "models.md"
BYTES, SECONDS = 12 * 2**30, 90  # of a model's process
WRONG = 1e-4  # an error above is one of ours


@frozen
class Found:
    """What was found of one architecture; `refused` says why in the words that users see."""

    name: str
    directory: bool = False
    bridge: bool = False
    refused: str = ""
    logits: float | None = None
    z: float | None = None
    mlp: float | None = None
    direct: float | None = None
    fault: str = ""  # what should not be: a traceback, a limit, another shape by the directory

    @property
    def errors(self) -> list[float]:
        return [error for error in (self.logits, self.z, self.mlp, self.direct) if error is not None]

    @property
    def wrong(self) -> bool:
        return bool(self.fault) or any(not error < WRONG for error in self.errors)


def names() -> list[str]:
    """The architectures of TransformerLens, by name."""
    from transformer_lens.factories.architecture_adapter_factory import SUPPORTED_ARCHITECTURES

    return sorted(SUPPORTED_ARCHITECTURES, key=str.lower)


def examined(name: str) -> Found:
    """One architecture, here and now."""
    import transformers

    found = Found(name)
    if not hasattr(transformers, CLASSES.get(name, name)):
        return evolve(found, refused="not built: it is no class of the installed transformers.")
    try:
        module = tiny(name)
    except Exception as error:
        return evolve(found, refused=f"not built ({type(error).__name__}): {str(error).strip()[:200]}")
    found = _by_directory(found, module)
    refused = ""
    for dtype in (torch.float64, torch.float32):  # some bridges do not run in fp64
        try:
            module = tiny(name).to(dtype)
            module.config.architectures = [name]
            bridge: Any = bridge_of(module, name)
            return _compared(evolve(found, bridge=True), adapt(bridge, dtype=dtype), bridge)
        except ScrubError as error:
            refused = _why(error)
        except Exception as error:
            return evolve(found, fault=f"traceback: {type(error).__name__}: {str(error)[:200]}")
    return evolve(found, refused=refused)


def _why(error: ScrubError) -> str:
    """A refusal without what it says to do, which is the same in every line."""
    return re.split(r" (?:No other|A|Another) revision |; docs/models\.md | Load it anew", str(error))[0]


def _by_directory(found: Found, module: Any) -> Found:
    with tempfile.TemporaryDirectory() as folder:
        module.save_pretrained(folder)
        _named_as_published(Path(folder) / "config.json", found.name)
        try:
            graph: Any = find(folder).graph
            weights = load(folder)
        except ScrubError as error:
            return evolve(found, refused=_why(error).replace(folder, "DIR"))
        except Exception as error:
            return evolve(found, fault=f"traceback by directory: {type(error).__name__}: {str(error)[:200]}")
        same = evolve(graph.shape, family="") == evolve(weights.shape, family="")
        return evolve(found, directory=True, fault="" if same else f"{graph.shape} and {weights.shape}")


def _named_as_published(file: Path, name: str) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), "architectures": [name]}))


@torch.no_grad()
def _compared(found: Found, model: Transformer, bridge: Any) -> Found:
    tokens, _ = probe(model, 9)
    lengths = torch.full((len(tokens),), tokens.shape[1])
    theirs, cache = bridge.run_with_cache(tokens)
    kept: dict[tuple[str, int], Tensor] = {}
    final = trace(model, tokens, lengths, lambda kind, layer, x: kept.update({(kind, layer): x}))
    layers = range(model.shape.n_layers)
    last = layers[-1]
    hooks = {"z": "attn.hook_z", "mlp_out": "hook_mlp_out"}
    worst = {
        kind: _worst([(kept[kind, layer], _held(cache, f"blocks.{layer}.{hook}")) for layer in layers])
        for kind, hook in hooks.items() if (kind, last) in kept
    }  # fmt: skip
    found = evolve(found, logits=_apart(unembed(model, final), theirs), z=worst["z"], mlp=worst.get("mlp_out"))
    return evolve(found, direct=_direct(model, bridge, tokens, kept, cache))


def _direct(model: Transformer, bridge: Any, tokens: Tensor, kept: dict[Any, Tensor], cache: Any) -> float | None:
    last, heads = model.shape.n_layers - 1, model.shape.n_heads
    other, fired = kept["z", last].roll(1, 0)[:, :, 1], set[str]()

    def put(z: Tensor) -> Tensor:
        wide = z.reshape(*z.shape[:2], heads, -1).clone()
        wide[:, :, 1] = other
        return wide.reshape(z.shape)

    def theirs(z: Tensor, hook: Any) -> Tensor:
        fired.add("z")
        return put(z)

    hooks: list[tuple[str, Callable[..., Tensor]]] = [(f"blocks.{last}.attn.hook_z", theirs)]
    own = _held(cache, f"blocks.{last}.hook_mlp_out")
    if own is not None:
        hooks.append((f"blocks.{last}.hook_mlp_out", lambda value, hook: own.clone()))
    wanted = bridge.run_with_hooks(tokens, fwd_hooks=hooks)
    if not fired:
        return None

    def ours(kind: str, layer: int, value: Tensor) -> Tensor | None:
        if layer == last and kind == "z":
            return put(value)
        return kept[kind, layer] if layer == last and kind == "mlp_out" else None

    lengths = torch.full((len(tokens),), tokens.shape[1])
    return _apart(unembed(model, trace(model, tokens, lengths, ours)), wanted)


def _held(cache: Any, name: str) -> Tensor | None:
    try:
        return cache[name]
    except KeyError:
        return None


def _worst(pairs: list[tuple[Tensor, Tensor | None]]) -> float | None:
    """The largest error over layers; None where a hook does not fire."""
    there = [(ours, theirs) for ours, theirs in pairs if theirs is not None and theirs.numel() == ours.numel()]
    return max((_apart(ours, theirs) for ours, theirs in there), default=None)


def _apart(ours: Tensor, theirs: Tensor) -> float:
    theirs = theirs.reshape(ours.shape)
    return float((ours - theirs).abs().max() / theirs.std())


def in_own_process(name: str) -> Found:
    """One architecture, in a process with bounds on memory and time; what is loaded here is loaded there."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()
    process = context.Process(target=_child, args=(name, theirs))
    process.start()
    theirs.close()
    try:
        return Found(**mine.recv())
    except EOFError:
        return Found(name, fault=f"its process was ended: more than {SECONDS} s or {BYTES / 2**30:.0f} GB")
    finally:
        process.join()


def _child(name: str, pipe: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    signal.alarm(SECONDS)
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        try:
            found = examined(name)
        except Exception as error:
            found = Found(name, fault=f"{type(error).__name__}: {str(error)[:200]}")
    pipe.send({field: getattr(found, field) for field in Found.__annotations__})


def shown(found: Found) -> str:
    """A line of the table."""
    errors = [("" if error is None else f"{error:.0e}") for error in (found.logits, found.z, found.mlp, found.direct)]
    marks = ["yes" if found.directory else "no", "yes" if found.bridge else "no"]
    return f"| {found.name} | {' | '.join([*marks, *errors])} | {found.fault or _reason(found)} |"


def _reason(found: Found) -> str:
    return " ".join(found.refused.split()).replace("|", "/")


def _stand_in_for_torchvision() -> None:
    """TransformerLens asks for it before it takes a model that sees, though text alone does not need it."""
    if importlib.util.find_spec("torchvision") is None:
        stand_in = types.ModuleType("torchvision")
        stand_in.__spec__ = importlib.machinery.ModuleSpec("torchvision", None)
        sys.modules["torchvision"] = stand_in


def main() -> None:
    import transformers  # noqa: F401  (before the stand-in: it asks which are installed)

    _stand_in_for_torchvision()
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    asked = sys.argv[1:]
    found = [in_own_process(name) for name in asked or names()]
    lines = [
        "| architecture | by directory | as a bridge | logits | `hook_z` | `hook_mlp_out` | direct | refused |",
        "|---|---|---|---|---|---|---|---|", *map(shown, found),
    ]  # fmt: skip
    whole = sum(one.directory and one.bridge and not one.wrong for one in found)
    wrong = [one.name for one in found if one.wrong]
    lines += [
        "",
        f"{whole} of {len(found)} accepted and right, {len(wrong)} wrong {json.dumps(wrong) if wrong else ''}",
    ]
    print("\n".join(lines))
    if not asked:
        head, _, rest = PAGE.read_text().partition("<!-- table -->")
        tail = rest.partition("<!-- end -->")[2]
        PAGE.write_text(head + "<!-- table -->\n" + "\n".join(lines) + "\n<!-- end -->" + tail)


if __name__ == "__main__":
    main()
