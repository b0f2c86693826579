"""Helpers for the tests of the store."""

import os
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from syncd.core.model import Fingerprint, FoundFile
from syncd.store.job_store import JobStore
from syncd.store.records import Job, JobRecord

FOLDER = "/srv/inbox"


def fingerprint(inode: int = 1, *, size: int = 100, mtime_ns: int = 10**18) -> Fingerprint:
    return Fingerprint(inode=inode, size=size, mtime_ns=mtime_ns)


def seen(
    path: str,
    inode: int | None = None,
    *,
    unfit: str | None = None,
    birth_ns: int | None = 7,
    moved_from: str | None = None,
    closed: bool = False,
    backlog: bool = False,
    **values: int,
) -> FoundFile:
    """Return a found file; the default inode depends on the path, all birth times are equal."""
    of = fingerprint(hash(path) if inode is None else inode, **values)
    return FoundFile(
        path=path,
        fingerprint=of,
        unfit=unfit,
        birth_ns=birth_ns,
        moved_from=moved_from,
        closed=closed,
        backlog=backlog,
    )


async def observe(store: JobStore, remotes: int | list[int], *files: FoundFile, is_gone: tuple[str, ...] = ()) -> int:
    remote_ids = [remotes] if isinstance(remotes, int) else remotes
    return await store.observe(FOLDER, files, remote_ids, is_gone=lambda _, path: path in is_gone)


async def claim(store: JobStore, remote: int, limit: int = 100, **values: Any) -> list[Job]:
    return await store.claim(remote, limit, owner="tests", lease=60.0, **values)


async def only_job(store: JobStore, path: str) -> JobRecord:
    (job,) = await store.jobs_of(path, [FOLDER])
    return job


def query_plans(connection: Connection, work: Callable[[Connection], object]) -> list[str]:
    """Run ``work``; return SQLite's plan of each statement that it executes."""
    statements: list[str] = []
    raw: sqlite3.Connection = connection.connection.driver_connection
    raw.set_trace_callback(statements.append)
    try:
        work(connection)
    finally:
        raw.set_trace_callback(None)
    return [
        ", ".join(row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {one}")) for one in statements if one[:1] != "-"
    ]


def overwrite(path: str, offset: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def contents(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def size(path: str) -> int:
    return os.path.getsize(path)


def create(path: str, data: bytes) -> None:
    with open(path, "xb") as file:
        file.write(data)


def run(script: str) -> str:
    command = [sys.executable, "-c", textwrap.dedent(script)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
