"""A device is one that this machine has: any other is told, with those that there are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import scrub
from cli_cases import scrub as command
from scrub.claims.collect import collect
from scrub.errors import ModelError
from scrub.model import device
from scrub.model.device import device_of

GPUS = ("cpu", "cuda:0", "cuda:1")
INDUCTION = Path(scrub.__file__).parents[1] / "hypotheses" / "induction.py"
ALONE = "There is cpu alone: torch"


@pytest.mark.parametrize(
    ("here", "name", "said"),
    [
        (("cpu",), "cuda", ALONE),
        (("cpu",), "mps", ALONE),
        (("cpu",), "meta", ALONE),
        (("cpu",), "xla", ALONE),
        (("cpu",), "", "--device '': no such device"),
        (("cpu",), "cpu:1", "The cpu is one device, of however many cores. Did you mean 'cpu'?"),
        (("cpu",), "CPU", "Did you mean 'cpu'?"),
        (GPUS, "cuda:7", "There is cpu, cuda:0, cuda:1."),
        (GPUS, "cuda:7", "Did you mean 'cuda:1'?"),
        (GPUS, "CUDA", "Did you mean 'cuda'?"),
        (GPUS, "gpu", "Did you mean 'cuda'?"),
        (GPUS, "gpu:1", "Did you mean 'cuda:1'?"),
        (GPUS, "cuda1", "Did you mean 'cuda:1'?"),
        (GPUS, "cuda:0,cuda:1", "one device is named (cuda:0)"),
    ],
)
def test_devices_that_are_not_there(
    monkeypatch: pytest.MonkeyPatch, here: tuple[str, ...], name: str, said: str
) -> None:
    monkeypatch.setattr(device, "devices_here", lambda: here)
    with pytest.raises(ModelError) as told:
        device_of(name)
    assert f"--device {name}" in str(told.value) or not name
    assert said in str(told.value)


@pytest.mark.parametrize("name", ["cpu", "cpu:0", torch.device("cpu"), torch.device("cpu:0")])
def test_the_cpu_is_one_device(name: str | torch.device) -> None:
    assert device_of(name) == torch.device("cpu")


def test_a_device_that_takes_no_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "devices_here", lambda: ("cpu", "mps:0"))
    if not torch.backends.mps.is_available():
        with pytest.raises(ModelError, match=r"--device mps: it is there and takes no tensor \(.*\). Use"):
            device_of("mps")


def test_commands_and_python_say_the_same() -> None:
    found = command("test", f"{INDUCTION}::induction", "--rows", 10, "--draws", 1, "--device", "meta")
    assert found.exit_code == 2
    with pytest.raises(ModelError) as told:
        scrub.run_circuit("0.3 @ END", collect([f"{INDUCTION}::induction"]).hypotheses[0], device="meta")
    assert str(told.value) in found.stderr
