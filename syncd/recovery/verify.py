"""``syncd verify``: compares the servers' copies with the store's records.

Each content is downloaded once per server and not kept. :func:`compare` also serves the running daemon
(:mod:`syncd.daemon.online_verify`).
"""

import hashlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from syncd.asyncio_tools import for_each
from syncd.config.model import Config
from syncd.core.errors import Failure, NotStored
from syncd.core.progress import WorkProgress
from syncd.core.text import printable
from syncd.recovery.fetch import Download, FetchProgress, FetchSession, open_fetch_session
from syncd.remotes.base import WriteCallback
from syncd.store import job_log
from syncd.store.copies import Copy, PathScope
from syncd.store.job_store import JobStore
from syncd.store.user_actions import BATCH_JOBS


class Verdict(StrEnum):
    """The result of comparing one copy."""

    INTACT = "intact"
    MISSING = "missing"
    DIFFERENT = "different"
    UNREACHABLE = "unreachable"
    """The copy could not be downloaded, so its state is unknown."""


REPAIRABLE = (Verdict.MISSING, Verdict.DIFFERENT)
"""Verdicts that another upload corrects."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A copy that is not known to be intact; ``present``: the local file still exists."""

    path: str
    folder: str
    remote: str
    state: str
    detail: str
    present: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The result of a verify, in numbers of files, counted once per remote."""

    intact: int
    missing: int
    different: int
    unreachable: int
    problems: list[Problem]
    """Ordered by path. For an unreachable server: only the files that were requested before it was given up."""
    down: dict[str, str]
    """Remotes that are unreachable or reject the token, with the reason."""
    fetched: int
    """Bytes downloaded."""
    seconds: float
    bad: list[int]
    """Ids of the jobs whose copy is missing or different."""


async def verify(
    config: Config,
    scopes: Sequence[PathScope],
    *,
    sample: float = 1.0,
    on_progress: Callable[[WorkProgress], None] | None = None,
) -> Report:
    """Compare the copies of all files in ``scopes``, or of a random sample of their contents.

    ``sample`` is the share of the contents, above 0 and up to 1. StoreError if the store cannot be read.
    """
    async with open_fetch_session(config) as session:
        totals = {remote_id: await session.copy_index.contents(remote_id, scopes) for remote_id in session.servers}
        count = sum(total.count for total in totals.values())
        wanted = count if sample >= 1 else min(count, max(1, round(count * sample)))
        size = sum(total.size for total in totals.values())
        progress = FetchProgress(wanted, size * wanted // count if count else 0)
        verification = _Verification(session, progress)
        contents = _contents(session, scopes)
        chosen = contents if sample >= 1 else _sample(contents, count, wanted)
        async with progress.reporting(on_progress):
            await for_each(chosen, verification.compare, limit=session.concurrency)
        return verification.report()


async def _contents(session: FetchSession, scopes: Sequence[PathScope]) -> AsyncIterator[list[Copy]]:
    """Yield each content on each server, as the list of its copies."""
    for remote_id in session.servers:
        content: list[Copy] = []
        page = await session.copy_index.copies(remote_id, scopes)
        while page:
            for copy in page:
                if content and copy.key != content[0].key:
                    yield content
                    content = []
                content.append(copy)
            page = await session.copy_index.copies(remote_id, scopes, after=page[-1])
        if content:
            yield content


async def _sample(contents: AsyncIterator[list[Copy]], count: int, wanted: int) -> AsyncIterator[list[Copy]]:
    """Yield ``wanted`` of the ``count`` contents; every subset of that size is equally likely.

    Source: selection sampling, Knuth, "The Art of Computer Programming", volume 2, 3.4.2, algorithm S.
    """
    async for content in contents:
        if wanted > 0 and random.random() * count < wanted:  # noqa: S311 - not a secret
            yield content
            wanted -= 1
        count -= 1


Fetch = Callable[[Callable[[], WriteCallback]], Awaitable[bool]]
"""Downloads a copy into a fresh sink for each attempt; returns whether it is the uploaded content."""


async def compare(copy: Copy, remote: str, fetch: Fetch, progress: FetchProgress) -> tuple[Verdict, str | None]:
    """Download ``copy``; return the verdict, and the reason if the copy is not intact."""
    download = Download(path=copy.path, remote=remote, size=copy.size)
    by_md5 = copy.key.startswith("md5:") and copy.sha256 is not None  # MD5 collisions are easy to make
    digest = hashlib.sha256()

    def make_sink() -> WriteCallback:
        nonlocal digest
        download.received, digest = 0, hashlib.sha256()
        return sink

    def sink(data: bytes) -> bool:
        progress.received(download, len(data))
        if by_md5:
            digest.update(data)
        return download.received <= copy.size

    progress.begin(download)
    try:
        same = await fetch(make_sink)
    except NotStored as failure:
        return Verdict.MISSING, str(failure)
    except Failure as failure:
        return Verdict.UNREACHABLE, str(failure)
    finally:
        progress.end(download)
    if same and by_md5:
        same = digest.hexdigest() == copy.sha256
    if same and download.received == copy.size:
        return Verdict.INTACT, None
    if download.received > copy.size:
        return Verdict.DIFFERENT, f"the server's copy has more than the {copy.size} bytes that were uploaded"
    if download.received < copy.size:
        return Verdict.DIFFERENT, f"the server's copy has {download.received} bytes instead of {copy.size}"
    return Verdict.DIFFERENT, "the server's copy has other bytes"


class _Verification:
    """Compares contents one by one, and collects the results."""

    def __init__(self, session: FetchSession, progress: FetchProgress) -> None:
        self._session = session
        self._progress = progress
        self._counts = dict.fromkeys(Verdict, 0)
        self._problems: list[Problem] = []
        self._bad: list[int] = []

    async def compare(self, content: list[Copy]) -> None:
        """Download a content, and record the verdict for each of its copies."""
        copy = content[0]
        server = self._session.servers[copy.remote_id]
        if server.down:
            self._record(content, Verdict.UNREACHABLE, None)
            return
        fetch = partial(self._session.fetch, copy)
        self._record(content, *await compare(copy, server.name, fetch, self._progress))

    def _record(self, content: list[Copy], verdict: Verdict, detail: str | None) -> None:
        self._counts[verdict] += len(content)
        self._progress.count(content[0].size, good=verdict is Verdict.INTACT)
        if detail is not None:
            self._problems += [self._problem(copy, verdict, detail) for copy in content]
        if verdict in REPAIRABLE:
            self._bad += [copy.job_id for copy in content]

    def _problem(self, copy: Copy, verdict: Verdict, detail: str) -> Problem:
        return Problem(
            path=printable(copy.path),
            folder=printable(copy.folder),
            remote=self._session.servers[copy.remote_id].name,
            state=verdict.value,
            detail=detail,
            present=copy.present,
        )

    def report(self) -> Report:
        """Return the collected results."""
        servers = self._session.servers.values()
        return Report(
            intact=self._counts[Verdict.INTACT],
            missing=self._counts[Verdict.MISSING],
            different=self._counts[Verdict.DIFFERENT],
            unreachable=self._counts[Verdict.UNREACHABLE],
            problems=sorted(self._problems, key=lambda problem: (problem.folder, problem.path, problem.remote)),
            down={server.name: str(server.down) for server in servers if server.down},
            fetched=self._progress.meter.total,
            seconds=time.monotonic() - self._progress.started,
            bad=self._bad,
        )


async def repair(config: Config, job_ids: Sequence[int]) -> int:
    """Queue the jobs with a bad copy again if their files exist; return the number queued.

    The caller must hold the lock of the state folder. StoreError if the store cannot be used.
    """
    store = await JobStore.open(str(config.store), clock=time.time)
    store.changes.subscribe(job_log.log_change)
    try:
        batches = [job_ids[start : start + BATCH_JOBS] for start in range(0, len(job_ids), BATCH_JOBS)]
        return sum([len(await store.repair(batch)) for batch in batches])
    finally:
        await store.close()
