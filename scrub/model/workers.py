"""Who computes: this process alone, or workers, each of which holds what tasks are about.

A task is a function of a module, on something large that is the same for many tasks and on something small of its
own. One process draws and makes tasks; what they give comes back in their order, so that numbers do not depend on who
computed them. A task changes nothing, and is done again where a worker was lost.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from attrs import define, evolve, field, frozen

from scrub.errors import ClaimError

START = 0.2  # seconds that it takes to start workers, and to end them
LARGE = 10_000_000  # parameters of a model of which every task takes longer
AHEAD = 2  # tasks for each worker that are made before the first of them is waited for
MOST = 32  # workers for each cpu: more are a slip of the hand, which would start them all
LOSSES = 3  # times running that workers are lost before anything comes back
_DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux


@frozen(eq=False)
class Task:
    """`run(held, *given)`. All tasks of one pass hold the same."""

    held: Any
    run: Callable[..., Any]
    given: tuple[Any, ...] = ()

    def compute(self) -> Any:
        return self.run(self.held, *self.given)


@runtime_checkable
class Workers(Protocol):
    """Computes tasks; a value, which may be copied and sent anywhere."""

    @property
    def number(self) -> int: ...

    def each(self, tasks: Iterable[Task]) -> Iterator[Any]:
        """What tasks give, in their order; they are made as they are needed."""
        ...

    def on(self, device: torch.device, parameters: int, streamed: bool = False) -> Workers:
        """These for a model of so many parameters, or one whose layers are `streamed` from files.

        Raises ClaimError for what they cannot share.
        """
        ...


@frozen
class Alone:
    """This process."""

    number: int = 1

    def each(self, tasks: Iterable[Task]) -> Iterator[Any]:
        return (task.compute() for task in tasks)

    def on(self, device: torch.device, parameters: int, streamed: bool = False) -> Workers:
        return self


ALONE = Alone()


@runtime_checkable
class Crew(Protocol):
    """Workers that were started for one pass."""

    def begin(self, task: Task) -> None: ...
    def next(self) -> Any: ...
    def close(self) -> None: ...


def in_order(tasks: Iterable[Task], most: int, patience: float, crew: Callable[[Any], Crew]) -> Iterator[Any]:
    """What tasks give, `most` of them begun at once; this process does what takes no longer than its patience."""
    waiting, spent = iter(tasks), 0.0
    task = next(waiting, None)
    while task is not None and (_working or (task.run not in _slow and spent < patience)):
        began = time.perf_counter()
        yield task.compute()
        spent += time.perf_counter() - began
        if spent >= patience:
            _slow.add(task.run)
        task = next(waiting, None)
    more = next(waiting, None)
    if task is None or more is None:
        yield from ALONE.each([] if task is None else [task])
        return
    yield from _shared(chain((task, more), waiting), most, crew(task.held))


def _shared(tasks: Iterable[Task], most: int, crew: Crew) -> Iterator[Any]:
    begun = 0
    try:
        for task in tasks:
            crew.begin(task)
            begun += 1
            if begun == most:
                yield crew.next()
                begun -= 1
        for _ in range(begun):
            yield crew.next()
    finally:
        crew.close()


@frozen
class Copies:
    """Processes on this machine: copies of this one as it is when a pass begins, whose memory they read.

    Weights and rows are held once, whatever their number, and what a claim's code is needs no name. Each computes on
    one thread. Raises ClaimError where workers are killed again and again.
    """

    number: int
    patience: float = field(factory=lambda: START)

    def each(self, tasks: Iterable[Task]) -> Iterator[Any]:
        return in_order(tasks, AHEAD * self.number, self.patience, lambda held: _Pool(self.number, held))

    def on(self, device: torch.device, parameters: int, streamed: bool = False) -> Workers:
        if device.type != "cpu":
            raise ClaimError(
                f"--workers {self.number}: workers are copies of this process on the cpu, and what lies on {device} "
                "cannot be copied. Start the same command for each device with one --out DIR instead: they share "
                "its blocks."
            )
        return evolve(self, patience=0.0) if parameters > LARGE else self


@define
class _Begun:
    task: Task
    future: Future[Any]


@define
class _Pool:
    """A pool of copies; one that lost a worker is made anew, and what it had not finished begun again."""

    number: int
    held: Any
    waiting: deque[_Begun] = field(factory=deque[_Begun], init=False)
    executor: ProcessPoolExecutor = field(init=False)
    losses: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.executor = self._started()

    def _started(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("fork")
        return ProcessPoolExecutor(self.number, context, initializer=_hold, initargs=(self.held, os.getpid()))

    def begin(self, task: Task) -> None:
        try:
            self.waiting.append(_Begun(task, self._submitted(task)))
        except BrokenProcessPool:
            self._again()
            self.begin(task)

    def next(self) -> Any:
        while True:
            try:
                found = self.waiting[0].future.result()
            except BrokenProcessPool:
                self._again()
                continue
            self.losses = 0
            self.waiting.popleft()
            return found

    def close(self) -> None:
        self.executor.shutdown(wait=True, cancel_futures=True)

    def _submitted(self, task: Task) -> Future[Any]:
        # Python 3.12 warns of threads beside a fork: a worker has one of its own
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return self.executor.submit(_run, task.run, task.given)

    def _again(self) -> None:
        self.losses += 1
        self.close()
        if self.losses == LOSSES:
            raise ClaimError(
                f"workers were killed {LOSSES} times running before any had finished, as a machine does whose memory "
                f"is full: try fewer than --workers {self.number}, or less --memory. What was kept is whole."
            )
        self.executor = self._started()
        for begun in self.waiting:
            if not begun.future.done() or begun.future.cancelled() or begun.future.exception() is not None:
                begun.future = self._submitted(begun.task)


Sent = tuple[np.ndarray, torch.dtype]  # a tensor as its bytes, which go through any pipe


def sent_form(value: torch.Tensor) -> Sent:
    """A tensor without its padding between rows; numpy does not know every dtype."""
    return value.detach().cpu().contiguous().view(torch.uint8).numpy(), value.dtype


def received(sent: Sent, device: torch.device) -> torch.Tensor:
    with warnings.catch_warnings():  # nothing writes to what is shared, which torch cannot know
        warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
        return torch.from_numpy(sent[0]).view(sent[1]).to(device)


_slow: set[Callable[..., Any]] = set()  # kept by the process: what took longer than to start workers
_working: list[Any] = []  # kept by the process: what a worker holds, from its start to its end


def _hold(held: Any, parent: int) -> None:
    """The first thing that a worker does. Ctrl-C is its parent's to hear, with which it dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != parent:  # it was killed before this
            os._exit(1)
    torch.set_num_threads(1)  # threads of the parent are not copied, and to wait for them takes for ever
    work_on(held)


def work_on(held: Any) -> None:
    """From now on this process is a worker, which has none of its own."""
    _working[:] = [held]


def _run(run: Callable[..., Any], given: tuple[Any, ...]) -> Any:
    return run(_working[0], *given)


def countable_workers(number: Any) -> None:
    """Raises ClaimError for what is no number of workers."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ClaimError(f"--workers {number!r}: write how many processes compute, a whole number from 1 on.")


def copies(number: Any) -> Workers:
    """So many processes on this machine.

    Raises ClaimError for none, for far more than it has cpus, and where processes cannot be copied.
    """
    countable_workers(number)
    if number > (most := MOST * (os.cpu_count() or 1)):
        raise ClaimError(
            f"--workers {number}: each is a process, and this machine has {os.cpu_count() or 1} cpus: as many "
            f"workers as cpus are usual, and {most} at most."
        )
    if number > 1 and "fork" not in multiprocessing.get_all_start_methods():
        raise ClaimError(
            f"--workers {number}: this system cannot copy a process. Start the same command several times with one "
            "--out DIR instead: they share its blocks."
        )
    return ALONE if number == 1 else Copies(number)
