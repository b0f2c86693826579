"""Defines the interface of a client for one upload server.

:mod:`syncd.upload`, :mod:`syncd.recovery` and ``syncd check`` call a :class:`Remote`. The packages ``image`` and
``multipart`` implement it for one API each, on the common base in :mod:`syncd.remotes.client`; both pass the contract
tests (``tests/remotes/test_contract.py``).

Failures. The methods that send requests raise only these classes of :mod:`syncd.core.errors`:

* ``Transient``: a later attempt may succeed. Causes are refused connections, resets, idle timeouts, 408, 429 and 5xx.
  ``scope`` is REMOTE if the whole server is affected (no connection, TLS, 429, 502, 503, 504), else JOB. ``overload``
  is set for 429, 503 and timeouts.
* ``Unauthorized``: the server rejected the token (401).
* ``Permanent``: the server would reject the same request again. The text contains the server's message.
* ``SessionLost``: the server no longer has the upload. Call :meth:`Remote.begin` without the session.
* ``NotStored``: the server no longer has the file; only from :meth:`Remote.fetch`.
* Failures of the file, such as ``FileChanged``. They come from :meth:`Source.read` and pass through unchanged.

Retries. The client repeats a request only if a kept-alive connection was closed as the request was sent. All other
retries are up to the caller: see :mod:`syncd.core.retry` for a job, and :mod:`syncd.core.breaker` for a server.

State. An upload can continue in another process: the store keeps its ``Session``, and the ``capabilities`` that the
client learned about the server.

Concurrency. All methods run in one event loop, and calls may overlap. A call that fails or is cancelled may have taken
effect on the server; every call can be repeated.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from syncd.core.model import ChunkResult, Confirmation, Content, Pending, Proof, Session, Stored


class Hasher(Protocol):
    """Hashes a file in one pass. Its methods block: call them in a worker thread."""

    @property
    def kind(self) -> str:
        """Hashers of the same kind return the same content for the same bytes."""

    def update(self, data: bytes) -> None:
        """Hash the next bytes of the file."""

    def content(self) -> Content:
        """Return the content, after the last bytes."""


class Source(Protocol):
    """The file to send, in the state in which it was hashed."""

    @property
    def name(self) -> str:
        """The file's name without folders, valid Unicode."""

    @property
    def media_type(self) -> str:
        """The MIME type, such as ``image/jpeg``."""

    @property
    def size(self) -> int:
        """The length in bytes."""

    def read(self, offset: int, length: int) -> Awaitable[bytes]:
        """Return exactly these bytes; ``FileChanged`` if the file has changed since it was hashed."""


class Throttle(Protocol):
    """Enforces the bandwidth limit, and counts the bytes sent."""

    @property
    def piece_bytes(self) -> int:
        """The number of bytes to send at a time."""

    def acquire(self, size: int) -> Awaitable[None]:
        """Wait until ``size`` more bytes may be sent."""


WriteCallback = Callable[[bytes], bool]
"""Receives the next bytes of a download; returns False to end the download."""


