"""The environment of one incarnation of the daemon, in place of a machine.

Everything from the watch to the requests is the product's own code. Only code that touches the outside world is
replaced: clocks and randomness, threads, file system events, connections, the store's disk, and the module ``os`` for
the user's files (:mod:`tests.simulation.disk`).
"""

import contextlib
import json
import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator
from functools import cache, partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

import aiohttp
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from syncd import logs
from syncd.config.load import Loaded
from syncd.core.breaker import Breaker, BreakerState
from syncd.daemon import after_upload as after_upload_module
from syncd.daemon import daemon as service_module
from syncd.daemon import folders as folders_module
from syncd.daemon import runtime as runtime_module
from syncd.daemon import sync_progress as sync_progress_module
from syncd.daemon.daemon import Daemon
from syncd.platform import removal as removal_module
from syncd.platform.posix import openat, read_lease
from syncd.remotes.multipart import chunk_sizes as chunk_sizes_module
from syncd.store import connection as connection_module
from syncd.store import database as database_module
from syncd.store import reader as reader_module
from syncd.store import write_queue as write_queue_module
from syncd.store.job_store import JobStore
from syncd.store.records import Job, RemoteRecord
from syncd.upload import source as source_module
from syncd.watch import events as watch_source_module
from syncd.watch.folder import FolderWatch
from tests.simulation.disk import Disk
from tests.simulation.events import Observer

if TYPE_CHECKING:
    from tests.simulation.incarnation import Incarnation
    from tests.simulation.world import World

FATAL = ("job.crashed", "daemon.failed", "library")
"""Log events that always mean a bug."""
NFS = 0x6969
"""The type of a network file system in ``statfs``; such a system cannot report writers."""


class Environment:
    """Replaces the machine for one incarnation."""

    def __init__(self, incarnation: "Incarnation") -> None:
        self._incarnation = incarnation
        self._world = incarnation.world
        self._disk = Disk(incarnation)
        self._connections: list[Connection] = []

    @contextlib.contextmanager
    def around(self) -> Generator[None]:
        """Replace the machine during the context."""
        with contextlib.ExitStack() as stack:
            for target, replaced in self._replaced():
                stack.enter_context(mock.patch.multiple(target, **replaced))
            for module, name, replacement in self._disk.modules():
                stack.callback(setattr, module, name, getattr(module, name))
                setattr(module, name, replacement)
            stack.enter_context(contextlib.redirect_stderr(_Log(self._world)))  # type: ignore[type-var]
            logs.configure_from(self._incarnation.daemon.loaded.config)
            yield

    def _replaced(self) -> list[tuple[Any, dict[str, Any]]]:
        incarnation, world, rng = self._incarnation, self._world, self._incarnation.rng
        clocks = SimpleNamespace(
            time=world.wall, monotonic=incarnation.loop.time, time_ns=lambda: int(world.wall() * 1e9), sleep=None
        )
        threading = SimpleNamespace(Thread=incarnation.threads.Thread, Condition=incarnation.threads.Condition)
        watch = partial(FolderWatch, clock=incarnation.loop.time, wall=world.wall)
        small = {"IN_MEMORY_MAX_BYTES": world.plan.memory, "READ_BYTES": 4096, "MIN_BLOCK_BYTES": 512}
        return [
            (runtime_module, {"time": clocks, "random": SimpleNamespace(random=rng.random)}),
            (service_module, {"time": clocks, "load_again": self._load_again, **_NO_PROCESS}),
            (folders_module, {"FolderWatch": watch}),
            (after_upload_module, {"time": clocks}),
            (sync_progress_module, {"time": clocks}),
            (
                removal_module,
                {"secrets": SimpleNamespace(token_hex=lambda size: incarnation.rng.randbytes(size).hex())},
            ),
            (openat, {"rename_exclusively": self._disk.rename_exclusively}),
            *([] if world.plan.file_system_properties.leases else [(read_lease, {"file_system_type": lambda _: NFS})]),
            (watch_source_module, {"Observer": partial(Observer, world.events)}),
            (database_module, {"time": clocks, "threading": threading, "engine": self._engine}),
            (write_queue_module, {"time": clocks, "threading": threading}),
            (reader_module, {"engine": self._engine}),
            (source_module, small),
            (chunk_sizes_module, {"MIN_CHUNK_BYTES": 700}),
            (aiohttp, {"TCPConnector": world.network.connector()}),
            (aiohttp.connector, {"monotonic": incarnation.loop.time}),
            (Breaker, {"failed": _failed(world)}),
            (JobStore, {name: wrapper(world) for name, wrapper in _OBSERVED_CALLS.items()}),
        ]

    async def _load_again(self, _: Loaded) -> Loaded:
        return self._incarnation.configuration()

    def close(self) -> None:
        """Close all descriptors and connections, as the kernel does for a dead process."""
        self._disk.close_all()
        for connection in self._connections:
            connection.close()

    def _engine(self, path: str, *, writing: bool) -> Engine:
        """Return the store's engine, on a disk that may be full."""
        made = _engine(path, writing)
        _users[made] = self
        return made

    def connected(self, connection: Connection) -> None:
        """Record a reader's connection; the writer's thread closes its own."""
        self._connections.append(connection)

    def commits(self, connection: Connection) -> None:
        """Raise SQLite's error if the disk is full; SQLite rolls back automatically."""
        if self._world.disk_full:
            connection.connection.rollback()
            self._disk_full("COMMIT")

    def executes(self, statement: str) -> None:
        """Raise SQLite's error for some statements if the disk is full."""
        if (
            self._world.disk_full
            and statement.startswith(("INSERT", "UPDATE"))
            and self._incarnation.rng.random() < 0.2
        ):
            self._disk_full(statement)

    def _disk_full(self, statement: str) -> None:
        """Raise the error as SQLAlchemy does."""
        self._world.tally["database or disk is full"] += 1
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise OperationalError(statement, None, error)


