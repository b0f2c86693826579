"""Provides a folder's events where the system reports them, and else polling.

Decides between events and polling, and falls back to polling when the events do not cover the whole folder. The events
themselves come from :mod:`syncd.watch.observer` and go into the folder's :class:`syncd.watch.hints.HintBuffer`.
"""

import asyncio
from collections.abc import Iterable
from typing import Literal

from structlog.typing import FilteringBoundLogger

from syncd.platform.file_info import remote_file_system
from syncd.watch.hints import HintBuffer
from syncd.watch.kernel_watches import KernelWatches
from syncd.watch.observer import Observer
from syncd.watch.scanner import WatchedTree


class EventSource:
    """Watches a tree for events, as far as the system can. Belongs to one event loop."""

    def __init__(
        self,
        tree: WatchedTree,
        mode: Literal["auto", "native", "poll"],
        *,
        hints: HintBuffer,
        log: FilteringBoundLogger,
    ) -> None:
        self._tree = tree
        self._mode = mode
        self._hints = hints
        self._log = log
        self._observer: Observer | None = None
        self._logged_reason: str | None = None
        self.polling_reason: str | None = None
        """Why the folder is polled although the configuration does not ask for it, and how to change that."""

    @property
    def native(self) -> bool:
        """True if the system reports events, so that scans are only a safety net."""
        return self._observer is not None

    @property
    def healthy(self) -> bool:
        """False if the events that were started no longer arrive."""
        return self._observer is None or self._observer.is_alive()

    async def start(self) -> None:
        """Watch the folder that is at the path now. The caller scans for earlier changes."""
        await self.stop()
        self._hints.attach(asyncio.get_running_loop())
        self.polling_reason = None
        if self._mode == "poll":
            return
        if self._mode == "auto" and (kind := await asyncio.to_thread(remote_file_system, self._tree.root)):
            self._poll_because(f"polled: {kind} does not report changes that other machines make")
            return
        try:
            self._observer = Observer(self._tree, self._hints)
            await asyncio.to_thread(self._observer.start)
        except OSError as error:
            await self._fall_back(error.strerror or str(error))
        except RecursionError:  # watchdog recurses once for each level of directories
            await self._fall_back("its folders are nested too deep")
        await self.check_coverage()

    async def stop(self) -> None:
        """Stop watching and discard the hints that are left."""
        observer, self._observer = self._observer, None
        if observer is not None:
            await asyncio.to_thread(observer.stop)
        self._hints.drain()

    async def check_coverage(self) -> bool:
        """Fall back to polling if some directories have no watch; return True if so."""
        reason = self._observer.unwatched_reason() if self._observer is not None else None
        if reason:
            await self._fall_back(reason)
        return reason is not None

    async def kernel_watches(self) -> KernelWatches | None:
        """Return which directories are watched now.

        Return None if the folder is polled or the system does not report its watches.
        """
        if self._observer is None:
            return None
        return await asyncio.to_thread(self._observer.kernel_watches)

    async def watch_links(self, links: Iterable[str]) -> bool:
        """Watch these linked directories too.

        Return True if some are new: files in them may have been missed.
        """
        if self._observer is None:
            return False
        new = await asyncio.to_thread(self._observer.watch_links, links)
        await self.check_coverage()
        return new

    async def _fall_back(self, reason: str) -> None:
        await self.stop()
        self._poll_because(f"polled, because not all of it can be watched: {reason}")

    def _poll_because(self, reason: str) -> None:
        if reason != self._logged_reason:
            self._log.warning("folder.polling", reason=reason)
        self.polling_reason = self._logged_reason = reason
