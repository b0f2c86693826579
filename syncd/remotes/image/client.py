"""Uploads files over the image API.

The client registers an image by its hash, sends its chunks in any order, and verifies the image by a download. A 409 to
the registration shows only that the hash is registered; only the download shows whether the image is complete.

:mod:`syncd.remotes.image.encodings` converts files to text, ``chunk_sizes`` chooses the size of the chunks, and
``stored_images`` downloads and compares images.
"""

from collections.abc import Callable
from dataclasses import replace

from syncd.config.remotes import ImageRemote as Settings
from syncd.core import chunks
from syncd.core.chunks import ChunkSet
from syncd.core.errors import CutOff, Failure, Permanent, SessionLost, Transient
from syncd.core.model import ChunkResult, Confirmation, Content, Pending, Proof, Session, Stored
from syncd.remotes import presence
from syncd.remotes.base import Source, Throttle, WriteCallback
from syncd.remotes.bodies import Body, encoded_json_body, json_body
from syncd.remotes.client import RemoteClient
from syncd.remotes.downloads import CopyState
from syncd.remotes.image.chunk_sizes import MIN_CHUNK_CHARACTERS, ImageChunkSizes
from syncd.remotes.image.encodings import TextHasher, file_bytes_in, slice_text, text_length
from syncd.remotes.image.stored_images import UNKNOWN_IMAGE, StoredImages, encoding_of, stored
from syncd.remotes.responses import Response
from syncd.remotes.speedtest import incompressible_text, send_rejected_chunk

_REGISTERED = "the image was registered before, perhaps with chunks of another size, and can't be completed"


class _DifferentContentError(Permanent):
    """The server has other bytes under the hash of this image."""

    def __init__(self) -> None:
        super().__init__("the server has different content under this hash, and does not replace it")


