"""Checks after kills that no acknowledged chunk is sent again.

Compares the acknowledged chunks in the store with the requests that the proxy recorded.
"""

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, replace

_CHUNKS = "SELECT token, idx FROM chunks JOIN sessions ON sessions.id = session_id"
_CONTENTS = "SELECT key FROM contents"
OK = (200, 201, 409)  # 409: the chunk is there already
_OPEN = "SELECT count(*) FROM jobs WHERE state IN ('queued', 'uploading', 'waiting')"


@dataclass(frozen=True, kw_only=True)
class Page:
    """The contents of the store at one kill.

    ``acknowledged`` has chunks as (token, index), ``contents`` the keys of stored contents; ``open`` counts the jobs
    that are not finished.
    """

    at: float
    """When it was, monotonic."""
    asked: int
    """Requests that the proxy had seen by then."""
    acknowledged: frozenset
    contents: frozenset
    open: int


def read(daemon, proxy):
    """Read the store after a kill, read-only: the next start must recover the write-ahead log."""
    path = daemon.state / "syncd.db"
    empty = Page(at=time.monotonic(), asked=len(proxy.asked), acknowledged=frozenset(), contents=frozenset(), open=0)
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


def sent_in_vain(pages, asked):
    """Return the requests for chunks or contents that the store recorded at an earlier kill."""
    acknowledged, contents = set(), set()
    again = []
    for page, until in zip(pages, [page.asked for page in pages[1:]] + [len(asked)], strict=True):
        acknowledged |= page.acknowledged
        contents |= page.contents
        again += [one for one in asked[page.asked : until] if one.chunk in acknowledged or one.content in contents]
    return again


def sent_twice_in_a_life(pages, asked):
    """Return the chunks that one process sent again after the response to the first request."""
    again = []
    for start, end in zip(
        [0] + [page.asked for page in pages], [page.asked for page in pages] + [len(asked)], strict=True
    ):
        answered = {}
        for one in asked[start:end]:
            if one.chunk is None:
                continue
            if one.chunk in answered and answered[one.chunk] < one.at:
                again.append(one)
            if one.answered_at and one.status in OK:
                answered.setdefault(one.chunk, one.answered_at)
    return again


def repeated(pages, asked):
    """Return, for chunks sent again after a kill, the seconds from the response to the kill.

    The daemon was killed before the store committed these chunks.
    """
    ages, answered = [], {}
    starts = [0] + [page.asked for page in pages]
    for life, (start, end) in enumerate(zip(starts, [*starts[1:], len(asked)], strict=True)):
        ages += [answered[one.chunk] for one in asked[start:end] if one.chunk in answered]
        for one in asked[start:end]:
            if life < len(pages) and one.chunk and one.answered_at and one.status in OK:
                answered[one.chunk] = pages[life].at - one.answered_at
    return ages
