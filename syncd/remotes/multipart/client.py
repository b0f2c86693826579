"""Uploads files over the multipart API.

The client creates a task, sends its chunks and completes it. A small file is sent in a single request.

:mod:`syncd.remotes.multipart.api` sends the calls, ``schema`` reads the responses, ``chunk_sizes`` learns the limits of
the server, and ``stored_files`` verifies stored files.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from functools import cached_property

from syncd.config import destinations
from syncd.config.remotes import MultipartRemote as Settings
from syncd.core import chunks
from syncd.core.errors import CutOff, Permanent, Scope, SessionLost, Transient, Unauthorized
from syncd.core.model import ChunkResult, Confirmation, Content, Pending, Proof, Session, Stored
from syncd.remotes.base import Source, Throttle, WriteCallback
from syncd.remotes.bodies import FormFile, MultipartForm
from syncd.remotes.client import RemoteClient
from syncd.remotes.downloads import HashingWriter
from syncd.remotes.multipart import schema
from syncd.remotes.multipart.api import MultipartApi, ReadBytes
from syncd.remotes.multipart.chunk_sizes import MultipartChunkSizes
from syncd.remotes.multipart.options import MultipartHasher, UploadOptions, terms
from syncd.remotes.multipart.stored_files import StoredFiles
from syncd.remotes.responses import Response

_PLAIN_NAME = re.compile(r'[^"\\\x00-\x1f\x7f]+')
"""File names that need no quoting in a form's header. Servers disagree about the quoting."""


