"""Transfers one content to a server: begins a session, sends its chunks, and finishes it.

:class:`Transfer` resumes the session that an earlier attempt left, and begins a new one if the server has lost it.
:mod:`~syncd.upload.session_start` begins a session, and :class:`_ChunkSender` sends its chunks.
:mod:`~syncd.upload.upload` decides whether a transfer is needed, and handles its failures.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from syncd.asyncio_tools import cancel_and_wait
from syncd.core import chunks
from syncd.core.errors import Permanent, SessionLost, Transient
from syncd.core.model import Content, Pending, Session, Stored
from syncd.store.records import ContentRecords, Job, StoredContent
from syncd.upload.endpoint import Endpoint
from syncd.upload.job_queue import JobQueue
from syncd.upload.limiter import ConcurrencyLimiter
from syncd.upload.session_start import SessionStart
from syncd.upload.source import FileSource

MAX_SESSIONS = 2
"""An attempt fails when it has lost this many sessions."""
MAX_UNRECORDED_CHUNKS = 16
"""Chunks that may wait for the store to record them, beyond twice the limit of requests in flight."""
FIRST_POLL_SECONDS, MAX_POLL_SECONDS = 0.5, 10.0
"""Pause between polls of a server that is assembling the chunks; the pause doubles each time."""
ASSEMBLY_TIMEOUT_SECONDS = 900.0
"""Longest time that a server may take to assemble the chunks."""


WAITING = "waiting"
"""The stage of a claimed job that is not shown yet: its file is read and looked up, or it waits for a request slot."""


class InterruptedUploadError(Exception):
    """The upload stopped at a chunk boundary; the store has all acknowledged chunks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """The server has the complete content.

    ``terms`` are the terms under which the server stores it; ``expires`` is true if they end.
    """

    content: Content
    stored: Stored
    terms: str
    expires: bool


@dataclass(kw_only=True, slots=True)
class Progress:
    """The progress of a running job, for status displays. ``sent`` is in bytes of the file.

    The stages are ``waiting``, ``hashing`` (of a large file), ``starting``, ``sending`` and ``finishing``.
    """

    job: Job
    sent: int = 0
    stage: str = WAITING


