"""Checks after kills that no acknowledged chunk is sent again.

Compares the acknowledged chunks in the store with the requests that the proxy recorded.
"""

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise

_CHUNKS = "SELECT token, idx FROM chunks JOIN sessions ON sessions.id = session_id"
_CONTENTS = "SELECT key FROM contents"
TIMEOUT_SECONDS = 2.0
"""The timeout of the daemon's requests."""
OK = (200, 201, 409)  # 409: the chunk is there already
_OPEN = "SELECT count(*) FROM jobs WHERE state IN ('queued', 'uploading', 'waiting')"
_EMPTY = {"acknowledged": frozenset(), "contents": frozenset(), "open": 0}


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The contents of the store at one kill.

    ``acknowledged`` has chunks as (token, index), ``contents`` the keys of stored contents; ``open`` counts the jobs
    that are not finished.
    """

    at: float
    """The monotonic time of the kill."""
    request_count: int
    """The number of requests to the proxy before the kill."""
    acknowledged: frozenset
    contents: frozenset
    open: int


def read_store(daemon, proxy):
    """Read the store after a kill, read-only: the next start must recover the write-ahead log."""
    path = daemon.state / "syncd.db"
    empty = Snapshot(at=time.monotonic(), request_count=len(proxy.requests), **_EMPTY)
    if not path.exists():
        return empty
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
            return replace(
                empty,
                acknowledged=frozenset(store.execute(_CHUNKS)),
                contents=frozenset(key for (key,) in store.execute(_CONTENTS)),
                open=store.execute(_OPEN).fetchone()[0],
            )
    except sqlite3.OperationalError:  # killed before there was a table
        return empty


def resent_after_kill(snapshots, requests):
    """Return the requests for chunks or contents that the store recorded at an earlier kill."""
    acknowledged, contents = set(), set()
    again = []
    ends = [snapshot.request_count for snapshot in snapshots[1:]] + [len(requests)]
    for snapshot, end in zip(snapshots, ends, strict=True):
        acknowledged |= snapshot.acknowledged
        contents |= snapshot.contents
        sent = requests[snapshot.request_count : end]
        again += [one for one in sent if one.chunk in acknowledged or one.content in contents]
    return again


def resent_by_one_process(snapshots, requests):
    """Return the chunks that one process sent again after the response to the first request.

    A response that took half of the daemon's timeout may have been too late, so the chunk may be sent again.
    """
    again = []
    bounds = [0, *(snapshot.request_count for snapshot in snapshots), len(requests)]
    for start, end in pairwise(bounds):
        answered = {}
        for one in requests[start:end]:
            if one.chunk is None:
                continue
            if one.chunk in answered and answered[one.chunk] < one.at:
                again.append(one)
            if one.answered_at and one.status in OK and one.answered_at - one.at < TIMEOUT_SECONDS / 2:
                answered.setdefault(one.chunk, one.answered_at)
    return again


def resent_before_commit(snapshots, requests):
    """Return, for chunks sent again after a kill, the seconds from the response to the kill.

    The daemon was killed before the store committed these chunks.
    """
    ages, answered = [], {}
    bounds = [0, *(snapshot.request_count for snapshot in snapshots), len(requests)]
    for process, (start, end) in enumerate(pairwise(bounds)):
        ages += [answered[one.chunk] for one in requests[start:end] if one.chunk in answered]
        for one in requests[start:end]:
            if process < len(snapshots) and one.chunk and one.answered_at and one.status in OK:
                answered[one.chunk] = snapshots[process].at - one.answered_at
    return ages
