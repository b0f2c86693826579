"""The client of the image API: register a text by its hash, send its chunks in any order, download to make sure.

Register's 409 says only that somebody registered the hash, not that the image is there: the download tells.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum

from syncd.config import destinations
from syncd.config.remotes import ImageRemote as Settings
from syncd.core import chunks
from syncd.core.errors import NotStored, Permanent, Scope, SessionLost, Transient
from syncd.core.model import Confirmation, Content, Pending, Presence, Proof, Receipt, Session, Stored
from syncd.remote.answers import Answer
from syncd.remote.base import Source, Taker, Throttle
from syncd.remote.bodies import json_body
from syncd.remote.downloads import Decoding
from syncd.remote.forms import TextHasher, bytes_in, cut
from syncd.remote.http import Glance, Http
from syncd.remote.vain import characters, send_in_vain

LEAST_CHUNK = 256
"""Characters; a server that refuses such a chunk takes none."""
_NOWHERE = "0" * 64


class _Copy(Enum):
    """What the server has of an image."""

    WHOLE = "whole"
    PART = "part"
    OTHER = "other"
    ENDLESS = "endless"
    """More than the image, and nobody said how much it would be: it may be a server in trouble."""


class _Comparison:
    """Takes a download in and says how it compares; it wants no more once that is clear."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._hash = hashlib.sha256()
        self._size = 0
        self._told = False

    def expect(self, length: int | None) -> bool:
        self._told = length is not None
        if length is not None and length != self._content.size:
            self._size = length
            return False
        return True

    def write(self, data: bytes) -> bool:
        self._size += len(data)
        self._hash.update(data)
        return self._size <= self._content.size

    def result(self) -> _Copy:
        if self._size < self._content.size:
            return _Copy.PART
        if self._size > self._content.size and not self._told:
            return _Copy.ENDLESS
        return _Copy.WHOLE if self._hash.hexdigest() == self._content.key else _Copy.OTHER


