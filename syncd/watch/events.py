"""Where the hints of a folder come from: the system's events, or nothing, which means that it is polled."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Literal

from structlog.typing import FilteringBoundLogger

from syncd.watch.coverage import Coverage
from syncd.watch.filesystems import remote_type
from syncd.watch.observer import Hints, Mailbox, Observer
from syncd.watch.scanner import Tree

GATHER = 0.05
"""Seconds that hints gather before anybody is woken: in a burst, a wake-up for each would cost more than the work."""


class Source:
    """The events of a tree, as far as they can be had. ``wake`` is called in the event loop when there are hints."""

    def __init__(
        self,
        tree: Tree,
        mode: Literal["auto", "native", "poll"],
        *,
        wake: Callable[[], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._tree = tree
        self._mode = mode
        self._wake = wake
        self._log = log
        self._mailbox = Mailbox(self._ring)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._observer: Observer | None = None
        self._said: str | None = None
        self.detail: str | None = None
        """Why the folder is polled although nobody asked for it, and what to do about it."""

    @property
    def native(self) -> bool:
        """Whether there are events, so that scans are but a second thought."""
        return self._observer is not None

    @property
    def sound(self) -> bool:
        """Whether all is as it was armed."""
        return self._observer is None or self._observer.alive()

    def take(self) -> Hints:
        """Return the hints since the last time."""
        return self._mailbox.take()

    async def arm(self) -> None:
        """Begin anew: watch the folder that is there now. What was there before has to be scanned for."""
        await self.disarm()
        self._loop = asyncio.get_running_loop()
        self.detail = None
        if self._mode == "poll":
            return
        if self._mode == "auto" and (kind := await asyncio.to_thread(remote_type, self._tree.root)):
            self._polls(f"polled: {kind} does not tell of what other machines change")
            return
        try:
            self._observer = Observer(self._tree, self._mailbox)
            await asyncio.to_thread(self._observer.start)
        except OSError as error:
            await self._fall_back(error.strerror or str(error))
        except RecursionError:  # watchdog walks with a stack frame a level
            await self._fall_back("its folders are nested too deep")
        await self.review()

    async def disarm(self) -> None:
        """Have no more events."""
        observer, self._observer = self._observer, None
        if observer is not None:
            await asyncio.to_thread(observer.stop)
        self.take()

    async def review(self) -> bool:
        """Fall back to polling if the events turn out not to cover all directories; return whether that was so."""
        trouble = self._observer.trouble() if self._observer is not None else None
        if trouble:
            await self._fall_back(trouble)
        return trouble is not None

    async def coverage(self) -> Coverage | None:
        """Return which directories are watched now; None where all are polled, or the system does not tell."""
        if self._observer is None:
            return None
        return await asyncio.to_thread(self._observer.coverage)

    async def follow(self, links: Iterable[str]) -> bool:
        """Watch these linked directories too; True if some are new, so that files in them may have been missed."""
        if self._observer is None:
            return False
        new = await asyncio.to_thread(self._observer.follow, links)
        await self.review()
        return new

    async def _fall_back(self, reason: str) -> None:
        await self.disarm()
        self._polls(f"not all of it can be watched, so it is polled: {reason}")

    def _polls(self, detail: str) -> None:
        if detail != self._said:
            self._log.warning("folder.polling", reason=detail)
        self.detail = self._said = detail

    def _ring(self) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed; nobody wants to know any more
                self._loop.call_soon_threadsafe(self._loop.call_later, GATHER, self._wake)