class Remote(Protocol):
    """The client of one server."""

    @property
    def identity(self) -> str:
        """The text by which the store identifies this destination. It contains no secret."""

    @property
    def capabilities(self) -> Mapping[str, int]:
        """The limits learned about the server, such as its largest chunk.

        The store keeps them and passes them to :meth:`restore_capabilities` after a restart. A change of the
        capabilities means that the next session may succeed where the last one failed.
        """

    def restore_capabilities(self, capabilities: Mapping[str, int]) -> None:
        """Restore the capabilities that an earlier process learned; call before the first request."""

    @property
    def terms(self) -> str:
        """The storage conditions of the settings, such as an expiry.

        It is an empty text without conditions, and contains no secret. Content that was stored under other terms does
        not count as a duplicate.
        """

    @property
    def expires(self) -> bool:
        """True if the server deletes the content after some time."""

    @property
    def required_proof(self) -> Proof:
        """The weakest proof of upload that allows syncd to delete the local file."""

    @property
    def block_size(self) -> int:
        """The number of bytes that are read from the file at a time.

        A chunk consists of one or more such blocks.
        """

    def hasher(self) -> Hasher:
        """Return a new hasher for one file, according to the present settings."""

    def hasher_of(self, key: str, ref: str) -> Hasher:
        """Return a hasher that yields ``key`` for the uploaded bytes.

        ``key`` and ``ref`` come from the record of an upload. The settings may have changed since.
        """

    def recorded(self, *, key: str, ref: str, size: int, sha256: str | None) -> Content:
        """Return the content for a record of the store. ``size`` is the size of the file in bytes."""

    def session_without_request(
        self, content: Content, source: Source, session: Session | None, *, failures: int, look_up: bool = False
    ) -> Session | None:
        """Return the session of an upload that begins or resumes without a request.

        None means that :meth:`begin` must be called. The parameters are the same.
        """

    async def begin(
        self, content: Content, source: Source, session: Session | None, *, failures: int, look_up: bool = False
    ) -> Session | Stored:
        """Begin or resume an upload, or find that the server has the content already.

        ``content`` is the result of :meth:`hasher` for the bytes of ``source``. ``session`` is the session of the
        previous attempt, with the acknowledged chunks; the client may replace it by a new session. ``failures`` is the
        number of failed attempts. Set ``look_up`` if the server probably has the content: the client then asks before
        it sends anything. The returned session's ``received`` holds every chunk that need not be sent.
        """

    async def send(self, session: Session, index: int, content: Content, source: Source) -> ChunkResult:
        """Send chunk ``index`` of ``session``; on return the server has it.

        ``session`` comes from :meth:`begin`, for the same content. Chunks may be sent in any order, concurrently, and
        more than once. If the result has ``stored``, the upload is complete without :meth:`finish`. Raises
        ``CutOff``, a ``Transient``, if the connection is too slow for the chunk; the next session may then have
        smaller chunks (:mod:`syncd.remotes.chunk_sizes`).
        """

    async def finish(self, session: Session, content: Content, source: Source) -> Stored | Pending:
        """Make the server assemble the file from its chunks.

        The server has all chunks of ``session``. If the result is ``Pending``, call :meth:`poll` later. A response that
        names neither hash nor size, or that reports an error, proves nothing: the client then requests the stored file.
        Raises ``SessionLost`` if the server does not have the file. Without any evidence, ``Stored.proof`` is
        ``Proof.NONE``.
        """

    async def poll(self, pending: Pending, content: Content) -> Stored | Pending:
        """Ask whether the server has assembled the file.

        Raises ``SessionLost`` if the assembly failed.
        """

    async def fetch(self, ref: str, key: str, write: WriteCallback) -> str:
        """Download the file stored as ``ref``, pass its bytes to ``write``, and return their key.

        ``key`` is the key of the uploaded content. The copy is intact if the result equals ``key`` and ``write`` never
        returned False. Raises ``NotStored`` if the server no longer has the file.
        """

    async def confirm(self, ref: str, content: Content, *, thorough: bool = False) -> Confirmation:
        """Ask whether the server still has the file stored as ``ref``; return yes, no or unknown.

        Yes requires the right length or the right bytes: at least ``Proof.SIZE``. With ``thorough`` it requires at
        least :attr:`required_proof`, for which the client may download the whole file. No requires 404 or 410, or other
        bytes from a server that answers reliably. Everything else is unknown: a rejection, an error of this request, an
        unusable redirect, a 200 without a length, an empty ``ref``. Raises only failures of the whole server.
        """

    async def check(self) -> None:
        """Check that the server is reachable and accepts the token.

        The client requests an object that cannot exist. Raises ``Transient`` with scope REMOTE if the server claims to
        have that object: it is not an upload API.
        """

    async def measure_upload(self, size: int) -> None:
        """Send a chunk of ``size`` bytes for an unknown upload; the caller times the call.

        Returns when the server has read the whole chunk and rejected it, so nothing of it is stored. Raises
        :class:`syncd.remotes.speedtest.ChunkTooLargeError` if the server accepts no chunk of that size, and
        :class:`syncd.remotes.speedtest.ChunkAcceptedError` if the server may have stored it.
        """

    async def close(self) -> None:
        """Close all connections. The next request would open new ones."""