class ImageRemote(RemoteClient):
    """The client of one server of the image API."""

    _settings: Settings
    _sizes: ImageChunkSizes

    def __init__(
        self, name: str, settings: Settings, *, throttle: Throttle, clock: Callable[[], float], user_agent: str
    ) -> None:
        super().__init__(name, settings, throttle=throttle, clock=clock, user_agent=user_agent)
        self._images = StoredImages(self._http, settings)
        self._sizes = ImageChunkSizes(settings.chunk_size, self.measure_upload)
        self._registered: set[str] = set()
        """Hashes of the images that this process has registered, until they are finished."""

    @property
    def terms(self) -> str:
        """The conditions for storing content: none."""
        return ""

    @property
    def expires(self) -> bool:
        """False: the server keeps the content."""
        return False

    @property
    def required_proof(self) -> Proof:
        """The weakest proof of upload that allows syncd to delete the local file."""
        return Proof.BYTES

    @property
    def block_size(self) -> int:
        """The number of the file's bytes in one chunk of the expected size."""
        return file_bytes_in(
            "base64url" if self._settings.encoding == "auto" else self._settings.encoding, self._sizes.chunk_size
        )

    def hasher(self) -> TextHasher:
        """Return a new hasher for one file."""
        return TextHasher(self._settings.encoding)

    def hasher_of(self, key: str, ref: str) -> TextHasher:  # noqa: ARG002 - the protocol's
        """Return a hasher with the encoding in ``ref``."""
        return TextHasher(encoding_of(ref))

    def recorded(self, *, key: str, ref: str, size: int, sha256: str | None) -> Content:
        """Return the content for a record of the store."""
        encoding = encoding_of(ref)
        return Content(key=key, size=text_length(encoding, size), encoding=encoding, sha256=sha256)

    def session_without_request(
        self,
        content: Content,
        source: Source,  # noqa: ARG002 - the protocol's
        session: Session | None,
        *,
        failures: int,  # noqa: ARG002 - the protocol's
        look_up: bool = False,  # noqa: ARG002 - registering is a look-up
    ) -> Session | None:
        """Resume the session.

        All chunks of an image have one size, so a session gets smaller chunks only if none of its chunks has arrived.
        """
        if session is None or not _fits(session, content):
            return None
        if not session.received and not self._sizes.limit.allows(min(session.chunk_size, content.size)):
            return None
        # If all chunks have arrived, only verification shows whether the server still has the image.
        return replace(session, needs_verification=session.needs_verification or len(session.received) == session.count)

    async def begin(
        self, content: Content, source: Source, session: Session | None, *, failures: int, look_up: bool = False
    ) -> Session | Stored:
        """Resume the session, or register the image."""
        resumed = self.session_without_request(content, source, session, failures=failures, look_up=look_up)
        if resumed is not None:
            return resumed
        before = session if session is not None and _fits(session, content) else None
        return await self._register(content, source, before=before)

    async def _register(self, content: Content, source: Source, before: Session | None = None) -> Session | Stored:
        """Register the image. If it was registered before, compare the server's copy.

        ``before`` is a session with larger chunks; resume it if the server accepts no other chunk size.
        """
        size = self._sizes.chunk_size
        registration = {"sha256": content.key, "size": content.size, "chunk_size": size}
        response = await self._http.post("/image", json_body(registration))
        begun = Session(token=content.key, chunk_size=size, count=chunks.count(content.size, size))
        if response.ok:
            self._registered.add(content.key)
            return replace(begun, needs_verification=not await self._images.is_credible(response, again=True))
        refusal = self._http.failure(response)
        if response.status != 409 and not (response.status == 400 and isinstance(refusal, Permanent)):
            raise refusal
        if await self._images.compare_incomplete(content) is CopyState.INTACT:
            return stored(content, Proof.BYTES, already=True)
        begun = replace(begun, needs_verification=True)
        if response.status == 409 and before is None:
            return begun
        return await self._probe_with_chunk(begun, content, source, otherwise=before or refusal)

    async def _probe_with_chunk(
        self, session: Session, content: Content, source: Source, *, otherwise: Session | Failure
    ) -> Session | Stored:
        """Send a chunk to find out whether the image is registered with chunks of this size.

        If it is not, raise or return ``otherwise``. A session ``otherwise`` is also returned if the chunk had arrived
        before: the chunk may belong to that session, and its response may have been lost.
        """
        try:
            result = await self.send(session, 0, content, source)
        except _DifferentContentError:
            raise
        except (SessionLost, Permanent):
            if isinstance(otherwise, Failure):
                raise otherwise from None
            return otherwise
        if result.needs_verification and isinstance(otherwise, Session):
            return otherwise
        return result.stored or replace(session, received=ChunkSet([0]))

    async def send(self, session: Session, index: int, content: Content, source: Source) -> ChunkResult:
        """Send chunk ``index``; on return the server has it."""
        offset, length = chunks.span(index, content.size, session.chunk_size)
        with self._sizes.limit.learning(length):
            return await self._send_chunk(session, index, (offset, length), content, source)

    async def _send_chunk(
        self, session: Session, index: int, span: tuple[int, int], content: Content, source: Source
    ) -> ChunkResult:
        offset, length = span
        part = slice_text(content.encoding or "text", offset=offset, length=length, file_size=source.size)
        data = part.as_json(await source.read(part.offset, part.length))
        body = b'{"id": %d, "size": %d, "data": %b}' % (index, length, data)
        response = await self._http.post(f"/image/{session.token}/chunks", encoded_json_body(body))
        if response.ok:
            self._sizes.record_accepted(length)
            return ChunkResult(needs_verification=not await self._images.is_credible(response))
        if response.status == 409:
            return ChunkResult(needs_verification=True)
        if response.status == 404:
            self._registered.discard(session.token)
            raise SessionLost(str(self._http.failure(response)))
        if response.status == 408:
            raise CutOff(str(self._http.failure(response)))
        if response.too_large:
            await self._sizes.learn_refused(length, certain=True)
            raise self._too_large(response, length)
        if response.status == 400:
            return await self._after_refusal(response, session, content, length=length)
        raise self._http.failure(response)

    def _too_large(self, response: Response, length: int) -> Permanent:
        refusal = self._http.failure(response)
        if length <= MIN_CHUNK_CHARACTERS:
            return Permanent(f"{refusal}; the server does not even accept a chunk of {length} characters")
        return Permanent(
            f"{refusal}; the server accepts no chunk of {length} characters, and the chunk size of a registered image "
            f"can't change; the next files use chunks of {self._sizes.chunk_size} characters"
        )

    async def _after_refusal(
        self, response: Response, session: Session, content: Content, *, length: int
    ) -> ChunkResult:
        """Find the reason of a 400 to a chunk.

        Some servers send a 400 for a complete image, some for a body that is too large. The latter is possible only if
        this process registered the image, and if no chunk of ``length`` was accepted before.
        """
        refusal = self._http.failure(response)
        if not isinstance(refusal, Permanent):
            raise refusal
        copy = await self._images.compare_incomplete(content, require_response=True)
        if copy is CopyState.INTACT:
            return ChunkResult(stored=stored(content, Proof.BYTES))
        if copy in (CopyState.DIFFERENT, CopyState.LONGER):
            raise _DifferentContentError
        if session.needs_verification:
            raise Permanent(f"{_REGISTERED} ({refusal})")
        if (
            session.token in self._registered
            and length > max(self._sizes.largest_accepted, MIN_CHUNK_CHARACTERS)
            and await self._sizes.learn_refused(length, certain=False)
        ):
            raise self._too_large(response, length)
        raise refusal

    async def finish(self, session: Session, content: Content, source: Source) -> Stored:  # noqa: ARG002 - the protocol's
        """Compare the server's copy with the image, according to the setting ``verify``.

        Without a comparison the proof is the size in the registration. The hash in the registration proves nothing,
        because most servers never compute it.
        """
        self._registered.discard(content.key)
        verify = self._settings.verify
        if verify == "never" or (verify == "conflict" and not session.needs_verification):
            return stored(content, Proof.NONE if session.needs_verification else Proof.SIZE)
        try:
            copy = await self._images.compare(content)
        except Transient as failure:
            if presence.is_server_failure(failure):
                raise
            problem = f"the server has all chunks, but its copy can't be compared: {failure.problem}"
            raise Transient(problem, advice="set verify to never to skip the comparison") from None
        if copy is CopyState.INTACT:
            return stored(content, Proof.BYTES)
        if copy in (CopyState.DIFFERENT, CopyState.LONGER):
            raise _DifferentContentError
        if copy is CopyState.ENDLESS:
            raise Transient("the server's copy of the image is longer than the image")
        raise SessionLost("the server has all chunks, but its copy of the image is not complete")

    async def poll(self, pending: Pending, content: Content) -> Stored:  # noqa: ARG002 - the protocol's
        """Return at once: the server of this API assembles nothing."""
        return stored(content, Proof.NONE)

    async def fetch(self, ref: str, key: str, write: WriteCallback) -> str:
        """Download the text, decode it, and return its key."""
        return await self._images.fetch(ref, key, write)

    async def confirm(self, ref: str, content: Content, *, thorough: bool = False) -> Confirmation:
        """Compare the length of the stored image, or with ``thorough`` all its bytes."""
        return await self._images.confirm(ref, content, thorough=thorough)

    async def check(self) -> None:
        """Return if the server offers this API and accepts the token."""
        await self._images.check()

    async def measure_upload(self, size: int) -> None:
        """Send a chunk of ``size`` characters for an unknown image; the caller times the call."""
        small = _random_chunk(MIN_CHUNK_CHARACTERS) if size > MIN_CHUNK_CHARACTERS else None
        await send_rejected_chunk(self._http, f"/image/{UNKNOWN_IMAGE}/chunks", _random_chunk(size), small=small)


def _fits(session: Session, content: Content) -> bool:
    """Return whether the chunks of ``session`` make up this content."""
    return session.count == chunks.count(content.size, session.chunk_size)


def _random_chunk(size: int) -> Body:
    return json_body({"id": 0, "size": size, "data": incompressible_text(size)})
