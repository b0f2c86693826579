"""Verifies and downloads the files that a server of the multipart API stores.

If a response does not prove that the server has a file, the file is requested.
"""

from dataclasses import dataclass
from urllib.parse import quote

from syncd.config.remotes import MultipartRemote as Settings
from syncd.core.errors import NotStored, Permanent, SessionLost, Transient, Unauthorized
from syncd.core.model import Confirmation, Content, Presence, Proof, Stored
from syncd.remotes import presence
from syncd.remotes.downloads import ComparingWriter, CopyState, DownloadWriter, HashingWriter, LengthRecorder
from syncd.remotes.http import Http
from syncd.remotes.multipart import schema
from syncd.remotes.responses import Response

NOT_ENCRYPTED = "the server ignored encrypt_password: it stored the file unencrypted"
_QUERY_UNKNOWN = (400, 404, 405, 422, 500, 501)
"""Statuses that may mean that the server does not support the query ``original``."""
_ORIGINAL_NOT_READY = (400, 500)
"""Statuses that may also mean that the original is not available yet, for example during processing."""
_ENCRYPTION_ADVICE = "remove encrypt_password, or use a server that encrypts"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Download:
    """The response to a download of a stored file.

    ``refusal`` is set if the server rejected the request for the original and may accept it later; then ``response``
    may contain a thumbnail.
    """

    response: Response
    refusal: Response | None = None


