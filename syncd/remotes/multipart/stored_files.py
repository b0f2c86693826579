"""What a multipart server says it has stored: what its word is worth, and the file itself, read back."""

from dataclasses import dataclass
from urllib.parse import quote

from syncd.config.remotes import MultipartRemote as Settings
from syncd.core.errors import NotStored, Permanent, SessionLost, Transient, Unauthorized
from syncd.core.model import Confirmation, Content, Presence, Proof, Stored
from syncd.remotes import presence
from syncd.remotes.http import Http
from syncd.remotes.multipart import schema
from syncd.remotes.responses import Response
from syncd.remotes.sinks import ComparingSink, CopyState, FileSink, LengthOnlySink, Sink

NOT_ENCRYPTED = "the server ignored encrypt_password: it keeps the file as it was sent"
_QUERY_UNKNOWN = (400, 404, 405, 422, 500, 501)
"""Answers that may mean that the server does not know the query."""
_MAYBE_LATER = (400, 500)
"""Those that may as well mean that the original can't be given yet, as while it is being processed."""
_ENCRYPTION_ADVICE = "take encrypt_password out, or use a server that encrypts"


@dataclass(frozen=True, kw_only=True, slots=True)
class _ReadBack:
    """The answer to a request for a stored file.

    ``refusal`` is that to the request for the original, where it may be given later: then this is maybe a derivative.
    """

    response: Response
    refusal: Response | None = None


