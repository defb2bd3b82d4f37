"""What is found out beside what else is computed, and awaited where it is needed."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from concurrent.futures import Future
from threading import Event, Thread
from weakref import WeakSet

from attrs import define

_ending = Event()
_threads: WeakSet[Thread] = WeakSet()


class GivenUp(Exception):
    """A thread was at work as the process ended."""


@define(eq=False)
class Awaited:
    """A text that is found once: when it is asked for, or from `begin` on, by a thread of its own.

    A thread that hashes holds nobody up where there is another core: the interpreter is free meanwhile.
    """

    find: Callable[[], str]
    _found: Future[str] | None = None

    def begin(self) -> None:
        if self._found is None:
            self._found = Future()
            thread = Thread(target=_fill, args=(self._found, self.find), daemon=True)
            _threads.add(thread)
            thread.start()

    def __call__(self) -> str:
        if self._found is None:
            self._found = Future()
            _fill(self._found, self.find)
        return self._found.result()


def _fill(found: Future[str], find: Callable[[], str]) -> None:
    try:
        found.set_result(find())
    except BaseException as error:  # told to whoever asks
        found.set_exception(error)


def go_on() -> None:
    """Asked between the pieces of long work. Raises GivenUp as the process ends."""
    if _ending.is_set():
        raise GivenUp


@atexit.register
def _end() -> None:
    """An interpreter that ends under a thread of torch's aborts the process, whatever its exit code was to be."""
    _ending.set()
    for thread in tuple(_threads):
        thread.join()
