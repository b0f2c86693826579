"""What a multipart server says it has stored: what its word is worth, and the file itself, read back."""

from dataclasses import dataclass
from urllib.parse import quote

from syncd.config.remotes import MultipartRemote as Settings
from syncd.core.errors import NotStored, Permanent, SessionLost, Transient, Unauthorized
from syncd.core.model import Confirmation, Content, Presence, Proof, Stored
from syncd.remotes import presence
from syncd.remotes.downloads import Comparison, Copy, Plain
from syncd.remotes.http import Glance, Http, Sink
from syncd.remotes.multipart import schema
from syncd.remotes.responses import Answer

NOT_ENCRYPTED = "the server ignored encrypt_password: it keeps the file as it was sent"
_QUERY_UNKNOWN = (400, 404, 405, 422, 500, 501)
"""Answers that may mean that the server does not know the query."""
_MAYBE_LATER = (400, 500)
"""Those that may as well mean that the original can't be given yet, as while it is being processed."""
_DO_WITHOUT = "take encrypt_password out, or use a server that encrypts"


@dataclass(frozen=True, kw_only=True, slots=True)
class _ReadBack:
    """The answer to a request for a stored file.

    ``refusal`` is that to the request for the original, where it may be given later: then this is maybe a derivative.
    """

    answer: Answer
    refusal: Answer | None = None


class StoredFiles:
    """The files on one server of the multipart API."""

    def __init__(self, http: Http, settings: Settings) -> None:
        self._http = http
        self._prefix = settings.prefix.removesuffix("/upload")
        self._encrypted = settings.encrypt_password is not None
        self._by_md5 = settings.hash == "md5"

    async def existing(self, answer: Answer, content: Content) -> Stored:
        """Judge the answer to *create* that the file is there already."""
        file = schema.stored_file(answer.json())
        if file is None:
            return Stored(ref="", already=True)
        contradiction = self._contradiction(file, content)
        if contradiction:
            raise Permanent(f"the server says that it has this file, but {contradiction}")
        return await self._stored(file, answer, content, already=True)

    async def confirmed(self, file: schema.CloudFile, answer: Answer, content: Content) -> Stored:
        """Judge the answer that an upload is complete."""
        contradiction = self._contradiction(file, content)
        if contradiction:
            raise SessionLost(_because(contradiction, file, answer))
        return await self._stored(file, answer, content, already=False)

    async def _stored(self, file: schema.CloudFile, answer: Answer, content: Content, *, already: bool) -> Stored:
        """Say what the server's word is worth; where that is nothing, ask for the file itself."""
        disputed = file.contradiction(content) is not None  # the file may be encrypted, and what it is told of it too
        proof = Proof.NONE if disputed else file.proof(content, already=already)
        told = not disputed and file.complaint is None
        if self._encrypted and told and await self._is_plain(file, content):
            raise Permanent(NOT_ENCRYPTED, advice=_DO_WITHOUT)
        trouble = None
        if proof is Proof.NONE:
            try:
                proof = await self._follow_up(file, answer, content)
            except (Transient, Unauthorized) as failure:  # it must not have all of the file sent again
                trouble = failure
        return Stored(ref=file.id, already=already, proof=proof, trouble=trouble)

    async def _is_plain(self, file: schema.CloudFile, content: Content) -> bool:
        """Say whether a file of the right size is stored as it was sent, though a password was given.

        Its hash tells, or where that can't be compared the file: who asks for it names no password.
        """
        if file.same_hash(content) is not None or content.sha256 is None:
            return file.same_hash(content) is True
        comparison = Comparison(size=content.size, sha256=content.sha256)
        try:
            refusal = await self._ask(file.id, comparison)
        except (Transient, Unauthorized):
            return False
        return refusal is None and comparison.result() is Copy.WHOLE

    async def _follow_up(self, file: schema.CloudFile, answer: Answer, content: Content) -> Proof:
        """Return what the file itself proves."""
        found = await self.confirm(file.id, content)
        if found.presence is Presence.NO:
            raise SessionLost(_because("the server said that it has the file, and does not", file, answer))
        return found.proof

    def _contradiction(self, file: schema.CloudFile, content: Content) -> str | None:
        """Compare hash and size, unless the server may have encrypted the file."""
        return None if self._encrypted else file.contradiction(content)

    async def fetch(self, ref: str, key: str, download: Plain) -> str:
        """Download the file, from where the server keeps it or from where it points to; return its key."""
        if not ref:
            raise Permanent(f"{presence.NEVER_NAMED}, so it can't be asked for")
        read = await self._read_back(ref, download)
        answer = read.answer
        if answer.status in (404, 410):
            raise NotStored(presence.GONE)
        found = download.key()
        if answer.status != 200 or (answer.is_page and found != key):
            raise self._http.failure(answer)
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
        glance = Glance()
        refusal = await self._ask(ref, glance)
        return refusal or presence.measured(glance.length, content.size)

    async def has(self, ref: str) -> bool:
        """Ask whether the server gives anything back as ``ref``; raise what concerns it as a whole."""
        return await self._ask(ref, Glance()) is None

    async def _compare(self, ref: str, content: Content) -> Confirmation:
        """Read the server's copy. Other bytes of the right length are another content, unless they are encrypted."""
        if content.sha256 is None:
            return presence.unknown("the file's SHA-256 is not known")
        comparison = Comparison(size=content.size, sha256=content.sha256)
        refusal = await self._ask(ref, comparison)
        if refusal:
            return refusal
        found = presence.compared(comparison.result())
        if comparison.result() is Copy.OTHER and not self._encrypted:
            return presence.absent(found.reason)
        return found

    async def _ask(self, ref: str, sink: Glance | Comparison) -> Confirmation | None:
        """Ask for a stored file; return what a refusal says, or None where ``sink`` tells.

        Where the original was refused, other bytes are those of a derivative, so the refusal is what counts.
        """
        refused: list[Answer] = []

        async def request() -> Answer:
            read = await self._read_back(ref, sink)
            refused.extend([read.refusal] if read.refusal else [])
            return read.answer

        refusal = await presence.ask(self._http, request())
        if refusal is None and refused and isinstance(sink, Comparison) and sink.result() is not Copy.WHOLE:
            return presence.unknown(presence.refusal(refused[0]))
        return refusal

    async def _read_back(self, ref: str, sink: Sink) -> _ReadBack:
        """Ask for a stored file as it was sent; of a picture some servers else give a smaller one made from it."""
        path = f"{self._prefix}/{quote(ref, safe='')}"
        original = await self._http.get(f"{path}?original=true", accept="*/*", sink=sink)
        if original.status not in _QUERY_UNKNOWN:
            return _ReadBack(answer=original)
        answer = await self._http.get(path, accept="*/*", sink=sink)
        return _ReadBack(answer=answer, refusal=original if original.status in _MAYBE_LATER else None)


def _because(problem: str, file: schema.CloudFile, answer: Answer) -> str:
    """Add the server's own words where its answer showed an error."""
    words = (answer.words() or answer.mask(file.complaint)) if file.complaint else None
    return f"{problem}: {words}" if words else problem
