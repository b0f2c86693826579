"""The client of the multipart API: create a task, send its chunks, have them put together; or all in one request."""

import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from functools import cached_property
from urllib.parse import quote

from syncd.config import destinations
from syncd.config.remotes import MultipartRemote as Settings
from syncd.core import chunks
from syncd.core.errors import CutOff, Failure, Permanent, Scope, SessionLost, Transient, Unauthorized
from syncd.core.model import ChunkResult, Confirmation, Content, Pending, Proof, Session, Stored
from syncd.remotes.base import Source, Throttle, WriteCallback
from syncd.remotes.bodies import Body, FormFile, MultipartForm, json_body
from syncd.remotes.chunk_limit import ChunkLimit
from syncd.remotes.http import Http
from syncd.remotes.multipart import schema
from syncd.remotes.multipart.options import MultipartHasher, UploadOptions
from syncd.remotes.multipart.stored_files import StoredFiles
from syncd.remotes.presence import is_server_failure
from syncd.remotes.responses import Response, not_an_upload_api
from syncd.remotes.sinks import FileSink
from syncd.remotes.speedtest import incompressible_bytes, send_rejected_chunk
from syncd.remotes.terms import terms

MAX_DIRECT_BYTES = 20 * 1024 * 1024
"""Bytes of a file that may go in one request."""
MIN_CHUNK_BYTES = 64 * 1024
"""Bytes; a server that refuses such a chunk takes none."""
_BYTES = "application/octet-stream"
_UNKNOWN_TASK = "0" * 32
_PLAIN_NAME = re.compile(r'[^"\\\x00-\x1f\x7f]+')
"""Names that stand in a form's header without quoting, which every server reads in its own way."""


