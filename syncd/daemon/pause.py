"""Pauses and resumes uploading, and keeps the user's choice in the job store.

:class:`~syncd.daemon.daemon.Daemon` passes ``ctl stop`` and ``ctl start`` to it. :mod:`~syncd.daemon.runtime` reads the
choice at the start, before the first upload.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from syncd.asyncio_tools import wait_for_event
from syncd.daemon.after_upload import AfterUploadTask
from syncd.daemon.runtime import PAUSED_SETTING, RESUMED, Runtime

log = structlog.get_logger()

CLOCK_CHECK_INTERVAL_SECONDS = 30.0
"""Longest time between two looks at the clock: a suspend or a correction of the clock can skip a part of the wait."""
_WITHOUT_END = "yes"


class Pause:
    """The pause of the uploads.

    ``until`` is its end; None if there is no pause, or if only the user ends it. ``now`` returns the current time.
    """

    def __init__(
        self, runtime: Runtime, after_upload: AfterUploadTask, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.until: datetime | None = None
        self._runtime = runtime
        self._after_upload = after_upload
        self._now = now
        self._changed = asyncio.Event()
        self._lock = asyncio.Lock()

    async def restore(self) -> None:
        """Read the end of a pause from an earlier run, to continue it.

        :meth:`run` ends the pause if that time has passed.
        """
        with suppress(ValueError):  # no end
            self.until = datetime.fromisoformat(await self._runtime.store.get_setting(PAUSED_SETTING) or "")

    async def begin(self, *, now: bool, until: datetime | None) -> None:
        """Pause uploading and the removal of uploaded files.

        ``now`` interrupts the requests in flight.
        """
        async with self._lock:
            value = _WITHOUT_END if until is None else until.astimezone(UTC).isoformat()
            await self._runtime.store.set_setting(PAUSED_SETTING, value)
            self._set_end(until)
        async with self._after_upload.suspended():
            await self._runtime.scheduler.pause(now=now)
        log.info("daemon.paused", now=now, until=None if until is None else until.isoformat(timespec="seconds"))

    async def end(self) -> None:
        """Resume uploading."""
        async with self._lock:
            await self._resume()

    async def run(self) -> None:
        """End each pause at its end."""
        while True:
            if self.until is None:
                await self._changed.wait()
            elif (left := (self.until - self._now()).total_seconds()) > 0:
                await wait_for_event(self._changed, min(left, CLOCK_CHECK_INTERVAL_SECONDS))
            else:
                async with self._lock:
                    if self._has_passed():  # the user may have changed the end during the wait
                        await self._resume()
            self._changed.clear()

    def _has_passed(self) -> bool:
        return self.until is not None and self.until <= self._now()

    async def _resume(self) -> None:
        await self._runtime.store.set_setting(PAUSED_SETTING, RESUMED)
        self._set_end(None)
        self._runtime.scheduler.resume()
        self._after_upload.wake()
        log.info("daemon.resumed")

    def _set_end(self, until: datetime | None) -> None:
        self.until = until
        self._changed.set()
