"""Workers of a Ray cluster (the extra `ray`): Ray places tasks, does lost ones again, and shares what is held.

What tasks are about lies once on each machine, in Ray's object store: tensors are read from there, not copied. A
claim's own code travels with it; scrub and torch do not, and must be there in the versions that are here.
"""

from __future__ import annotations

import os
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import attrs
import torch
from attrs import define, evolve, field, frozen

from scrub.errors import ClaimError, ScrubError
from scrub.model import workers
from scrub.model.weights import Transformer
from scrub.model.workers import AHEAD, ALONE, Task, Workers, in_order, received, sent_form, work_on

Versions = Callable[[], dict[str, str]]
LOCAL = "local"  # an address: a cluster of this machine, for the time of a command
PATIENCE = 10.0  # seconds
RETRIES = 3  # times that Ray does a task again whose worker was lost


@frozen
class Cluster:
    """So many tasks at once on a cluster that this process is connected to; `versions` says what is installed."""

    address: str
    number: int
    versions: Versions = field(repr=False)
    patience: float = field(factory=lambda: workers.START)

    def each(self, tasks: Iterable[Task]) -> Iterator[Any]:
        return in_order(tasks, AHEAD * self.number, self.patience, lambda held: _Tasks(self.versions, held))

    def on(self, device: torch.device, parameters: int, streamed: bool = False) -> Workers:
        if streamed:
            raise ClaimError(
                f"--ray {self.address}: weights are sent to a cluster's machines, and with --stream they stay in "
                "files of this one: use --workers N, processes of this machine, or leave --stream out."
            )
        if device.type != "cpu":
            raise ClaimError(f"--ray {self.address}: tasks are sent to cpus, and the model lies on {device}.")
        return evolve(self, patience=0.0) if parameters > workers.LARGE else self


def connected(address: str, number: int, versions: Versions) -> Cluster:
    """The cluster at an address (`local`: one of this machine); `number` tasks at once, of 1 as many as it has cpus.

    Raises ClaimError without Ray, for an address where no cluster is, and for workers of other versions.
    """
    ray = _ray()
    if not ray.is_initialized():
        where = {"num_cpus": number if number > 1 else None} if address == LOCAL else {"address": address}
        try:
            _answering(address)
            ray.init(**where, log_to_driver=False, logging_level="ERROR", include_dashboard=False)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            told = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            raise ClaimError(
                f"--ray {address}: no cluster answers there ({told}). Start one with `ray start --head`, which "
                f"prints its address, or say --ray {LOCAL} for one of this machine."
            ) from None
    ray.util.register_serializer(torch.Tensor, serializer=sent_form, deserializer=_shared)
    ray.util.register_serializer(Transformer, serializer=_put, deserializer=_got)
    found = Cluster(address, number if number > 1 else int(ray.cluster_resources().get("CPU", 1)), versions)
    next(_probe(found))
    return found


def _answering(address: str) -> None:
    """Raises OSError where nobody listens, for which Ray would wait for many minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=PATIENCE).close()


def _ray() -> Any:
    try:
        return import_module("ray")
    except ImportError:
        raise ClaimError("--ray needs Ray, which is not installed: pip install 'causal-scrub[ray]'.") from None


def _probe(cluster: Cluster) -> Iterator[Any]:
    """One task that does nothing, sent although it is alone."""
    crew = _Tasks(cluster.versions, None)
    crew.begin(Task(None, _nothing))
    yield crew.next()


def _nothing(held: None) -> None:
    return held


def _shared(sent: Any) -> torch.Tensor:
    return received(sent, torch.device("cpu"))


_weights: WeakKeyDictionary[Transformer, Any] = WeakKeyDictionary()  # kept by the model: where its weights were put
_models: dict[str, Transformer] = {}  # kept, by a worker, by where weights were put


def _put(model: Transformer) -> Any:
    """Where its weights lie for all passes, and all that it is without them but where rows are kept."""
    if model not in _weights:
        alone = evolve(model, revision=model.revision, passes=None, workers=ALONE)
        state = {one.alias: getattr(alone, one.name) for one in attrs.fields(Transformer) if one.init}
        _weights[model] = _ray().put(state)
    return _weights[model]


def _got(put: Any) -> Transformer:
    if put.hex() not in _models:
        _models.clear()
        _models[put.hex()] = Transformer(**_ray().get(put))
    return _models[put.hex()]


@define
class _Tasks:
    """Tasks of one pass: what they hold is put into the object store once."""

    versions: Versions
    held: Any
    waiting: deque[Any] = field(factory=deque[Any], init=False)
    put: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        ray = _ray()
        for name in [name for name in sys.modules if name not in _looked_at]:
            _looked_at.add(name)
            if _travels(sys.modules[name]):
                ray.cloudpickle.register_pickle_by_value(sys.modules[name])
        self.put = ray.put(self.held)

    def begin(self, task: Task) -> None:
        ray = _ray()
        sent = ray.cloudpickle.dumps((task.run, task.given))
        remote = ray.remote(max_retries=RETRIES, num_cpus=1)(_at)
        self.waiting.append(remote.remote([self.put], self.versions, self.versions(), sent))

    def next(self) -> Any:
        ray = _ray()
        try:
            found = ray.get(self.waiting.popleft())
        except ray.exceptions.RayTaskError:
            raise  # a fault of what was computed, as it would be here
        except ray.exceptions.RayError as error:
            raise ClaimError(
                f"the cluster lost a task {RETRIES + 1} times ({type(error).__name__}): its machines end, or their "
                "memory is full. What was kept is whole: the same command goes on from there."
            ) from None
        if isinstance(found, ScrubError):
            raise found
        return found

    def close(self) -> None:
        for left in self.waiting:
            _ray().cancel(left)


_held: dict[str, Any] = {}  # kept by the object that it came from, and only the last


def _at(held: list[Any], versions: Versions, wanted: dict[str, str], sent: bytes) -> Any:
    """A task, computed by a worker; what a user can have caused is given back as it is."""
    ray = _ray()
    if (here := versions()) != wanted:
        other = ", ".join(
            f"{name} {here[name]} (here {wanted[name]})" for name in wanted if here[name] != wanted[name]
        )
        return ClaimError(
            f"a worker of the cluster has {other}: numbers may differ. Install the same on all machines."
        )
    run, given = ray.cloudpickle.loads(sent)
    if (name := held[0].hex()) not in _held:
        _held.clear()
        _held[name] = ray.get(held[0])
        work_on(_held[name])
        torch.set_num_threads(1)
    try:
        return run(_held[name], *given)
    except ScrubError as error:
        return error


_looked_at: set[str] = set()  # kept by the process, whose modules stay what they are


def _travels(module: Any) -> bool:
    """Whether a module is a user's own file, which workers cannot import: no package, and no part of Python."""
    file = getattr(module, "__file__", None) if isinstance(module, ModuleType) else None
    if file is None or module.__name__ == "__main__" or module.__name__.split(".")[0] == __name__.split(".")[0]:
        return False
    return not file.startswith(_installed())


@cache  # kept for the process
def _installed() -> tuple[str, ...]:
    """The folders of Python and its packages."""
    bases = {sys.prefix, sys.base_prefix, *map(_of, (torch, _ray()))}
    return tuple({f"{folder}{os.sep}" for base in bases for folder in (base, os.path.realpath(base))})


def _of(module: ModuleType) -> str:
    """The folder in which a package is installed, beside others."""
    return str(Path(module.__file__ or "").parents[1])
