"""The client of the image API: register a text by its hash, send its chunks in any order, download to make sure.

Register's 409 says only that somebody registered the hash, not that the image is there: the download tells.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from syncd.config import destinations
from syncd.config.remotes import ImageRemote as Settings
from syncd.core import chunks
from syncd.core.chunks import ChunkSet
from syncd.core.errors import CutOff, Failure, Permanent, SessionLost, Transient
from syncd.core.model import ChunkResult, Confirmation, Content, Pending, Proof, Session, Stored
from syncd.remotes import presence
from syncd.remotes.base import Source, Throttle, WriteCallback
from syncd.remotes.bodies import Body, json_body
from syncd.remotes.http import Http
from syncd.remotes.image.chunk_sizes import MIN_CHUNK_CHARACTERS, ChunkSizes
from syncd.remotes.image.encodings import TextHasher, file_bytes_in, slice_text, text_length
from syncd.remotes.image.stored_images import UNKNOWN_IMAGE, StoredImages, encoding_of, stored
from syncd.remotes.responses import Response
from syncd.remotes.sinks import CopyState
from syncd.remotes.speedtest import incompressible_text, send_rejected_chunk

_REGISTERED = "the image was registered before, perhaps with chunks of another size, and can't be completed"


class _DifferentContentError(Permanent):
    """The server has other bytes as this image."""

    def __init__(self) -> None:
        super().__init__("the server holds different content under this hash, and it can't be replaced")


class ImageRemote:
    """One server of the image API."""

    def __init__(
        self, name: str, settings: Settings, *, throttle: Throttle, clock: Callable[[], float], user_agent: str
    ) -> None:
        self._name = name
        self._settings = settings
        self._http = Http(settings, throttle=throttle, clock=clock, user_agent=user_agent)
        self._images = StoredImages(self._http, settings)
        self._sizes = ChunkSizes(settings.chunk_size, self.measure_upload)
        self._registered: set[str] = set()
        """Images that were registered since the start, and not finished yet."""

    @property
    def identity(self) -> str:
        """Tell this destination from others; without secrets."""
        return destinations.identity(self._name, self._settings)

    @property
    def capabilities(self) -> Mapping[str, int]:
        """``refused``: characters of the smallest chunk that was too large; ``slow``: of the largest on a slow line."""
        return self._sizes.capabilities

    def restore_capabilities(self, capabilities: Mapping[str, int]) -> None:
        """Take up what was learned in an earlier life."""
        self._sizes.restore_capabilities(capabilities)

    @property
    def terms(self) -> str:
        """The conditions under which content is stored: none."""
        return ""

    @property
    def expires(self) -> bool:
        """Whether what is stored is dropped later."""
        return False

    @property
    def required_proof(self) -> Proof:
        """The weakest proof with which a local file may be deleted."""
        return Proof.BYTES

    @property
    def block_size(self) -> int:
        """The bytes of a file that one chunk most likely holds."""
        return file_bytes_in(
            "base64url" if self._settings.encoding == "auto" else self._settings.encoding, self._sizes.wanted
        )

    def hasher(self) -> TextHasher:
        """Return a new hasher for one file."""
        return TextHasher(self._settings.encoding)

    def hasher_of(self, key: str, ref: str) -> TextHasher:  # noqa: ARG002 - the contract's
        """Return a hasher for the form that the file was sent in."""
        return TextHasher(encoding_of(ref))

    def recorded(self, *, key: str, ref: str, size: int, sha256: str | None) -> Content:
        """Return the content that a record names."""
        encoding = encoding_of(ref)
        return Content(key=key, size=text_length(encoding, size), encoding=encoding, sha256=sha256)

    async def begin(
        self,
        content: Content,
        source: Source,
        session: Session | None,
        *,
        failures: int,  # noqa: ARG002 - the contract's
        look_up: bool = False,  # noqa: ARG002 - registering is a look-up
    ) -> Session | Stored:
        """Go on with the session, or register the image.

        Chunks of two sizes make no image: those of a session become smaller only if none of them has arrived.
        """
        if session is None or session.count != chunks.count(content.size, session.chunk_size):
            return await self._register(content, source)
        if session.received or self._sizes.limit.allows(min(session.chunk_size, content.size)):
            # With no chunk left to send, nothing else would tell if the server has forgotten the image since.
            return replace(
                session, needs_verification=session.needs_verification or len(session.received) == session.count
            )
        return await self._register(content, source, before=session)

    async def _register(self, content: Content, source: Source, before: Session | None = None) -> Session | Stored:
        """Register the image; where it was registered before, find out whether it is whole.

        ``before`` is a session with larger chunks, which goes on where the server takes no others.
        """
        size = self._sizes.wanted
        order = {"sha256": content.key, "size": content.size, "chunk_size": size}
        response = await self._http.post("/image", json_body(order))
        begun = Session(token=content.key, chunk_size=size, count=chunks.count(content.size, size))
        if response.ok:
            self._registered.add(content.key)
            return replace(begun, needs_verification=not await self._images.confirms(response, anew=True))
        refusal = self._http.failure(response)
        if response.status != 409 and not (response.status == 400 and isinstance(refusal, Permanent)):
            raise refusal
        if await self._images.compare_before_end(content) is CopyState.INTACT:
            return stored(content, Proof.BYTES, already=True)
        begun = replace(begun, needs_verification=True)
        if response.status == 409 and before is None:
            return begun
        return await self._probe_with_chunk(begun, content, source, otherwise=before or refusal)

    async def _probe_with_chunk(
        self, session: Session, content: Content, source: Source, *, otherwise: Session | Failure
    ) -> Session | Stored:
        """Find out by a chunk whether the image is registered and takes chunks of this size.

        If not, raise or return what holds ``otherwise``. Another session does also where the chunk is there already:
        it may be one of that session, whose answer was lost.
        """
        try:
            receipt = await self.send(session, 0, content, source)
        except _DifferentContentError:
            raise
        except (SessionLost, Permanent):
            if isinstance(otherwise, Failure):
                raise otherwise from None
            return otherwise
        if receipt.needs_verification and isinstance(otherwise, Session):
            return otherwise
        return receipt.stored or replace(session, received=ChunkSet([0]))

    async def send(self, session: Session, index: int, content: Content, source: Source) -> ChunkResult:
        """Send chunk ``index``."""
        offset, length = chunks.span(index, content.size, session.chunk_size)
        with self._sizes.limit.learning(length):
            return await self._send_chunk(session, index, (offset, length), content, source)

    async def _send_chunk(
        self, session: Session, index: int, span: tuple[int, int], content: Content, source: Source
    ) -> ChunkResult:
        offset, length = span
        place = slice_text(content.encoding or "text", offset=offset, length=length, file_size=source.size)
        data = place.encode(await source.read(place.offset, place.length))
        body = json_body({"id": index, "size": length, "data": data})
        response = await self._http.post(f"/image/{session.token}/chunks", body)
        if response.ok:
            self._sizes.record_accepted(length)
            return ChunkResult(needs_verification=not await self._images.confirms(response))
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
            return Permanent(f"{refusal}; the server does not even take a chunk of {length} characters")
        return Permanent(
            f"{refusal}; the server takes no chunk of {length} characters, and the chunks of an image can't be "
            f"changed once it is registered; the files that follow go in chunks of {self._sizes.wanted}"
        )

    async def _after_refusal(
        self, response: Response, session: Session, content: Content, *, length: int
    ) -> ChunkResult:
        """Judge a 400 to a chunk: some servers answer so where the image is complete, some where a body is too large.

        The latter only for an image that was registered just now, and a ``length`` of which it has taken none.
        """
        refusal = self._http.failure(response)
        if not isinstance(refusal, Permanent):
            raise refusal
        copy = await self._images.compare_before_end(content)
        if copy is CopyState.INTACT:
            return ChunkResult(stored=stored(content, Proof.BYTES))
        if copy in (CopyState.DIFFERENT, CopyState.LONGER):
            raise _DifferentContentError
        if session.needs_verification:
            raise Permanent(f"{_REGISTERED} ({refusal})")
        new = session.token in self._registered
        if (
            new
            and length > max(self._sizes.largest_accepted, MIN_CHUNK_CHARACTERS)
            and await self._sizes.learn_refused(length, certain=False)
        ):
            raise self._too_large(response, length)
        raise refusal

    async def finish(self, session: Session, content: Content, source: Source) -> Stored:  # noqa: ARG002 - the contract's
        """Compare the server's copy, where that is asked for or somebody else had a hand in it.

        Without that the proof is the size, which was agreed on at registration. The hash was too, but most servers
        never compute it.
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
            problem = f"the server took all chunks, but its copy can't be compared: {failure.problem}"
            raise Transient(problem, advice="verify: never does without") from None
        if copy is CopyState.INTACT:
            return stored(content, Proof.BYTES)
        if copy in (CopyState.DIFFERENT, CopyState.LONGER):
            raise _DifferentContentError
        if copy is CopyState.ENDLESS:
            raise Transient("the server's copy of the image goes on beyond its end")
        raise SessionLost("the server took all chunks, but its copy of the image is not whole")

    async def poll(self, pending: Pending, content: Content) -> Stored:  # noqa: ARG002 - the contract's
        """Answer at once: this service has nothing to wait for."""
        return stored(content, Proof.NONE)

    async def fetch(self, ref: str, key: str, write: WriteCallback) -> str:
        """Download the text, and decode it as it comes."""
        return await self._images.fetch(ref, key, write)

    async def confirm(self, ref: str, content: Content, *, thorough: bool = False) -> Confirmation:
        """Ask for the image; its length tells, or with ``thorough`` all its bytes."""
        return await self._images.confirm(ref, content, thorough=thorough)

    async def check(self) -> None:
        """Ask for an image that can't be there: who has that, says yes to everything and is no image API."""
        await self._images.check()

    async def measure_upload(self, size: int) -> None:
        """Send a chunk of an image that was never registered."""
        small = _random_chunk(MIN_CHUNK_CHARACTERS) if size > MIN_CHUNK_CHARACTERS else None
        await send_rejected_chunk(self._http, f"/image/{UNKNOWN_IMAGE}/chunks", _random_chunk(size), small=small)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._http.close()


def _random_chunk(size: int) -> Body:
    return json_body({"id": 0, "size": size, "data": incompressible_text(size)})
