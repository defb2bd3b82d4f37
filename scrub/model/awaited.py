"""What is found out beside what else is computed, and awaited where it is needed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread

from attrs import define


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
            Thread(target=_fill, args=(self._found, self.find), daemon=True).start()

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