class ImageRemote:
    """One server of the image API."""

    def __init__(
        self, name: str, settings: Settings, *, throttle: Throttle, clock: Callable[[], float], user_agent: str
    ) -> None:
        self._name = name
        self._settings = settings
        self._http = Http(settings, throttle=throttle, clock=clock, user_agent=user_agent)
        self._facts: dict[str, int] = {}

    @property
    def identity(self) -> str:
        """Tell this destination from others; without secrets."""
        return destinations.identity(self._name, self._settings)

    @property
    def facts(self) -> Mapping[str, int]:
        """``refused``: characters of the smallest chunk that was too large."""
        return dict(self._facts)

    def recall(self, facts: Mapping[str, int]) -> None:
        """Take up what was learned in an earlier life."""
        self._facts.update(facts)

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
        return bytes_in("base64url" if self._settings.encoding == "auto" else self._settings.encoding, self._chunk_size)

    @property
    def _chunk_size(self) -> int:
        """Characters of a chunk; a multiple of 4, so that chunks of base64 begin at whole bytes."""
        size = self._settings.chunk_size
        if "refused" in self._facts:
            size = min(size, max(LEAST_CHUNK, self._facts["refused"] // 2))
        return size - size % 4 or size

    def hasher(self) -> TextHasher:
        """Return a new hasher for one file."""
        return TextHasher(self._settings.encoding)

    def hasher_of(self, key: str, ref: str) -> TextHasher:  # noqa: ARG002 - the contract's
        """Return a hasher for the form that the file was sent in."""
        return TextHasher(_form(ref))

    async def begin(
        self,
        content: Content,
        source: Source,  # noqa: ARG002 - the contract's
        session: Session | None,
        *,
        tries: int,  # noqa: ARG002 - the contract's
        look_up: bool = False,  # noqa: ARG002 - registering is a look-up
    ) -> Session | Stored:
        """Register the image; where it was registered before, find out whether it is whole."""
        if session is not None and session.count == chunks.count(content.size, session.chunk_size):
            # With no chunk left to send, nothing else would tell if the server has forgotten the image since.
            return replace(session, doubtful=session.doubtful or len(session.received) == session.count)
        size = self._chunk_size
        order = {"sha256": content.key, "size": content.size, "chunk_size": size}
        answer = await self._http.post("/image", json_body(order))
        if not answer.ok and answer.status != 409:
            raise self._http.failure(answer)
        begun = Session(
            token=content.key,
            chunk_size=size,
            count=chunks.count(content.size, size),
            doubtful=answer.status == 409,
        )
        if begun.doubtful and self._settings.verify != "never" and await self._compare(content) is _Copy.WHOLE:
            return _stored(content, already=True)
        return begun

    async def send(self, session: Session, index: int, content: Content, source: Source) -> Receipt:
        """Send chunk ``index``."""
        offset, length = chunks.span(index, content.size, session.chunk_size)
        place = cut(content.encoding or "text", offset=offset, length=length, file_size=source.size)
        data = place.encode(await source.read(place.offset, place.length))
        body = json_body({"id": index, "size": length, "data": data})
        answer = await self._http.post(f"/image/{session.token}/chunks", body)
        if answer.ok:
            return Receipt()
        if answer.status == 409:
            return Receipt(doubtful=True)
        if answer.status == 404:
            raise SessionLost(str(self._http.failure(answer)))
        if answer.too_large:
            raise self._too_large(answer, length)
        if answer.status == 400:
            return await self._after_refusal(answer, session, content)
        raise self._http.failure(answer)

    def _too_large(self, answer: Answer, length: int) -> Permanent:
        self._facts["refused"] = min(length, self._facts.get("refused", length))
        refusal = self._http.failure(answer)
        if length <= LEAST_CHUNK:
            return Permanent(f"{refusal}; the server does not even take a chunk of {length} characters")
        return Permanent(
            f"{refusal}; the server takes no chunk of {length} characters, and the chunks of an image can't be "
            f"changed once it is registered; the files that follow go in chunks of {self._chunk_size}"
        )

    async def _after_refusal(self, answer: Answer, session: Session, content: Content) -> Receipt:
        """Look whether the image is complete: some servers answer 400 to a chunk of one that is."""
        if self._settings.verify != "never" and await self._compare(content) is _Copy.WHOLE:
            return Receipt(stored=_stored(content))
        refusal = self._http.failure(answer)
        if session.doubtful:
            raise Permanent(f"{refusal}; the image was registered before, perhaps with chunks of another size")
        raise refusal

    async def finish(self, session: Session, content: Content, source: Source) -> Stored:  # noqa: ARG002 - the contract's
        """Compare the server's copy, where that is asked for or somebody else had a hand in it."""
        verify = self._settings.verify
        if verify == "never" or (verify == "conflict" and not session.doubtful):
            return _stored(content)
        copy = await self._compare(content)
        if copy is _Copy.WHOLE:
            return _stored(content)
        if copy is _Copy.OTHER:
            raise Permanent("the server holds another content under this image's hash, and it can't be replaced")
        if copy is _Copy.ENDLESS:
            raise Transient("the server's copy of the image goes on beyond its end")
        raise SessionLost("the server took all chunks, but its copy of the image is not whole")

    async def poll(self, pending: Pending, content: Content) -> Stored:  # noqa: ARG002 - the contract's
        """Answer at once: this service has nothing to wait for."""
        return _stored(content)

    async def fetch(self, ref: str, key: str, take: Taker) -> str:
        """Download the text, and decode it as it comes."""
        decoding = Decoding(_form(ref), take)
        answer = await self._http.get(f"/image/{key}", accept="text/plain", sink=decoding)
        if answer.status == 404:
            raise NotStored("the server does not have it any more")
        if answer.status != 200 or (answer.is_page and decoding.key() != key):
            raise self._http.failure(answer)
        return decoding.key()

    async def confirm(self, ref: str, content: Content, *, thorough: bool = False) -> Confirmation:  # noqa: ARG002 - the hash is the key
        """Ask for the image, and compare its length if the server tells it."""
        glance = Glance()
        answer = await self._http.get(f"/image/{content.key}", accept="text/plain", sink=glance)
        if answer.status == 404:
            return Confirmation(presence=Presence.NO, reason="the server does not have it any more")
        if answer.status != 200 or answer.is_page:
            raise self._http.failure(answer)
        right = glance.length in (None, content.size)
        return Confirmation(presence=Presence.YES if right else Presence.NO, proof=Proof.SIZE)

    async def check(self) -> None:
        """Ask for an image that can't be there: what the server says about that shows that it is a server."""
        answer = await self._http.get(f"/image/{_NOWHERE}", accept="text/plain", sink=_Comparison(_NOTHING))
        failure = self._http.failure(answer)
        if answer.status in (401, 403) or (isinstance(failure, Transient) and failure.scope is Scope.REMOTE):
            raise failure

    async def send_in_vain(self, size: int) -> None:
        """Send a chunk of an image that was never registered."""
        body = json_body({"id": 0, "size": size, "data": characters(size)})
        await send_in_vain(self._http, f"/image/{_NOWHERE}/chunks", body)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._http.close()

    async def _compare(self, content: Content) -> _Copy:
        comparison = _Comparison(content)
        answer = await self._http.get(f"/image/{content.key}", accept="text/plain", sink=comparison)
        if answer.status == 404:
            return _Copy.PART
        if answer.status != 200 or answer.is_page:
            raise self._http.failure(answer)
        return comparison.result()


_NOTHING = Content(key=_NOWHERE, size=0)


def _form(ref: str) -> str:
    """Return the form that a ``ref`` says the image has."""
    return ref.partition(":")[2]


def _stored(content: Content, *, already: bool = False) -> Stored:
    """Return the confirmation; its ``ref`` says how to download the image and how to decode it."""
    return Stored(ref=f"{content.key}:{content.encoding}", already=already)