class StoredFiles:
    """The files on one server of the multipart API."""

    def __init__(self, http: Http, settings: Settings) -> None:
        self._http = http
        self._prefix = settings.prefix.removesuffix("/upload")
        self._encrypted = settings.encrypt_password is not None
        self._by_md5 = settings.hash == "md5"

    async def existing(self, response: Response, content: Content) -> Stored:
        """Judge the answer to *create* that the file is there already."""
        file = schema.stored_file(response.json())
        if file is None:
            return Stored(ref="", already=True)
        contradiction = self._contradiction(file, content)
        if contradiction:
            raise Permanent(f"the server says that it has this file, but {contradiction}")
        return await self._stored(file, response, content, already=True)

    async def confirmed(self, file: schema.CloudFile, response: Response, content: Content) -> Stored:
        """Judge the answer that an upload is complete."""
        contradiction = self._contradiction(file, content)
        if contradiction:
            raise SessionLost(_with_reported_error(contradiction, file, response))
        return await self._stored(file, response, content, already=False)

    async def _stored(self, file: schema.CloudFile, response: Response, content: Content, *, already: bool) -> Stored:
        """Say what the server's word is worth; where that is nothing, ask for the file itself."""
        disputed = file.contradiction(content) is not None  # the file may be encrypted, and what it is told of it too
        proof = Proof.NONE if disputed else file.proof(content, already=already)
        told = not disputed and file.reported_error is None
        if self._encrypted and told and await self._is_plain(file, content):
            raise Permanent(NOT_ENCRYPTED, advice=_ENCRYPTION_ADVICE)
        trouble = None
        if proof is Proof.NONE:
            try:
                proof = await self._follow_up(file, response, content)
            except (Transient, Unauthorized) as failure:  # it must not have all of the file sent again
                trouble = failure
        return Stored(ref=file.id, already=already, proof=proof, trouble=trouble)

    async def _is_plain(self, file: schema.CloudFile, content: Content) -> bool:
        """Say whether a file of the right size is stored as it was sent, though a password was given.

        Its hash tells, or where that can't be compared the file: who asks for it names no password.
        """
        if file.same_hash(content) is not None or content.sha256 is None:
            return file.same_hash(content) is True
        comparison = ComparingSink(size=content.size, sha256=content.sha256)
        try:
            refusal = await self._ask(file.id, comparison)
        except (Transient, Unauthorized):
            return False
        return refusal is None and comparison.result() is CopyState.INTACT

    async def _follow_up(self, file: schema.CloudFile, response: Response, content: Content) -> Proof:
        """Return what the file itself proves."""
        found = await self.confirm(file.id, content)
        if found.presence is Presence.NO:
            raise SessionLost(
                _with_reported_error("the server said that it has the file, and does not", file, response)
            )
        return found.proof

    def _contradiction(self, file: schema.CloudFile, content: Content) -> str | None:
        """Compare hash and size, unless the server may have encrypted the file."""
        return None if self._encrypted else file.contradiction(content)

    async def fetch(self, ref: str, key: str, download: FileSink) -> str:
        """Download the file, from where the server keeps it or from where it points to; return its key."""
        if not ref:
            raise Permanent(f"{presence.NEVER_NAMED}, so it can't be asked for")
        read = await self._read_back(ref, download)
        response = read.response
        if response.status in (404, 410):
            raise NotStored(presence.GONE)
        found = download.key()
        if response.status != 200 or (response.is_html and found != key):
            raise self._http.failure(response)
        if found != key and read.refusal:
            raise self._http.failure(read.refusal)
        if found != key and self._encrypted:
            raise Permanent("the server gave it back encrypted, so it can't be compared")
        return found

    async def confirm(self, ref: str, content: Content, *, thorough: bool = False) -> Confirmation:
        """Ask for the file; its length tells, or with ``thorough`` all its bytes where it was known by its MD5."""
        if not ref:
            return presence.unknown(presence.NEVER_NAMED)
        if thorough and (self._by_md5 or content.key.startswith("md5:")):
            return await self._compare(ref, content)
        glance = LengthOnlySink()
        refusal = await self._ask(ref, glance)
        return refusal or presence.judge_length(glance.length, content.size)

    async def has(self, ref: str) -> bool:
        """Ask whether the server gives anything back as ``ref``; raise what concerns it as a whole."""
        return await self._ask(ref, LengthOnlySink()) is None

    async def _compare(self, ref: str, content: Content) -> Confirmation:
        """Read the server's copy. Other bytes of the right length are another content, unless they are encrypted."""
        if content.sha256 is None:
            return presence.unknown("the file's SHA-256 is not known")
        comparison = ComparingSink(size=content.size, sha256=content.sha256)
        refusal = await self._ask(ref, comparison)
        if refusal:
            return refusal
        found = presence.judge_comparison(comparison.result())
        if comparison.result() is CopyState.DIFFERENT and not self._encrypted:
            return presence.missing(found.reason)
        return found

    async def _ask(self, ref: str, sink: LengthOnlySink | ComparingSink) -> Confirmation | None:
        """Ask for a stored file; return what a refusal says, or None where ``sink`` tells.

        Where the original was refused, other bytes are those of a derivative, so the refusal is what counts.
        """
        refused: list[Response] = []

        async def request() -> Response:
            read = await self._read_back(ref, sink)
            refused.extend([read.refusal] if read.refusal else [])
            return read.response

        refusal = await presence.ask(self._http, request())
        if refusal is None and refused and isinstance(sink, ComparingSink) and sink.result() is not CopyState.INTACT:
            return presence.unknown(presence.refusal(refused[0]))
        return refusal

    async def _read_back(self, ref: str, sink: Sink) -> _ReadBack:
        """Ask for a stored file as it was sent; of a picture some servers else give a smaller one made from it."""
        path = f"{self._prefix}/{quote(ref, safe='')}"
        original = await self._http.get(f"{path}?original=true", accept="*/*", sink=sink)
        if original.status not in _QUERY_UNKNOWN:
            return _ReadBack(response=original)
        response = await self._http.get(path, accept="*/*", sink=sink)
        return _ReadBack(response=response, refusal=original if original.status in _MAYBE_LATER else None)


def _with_reported_error(problem: str, file: schema.CloudFile, response: Response) -> str:
    """Add the server's own words where its answer showed an error."""
    message = (response.message() or response.redact(file.reported_error)) if file.reported_error else None
    return f"{problem}: {message}" if message else problem
