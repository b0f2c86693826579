"""One job from claim to confirmation: open, hash, agree, send the chunks, have them put together.

Returns what became of the file or raises why it stopped; what follows from that is the lane's to decide.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from syncd.core import chunks
from syncd.core.errors import Permanent, SessionLost, Transient
from syncd.core.model import Content, Pending, Session, Stored
from syncd.store.records import Job, StoredContent
from syncd.upload.endpoint import Endpoint
from syncd.upload.job_queue import JobQueue
from syncd.upload.source import FileSource

MAX_SESSIONS = 2
"""So often is a lost upload begun again at once; after that it waits its turn."""
MAX_UNRECORDED_CHUNKS = 16
"""Chunks beyond those in flight that may still wait for the store to record them."""
POLL_FIRST, POLL_MOST, POLL_TOTAL = 0.5, 10.0, 900.0
"""Seconds between questions to a server that is putting chunks together, and for how long it is asked."""


class InterruptedUploadError(Exception):
    """The engine is stopping; all chunks that were under way have been acknowledged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """The server has the whole content.

    ``terms`` are those that it is stored under; ``expires`` says that they end.
    """

    content: Content
    stored: Stored
    terms: str
    expires: bool


@dataclass(kw_only=True, slots=True)
class Progress:
    """How far a job is, for people who look on. Sizes in bytes of the file."""

    job: Job
    sent: int = 0
    stage: str = "hashing"


class Upload:
    """Runs one job over one line."""

    def __init__(
        self,
        job: Job,
        *,
        endpoint: Endpoint,
        store: JobQueue,
        stopping: Callable[[], bool],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.job = job
        self.progress = Progress(job=job)
        self.key: str | None = None
        """The content's key, once it is known."""
        self.advanced = False
        """Whether the server has acknowledged a chunk."""
        self._resumed = False
        """Whether the session is one that an earlier try left."""
        self.endpoint = endpoint
        self._remote = endpoint.remote
        self.store = store
        self.stopping = stopping
        self._sleep = sleep

    async def run(self, source: FileSource, content: Content) -> Done:
        """Bring ``content`` to the server."""
        self.key = content.key
        before = await self.store.uploaded_before(content.key, content.sha256)
        other_terms = next((each for each in before if self._under_other_terms(each)), None)
        # A direct upload would send what the server has, as when its address has changed. But what this very remote has
        # under other terms is to be stored anew, and a look-up would find it.
        look_up = bool(before) and other_terms is None
        lost = 0
        while True:
            if self.stopping():
                raise InterruptedUploadError
            capabilities = dict(self._remote.capabilities)
            try:
                stored = await self._transfer(content, source, look_up=look_up)
                if stored.trouble is not None:
                    self.endpoint.learn(stored.trouble, self.job.id)
            except SessionLost:
                await self.store.drop_session(self.job.remote_id, content.key)
                lost += (
                    capabilities == self._remote.capabilities
                )  # where something was learned, the next try is another one
                if lost >= MAX_SESSIONS:
                    raise
            except Permanent:
                await self.store.drop_session(self.job.remote_id, content.key)
                # A server may report a session that it has forgotten as a bad request.
                if not self._resumed or lost >= MAX_SESSIONS:
                    raise
                lost += 1
            else:
                kept = other_terms if stored.already and other_terms else self._remote
                return Done(content=content, stored=stored, terms=kept.terms, expires=kept.expires)

    def _under_other_terms(self, stored: StoredContent) -> bool:
        return stored.remote_id == self.job.remote_id and stored.terms != self._remote.terms

    async def _transfer(self, content: Content, source: FileSource, *, look_up: bool) -> Stored:
        remembered = await self.store.session(self.job.remote_id, content.key)
        self._resumed = remembered is not None
        self.progress.stage = "starting"
        async with self.endpoint.request(self.job.id) as observation:
            begun = await self._remote.begin(content, source, remembered, failures=self.job.failures, look_up=look_up)
            # To go on, or to send all in one request, needs no asking: then the chunks will tell.
            observation.inconclusive = isinstance(begun, Session)
        if isinstance(begun, Stored):
            return begun
        if not begun.single_request and begun != remembered:
            await self.store.save_session(self.job.remote_id, content.key, begun)
        self.progress.stage = "sending"
        sending = _Sending(self, begun, content, source)
        stored = await sending.run()
        if stored:
            return stored
        await source.verify()
        self.progress.stage = "finishing"
        return await self._finish(sending.session, content, source)

    async def _finish(self, session: Session, content: Content, source: FileSource) -> Stored:
        async with self.endpoint.request(self.job.id):
            result = await self._remote.finish(session, content, source)
        pause, waited = POLL_FIRST, 0.0
        while isinstance(result, Pending):
            if self.stopping():
                raise InterruptedUploadError
            if waited >= POLL_TOTAL:
                raise Transient(f"the server was still putting the file together after {waited:.0f} s")
            await self._sleep(pause)
            waited += pause
            pause = min(pause * 2, POLL_MOST)
            async with self.endpoint.request(self.job.id):
                result = await self._remote.poll(result, content)
        return result


class _Sending:
    """The chunks of one session, several of them in flight."""

    def __init__(self, upload: Upload, session: Session, content: Content, source: FileSource) -> None:
        self.session = session
        self._upload = upload
        self._content = content
        self._source = source
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._stored: Stored | None = None

    async def run(self) -> Stored | None:
        """Send what is missing. If one chunk fails no other is begun, but those in flight are brought to their end."""
        self._note_progress()
        try:
            await self._launch()
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._failure:
            raise self._failure
        if not self._stored and len(self.session.received) < self.session.count:
            raise InterruptedUploadError
        return self._stored

    async def _launch(self) -> None:
        limiter = self._upload.endpoint.limiter
        for index in self.session.received.missing(self.session.count):
            # The last chunk may be short. Alone it would bind an image to chunks that are too large for the line.
            while index and index == self.session.count - 1 and not self.session.received and self._tasks:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            slot = AsyncExitStack()
            await slot.enter_async_context(limiter.slot())
            if self._failure or self._stored or self._upload.stopping():
                await slot.aclose()
                return
            task = asyncio.create_task(self._send(index, slot))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
            if len(self._tasks) > 2 * limiter.capacity + MAX_UNRECORDED_CHUNKS:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)

    async def _send(self, index: int, slot: AsyncExitStack) -> None:
        upload, session = self._upload, self.session
        size = chunks.span(index, self._content.size, session.chunk_size)[1]
        async with slot, upload.endpoint.observed(upload.job.id, size):
            receipt = await upload.endpoint.remote.send(session, index, self._content, self._source)
        if receipt.stored:
            self._stored = receipt.stored
        elif not session.single_request:
            job = upload.job
            if receipt.needs_verification and not session.needs_verification:
                self.session = replace(session, needs_verification=True)
                await upload.store.require_verification(job.remote_id, self._content.key)
            await upload.store.acknowledge(job.remote_id, self._content.key, session.token, index)
            upload.advanced = True
        session.received.add(index)
        self._note_progress()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() and not self._failure:
            self._failure = task.exception()

    def _note_progress(self) -> None:
        self._upload.progress.sent = self._source.size * len(self.session.received) // self.session.count