class StoredFiles:
    """The stored files of one server of the multipart API."""

    def __init__(self, http: Http, settings: Settings) -> None:
        self._http = http
        self._prefix = settings.prefix.removesuffix("/upload")
        self._encrypted = settings.encrypt_password is not None
        self._by_md5 = settings.hash == "md5"

    async def verify_existing(self, response: Response, content: Content) -> Stored:
        """Judge a response to *create* that says that the file exists already."""
        file = schema.read_stored_file(response.json())
        if file is None:
            return Stored(ref="", already=True)
        contradiction = self._contradiction(file, content)
        if contradiction:
            raise Permanent(f"the server claims to have this file, but {contradiction}")
        return await self._stored(file, response, content, already=True)

    async def verify_upload(self, file: schema.CloudFile, response: Response, content: Content) -> Stored:
        """Judge a response that says that an upload is complete."""
        contradiction = self._contradiction(file, content)
        if contradiction:
            raise SessionLost(_with_reported_error(contradiction, file, response))
        return await self._stored(file, response, content, already=False)

    async def _stored(self, file: schema.CloudFile, response: Response, content: Content, *, already: bool) -> Stored:
        """Return the result; if the response proves nothing, request the stored file."""
        disputed = file.contradiction(content) is not None  # an encrypted file may have another size and hash
        proof = Proof.NONE if disputed else file.proof(content, already=already)
        credible = not disputed and file.reported_error is None
        if self._encrypted and credible and await self._stored_unencrypted(file, content):
            raise Permanent(NOT_ENCRYPTED, advice=_ENCRYPTION_ADVICE)
        trouble = None
        if proof is Proof.NONE:
            try:
                proof = await self._request_proof(file, response, content)
            except (Transient, Unauthorized) as failure:  # the upload itself succeeded, so it must not be repeated
                trouble = failure
        return Stored(ref=file.id, already=already, proof=proof, trouble=trouble)

    async def _stored_unencrypted(self, file: schema.CloudFile, content: Content) -> bool:
        """Return whether the server stored a file unencrypted although it received a password.

        Compares the hash. Without a comparable hash it downloads the file, without sending the password.
        """
        if file.same_hash(content) is not None or content.sha256 is None:
            return file.same_hash(content) is True
        comparison = ComparingWriter(size=content.size, sha256=content.sha256)
        try:
            refusal = await self._request(file.id, comparison)
        except (Transient, Unauthorized):
            return False
        return refusal is None and comparison.result() is CopyState.INTACT

    async def _request_proof(self, file: schema.CloudFile, response: Response, content: Content) -> Proof:
        """Request the stored file, and return the proof.

        Raises ``SessionLost`` if the server does not have the file.
        """
        found = await self.confirm(file.id, content)
        if found.presence is Presence.NO:
            raise SessionLost(_with_reported_error("the server claimed to have the file, but does not", file, response))
        return found.proof

    def _contradiction(self, file: schema.CloudFile, content: Content) -> str | None:
        """Return how hash or size differ; None if the server may have encrypted the file."""
        return None if self._encrypted else file.contradiction(content)

    async def fetch(self, ref: str, key: str, writer: HashingWriter) -> str:
        """Download the file, following redirects; return its key."""
        if not ref:
            raise Permanent(f"{presence.NEVER_NAMED}, so it can't be downloaded")
        download = await self._download(ref, writer)
        response = download.response
        if response.status in (404, 410):
            raise NotStored(presence.GONE)
        found = writer.key()
        if response.status != 200 or (response.is_html and found != key):
            raise self._http.failure(response)
        if found != key and download.refusal:
            raise self._http.failure(download.refusal)
        if found != key and self._encrypted:
            raise Permanent("the server returned an encrypted file, which can't be compared")
        return found

    async def confirm(self, ref: str, content: Content, *, thorough: bool = False) -> Confirmation:
        """Compare the length of the stored file; with ``thorough`` and MD5, compare all bytes."""
        if not ref:
            return presence.unknown(presence.NEVER_NAMED)
        if thorough and (self._by_md5 or content.key.startswith("md5:")):
            return await self._compare(ref, content)
        recorder = LengthRecorder()
        refusal = await self._request(ref, recorder)
        return refusal or presence.judge_length(recorder.length, content.size)

    async def has(self, ref: str) -> bool:
        """Return whether a download of ``ref`` succeeds. Raises failures of the whole server."""
        return await self._request(ref, LengthRecorder()) is None

    async def _compare(self, ref: str, content: Content) -> Confirmation:
        """Compare all bytes.

        Other bytes of the right length mean other content, unless the server may have encrypted the file.
        """
        if content.sha256 is None:
            return presence.unknown("the SHA-256 of the file is unknown")
        comparison = ComparingWriter(size=content.size, sha256=content.sha256)
        refusal = await self._request(ref, comparison)
        if refusal:
            return refusal
        found = presence.judge_comparison(comparison.result())
        if comparison.result() is CopyState.DIFFERENT and not self._encrypted:
            return presence.missing(found.reason)
        return found

    async def _request(self, ref: str, writer: LengthRecorder | ComparingWriter) -> Confirmation | None:
        """Download a stored file into ``writer``.

        Returns None if ``writer`` has the result, else what the response proves. If the server rejected the request for
        the original, other bytes may be those of a thumbnail, so the result is unknown.
        """
        refused: list[Response] = []

        async def request() -> Response:
            download = await self._download(ref, writer)
            refused.extend([download.refusal] if download.refusal else [])
            return download.response

        refusal = await presence.check_request(self._http, request())
        if (
            refusal is None
            and refused
            and isinstance(writer, ComparingWriter)
            and writer.result() is not CopyState.INTACT
        ):
            return presence.unknown(presence.describe_refusal(refused[0]))
        return refusal

    async def _download(self, ref: str, writer: DownloadWriter) -> _Download:
        """Download the original of a file.

        Without the query, some servers return a smaller version of an image.
        """
        path = f"{self._prefix}/{quote(ref, safe='')}"
        original = await self._http.get(f"{path}?original=true", accept="*/*", writer=writer)
        if original.status not in _QUERY_UNKNOWN:
            return _Download(response=original)
        response = await self._http.get(path, accept="*/*", writer=writer)
        return _Download(response=response, refusal=original if original.status in _ORIGINAL_NOT_READY else None)


def _with_reported_error(problem: str, file: schema.CloudFile, response: Response) -> str:
    """Return ``problem``, followed by the server's message if its response reported an error."""
    message = (response.message() or response.redact(file.reported_error)) if file.reported_error else None
    return f"{problem}: {message}" if message else problem
