"""Runs the real code of the store's writer thread under the simulated clock.

The thread and the event loop hand a baton to each other, so that only one of them ever runs, and the loop decides when
it is the thread's turn. Stands in for the module ``threading`` in the store.
"""

import threading
from collections.abc import Callable
from typing import Any

from tests.simulation.incarnation_loop import IncarnationLoop


class _Dead(BaseException):
    """Ends the thread of a killed process."""


class Threads:
    """The threads of one incarnation. ``before`` and ``after`` are called around each turn."""

    def __init__(
        self, loop: IncarnationLoop, moment: Callable[[], float], before: Callable[[], None], after: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._moment = moment
        self._before = before
        self._after = after
        self._go = threading.Lock()
        self._done = threading.Lock()
        self._go.acquire()
        self._done.acquire()
        self._turn_due = False
        self._dead = False
        self._thread: threading.Thread | None = None

    # The names of the module ``threading`` that the store uses.

    def Thread(self, *, target: Callable[[], None], name: str, daemon: bool) -> "Threads":  # noqa: N802
        """Create the only thread."""
        self._thread = threading.Thread(target=self._run, args=(target,), name=name, daemon=daemon)
        return self

    def Condition(self) -> "Threads":  # noqa: N802
        """Create the only condition."""
        return self

    # The thread.

    def start(self) -> None:
        assert self._thread is not None
        self._thread.start()
        self.notify()

    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def join(self) -> None:
        assert self._thread is not None
        self._thread.join()

    def kill(self) -> None:
        """End the thread at its current point; its transaction is rolled back."""
        self._dead = True
        if self.is_alive():
            self._go.release()
            self.join()

    def _run(self, target: Callable[[], None]) -> None:
        self._go.acquire()
        try:
            if not self._dead:
                target()
        except _Dead:
            pass
        finally:
            self._done.release()

    # The condition.

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def notify(self) -> None:
        if not self._turn_due:
            self._turn_due = True
            self._loop.call_later(self._moment(), self._poll)

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """In the thread: run the loop until the thread may continue."""
        deadline = None if timeout is None else self._loop.now + timeout
        while not (result := predicate()):
            if deadline is not None:
                if self._loop.now >= deadline:
                    break
                self._loop.call_at(deadline, self._poll)
            self._done.release()
            self._go.acquire()
            if self._dead:
                raise _Dead
        return result

    def _poll(self) -> None:
        if not self.is_alive():
            return
        self._turn_due = False
        self._before()
        self._loop.check()
        self._go.release()
        self._done.acquire()
        self._after()
        self._loop.check()