_users: dict[Engine, Environment] = {}


@cache
def _engine(path: str, writing: bool) -> Engine:
    """Make an engine once for all incarnations, to keep its compiled statements."""
    made = connection_module.engine(path, writing=writing)
    if writing:
        event.listen(made, "commit", lambda *about: _users[made].commits(*about))  # noqa: PLW0108 - late lookup
        event.listen(made, "before_cursor_execute", lambda *about: _users[made].executes(about[2]))
    else:
        event.listen(made, "engine_connect", lambda *about: _users[made].connected(*about))  # noqa: PLW0108 - as above
    return made


class _Log:
    """Receives the daemon's log."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def write(self, text: str) -> int:
        self._world.log.append(text)
        if text.startswith("{"):
            self._handle_event(json.loads(text))
        elif text.strip():
            self._world.report_violation("crash", f"on standard error: {text.strip()}")
        return len(text)

    def _handle_event(self, event: dict[str, Any]) -> None:
        name = event.pop("event")
        fields = {key: value for key, value in event.items() if key not in ("timestamp", "level", "pid")}
        self._world.trace(" ".join([f"    {name}", *(f"{key}={value}" for key, value in fields.items())]))
        if name in FATAL:
            self._world.report_violation("crash", f"{name}: {fields}")

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return False


def _failed(world: "World") -> Any:
    original = Breaker.failed

    def failed(self: Breaker, *args: Any, **values: Any) -> bool:
        closed = self.state is not BreakerState.OPEN
        result = original(self, *args, **values)
        if result and closed:
            world.request_monitor.breaker_opened(self)
        return result

    return failed


def _register_remote(world: "World") -> Any:
    original = JobStore.register_remote

    async def register_remote(self: JobStore, name: str, *about: Any) -> RemoteRecord:
        record = await original(self, name, *about)
        world.remote_names[record.id] = name
        return record

    return register_remote


def _acknowledge(world: "World") -> Any:
    original = JobStore.acknowledge

    async def acknowledge(self: JobStore, remote_id: int, key: str, token: str, index: int) -> None:
        incarnation = world.incarnation
        await original(self, remote_id, key, token, index)
        if incarnation is not None and incarnation is world.incarnation:
            world.request_monitor.acknowledged(world.remote_names[remote_id], key, token, index)

    return acknowledge


def _claim(world: "World") -> Any:
    original = JobStore.claim

    async def claim(self: JobStore, remote_id: int, limit: int, **values: Any) -> list[Job]:
        worker = world.worker(world.remote_names[remote_id])
        jobs = await original(self, remote_id, limit, **values)
        if worker is not None and worker.claimed + len(jobs) > world.most_jobs:
            world.report_violation("P5", f"{worker.claimed} jobs run and {len(jobs)} were claimed")
        return jobs

    return claim


def _over(name: str) -> Callable[["World"], Any]:
    original = getattr(JobStore, name)

    def wrapper(world: "World") -> Any:
        async def over(self: JobStore, remote_id: int, key: str, *args: Any) -> None:
            if world.incarnation is not None:
                world.request_monitor.over(world.remote_names[remote_id], key)
            await original(self, remote_id, key, *args)

        return over

    return wrapper


_OBSERVED_CALLS: dict[str, Callable[["World"], Any]] = {
    "register_remote": _register_remote,
    "claim": _claim,
    "acknowledge": _acknowledge,
    "save_session": _over("save_session"),
    "drop_session": _over("drop_session"),
}
"""Calls to the store that the request monitor observes."""


@contextlib.contextmanager
def _ignores_signals(_: object) -> Generator[None]:
    yield


@contextlib.asynccontextmanager
async def _nothing_served(_: Daemon) -> AsyncGenerator[None]:
    yield


_NO_PROCESS = {"listening": _nothing_served, "signals": SimpleNamespace(END=(), RELOAD=(), calling=_ignores_signals)}
