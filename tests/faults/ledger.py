"""Checks after a kill that no acknowledged chunk is sent again, from the store and the requests of the proxy."""

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
    """The store at one kill: acknowledged chunks as (token, index), contents known to be stored, jobs not yet done."""

    at: float
    """When it was, monotonic."""
    asked: int
    """Requests that the proxy had seen by then."""
    acknowledged: frozenset
    contents: frozenset
    open: int


def read(daemon, proxy):
    """Read the store as the kill left it: read-only, so that its log is still the next start's to recover."""
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
    """Return the requests that carried again what the store had as acknowledged, or stored, at an earlier kill."""
    acknowledged, contents = set(), set()
    again = []
    for page, until in zip(pages, [page.asked for page in pages[1:]] + [len(asked)], strict=True):
        acknowledged |= page.acknowledged
        contents |= page.contents
        again += [one for one in asked[page.asked : until] if one.chunk in acknowledged or one.content in contents]
    return again


def sent_twice_in_a_life(pages, asked):
    """Return the chunks that one life of the daemon sent again though the answer to the first time had come."""
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
    """Return how long before a kill chunks were answered that went again after it, in seconds: the kill was faster than
    the store's commit."""
    ages, answered = [], {}
    starts = [0] + [page.asked for page in pages]
    for life, (start, end) in enumerate(zip(starts, [*starts[1:], len(asked)], strict=True)):
        ages += [answered[one.chunk] for one in asked[start:end] if one.chunk in answered]
        for one in asked[start:end]:
            if life < len(pages) and one.chunk and one.answered_at and one.status in OK:
                answered[one.chunk] = pages[life].at - one.answered_at
    return ages
