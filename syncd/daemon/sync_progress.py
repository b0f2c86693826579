"""Counts the uploads of one sync.

A sync begins with the first queued file and ends when no work remains.

Logs a summary from time to time, and ``sync.settled`` at the end of each sync. :mod:`~syncd.daemon.control_service`
shows the counts, and :mod:`syncd.core.remaining_time` estimates the end.
"""

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from syncd.asyncio_tools import wait_for_event
from syncd.control.schemas import SyncProgress
from syncd.core.remaining_time import RemainingTime
from syncd.core.states import Outcome, State
from syncd.store.records import PENDING, Change, Counts

if TYPE_CHECKING:
    from syncd.daemon.runtime import Runtime

log = structlog.get_logger()

MIN_CHECK_INTERVAL_SECONDS = 0.25
"""Shortest time between two checks of the queue."""
SUMMARY_INTERVAL_SECONDS = 10.0
"""Time between two summaries."""
MAX_CHECK_INTERVAL_SECONDS = 5.0
"""Longest time between two checks during a sync: the end of a scan changes no job."""


class SyncTracker:
    """Counts the jobs of the current sync, or of none. Belongs to one event loop."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._changed = asyncio.Event()
        self._started: float | None = None
        self._remaining = RemainingTime()
        self._reset()

    def _reset(self) -> None:
        self._started = None
        self._ended = self._ended_bytes = 0
        self._uploaded = self._uploaded_bytes = self._duplicates = 0
        self._summarized = 0, 0, 0
        self._summarized_at = 0.0

    def on_change(self, change: Change) -> None:
        """Count a change of a job; to be subscribed to the store's changes."""
        before, after = change.before in PENDING, change.after in PENDING
        if before == after:
            return
        if self._started is None:
            self._start()
        if before:
            self._ended += 1
            self._ended_bytes += change.size
            if change.outcome is Outcome.UPLOADED:
                self._uploaded += 1
                self._uploaded_bytes += change.size
            self._duplicates += change.outcome is Outcome.DUPLICATE
        self._changed.set()

    def _start(self) -> None:
        self._started = time.monotonic()
        self._summarized_at = self._started
        self._remaining.start(self._started)
        self._changed.set()

    async def run(self) -> None:
        """Notice the end of each sync, until cancelled."""
        if (await self._counts()).pending and self._started is None:
            self._start()
        while True:
            await wait_for_event(self._changed, None if self._started is None else MAX_CHECK_INTERVAL_SECONDS)
            self._changed.clear()
            await self.check(busy=self.busy)
            await asyncio.sleep(MIN_CHECK_INTERVAL_SECONDS)

    async def check(self, *, busy: bool = False) -> None:
        """Log the end of the sync if no job is pending, unless the watches are ``busy``."""
        if self._started is None:
            return
        counts = await self._counts()
        self._observe()
        if counts.pending or busy or self._started is None:
            self._summarize(counts)
            return
        log.info(
            "sync.settled",
            uploaded=self._uploaded,
            duplicates=self._duplicates,
            bytes=self._uploaded_bytes,
            seconds=round(time.monotonic() - self._started, 1),
            failed=counts.jobs[State.FAILED],
            skipped=counts.jobs[State.SKIPPED],
        )
        self._runtime.job_log.unlisted = 0
        self._reset()

    def _summarize(self, counts: Counts) -> None:
        """Log a summary if jobs have ended that have no lines of their own."""
        now = time.monotonic()
        elapsed = now - self._summarized_at
        if elapsed < SUMMARY_INTERVAL_SECONDS or self._started is None:
            return
        if self._runtime.job_log.unlisted:
            done = self._uploaded, self._duplicates, self._uploaded_bytes
            uploaded, duplicates, size = (new - old for new, old in zip(done, self._summarized, strict=True))
            eta = self.eta(counts, counts.pending_bytes)
            log.info(
                "sync.progress",
                uploaded=uploaded,
                duplicates=duplicates,
                bytes=size,
                per_second=round(size / elapsed),
                remaining=counts.pending,
                eta_seconds=None if eta is None else round(eta),
            )
            self._summarized = done
            self._runtime.job_log.unlisted = 0
        self._summarized_at = now

    @property
    def busy(self) -> bool:
        """True while a watch scans or waits for files to become quiet."""
        return any(watch.busy for watch in self._runtime.folders.watches.values())

    def progress(self, counts: Counts) -> SyncProgress:
        """Return the progress of the sync; ``counts`` are those of the store now."""
        watches = self._runtime.folders.watches.values()
        settling = sum(watch.settling_count for watch in watches)
        busy = self.busy
        return {
            "done": self._ended,
            "total": self._ended + counts.pending,
            "settling": settling,
            "scanning": busy and not settling,
            "settled": not counts.pending and not busy,
        }

    def eta(self, counts: Counts, pending_bytes: int) -> float | None:
        """Return the seconds until no job is pending.

        Returns None while nothing moves or a scan can still find files.
        """
        if counts.pending and (self.busy or self._runtime.scheduler.paused):
            return None
        self._observe()
        return self._remaining.seconds(time.monotonic(), jobs=counts.pending, size=pending_bytes)

    def _observe(self) -> None:
        now = time.monotonic()
        if self._runtime.scheduler.paused:
            self._remaining.skip(now)
            return
        sent = sum(progress.sent for progress in self._runtime.scheduler.progress())
        self._remaining.observe(now, jobs=self._ended, size=self._ended_bytes + sent)

    async def _counts(self) -> Counts:
        return await self._runtime.store.counts(list(self._runtime.remote_ids.values()))
