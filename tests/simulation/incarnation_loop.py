"""The event loop of one incarnation of the daemon: without sockets or threads.

Work that the daemon passes to a thread runs on the loop after a short random delay, so that the seed alone decides the
order of all events. The clock comes from :mod:`tests.simulation.event_loop`.
"""

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from tests.simulation.event_loop import SimulatedLoop, StuckError
from tests.simulation.schedule import Schedule


class Killed(SystemExit):
    """The process was killed. No callback can catch this exception."""


class _Jump(selectors.SelectSelector):
    """Never waits: runs the world's next action, or moves the clock to the next timer."""

    loop: "IncarnationLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        loop = self.loop
        until = float("inf") if timeout is None else loop.now + max(0.0, timeout)
        if loop.schedule is not None and loop.schedule.next <= until:
            loop.now = max(loop.now, loop.schedule.next)
            loop.schedule.pop()()
            loop.check()
        elif timeout is None:
            raise StuckError("all tasks wait, and nothing will wake them")
        else:
            loop.now = until
        return []


class IncarnationLoop(SimulatedLoop):
    """The event loop of one process of the daemon.

    ``moment()`` returns the random start delay of a thread, in seconds; ``doomed`` requests a kill.
    """

    def __init__(self, schedule: Schedule, now: float, moment: Callable[[], float]) -> None:
        super().__init__(_Jump())
        self.schedule: Schedule | None = schedule
        self.now = now
        self.doomed = False
        self._moment = moment
        self._free_at: dict[Executor | None, float] = {}

    def check(self) -> None:
        """Raise :class:`Killed` if the world has killed this process."""
        if self.doomed:
            self.doomed = False
            raise Killed

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        """Schedule ``callback``: only one thread or the loop runs at any time."""
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run ``func`` after a short delay; calls to the same executor keep their order."""
        future = self.create_future()
        when = self.now + self._moment()
        if executor is not None:
            when = self._free_at[executor] = max(when, self._free_at.get(executor, 0.0))
        self.call_at(when, self._execute, future, func, args)
        return future

    def _execute(self, future: asyncio.Future[Any], func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if self.schedule is None:  # the process was killed before the thread began
            future.cancel()
            return
        try:
            result = func(*args)  # a thread continues even if its caller was cancelled
        except StopIteration as error:
            raise RuntimeError from error
        except Exception as error:  # noqa: BLE001 - the caller receives it
            if not future.cancelled():
                future.set_exception(error)
        else:
            if not future.cancelled():
                future.set_result(result)
