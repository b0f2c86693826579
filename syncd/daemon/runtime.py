"""Opens and closes the store, upload workers and folder watches of one configuration.

Used by the daemon and by a single pass (:mod:`~syncd.daemon.once`).
"""

import asyncio
import os
import random
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from enum import IntEnum, auto

import structlog

from syncd import __version__, localtime
from syncd.asyncio_tools import background_task
from syncd.config import destinations
from syncd.config.model import Bandwidth, Config, ImageRemote, MultipartRemote
from syncd.config.model import Scheduler as Limits
from syncd.core import retry
from syncd.core.bandwidth import Span
from syncd.core.breaker import Breaker
from syncd.core.concurrency import AdaptiveLimit, ConcurrencyLimit, FixedLimit
from syncd.core.model import ClaimOrder
from syncd.core.states import State
from syncd.daemon.folders import Folders
from syncd.daemon.sync_progress import SyncTracker
from syncd.remotes import tls
from syncd.remotes.factory import make_remote
from syncd.store.job_log import JobLog
from syncd.store.job_store import JobStore
from syncd.store.records import Change, RemoteRecord
from syncd.upload.clock import ClockStepDetector
from syncd.upload.context import WorkerContext
from syncd.upload.endpoint import Endpoint
from syncd.upload.limiter import ConcurrencyLimiter
from syncd.upload.scheduler import Scheduler
from syncd.upload.throttle import BandwidthLimiter
from syncd.upload.worker import RemoteWorker

log = structlog.get_logger()

PAUSED_SETTING = "stopped"
"""The key in the store that keeps ``syncd ctl stop`` across restarts.

The value is :data:`RESUMED`, ``yes``, or the time at which :mod:`~syncd.daemon.pause` resumes, in ISO 8601."""
RESUMED = "no"
SESSION_MAX_AGE_SECONDS = 30 * 86_400.0
"""Unfinished upload sessions older than this are dropped; no server keeps a session that long."""
_CLAIMABLE = (State.QUEUED, State.WAITING)


class ListenerOrder(IntEnum):
    """The listeners of the store's changes, in the order in which they are called."""

    LOG = auto()
    SYNC = auto()
    WORKERS = auto()
    ONCE = auto()
    AFTER_UPLOAD = auto()
    EVENTS = auto()
    CANCELLED_CONTENTS = auto()
    UNREADABLE_FILES = auto()
    NOTIFICATIONS = auto()


