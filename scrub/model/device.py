"""Which devices this machine has, and the one that a name stands for."""

from __future__ import annotations

import torch

from scrub.errors import ModelError, did_you_mean, some

CPU = "cpu"
_MEANT = {"gpu": "cuda", "nvidia": "cuda", "metal": "mps", "apple": "mps"}  # what torch calls them


def devices_here() -> tuple[str, ...]:
    """`("cpu", "cuda:0", "cuda:1")`: every device on which torch can compute here."""
    if not torch.accelerator.is_available():
        return (CPU,)
    kind = torch.accelerator.current_accelerator()
    assert kind is not None
    return (CPU, *(f"{kind.type}:{number}" for number in range(torch.accelerator.device_count())))


def device_of(name: str | torch.device | None) -> torch.device | None:
    """The device called `cpu`, `cuda` (its first) or `cuda:1`; None for none.

    Raises ModelError for what is no device of this machine, with those that are, and for one that takes no tensor.
    """
    if name is None:
        return None
    here, asked = devices_here(), str(name)
    _refuse_several(asked)
    if asked not in {*here, *_kinds(here), "cpu:0"}:
        raise ModelError(_not_here(asked, here))
    device = torch.device(CPU if asked == "cpu:0" else asked)
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        said = str(error).splitlines()[0].rstrip(".")
        raise ModelError(f"--device {asked}: it is there and takes no tensor ({said}). Use --device cpu.") from None
    return device


def _kinds(here: tuple[str, ...]) -> dict[str, None]:
    return dict.fromkeys(one.split(":")[0] for one in here)


def _not_here(asked: str, here: tuple[str, ...]) -> str:
    kind, *number = asked.strip().lower().split(":")
    if kind == CPU:
        near = f"{' The cpu is one device, of however many cores.' if number else ''} Did you mean 'cpu'?"
    else:
        near = did_you_mean(":".join([_MEANT.get(kind, kind), *number]), [*_kinds(here), *here], 0.6)
    there = some(here, 8) if len(here) > 1 else f"cpu alone: torch {torch.__version__} finds no other device"
    return f"--device {asked or repr('')}: no such device here.{near} There is {there}."


def _refuse_several(name: str) -> None:
    if len(names := name.replace(",", " ").split()) > 1:
        raise ModelError(
            f"--device {name}: one device is named ({names[0]}). For layers on several give a loaded model, "
            'model=AutoModelForCausalLM.from_pretrained(NAME, device_map="balanced"), and no device.'
        )
