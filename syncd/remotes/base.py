"""Define the interface of an upload API's client, which :mod:`syncd.upload` and :mod:`syncd.recovery` use.

All methods raise only the failures of :mod:`syncd.core.errors`:

* ``Transient``: refused connections, resets, idle timeouts, 408, 429, 5xx. ``scope`` is REMOTE if the failure concerns
  the server as a whole (no connection, TLS, 429, 502, 503, 504), else JOB. ``overload``
  is set for 429, 503 and timeouts.
* ``Unauthorized``: 401.
* ``Permanent``: the server would reject the same request again. The text has the server's message.
* ``SessionLost``: begin the upload again, without the session.
* ``NotStored``: only from :meth:`Remote.fetch`.
* ``FileChanged`` and other failures of a file come from the :class:`Source` and pass through unchanged.

A remote keeps no state of an upload. The store keeps that state in the ``Session``, and the ``capabilities`` learned
about the server.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from syncd.core.model import ChunkResult, Confirmation, Content, Pending, Proof, Session, Stored


class Hasher(Protocol):
    """Hashes a file in one pass. Its methods block: call them in a worker thread."""

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

    def acquire(self, size: int) -> Awaitable[None]:
        """Wait until ``size`` more bytes may be sent."""


WriteCallback = Callable[[bytes], bool]
"""Receives the next bytes of a download; returns False to end the download."""


class Remote(Protocol):
    """The client of one server of an upload API."""

    @property
    def identity(self) -> str:
        """The text by which the store knows this destination; it contains no secret."""

    @property
    def capabilities(self) -> Mapping[str, int]:
        """Limits learned about the server, such as the largest chunk it accepts. The store keeps them."""

    def restore_capabilities(self, capabilities: Mapping[str, int]) -> None:
        """Restore the capabilities that an earlier process learned."""

    @property
    def terms(self) -> str:
        """The conditions for storing content now, such as an expiry; an empty text if there are none.

        Content that was stored under other terms does not count as a duplicate. The text contains no secret.
        """

    @property
    def expires(self) -> bool:
        """Whether the server deletes the content after some time."""

    @property
    def required_proof(self) -> Proof:
        """The weakest proof of upload that allows syncd to delete the local file."""

    @property
    def block_size(self) -> int:
        """The expected number of the file's bytes in one chunk."""

    def hasher(self) -> Hasher:
        """Return a new hasher for one file."""

    def hasher_of(self, key: str, ref: str) -> Hasher:
        """Return a hasher that yields ``key`` for the same bytes, even if the settings have changed since."""

    def recorded(self, *, key: str, ref: str, size: int, sha256: str | None) -> Content:
        """Return the content for a record of the store; ``size`` is the size of the file in bytes."""

    async def begin(
        self, content: Content, source: Source, session: Session | None, *, failures: int, look_up: bool = False
    ) -> Session | Stored:
        """Begin or resume an upload, or learn that the server has the content already.

        ``session`` is the session of the previous attempt, with the acknowledged chunks; ``failures`` counts the failed
        attempts. ``look_up`` means that the server probably has the content, so it is asked before anything is sent.
        The returned session's ``received`` holds every chunk that need not be sent.
        """

    async def send(self, session: Session, index: int, content: Content, source: Source) -> ChunkResult:
        """Send chunk ``index``; on return the server has it. Calls may run concurrently."""

    async def finish(self, session: Session, content: Content, source: Source) -> Stored | Pending:
        """Make the server assemble the file from its chunks. If it returns ``Pending``, call :meth:`poll` later.

        A response that names neither hash nor size, or that reports an error, proves nothing: then the client requests
        the stored file. ``SessionLost`` if the server does not have it; ``Proof.NONE`` if the server does not tell.
        """

    async def poll(self, pending: Pending, content: Content) -> Stored | Pending:
        """Ask whether the server has assembled the file."""

    async def fetch(self, ref: str, key: str, write: WriteCallback) -> str:
        """Download the file stored as ``ref``, pass its bytes to ``write``, and return their key.

        The copy is intact if the result equals ``key``, the key at upload, and ``write`` has not returned False.
        ``NotStored`` if the server does not have the file any more.
        """

    async def confirm(self, ref: str, content: Content, *, thorough: bool = False) -> Confirmation:
        """Ask whether the server still has the file stored as ``ref``; return yes, no or unknown.

        Yes requires the right length or the right bytes: at least ``Proof.SIZE``, and with ``thorough`` at least
        :attr:`required_proof`, for which the client may download the whole file. No requires 404 or 410, or other bytes
        from a server that answers reliably. The result is unknown after a rejection, an error of this request, an
        unusable redirect, a 200 without a length, and for an empty ``ref``. Failures of the whole server are raised.
        """

    async def check(self) -> None:
        """Request an object that can't exist; return if the server is reachable and accepts the token.

        ``Transient`` with scope REMOTE if the server claims to have the object: then it is not an upload API.
        """

    async def measure_upload(self, size: int) -> None:
        """Send a chunk of ``size`` bytes for an unknown upload; the caller times the call.

        Returns once the server has read the whole chunk and rejected it, so nothing of it is stored. Raises
        :class:`syncd.remotes.speedtest.ChunkTooLargeError` if the server accepts no chunk of that size.
        """

    async def close(self) -> None:
        """Close all connections."""
