"""Comparing what the servers have with what is recorded: each content is fetched once and kept nowhere."""

import hashlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from syncd.config.model import Config
from syncd.core.errors import Failure, NotStored
from syncd.core.text import printable
from syncd.recovery.fetch import FetchProgress, FetchSession, Flight, Snapshot, for_each, open_fetch_session
from syncd.remotes.base import Taker
from syncd.store import job_log
from syncd.store.copies import Copy, PathScope
from syncd.store.job_store import RETRY_BATCH_JOBS, JobStore


class Verdict(StrEnum):
    """How a server's copy compares."""

    WHOLE = "whole"
    MISSING = "missing"
    DIFFERENT = "different"
    UNREACHABLE = "unreachable"
    """It could not be fetched, so nothing is known."""


BAD = (Verdict.MISSING, Verdict.DIFFERENT)
"""What can be mended by another upload."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A copy that is not known to be whole. ``present`` says whether the file is still here, to be uploaded again."""

    path: str
    folder: str
    remote: str
    state: str
    detail: str
    present: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What was found. Files are counted once for each remote."""

    whole: int
    missing: int
    different: int
    unreachable: int
    problems: list[Problem]
    """By path. Of a server that is out of reach it has only the files that were asked for before that was known."""
    down: dict[str, str]
    """Remotes that can't be reached or don't accept the token, and why."""
    fetched: int
    """Bytes."""
    seconds: float
    bad: list[int]
    """The jobs whose copy is missing or different."""


async def verify(
    config: Config,
    places: Sequence[PathScope],
    *,
    sample: float = 1.0,
    on_progress: Callable[[Snapshot], None] | None = None,
) -> Report:
    """Compare the copies of all files in ``places``, or of a random ``sample`` of their contents.

    ``sample`` is their share, above 0 and up to 1. StoreError if the store can't be read.
    """
    async with open_fetch_session(config) as records:
        totals = {number: await records.copy_index.contents(number, places) for number in records.servers}
        count = sum(total.count for total in totals.values())
        wanted = count if sample >= 1 else min(count, max(1, round(count * sample)))
        size = sum(total.size for total in totals.values())
        course = FetchProgress(wanted, size * wanted // count if count else 0)
        comparison = _Comparison(records, course)
        contents = _contents(records, places)
        chosen = contents if sample >= 1 else _sampled(contents, count, wanted)
        async with course.shown(on_progress):
            await for_each(chosen, comparison.compare, at_once=records.at_once)
        return comparison.report()


async def _contents(records: FetchSession, places: Sequence[PathScope]) -> AsyncIterator[list[Copy]]:
    """Yield the copies of each content on each server."""
    for number in records.servers:
        content: list[Copy] = []
        page = await records.copy_index.copies(number, places)
        while page:
            for copy in page:
                if content and copy.key != content[0].key:
                    yield content
                    content = []
                content.append(copy)
            page = await records.copy_index.copies(number, places, after=page[-1])
        if content:
            yield content


async def _sampled(contents: AsyncIterator[list[Copy]], count: int, wanted: int) -> AsyncIterator[list[Copy]]:
    """Yield ``wanted`` of the ``count`` contents, each set of so many as likely as any other.

    Source: selection sampling, Knuth, "The Art of Computer Programming", volume 2, 3.4.2, algorithm S.
    """
    async for content in contents:
        if wanted > 0 and random.random() * count < wanted:  # noqa: S311 - nobody gains from guessing it
            yield content
            wanted -= 1
        count -= 1


Fetch = Callable[[Callable[[], Taker]], Awaitable[bool]]
"""Has what is returned, once a try, take a copy; says whether it is the one that was uploaded."""


async def compare(copy: Copy, remote: str, fetch: Fetch, course: FetchProgress) -> tuple[Verdict, str | None]:
    """Fetch a copy, and say how it compares, and why it is not whole; ``course`` counts what comes."""
    flight = Flight(path=copy.path, remote=remote, size=copy.size)
    by_md5 = copy.key.startswith("md5:") and copy.sha256 is not None  # other bytes with the same MD5 are easily made
    digest = hashlib.sha256()

    def begin() -> Taker:
        nonlocal digest
        flight.got, digest = 0, hashlib.sha256()
        return take

    def take(data: bytes) -> bool:
        course.got(flight, len(data))
        if by_md5:
            digest.update(data)
        return flight.got <= copy.size

    course.begin(flight)
    try:
        same = await fetch(begin)
    except NotStored as failure:
        return Verdict.MISSING, str(failure)
    except Failure as failure:
        return Verdict.UNREACHABLE, str(failure)
    finally:
        course.end(flight)
    if same and by_md5:
        same = digest.hexdigest() == copy.sha256
    if same and flight.got == copy.size:
        return Verdict.WHOLE, None
    if flight.got > copy.size:
        return Verdict.DIFFERENT, f"the server's copy has more than the {copy.size} bytes that were uploaded"
    if flight.got < copy.size:
        return Verdict.DIFFERENT, f"the server's copy has {flight.got} bytes instead of {copy.size}"
    return Verdict.DIFFERENT, "the server's copy has other bytes"


class _Comparison:
    """Compares contents one by one, and adds up what it finds."""

    def __init__(self, records: FetchSession, course: FetchProgress) -> None:
        self._records = records
        self._course = course
        self._counts = dict.fromkeys(Verdict, 0)
        self._problems: list[Problem] = []
        self._bad: list[int] = []

    async def compare(self, content: list[Copy]) -> None:
        """Fetch a content, and take note of how its copies are."""
        copy = content[0]
        server = self._records.servers[copy.remote_id]
        if server.down:
            self._note(content, Verdict.UNREACHABLE, None)
            return
        fetch = partial(self._records.fetch, copy)
        self._note(content, *await compare(copy, server.name, fetch, self._course))

    def _note(self, content: list[Copy], verdict: Verdict, detail: str | None) -> None:
        self._counts[verdict] += len(content)
        self._course.count(content[0].size, good=verdict is Verdict.WHOLE)
        if detail is not None:
            self._problems += [self._problem(copy, verdict, detail) for copy in content]
        if verdict in BAD:
            self._bad += [copy.job_id for copy in content]

    def _problem(self, copy: Copy, verdict: Verdict, detail: str) -> Problem:
        return Problem(
            path=printable(copy.path),
            folder=printable(copy.folder),
            remote=self._records.servers[copy.remote_id].name,
            state=verdict.value,
            detail=detail,
            present=copy.present,
        )

    def report(self) -> Report:
        """Return what was found."""
        servers = self._records.servers.values()
        return Report(
            whole=self._counts[Verdict.WHOLE],
            missing=self._counts[Verdict.MISSING],
            different=self._counts[Verdict.DIFFERENT],
            unreachable=self._counts[Verdict.UNREACHABLE],
            problems=sorted(self._problems, key=lambda problem: (problem.folder, problem.path, problem.remote)),
            down={server.name: str(server.down) for server in servers if server.down},
            fetched=self._course.meter.total,
            seconds=time.monotonic() - self._course.started,
            bad=self._bad,
        )


async def repair(config: Config, job_ids: Sequence[int]) -> int:
    """Queue the jobs again whose copies are bad and whose files are here; return how many.

    For who holds the state folder. StoreError if the store can't be used.
    """
    store = await JobStore.open(str(config.store), clock=time.time)
    store.on_change.append(job_log.log_change)
    try:
        parts = [job_ids[start : start + RETRY_BATCH_JOBS] for start in range(0, len(job_ids), RETRY_BATCH_JOBS)]
        return sum([len(await store.repair(part)) for part in parts])
    finally:
        await store.close()