class MultipartRemote(RemoteClient):
    """The client of one server of the multipart API."""

    _settings: Settings
    _sizes: MultipartChunkSizes

    def __init__(
        self, name: str, settings: Settings, *, throttle: Throttle, clock: Callable[[], float], user_agent: str
    ) -> None:
        super().__init__(name, settings, throttle=throttle, clock=clock, user_agent=user_agent)
        self._files = StoredFiles(self._http, settings)
        self._api = MultipartApi(self._http, settings.prefix, self._files)
        self._options = UploadOptions(settings, clock)
        self._sizes = MultipartChunkSizes(settings.chunk_size)

    @cached_property
    def terms(self) -> str:
        """The expiry, and a fingerprint of the password that does not reveal it."""
        owner = destinations.owner(self._name, self._settings)  # without the address, which may change
        return terms(self._settings, salt=str(owner).encode("utf-8", "backslashreplace"))

    @property
    def expires(self) -> bool:
        """True if the settings contain an expiry."""
        return self._settings.expired_at is not None

    @property
    def required_proof(self) -> Proof:
        """The weakest proof of upload that allows syncd to delete the local file.

        An MD5 is not enough, because different contents can have the same MD5: then the bytes must be compared.
        """
        return Proof.BYTES if self._settings.hash == "md5" else Proof.SIZE

    def hasher(self) -> MultipartHasher:
        """Return a new hasher for one file."""
        return MultipartHasher(self._settings.hash)

    def hasher_of(self, key: str, ref: str) -> MultipartHasher:  # noqa: ARG002 - the protocol's
        """Return a hasher with the algorithm of ``key``."""
        return MultipartHasher(key.partition(":")[0])

    def recorded(self, *, key: str, ref: str, size: int, sha256: str | None) -> Content:  # noqa: ARG002 - the protocol's
        """Return the content for a record of the store."""
        return Content(key=key, size=size, sha256=sha256)

    def session_without_request(
        self, content: Content, source: Source, session: Session | None, *, failures: int, look_up: bool = False
    ) -> Session | None:
        """Choose a single request for a small file."""
        if self._is_resumable(session, content) or failures or look_up or not self._may_send_directly(content, source):
            return None
        return Session(token="", chunk_size=content.size, count=1, single_request=True)

    async def begin(
        self, content: Content, source: Source, session: Session | None, *, failures: int, look_up: bool = False
    ) -> Session | Stored:
        """Resume the session, choose a single request for a small file, or create a task."""
        if session is not None and self._is_resumable(session, content):
            return await self._resume(session)
        chosen = self.session_without_request(content, source, session, failures=failures, look_up=look_up)
        return chosen or await self._create(content, source)

    def _is_resumable(self, session: Session | None, content: Content) -> bool:
        if session is None or not session.token or not self._sizes.limit.allows(session.chunk_size):
            return False
        return session.count == chunks.count(content.size, session.chunk_size)

    def _may_send_directly(self, content: Content, source: Source) -> bool:
        allowed = self._settings.direct == "auto" and self._sizes.allows_direct(content.size)
        return allowed and self._options.are_default and _PLAIN_NAME.fullmatch(source.name) is not None

    async def _create(self, content: Content, source: Source) -> Session | Stored:
        fields = {
            **self._options.fields(content),
            "file_name": source.name,
            "file_size": content.size,
            "content_type": source.media_type,
            "chunk_size": self._sizes.chunk_size,
        }
        response = await self._api.create(fields)
        json = response.json() if response.ok else None
        if json is None:
            raise await self._api.unexpected(response)
        if json.get("file_exists") is True:
            return await self._files.verify_existing(response, content)
        session = schema.read_session(json, content)
        if session is None:
            raise await self._api.unexpected(response)
        self._sizes.check(session, content)
        return session

    async def _resume(self, session: Session) -> Session:
        """Return the session with the chunks that the server has.

        If the response is unusable, return the session with the acknowledged chunks.
        """
        response = await self._api.resume(session.token)
        json = response.json() if response.ok else None
        if json is None:
            failure = self._api.failure(response)
            unreadable = (
                response.status < 300 and not response.is_html
            )  # such as a truncated list; a retry would not help
            if isinstance(failure, Unauthorized | Transient) and not unreadable:
                raise failure
            return session
        arrived = schema.received_chunks(json, session)
        return Session(token=session.token, chunk_size=session.chunk_size, count=session.count, received=arrived)

    async def send(self, session: Session, index: int, content: Content, source: Source) -> ChunkResult:
        """Send chunk ``index``; in a session of a single request, send the whole file."""
        offset, length = chunks.span(index, content.size, session.chunk_size)
        with self._sizes.limit.learning(length):
            if session.single_request:
                return await self._send_whole(content, source)
            return await self._send_chunk(session, index, (offset, length), source)

    async def _send_chunk(self, session: Session, index: int, span: tuple[int, int], source: Source) -> ChunkResult:
        offset, length = span
        response = await self._api.chunk(session.token, index, length, self._reader(source, offset, length))
        if response.ok or (response.status == 409 and not response.is_html):  # 409: the chunk has arrived before
            return ChunkResult()
        if response.status == 404:
            raise self._api.session_lost(response)
        if response.status == 408:
            raise CutOff(str(self._api.failure(response)))
        if response.too_large and self._sizes.record_refused(length):
            raise self._api.session_lost(response)
        if response.too_large:
            raise Permanent(str(self._api.failure(response)))
        raise self._api.failure(response)

    def _reader(self, source: Source, offset: int, length: int) -> ReadBytes:
        """Return a function that reads a part of the file.

        It reads block by block, because the server may require very long chunks.
        """
        block = self.block_size

        async def read() -> AsyncIterator[bytes]:
            for index in range(chunks.count(length, block)):
                start, size = chunks.span(index, length, block)
                yield await source.read(offset + start, size)

        return read

    async def _send_whole(self, content: Content, source: Source) -> ChunkResult:
        read = self._reader(source, 0, source.size)
        upload = FormFile(field="file", filename=source.name, media_type=source.media_type, size=source.size, read=read)
        response = await self._api.direct(MultipartForm(fields=self._options.fields(content), file=upload))
        file = schema.read_stored_file(response.json()) if response.ok else None
        if file is not None:
            return ChunkResult(stored=await self._files.verify_upload(file, response, content))
        if response.status in (404, 405, 501):
            self._sizes.record_direct_refused(0)
            raise self._api.session_lost(response)
        if response.too_large:
            self._sizes.record_direct_refused(content.size)
            raise self._api.session_lost(response)
        raise await self._api.unexpected(response)

    async def finish(self, session: Session, content: Content, source: Source) -> Stored | Pending:
        """Make the server assemble the file.

        After a rejection the task may no longer exist, so the upload must begin again.
        """
        try:
            response = await self._api.complete(session.token)
        except Transient as failure:
            if failure.scope is Scope.REMOTE:
                raise
            return await self._find_outcome(session, content, source, failure)
        json = response.json() or {}
        if response.status == 202 and not response.is_html:
            return Pending(
                token=schema.read_id(json.get("taskId")) or schema.read_id(json.get("task_id")) or session.token
            )
        file = schema.read_stored_file(json) if response.ok else None
        if file is not None:
            return await self._files.verify_upload(file, response, content)
        if response.status in (400, 404, 409, 410, 500):
            raise self._api.session_lost(response)
        raise await self._api.unexpected(response)

    async def _find_outcome(
        self, session: Session, content: Content, source: Source, failure: Transient
    ) -> Stored | Pending:
        """Find the result of a *complete* without a response.

        The assembly may take longer than the timeout, so ask *progress*. If *progress* and *resume* do not know the
        task, the file was either completed or lost: *create* then shows whether the server has the content.
        """
        progress = await self._api.progress(session.token)
        json = progress.json() if progress.ok else None
        if json is not None:
            if schema.assembly_state(json) == "running" and not schema.is_processing(json):
                raise failure  # *complete* has not arrived
            result = await self._assembly_result(json, progress, session.token, content)
            if isinstance(result, Pending) or result.ref:
                return result
            found = await self._create(content, source)  # *progress* need not name the file, but *create* does
            return result if isinstance(found, Session) else replace(found, already=False)
        if (await self._api.resume(session.token)).status != 404:
            raise failure
        found = await self._create(content, source)
        if isinstance(found, Session):
            raise SessionLost(failure.problem)
        return replace(found, already=False)

    async def poll(self, pending: Pending, content: Content) -> Stored | Pending:
        """Ask whether the server has assembled the file."""
        response = await self._api.progress(pending.token)
        if response.status == 404:
            raise self._api.session_lost(response)
        json = response.json() if response.ok else None
        if json is None:
            raise self._api.failure(response)
        return await self._assembly_result(json, response, pending.token, content)

    async def _assembly_result(
        self, json: Mapping[str, object], response: Response, token: str, content: Content
    ) -> Stored | Pending:
        """Return the result that a response to *progress* contains."""
        state = schema.assembly_state(json)
        if state == "failed":
            problem = "the server failed to assemble the file"
            raise SessionLost(": ".join(filter(None, (problem, response.message()))))
        if state == "running":
            return Pending(token=token)
        file = schema.read_stored_file(json, enveloped=True) or schema.read_cloud_file(
            {**json, "id": json.get("file_id")}
        )
        return await self._files.verify_upload(file, response, content) if file else Stored(ref="")

    async def fetch(self, ref: str, key: str, write: WriteCallback) -> str:
        """Download the file, following redirects; return its key."""
        return await self._files.fetch(ref, key, HashingWriter(self.hasher_of(key, ref), write))

    async def confirm(self, ref: str, content: Content, *, thorough: bool = False) -> Confirmation:
        """Compare the length of the stored file; with ``thorough`` and MD5, compare all bytes."""
        return await self._files.confirm(ref, content, thorough=thorough)

    async def check(self) -> None:
        """Return if the server offers this API and accepts the token."""
        await self._api.check()

    async def measure_upload(self, size: int) -> None:
        """Send a chunk of ``size`` bytes for an unknown task; the caller times the call."""
        await self._api.measure_upload(size)
