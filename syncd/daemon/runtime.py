"""Store, engine and watches for one configuration, opened in order and closed in the opposite one.

The daemon and a single pass (``syncd once``) both live in these rooms.
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
from syncd.config import destinations
from syncd.config.model import Bandwidth, Config, ImageRemote, MultipartRemote
from syncd.config.model import Scheduler as Limits
from syncd.core import retry
from syncd.core.bandwidth import Span
from syncd.core.breaker import Breaker
from syncd.core.concurrency import AdaptiveLimit, ConcurrencyLimit, FixedLimit
from syncd.core.states import State
from syncd.daemon.folders import Folders
from syncd.remotes import tls
from syncd.remotes.factory import make_remote
from syncd.store import job_log
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
"""The setting in the store that keeps ``syncd ctl stop`` over a restart: yes or no."""
SESSION_AGE = 30 * 86_400.0
"""Seconds after which an upload that was begun and never ended is forgotten; no server keeps one so long."""
_TO_CLAIM = (State.QUEUED, State.WAITING)


class ListenerOrder(IntEnum):
    """The listeners of the store's changes, in the order in which they are called."""

    LOG = auto()
    WORKERS = auto()
    ONCE = auto()
    AFTER_UPLOAD = auto()
    EVENTS = auto()
    CANCELLED_CONTENTS = auto()


class Runtime:
    """What is open. Made by :func:`open_runtime`."""

    def __init__(self, config: Config, store: JobStore, *, failed: Callable[[BaseException], None]) -> None:
        self.config = config
        self.store = store
        self.owner = f"{os.getpid()}-{time.time_ns()}"
        self.scheduler = Scheduler(store, owner=self.owner, failed=failed)
        self.folders = Folders(store, state_dir=config.state_dir, failed=failed)
        self.wall = ClockStepDetector(store, clock=time.time, steady=time.monotonic)
        self.bandwidth_limiter = BandwidthLimiter(
            timetable(config.scheduler.bandwidth), clock=time.monotonic, local_time=localtime.now
        )
        self.remote_ids: dict[str, int] = {}
        self.certificates: dict[str, dict[str, bytes | None]] = {}
        """What the TLS files of each remote held before it read them, as :func:`syncd.remotes.tls.digests` has it."""
        self.limits = config.scheduler
        """What holds now: as configured, unless a person has changed it since."""
        self._gate = ConcurrencyLimiter(self._limit_of_all())
        store.changes.subscribe(job_log.log_change, order=ListenerOrder.LOG)
        store.changes.subscribe(self._wake, order=ListenerOrder.WORKERS)

    def limit(self, limits: Limits) -> list[str]:
        """Go by other limits from now on, with nothing that is under way cut off; return the keys that changed."""
        before, self.limits = self.limits, limits
        changed = [key for key in Limits.model_fields if getattr(limits, key) != getattr(before, key)]
        if "bandwidth" in changed:
            self.bandwidth_limiter.change(timetable(limits.bandwidth))
        if "concurrency" in changed:
            self._gate.change(self._limit_of_all())  # the first, as no lane's gate is wider
        for worker in self.scheduler.workers.values():
            worker.endpoint.breaker.policy = self._policy()
            if "concurrency" in changed:
                worker.endpoint.limiter.change(self._limit_of_one())
        self.scheduler.wake()
        return changed

    def _policy(self) -> retry.Policy:
        return retry.Policy(initial=self.limits.retry.initial, maximum=self.limits.retry.max)

    def _limit_of_all(self) -> ConcurrencyLimit:
        """Return the limit of the gate that all lanes share: the number that a person chose, if any."""
        return FixedLimit(self.limits.concurrency or sys.maxsize)

    def _limit_of_one(self) -> ConcurrencyLimit:
        """Return the limit of one lane: it finds its own where nobody chose one."""
        return FixedLimit(self.limits.concurrency) if self.limits.concurrency else AdaptiveLimit()

    async def add_remote(self, name: str, settings: ImageRemote | MultipartRemote) -> None:
        """Open the way to a server and run its lane."""
        self.certificates[name] = await asyncio.to_thread(tls.digests, settings) if tls.files(settings) else {}
        remote = make_remote(
            name, settings, throttle=self.bandwidth_limiter, clock=time.time, user_agent=f"syncd/{__version__}"
        )
        record = await self.store.register_remote(name, remote.identity, destinations.former(name, settings))
        _log_former(record, settings)
        await self.store.apply_terms(record.id, remote.terms)
        remote.restore_capabilities(record.capabilities)
        gate = ConcurrencyLimiter(self._limit_of_one(), self._gate)
        line = Endpoint(remote, gate, Breaker(self._policy(), random.random), clock=time.monotonic)
        around = WorkerContext(
            store=self.store,
            owner=self.owner,
            clock=time.time,
            check_clock=self.wall.check,
            random=random.random,
            doubt=self.folders.doubt,
            settle=self.folders.settle,
            follow_symlinks=self.folders.follow_symlinks,
            unfit=self.folders.unfit,
            takes=self.folders.takes,
        )
        self.remote_ids[name] = record.id
        self.scheduler.add(RemoteWorker(name, record.id, line, around))

    async def remove_remote(self, name: str) -> None:
        """Stop uploading to a server; what is queued for it stays in the store."""
        del self.remote_ids[name], self.certificates[name]
        await self.scheduler.remove(name)

    async def renew_remote(self, name: str, settings: ImageRemote | MultipartRemote) -> None:
        """Go on with other credentials for the same server; what is being sent is resumed with them."""
        self.config = self.config.model_copy(update={"remotes": {**self.config.remotes, name: settings}})
        await self.remove_remote(name)
        await self.add_remote(name, settings)

    def ids_of(self, names: tuple[str, ...]) -> list[int]:
        """Return the store's numbers of these remotes."""
        return [self.remote_ids[name] for name in names]

    def _wake(self, change: Change) -> None:
        worker = self.scheduler.workers.get(change.remote)
        if worker and change.after in _TO_CLAIM:
            worker.wake()


@asynccontextmanager
async def open_runtime(
    config: Config, *, failed: Callable[[BaseException], None], restore_paused: bool = True
) -> AsyncGenerator[Runtime]:
    """Open all for ``config``, and upload what is queued, unless a person stopped that; nothing is watched yet.

    ``restore_paused`` says whether to ask for that. ``failed`` is told when a side task dies.
    :class:`~syncd.store.errors.StoreError` if the store can't be used.
    """
    store = await JobStore.open(str(config.store), clock=time.time, on_blocked=_log_blocked)
    try:
        runtime = Runtime(config, store, failed=failed)
        await store.recover(runtime.owner)
        await store.expire_sessions(time.time() - SESSION_AGE)
        runtime.scheduler.paused = restore_paused and await store.get_setting(PAUSED_SETTING) == "yes"
        try:
            runtime.scheduler.start()
            for name, settings in config.remotes.items():
                await runtime.add_remote(name, settings)
            for folder in config.folders:
                runtime.folders.add(folder, runtime.ids_of(folder.remotes))
            yield runtime
        finally:
            await runtime.folders.close()
            await runtime.scheduler.close()
    finally:
        await store.close()


def timetable(bandwidth: Bandwidth) -> tuple[Span, ...]:
    """Return the configured bandwidth as the rules know it."""
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
            reason="there are records for both addresses; those of the former one are not used: take former_url out",
        )