class MultipartRemote:
    """One server of the multipart API. ``clock`` gives seconds since the epoch."""

    def __init__(
        self, name: str, settings: Settings, *, throttle: Throttle, clock: Callable[[], float], user_agent: str
    ) -> None:
        self._name = name
        self._settings = settings
        self._http = Http(settings, throttle=throttle, clock=clock, user_agent=user_agent)
        self._files = StoredFiles(self._http, settings)
        self._options = UploadOptions(settings, clock)
        self._capabilities: dict[str, int] = {}
        self._limit = ChunkLimit(
            self._capabilities, minimum=MIN_CHUNK_BYTES, maximum=settings.chunk_size, clock=time.monotonic
        )

    @property
    def identity(self) -> str:
        """Tell this destination from others; without secrets."""
        return destinations.identity(self._name, self._settings)

    @property
    def capabilities(self) -> Mapping[str, int]:
        """What was learned, in bytes.

        ``refused``: the smallest chunk that was too large. ``direct_refused``: the smallest file that was too
        large for one request; 0 where the server does not offer that. ``slow``: the largest request that is sent on a
        line that was too slow for larger ones.
        """
        return dict(self._capabilities)

    def restore_capabilities(self, capabilities: Mapping[str, int]) -> None:
        """Take up what was learned in an earlier life."""
        self._capabilities.update(capabilities)

    @cached_property
    def terms(self) -> str:
        """The expiry and whether there is a password, and which, without giving it away."""
        owner = destinations.owner(self._name, self._settings)  # not the address, which may change
        return terms(self._settings, salt=str(owner).encode("utf-8", "backslashreplace"))

    @property
    def expires(self) -> bool:
        """Whether what is stored is dropped later."""
        return self._settings.expired_at is not None

    @property
    def required_proof(self) -> Proof:
        """The weakest proof with which a local file may be deleted: an MD5 tells no two contents apart for sure."""
        return Proof.BYTES if self._settings.hash == "md5" else Proof.SIZE

    @property
    def block_size(self) -> int:
        """The bytes of a file that one chunk most likely holds."""
        largest = min(self._settings.chunk_size, self._capabilities.get("slow", self._settings.chunk_size))
        if "refused" not in self._capabilities:
            return largest
        return min(largest, max(MIN_CHUNK_BYTES, self._capabilities["refused"] // 2))

    def hasher(self) -> MultipartHasher:
        """Return a new hasher for one file."""
        return MultipartHasher(self._settings.hash)

    def hasher_of(self, key: str, ref: str) -> MultipartHasher:  # noqa: ARG002 - the contract's
        """Return a hasher for the hash that the file was announced with."""
        return MultipartHasher(key.partition(":")[0])

    def recorded(self, *, key: str, ref: str, size: int, sha256: str | None) -> Content:  # noqa: ARG002 - the contract's
        """Return the content that a record names."""
        return Content(key=key, size=size, sha256=sha256)

    async def begin(
        self, content: Content, source: Source, session: Session | None, *, failures: int, look_up: bool = False
    ) -> Session | Stored:
        """Take up a task again, choose the one request for a small file, or create a task."""
        fits = session is not None and session.count == chunks.count(content.size, session.chunk_size)
        if session is not None and session.token and fits and self._limit.allows(session.chunk_size):
            return await self._resume(session)
        if failures == 0 and not look_up and self._may_go_direct(content, source):
            return Session(token="", chunk_size=content.size, count=1, single_request=True)
        return await self._create(content, source)

    def _may_go_direct(self, content: Content, source: Source) -> bool:
        limit = self._capabilities.get("direct_refused", MAX_DIRECT_BYTES + 1)
        fits = self._settings.direct == "auto" and content.size < limit and self._limit.allows(content.size)
        return fits and self._options.is_plain and _PLAIN_NAME.fullmatch(source.name) is not None

    async def _create(self, content: Content, source: Source) -> Session | Stored:
        order = {
            **self._options.fields(content),
            "file_name": source.name,
            "file_size": content.size,
            "content_type": source.media_type,
            "chunk_size": self.block_size,
        }
        response = await self._post("create", json_body(order))
        json = response.json() if response.ok else None
        if json is None:
            raise await self._unexpected(response)
        if json.get("file_exists") is True:
            return await self._files.existing(response, content)
        begun = schema.session_of(json, content)
        if begun is None:
            raise await self._unexpected(response)
        self._check_chunk_size(begun, content)
        return begun

    def _check_chunk_size(self, begun: Session, content: Content) -> None:
        refused = self._capabilities.get("refused")
        length = min(begun.chunk_size, content.size)
        if refused is not None and length >= refused:
            del self._capabilities["refused"]  # of no use with this server; maybe it takes the next file's chunks
            raise Permanent(
                f"the server wants chunks of {begun.chunk_size} bytes, though it refused one of {refused}: "
                "a proxy in between may have to allow larger requests"
            )

    async def _resume(self, session: Session) -> Session:
        """Ask what has arrived; where the server can't tell or can't be read, what was acknowledged counts."""
        response = await self._get(f"resume/{quote(session.token, safe='')}")
        json = response.json() if response.ok else None
        if json is None:
            failure = self._http.failure(response)
            unreadable = (
                response.status < 300 and not response.is_html
            )  # as a list that was cut short: so it is each time
            if isinstance(failure, Unauthorized | Transient) and not unreadable:
                raise failure
            return session
        arrived = schema.received(json, session)
        return Session(token=session.token, chunk_size=session.chunk_size, count=session.count, received=arrived)

    async def send(self, session: Session, index: int, content: Content, source: Source) -> ChunkResult:
        """Send chunk ``index``, or the whole file."""
        offset, length = chunks.span(index, content.size, session.chunk_size)
        with self._limit.learning(length):
            if session.single_request:
                return await self._send_whole(content, source)
            return await self._send_chunk(session, index, (offset, length), source)

    async def _send_chunk(self, session: Session, index: int, span: tuple[int, int], source: Source) -> ChunkResult:
        offset, length = span
        read = self._reader(source, offset, length)
        chunk = _chunk_form(length, read)
        response = await self._post(f"chunk/{quote(session.token, safe='')}/{index}", chunk)
        if response.ok or (response.status == 409 and not response.is_html):  # 409: it is there already
            return ChunkResult()
        if response.status == 404:
            raise self._session_lost(response)
        if response.status == 408:
            raise CutOff(str(self._http.failure(response)))
        if response.too_large and length > MIN_CHUNK_BYTES:
            self._learn("refused", length)
            raise self._session_lost(response)
        if response.too_large:  # nothing to learn for other files: there is no smaller chunk to try
            raise Permanent(str(self._http.failure(response)))
        raise self._http.failure(response)

    def _reader(self, source: Source, offset: int, length: int) -> Callable[[], AsyncIterator[bytes]]:
        """Return what reads a part of the file piece by piece, as the server may want chunks of any length."""
        block = self.block_size

        async def read() -> AsyncIterator[bytes]:
            for index in range(chunks.count(length, block)):
                start, size = chunks.span(index, length, block)
                yield await source.read(offset + start, size)

        return read

    async def _send_whole(self, content: Content, source: Source) -> ChunkResult:
        read = self._reader(source, 0, source.size)
        upload = FormFile(field="file", filename=source.name, media_type=source.media_type, size=source.size, read=read)
        response = await self._post("direct", MultipartForm(fields=self._options.fields(content), file=upload))
        file = schema.stored_file(response.json()) if response.ok else None
        if file is not None:
            return ChunkResult(stored=await self._files.confirmed(file, response, content))
        if response.status in (404, 405, 501):
            self._learn("direct_refused", 0)
            raise self._session_lost(response)
        if response.too_large:
            self._learn("direct_refused", content.size)
            raise self._session_lost(response)
        raise await self._unexpected(response)

    async def finish(self, session: Session, content: Content, source: Source) -> Stored | Pending:
        """Have the chunks put together. However that fails, the task may be gone, so it is begun again."""
        try:
            response = await self._post(f"complete/{quote(session.token, safe='')}")
        except Transient as failure:
            if failure.scope is Scope.REMOTE:
                raise
            return await self._find_outcome(session, content, source, failure)
        json = response.json() or {}
        if response.status == 202 and not response.is_html:
            return Pending(token=schema.text(json.get("taskId")) or schema.text(json.get("task_id")) or session.token)
        file = schema.stored_file(json) if response.ok else None
        if file is not None:
            return await self._files.confirmed(file, response, content)
        if response.status in (400, 404, 409, 410, 500):
            raise self._session_lost(response)
        raise await self._unexpected(response)

    async def _find_outcome(
        self, session: Session, content: Content, source: Source, failure: Transient
    ) -> Stored | Pending:
        """Find out what became of a *complete* without an answer, which may take longer than we wait.

        *progress* tells. Else a task that is gone was completed or lost: whether the content is there, *create* tells.
        """
        progress = await self._get(f"progress/{quote(session.token, safe='')}")
        json = progress.json() if progress.ok else None
        if json is not None:
            if schema.progress(json) == "running" and not schema.is_processing(json):
                raise failure  # the request has not arrived
            return await self._assembly_result(json, progress, session.token, content)
        if (await self._get(f"resume/{quote(session.token, safe='')}")).status != 404:
            raise failure
        found = await self._create(content, source)
        if isinstance(found, Session):
            raise SessionLost(failure.problem)
        return replace(found, already=False)

    async def poll(self, pending: Pending, content: Content) -> Stored | Pending:
        """Ask whether the chunks have been put together."""
        response = await self._get(f"progress/{quote(pending.token, safe='')}")
        if response.status == 404:
            raise self._session_lost(response)
        json = response.json() if response.ok else None
        if json is None:
            raise self._http.failure(response)
        return await self._assembly_result(json, response, pending.token, content)

    async def _assembly_result(
        self, json: Mapping[str, object], response: Response, token: str, content: Content
    ) -> Stored | Pending:
        """Judge what *progress* tells."""
        state = schema.progress(json)
        if state == "failed":
            raise SessionLost(
                ": ".join(filter(None, ("the server failed to put the file together", response.message())))
            )
        if state == "running":
            return Pending(token=token)
        file = schema.stored_file(json, enveloped=True) or schema.cloud_file({**json, "id": json.get("file_id")})
        return await self._files.confirmed(file, response, content) if file else Stored(ref="")

    async def fetch(self, ref: str, key: str, write: WriteCallback) -> str:
        """Download the file, from where the server keeps it or from where it points to."""
        return await self._files.fetch(ref, key, FileSink(self.hasher_of(key, ref), write))

    async def confirm(self, ref: str, content: Content, *, thorough: bool = False) -> Confirmation:
        """Ask for the file; its length tells, or with ``thorough`` all its bytes where it was known by its MD5."""
        return await self._files.confirm(ref, content, thorough=thorough)

    async def check(self) -> None:
        """Ask for the tasks, and for a task and a file that can't be there, until one has surely asked for the token.

        Who says 200 to all of them is no upload API.
        """
        tasks = await self._checked("tasks")
        task = await self._checked(f"resume/{_UNKNOWN_TASK}")
        if task.status == 403:
            raise self._http.failure(task)
        if task.ok or not tasks.ok:
            there = await self._files.has(_UNKNOWN_TASK)
            if task.ok and there:
                raise not_an_upload_api(task, kind="a multipart", asked="a task and a file")

    async def _checked(self, path: str) -> Response:
        """Ask for ``path``; raise what concerns the server as a whole."""
        response = await self._get(path)
        failure = self._http.failure(response)
        if is_server_failure(failure):
            raise failure
        return response

    async def _unexpected(self, response: Response) -> Failure:
        """Return what an answer means that is not the wanted one; where it says yes to everything, that."""
        if response.ok:
            try:
                await self.check()
            except Failure as failure:
                if is_server_failure(failure):
                    return failure
        return self._http.failure(response)

    async def measure_upload(self, size: int) -> None:
        """Send a chunk of a task that was never created."""

        async def read() -> AsyncIterator[bytes]:
            yield incompressible_bytes(size)

        await send_rejected_chunk(
            self._http, f"{self._settings.prefix}/chunk/{_UNKNOWN_TASK}/0", _chunk_form(size, read)
        )

    async def close(self) -> None:
        """Let go of all connections."""
        await self._http.close()

    async def _post(self, call: str, body: Body | None = None) -> Response:
        return await self._http.post(f"{self._settings.prefix}/{call}", body)

    async def _get(self, call: str) -> Response:
        return await self._http.get(f"{self._settings.prefix}/{call}")

    def _learn(self, name: str, size: int) -> None:
        self._capabilities[name] = min(size, self._capabilities.get(name, size))

    def _session_lost(self, response: Response) -> SessionLost:
        return SessionLost(str(self._http.failure(response)))


def _chunk_form(size: int, read: Callable[[], AsyncIterator[bytes]]) -> MultipartForm:
    return MultipartForm(file=FormFile(field="chunk", filename="chunk", media_type=_BYTES, size=size, read=read))