class Runtime:
    """The open parts of syncd. Made by :func:`open_runtime`."""

    def __init__(self, config: Config, store: JobStore, *, failed: Callable[[BaseException], None]) -> None:
        self.config = config
        self.store = store
        self.owner = f"{os.getpid()}-{time.time_ns()}"
        self.scheduler = Scheduler(store, owner=self.owner, failed=failed)
        self.folders = Folders(store, state_dir=config.state_dir, failed=failed)
        self.clock_check = ClockStepDetector(store, clock=time.time, steady=time.monotonic)
        self.bandwidth_limiter = BandwidthLimiter(
            timetable(config.scheduler.bandwidth), clock=time.monotonic, local_time=localtime.now
        )
        self.remote_ids: dict[str, int] = {}
        self.certificates: dict[str, dict[str, bytes | None]] = {}
        """For each remote, the digests of its TLS files (:func:`syncd.remotes.tls.digests`) before it read them."""
        self.limits = config.scheduler
        """The limits in force: those of the configuration, unless the control API has changed them since."""
        self._shared_limiter = ConcurrencyLimiter(self._total_limit())
        self.job_log = JobLog(each_file=config.logging.each_file, clock=time.monotonic)
        store.changes.subscribe(self.job_log.on_change, order=ListenerOrder.LOG)
        self.sync = SyncTracker(self)
        store.changes.subscribe(self.sync.on_change, order=ListenerOrder.SYNC)
        store.changes.subscribe(self._wake, order=ListenerOrder.WORKERS)

    def limit(self, limits: Limits) -> list[str]:
        """Apply other limits without interrupting requests; return the changed keys."""
        before, self.limits = self.limits, limits
        changed = [key for key in Limits.model_fields if getattr(limits, key) != getattr(before, key)]
        if "bandwidth" in changed:
            self.bandwidth_limiter.change(timetable(limits.bandwidth))
        if "concurrency" in changed:
            self._shared_limiter.change(self._total_limit())  # first, because a remote's limit never exceeds it
        for worker in self.scheduler.workers.values():
            worker.claimer.order = ClaimOrder(limits.order)
            worker.apply(self._policy(), self._remote_limit() if "concurrency" in changed else None)
        self.scheduler.wake()
        return changed

    def _policy(self) -> retry.Policy:
        return retry.Policy(initial=self.limits.retry.initial, maximum=self.limits.retry.max)

    def _total_limit(self) -> ConcurrencyLimit:
        """Return the limit for all remotes together: the configured number, else none."""
        return FixedLimit(self.limits.concurrency or sys.maxsize)

    def _remote_limit(self) -> ConcurrencyLimit:
        """Return the limit of one remote: the configured number, else an adaptive limit."""
        return FixedLimit(self.limits.concurrency) if self.limits.concurrency else AdaptiveLimit()

    async def add_remote(self, name: str, settings: ImageRemote | MultipartRemote) -> None:
        """Create the client of a remote and start its worker."""
        self.certificates[name] = await asyncio.to_thread(tls.digests, settings) if tls.files(settings) else {}
        remote = make_remote(
            name, settings, throttle=self.bandwidth_limiter, clock=time.time, user_agent=f"syncd/{__version__}"
        )
        record = await self.store.register_remote(name, remote.identity, destinations.former(name, settings))
        _log_former(record, settings)
        await self.store.apply_terms(record.id, remote.terms)
        remote.restore_capabilities(record.capabilities)
        limiter = ConcurrencyLimiter(self._remote_limit(), self._shared_limiter)
        endpoint = Endpoint(remote, limiter, Breaker(self._policy(), random.random), clock=time.monotonic)
        context = WorkerContext(
            store=self.store,
            owner=self.owner,
            clock=time.time,
            check_clock=self.clock_check.check,
            random=random.random,
            folder_policy=self.folders.policy,
        )
        self.remote_ids[name] = record.id
        worker = RemoteWorker(name, record.id, endpoint, context)
        worker.claimer.order = ClaimOrder(self.limits.order)
        self.scheduler.add(worker)

    async def remove_remote(self, name: str) -> None:
        """Stop the worker of a remote; its queued jobs stay in the store."""
        del self.remote_ids[name], self.certificates[name]
        await self.scheduler.remove(name)

    async def renew_remote(self, name: str, settings: ImageRemote | MultipartRemote) -> None:
        """Restart a remote with new credentials; interrupted uploads are resumed with them."""
        self.config = self.config.model_copy(update={"remotes": {**self.config.remotes, name: settings}})
        await self.remove_remote(name)
        await self.add_remote(name, settings)

    def ids_of(self, names: tuple[str, ...]) -> list[int]:
        """Return the store's ids of these remotes."""
        return [self.remote_ids[name] for name in names]

    def _wake(self, change: Change) -> None:
        worker = self.scheduler.workers.get(change.remote)
        if worker and change.after in _CLAIMABLE:
            worker.wake(new=change.after is State.QUEUED and not change.backlog)


@asynccontextmanager
async def open_runtime(
    config: Config, *, failed: Callable[[BaseException], None], restore_paused: bool = True
) -> AsyncGenerator[Runtime]:
    """Open the parts for ``config`` and start to upload; folders are not watched yet.

    ``restore_paused``: do not upload if ``syncd ctl stop`` paused an earlier run. ``failed`` receives the error of a
    background task. :class:`~syncd.store.errors.StoreError` if the store cannot be used.
    """
    store = await JobStore.open(str(config.store), clock=time.time, on_blocked=_log_blocked)
    try:
        runtime = Runtime(config, store, failed=failed)
        await store.recover(runtime.owner)
        await store.expire_sessions(time.time() - SESSION_MAX_AGE_SECONDS)
        runtime.scheduler.paused = restore_paused and await store.get_setting(PAUSED_SETTING) not in (None, RESUMED)
        try:
            runtime.scheduler.start()
            for name, settings in config.remotes.items():
                await runtime.add_remote(name, settings)
            for folder in config.folders:
                runtime.folders.add(folder, runtime.ids_of(folder.remotes))
            async with background_task(runtime.sync.run(), failed=failed):
                yield runtime
            await runtime.sync.check()
        finally:
            await runtime.folders.close()
            await runtime.scheduler.close()
    finally:
        await store.close()


def timetable(bandwidth: Bandwidth) -> tuple[Span, ...]:
    """Convert the configured bandwidth to the spans of :mod:`syncd.core.bandwidth`."""
    return tuple(Span(start=span.start_minute, end=span.end_minute, limit=span.limit) for span in bandwidth.spans)


def _log_blocked(reason: str | None) -> None:
    if reason:
        log.error("store.blocked", reason=reason)
    else:
        log.info("store.unblocked")


def _log_former(record: RemoteRecord, settings: ImageRemote | MultipartRemote) -> None:
    if record.moved is not None and record.moved.url is not None:
        log.info("remote.moved", remote=record.name, former_url=record.moved.url, url=settings.url)
    for former in record.apart:
        log.warning(
            "remote.apart",
            remote=record.name,
            former_url=former.url,
            reason="there are records for both addresses, and those of former_url are not used; remove former_url",
        )