class Transfer:
    """Transfers the content of one job to its remote.

    ``stopping`` is called at each chunk boundary; the transfer stops if it returns True. ``first`` is as for
    :meth:`~syncd.upload.limiter.ConcurrencyLimiter.acquire`.
    """

    def __init__(
        self,
        job: Job,
        content: Content,
        source: FileSource,
        *,
        records: ContentRecords,
        endpoint: Endpoint,
        store: JobQueue,
        progress: Progress,
        stopping: Callable[[], bool],
        first: bool,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.job = job
        self.content = content
        self.source = source
        self._records = records
        self._saved = records.session
        self.endpoint = endpoint
        self.store = store
        self.progress = progress
        self.stopping = stopping
        self.first = first
        self.advanced = False
        """True once the server has acknowledged a chunk."""
        self._resumed = False
        """True if an earlier attempt began the current session."""
        self._remote = endpoint.remote
        self._sleep = sleep
        self._start = SessionStart(
            job=job,
            content=content,
            source=source,
            records=records,
            endpoint=endpoint,
            first=first,
            on_request=partial(setattr, progress, "stage", "starting"),
        )

    async def run(self) -> Done:
        """Return once the server has the content.

        Raises a :class:`~syncd.core.errors.Failure`, or ``InterruptedUploadError`` if ``stopping`` returned True.
        """
        before = self._records.anywhere
        other_terms = next((each for each in before if self._under_other_terms(each)), None)
        # A direct upload would send a content that the server has already, for example after its address has changed.
        # But a content that is stored under other terms must be sent again, and a look-up would find the old copy.
        look_up = bool(before) and other_terms is None
        lost = 0
        while True:
            if self.stopping():
                raise InterruptedUploadError
            capabilities = dict(self._remote.capabilities)
            try:
                stored = await self._transfer(look_up=look_up)
                if stored.trouble is not None:
                    self.endpoint.learn(stored.trouble, self.job.id)
            except SessionLost:
                await self._drop_session()
                lost += capabilities == self._remote.capabilities  # with new capabilities the next session differs
                if lost >= MAX_SESSIONS:
                    raise
            except Permanent:
                await self._drop_session()
                # A server may report a session that it no longer has as a bad request.
                if not self._resumed or lost >= MAX_SESSIONS:
                    raise
                lost += 1
            else:
                kept = other_terms if stored.already and other_terms else self._remote
                return Done(content=self.content, stored=stored, terms=kept.terms, expires=kept.expires)

    async def _drop_session(self) -> None:
        self._saved = None
        await self.store.drop_session(self.job.remote_id, self.content.key)

    def _under_other_terms(self, stored: StoredContent) -> bool:
        return stored.remote_id == self.job.remote_id and stored.terms != self._remote.terms

    async def _transfer(self, *, look_up: bool) -> Stored:
        """Run one session from begin to finish."""
        saved = self._saved
        self._resumed = saved is not None
        begun = await self._start.begin(saved, look_up=look_up)
        if isinstance(begun, Stored):
            return begun
        if is_resumable(begun) and begun != saved:
            await self.store.save_session(self.job.remote_id, self.content.key, begun)
        sender = _ChunkSender(self, begun)
        stored = await sender.run()
        if stored:
            return stored
        await self.source.verify()
        self.progress.stage = "finishing"
        return await self._finish(sender.session)

    async def _finish(self, session: Session) -> Stored:
        """Finish the session, and poll until the server has assembled the chunks."""
        async with self.endpoint.request(self.job.id, first=self.first):
            result = await self._remote.finish(session, self.content, self.source)
        if isinstance(result, Pending) and not is_resumable(session):  # after a restart, nothing is sent again
            await self.store.save_session(self.job.remote_id, self.content.key, session)
        pause, waited = FIRST_POLL_SECONDS, 0.0
        while isinstance(result, Pending):
            if self.stopping():
                raise InterruptedUploadError
            if waited >= ASSEMBLY_TIMEOUT_SECONDS:
                raise Transient(f"the server was still assembling the file after {waited:.0f} s")
            await self._sleep(pause)
            waited += pause
            pause = min(pause * 2, MAX_POLL_SECONDS)
            async with self.endpoint.request(self.job.id, first=self.first):
                result = await self._remote.poll(result, self.content)
        return result


def is_resumable(session: Session) -> bool:
    """Return whether a later attempt can continue the session and send less.

    The store records only such sessions and their chunks.
    """
    return session.count > 1 and not session.single_request


class _ChunkSender:
    """Sends the chunks of one session, several at a time."""

    def __init__(self, transfer: Transfer, session: Session) -> None:
        self.session = session
        self._transfer = transfer
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._stored: Stored | None = None

    async def run(self) -> Stored | None:
        """Send the missing chunks; return the content if the server has stored it already.

        After a chunk has failed, no further chunk is started, but the chunks in flight are completed.
        """
        self._update_progress()
        if self.session.count == 1 and not self.session.received:
            await self._send_only_chunk()
            return self._stored
        try:
            await self._start_chunks()
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            await cancel_and_wait(*self._tasks)
        if self._failure:
            raise self._failure
        if not self._stored and len(self.session.received) < self.session.count:
            raise InterruptedUploadError
        return self._stored

    async def _send_only_chunk(self) -> None:
        """Send a file in one chunk, without the tasks that several chunks need."""
        limiter = self._transfer.endpoint.limiter
        await limiter.acquire(first=self._transfer.first)
        if self._transfer.stopping():
            limiter.release()
            raise InterruptedUploadError
        await self._send(0, limiter)

    async def _start_chunks(self) -> None:
        limiter = self._transfer.endpoint.limiter
        for index in self.session.received.missing(self.session.count):
            # The last chunk may be short, so it may arrive while larger chunks fail over a slow connection. A session
            # with a chunk must keep its chunk size, and would fail again: send the last chunk after another.
            while index and index == self.session.count - 1 and not self.session.received and self._tasks:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            await limiter.acquire(first=self._transfer.first)
            if self._failure or self._stored or self._transfer.stopping():
                limiter.release()
                return
            task = asyncio.create_task(self._send(index, limiter))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
            if len(self._tasks) > 2 * limiter.capacity + MAX_UNRECORDED_CHUNKS:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    async def _send(self, index: int, limiter: ConcurrencyLimiter) -> None:
        """Send a chunk, and release the slot that the caller has acquired from ``limiter``."""
        transfer, session = self._transfer, self.session
        content, job = transfer.content, transfer.job
        size = chunks.span(index, content.size, session.chunk_size)[1]
        transfer.progress.stage = "sending"
        try:
            async with transfer.endpoint.observed(job.id, size):
                receipt = await transfer.endpoint.remote.send(session, index, content, transfer.source)
        finally:
            limiter.release()
        if receipt.stored:
            self._stored = receipt.stored
        elif is_resumable(session):
            if receipt.needs_verification and not session.needs_verification:
                self.session = replace(session, needs_verification=True)
                await transfer.store.require_verification(job.remote_id, content.key)
            await transfer.store.acknowledge(job.remote_id, content.key, session.token, index)
            transfer.advanced = True
        elif not session.single_request:
            self.session = replace(session, needs_verification=session.needs_verification or receipt.needs_verification)
            transfer.advanced = True
        session.received.add(index)
        self._update_progress()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() and not self._failure:
            self._failure = task.exception()

    def _update_progress(self) -> None:
        size, session = self._transfer.source.size, self.session
        self._transfer.progress.sent = size * len(session.received) // session.count
