"""The event loop of one life of the daemon: no socket, no thread, and a sudden end whenever the world wants it.

What the daemon hands to a thread runs here, a moment later, so that a seed alone decides the order of everything.
"""

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from tests.simulation.agenda import Agenda
from tests.simulation.loop import SimulatedLoop, StuckError


class Killed(SystemExit):
    """The process is no more: nothing that it had begun goes on. (An exception that no callback can swallow.)"""


class _Jump(selectors.SelectSelector):
    """Waits for nothing: works off what the world has to do, and moves the clock to what comes next."""

    loop: "LifeLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        loop = self.loop
        until = float("inf") if timeout is None else loop.now + max(0.0, timeout)
        if loop.agenda is not None and loop.agenda.next <= until:
            loop.now = max(loop.now, loop.agenda.next)
            loop.agenda.pop()()
            loop.check()
        elif timeout is None:
            raise StuckError("all tasks wait, and nothing will wake them")
        else:
            loop.now = until
        return []


class LifeLoop(SimulatedLoop):
    """``moment()`` draws how long a thread takes to begin. ``doomed`` is set when the process is to be killed."""

    def __init__(self, agenda: Agenda, now: float, moment: Callable[[], float]) -> None:
        super().__init__(_Jump())
        self.agenda: Agenda | None = agenda
        self.now = now
        self.doomed = False
        self._moment = moment
        self._free_at: dict[Executor | None, float] = {}

    def heed(self) -> None:
        """Die, if that is due."""
        if self.doomed:
            self.doomed = False
            raise Killed

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        """Every thread here has the loop to itself while it runs."""
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run ``func`` a moment later; an executor of one thread keeps the order."""
        future = self.create_future()
        when = self.now + self._moment()
        if executor is not None:
            when = self._free_at[executor] = max(when, self._free_at.get(executor, 0.0))
        self.call_at(when, self._execute, future, func, args)
        return future

    def _execute(self, future: asyncio.Future[Any], func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if self.agenda is None:  # it was killed before the thread began
            future.cancel()
            return
        try:
            result = func(*args)  # a thread goes on even if nobody waits for it any more
        except StopIteration as error:
            raise RuntimeError from error
        except Exception as error:  # noqa: BLE001 - it goes to who waits
            if not future.cancelled():
                future.set_exception(error)
        else:
            if not future.cancelled():
                future.set_result(result)
