"""Downloads and compares the stored images of a server.

An image API answers 404 for an unknown image. A server that does not is called unreliable here: a login page, for
example, answers 200 to everything, so a success or a copy from such a server proves nothing.
"""

import asyncio
import hashlib

from syncd.config.remotes import ImageRemote as Settings
from syncd.core.errors import Failure, NotStored, Permanent, Scope, Transient
from syncd.core.model import Confirmation, Content, Presence, Proof, Stored
from syncd.remotes import presence
from syncd.remotes.base import WriteCallback
from syncd.remotes.downloads import ComparingWriter, CopyState, LengthRecorder
from syncd.remotes.http import Http
from syncd.remotes.image.encodings import Decoder
from syncd.remotes.response_failures import not_an_upload_api
from syncd.remotes.responses import Response

UNKNOWN_IMAGE = "0" * 64
"""A hash for which no image is known."""


class DecodingWriter:
    """Decodes the downloaded text of a file, and passes the file's bytes to ``write``."""

    def __init__(self, encoding: str, write: WriteCallback) -> None:
        self._decoder = Decoder(encoding)
        self._write = write
        self._hash = hashlib.sha256()

    def expect(self, length: int | None) -> bool:  # noqa: ARG002 - only the bytes count
        """Accept any length."""
        return True

    def write(self, data: bytes) -> bool:
        """Decode the next characters; end the download if they are malformed."""
        self._hash.update(data)
        try:
            return self._write(self._decoder.feed(data))
        except ValueError:  # the hash differs, too
            return False

    def key(self) -> str:
        """Return the SHA-256 of the downloaded text, as hex."""
        return self._hash.hexdigest()


class StoredImages:
    """The stored images of one server of the image API."""

    def __init__(self, http: Http, settings: Settings) -> None:
        self._http = http
        self._verify = settings.verify
        self._honesty_lock = asyncio.Lock()
        self._probe_lock = asyncio.Lock()
        self._reports_missing: bool | None = None
        """Whether the server answers 404 for an unknown image; None before the first test."""

    async def is_credible(self, response: Response, *, again: bool = False) -> bool:
        """Return whether a successful response can be trusted.

        A 201 always can, a 200 only from a reliable server. With ``again``, repeat the test of a server that was
        unreliable before.
        """
        if response.reported_error() is not None:
            return False
        if response.status == 201:
            return True
        async with self._honesty_lock:
            if self._reports_missing is None or (again and not self._reports_missing):
                await self._is_reliable()
            return self._reports_missing is True

    async def compare(self, content: Content) -> CopyState:
        """Compare the server's copy with the image; a missing copy counts as shorter."""
        comparison = _comparison(content)
        return await self._result(await self._download(content, comparison), comparison)

    async def _download(self, content: Content, comparison: ComparingWriter) -> Response:
        return await self._http.get(f"/image/{content.key}", accept="text/plain", writer=comparison)

    async def _result(self, response: Response, comparison: ComparingWriter) -> CopyState:
        if response.status != 200:
            failure = self._http.failure(response)
            if response.status == 404 or (response.status == 400 and isinstance(failure, Permanent)):
                return CopyState.SHORTER
            raise failure
        copy = comparison.result()
        if copy is not CopyState.INTACT:
            await self._is_reliable()  # an unreliable server may have sent anything
        return copy

    async def compare_incomplete(self, content: Content, *, require_response: bool = False) -> CopyState:
        """Compare the server's copy while chunks may be missing: a failed download means shorter.

        With ``require_response``, a download without a response is raised as :class:`Transient`: the response may be
        lost, and the copy complete.
        """
        if self._verify == "never":
            return CopyState.SHORTER
        comparison = _comparison(content)
        response = None
        try:
            response = await self._download(content, comparison)
            return await self._result(response, comparison)
        except (Transient, Permanent) as failure:
            if presence.is_server_failure(failure) or (response is None and require_response):
                raise
            return CopyState.SHORTER

    async def fetch(self, ref: str, key: str, write: WriteCallback) -> str:
        """Download the text, decode it, and return its key; ``NotStored`` after a 404."""
        decoding = DecodingWriter(encoding_of(ref), write)
        response = await self._http.get(f"/image/{key}", accept="text/plain", writer=decoding)
        if response.status == 404:
            raise NotStored(presence.GONE)
        if response.status != 200:
            raise self._http.failure(response)
        if response.is_html and decoding.key() != key and not await self._is_reliable():
            raise self._http.failure(response)  # a login page is not a copy of the image
        return decoding.key()

    async def confirm(self, ref: str, content: Content, *, thorough: bool = False) -> Confirmation:
        """Compare the length of the stored image, or with ``thorough`` all its bytes."""
        if not ref:
            return presence.unknown(presence.NEVER_NAMED)
        recorder, comparison = LengthRecorder(), _comparison(content)
        writer = comparison if thorough else recorder
        request = self._http.get(f"/image/{content.key}", accept="text/plain", writer=writer)
        if refusal := await presence.check_request(self._http, request):
            return refusal
        if thorough:
            found, differs = (
                presence.judge_comparison(comparison.result()),
                comparison.result() is not CopyState.ENDLESS,
            )
        else:
            found, differs = presence.judge_length(recorder.length, content.size), recorder.length is not None
        if found.presence is Presence.UNKNOWN and differs and await self._is_reliable():
            return presence.missing(found.reason)
        return found

    async def _is_reliable(self) -> bool:
        """Return whether the server answers 404 for an unknown image, which no login page does.

        Failures of the whole server are raised, also if the server claims to have the unknown image.
        """
        try:
            await self.check()
        except Failure as failure:
            if presence.is_server_failure(failure):
                raise
        return self._reports_missing is True

    async def check(self) -> None:
        """Request an unknown image, to check the server and the token.

        Raises ``Transient`` with scope REMOTE if the server claims to have the image: it is not an image API.
        """
        async with self._probe_lock:  # several uploads and probes may call this at once
            response = await self._http.get(f"/image/{UNKNOWN_IMAGE}", accept="text/plain")
        self._reports_missing = response.status == 404
        if 200 <= response.status < 300:
            raise not_an_upload_api(response, kind="an image", asked="an image")
        failure = self._http.failure(response)
        if response.status in (401, 403) or (isinstance(failure, Transient) and failure.scope is Scope.REMOTE):
            raise failure


def _comparison(content: Content) -> ComparingWriter:
    return ComparingWriter(size=content.size, sha256=content.key, text=True)


def encoding_of(ref: str) -> str:
    """Return the encoding that a ``ref`` of :func:`stored` contains."""
    return ref.partition(":")[2]


def stored(content: Content, proof: Proof, *, already: bool = False) -> Stored:
    """Return the result of an upload. Its ``ref`` is the image's hash and encoding."""
    return Stored(ref=f"{content.key}:{content.encoding}", already=already, proof=proof)
