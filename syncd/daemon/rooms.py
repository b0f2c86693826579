"""Store, engine and watches for one configuration, opened in order and closed in the opposite one.

The daemon and a single pass (``syncd once``) both live in these rooms.
"""

import os
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import structlog

from syncd import __version__
from syncd.config.model import Bandwidth, Config, ImageRemote, MultipartRemote
from syncd.core import retry
from syncd.core.bandwidth import Span
from syncd.core.breaker import Breaker
from syncd.core.limits import Adaptive, Fixed
from syncd.core.states import State
from syncd.daemon import journal
from syncd.daemon.folders import Folders
from syncd.engine.gate import Gate
from syncd.engine.lane import Lane, Surroundings
from syncd.engine.line import Line
from syncd.engine.scheduler import Scheduler
from syncd.engine.throttle import Pace
from syncd.remote.make import make_remote
from syncd.store.jobs import Change, JobStore

log = structlog.get_logger()

STOPPED = "stopped"
"""The setting in the store that keeps ``syncd ctl stop`` over a restart: yes or no."""
SESSION_AGE = 30 * 86_400.0
"""Seconds after which an upload that was begun and never ended is forgotten; no server keeps one so long."""
_TO_CLAIM = (State.QUEUED, State.WAITING)


class Rooms:
    """What is open. Made by :func:`open_rooms`."""

    def __init__(self, config: Config, store: JobStore, *, failed: Callable[[BaseException], None]) -> None:
        self.config = config
        self.store = store
        self.owner = f"{os.getpid()}-{time.time_ns()}"
        self.scheduler = Scheduler(store, owner=self.owner, failed=failed)
        self.folders = Folders(store, failed=failed)
        self.pace = Pace(timetable(config.scheduler.bandwidth), clock=time.monotonic, local_time=datetime.now)
        self.remote_ids: dict[str, int] = {}
        self._shared_gate: Gate | None = None
        self.share_gate()
        store.on_change.append(journal.write)
        store.on_change.append(self._wake)

    def share_gate(self) -> None:
        """Make the gate that all lanes share where a person chose the number of requests in flight."""
        fixed = self.config.scheduler.concurrency
        self._shared_gate = Gate(Fixed(fixed)) if fixed else None

    async def add_remote(self, name: str, settings: ImageRemote | MultipartRemote) -> None:
        """Open the way to a server and run its lane."""
        remote = make_remote(settings, throttle=self.pace, clock=time.time, user_agent=f"syncd/{__version__}")
        record = await self.store.remote(name, remote.identity)
        remote.recall(record.facts)
        scheduler = self.config.scheduler
        policy = retry.Policy(initial=scheduler.retry.initial, maximum=scheduler.retry.max)
        gate = Gate(Fixed(self._shared_gate.capacity) if self._shared_gate else Adaptive(), self._shared_gate)
        line = Line(remote, gate, Breaker(policy, random.random), clock=time.monotonic)
        around = Surroundings(
            store=self.store,
            owner=self.owner,
            policy=policy,
            clock=time.time,
            random=random.random,
            doubt=self.folders.doubt,
            settle=self.folders.settle,
            follow_symlinks=self.folders.follow_symlinks,
            unfit=self.folders.unfit,
        )
        self.remote_ids[name] = record.id
        self.scheduler.add(Lane(name, record.id, line, around))

    async def remove_remote(self, name: str) -> None:
        """Stop uploading to a server; what is queued for it stays in the store."""
        del self.remote_ids[name]
        await self.scheduler.remove(name)

    def ids_of(self, names: tuple[str, ...]) -> list[int]:
        """Return the store's numbers of these remotes."""
        return [self.remote_ids[name] for name in names]

    def _wake(self, change: Change) -> None:
        lane = self.scheduler.lanes.get(change.remote)
        if lane and change.after in _TO_CLAIM:
            lane.wake()


@asynccontextmanager
async def open_rooms(
    config: Config, *, failed: Callable[[BaseException], None], heed_stop: bool = True
) -> AsyncGenerator[Rooms]:
    """Open all for ``config``, and upload what is queued, unless a person stopped that; nothing is watched yet.

    ``heed_stop`` says whether to ask for that. ``failed`` is told when a side task dies.
    :class:`~syncd.store.errors.StoreError` if the store can't be used.
    """
    store = await JobStore.open(str(config.store), clock=time.time, on_blocked=_log_blocked)
    try:
        rooms = Rooms(config, store, failed=failed)
        await store.recover(rooms.owner)
        await store.expire_sessions(time.time() - SESSION_AGE)
        rooms.scheduler.paused = heed_stop and await store.get_setting(STOPPED) == "yes"
        try:
            rooms.scheduler.start()
            for name, settings in config.remotes.items():
                await rooms.add_remote(name, settings)
            for folder in config.folders:
                rooms.folders.add(folder, rooms.ids_of(folder.remotes))
            yield rooms
        finally:
            await rooms.folders.close()
            await rooms.scheduler.close()
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
