"""What the engine asks of a remote: the contract that every upload service's client keeps.

All calls raise only the failures of :mod:`syncd.core.errors`:

* ``Transient``: refused connections, resets, stalls, 408, 429, 5xx. ``scope`` is REMOTE where the server as a whole is
  meant (no connection, TLS, 429, 502, 503, 504), else JOB; ``overload`` for 429, 503 and time-outs.
* ``Unauthorized``: 401.
* ``Permanent``: a refusal that the same request would meet again; the text has the server's own words.
* ``SessionLost``: begin again, without the session.
* ``NotStored``: only from :meth:`Remote.fetch`.
* ``FileChanged`` and the other failures of a file come from the :class:`Source` and pass through untouched.

A remote holds no state of an upload: what must be remembered is in the ``Session``, which the store keeps, and in
``capabilities``, which it keeps for the remote as a whole.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from syncd.core.model import Confirmation, Content, Pending, Proof, Receipt, Session, Stored


class Hasher(Protocol):
    """Reads a file once, in order, and says what content it is. Not asynchronous: it runs in a worker thread."""

    def update(self, data: bytes) -> None:
        """Take the next bytes."""

    def content(self) -> Content:
        """Return the content, after the last bytes."""


class Source(Protocol):
    """The file being sent, in the state that was hashed and no other."""

    @property
    def name(self) -> str:
        """The file's own name without folders, valid Unicode."""

    @property
    def media_type(self) -> str:
        """Its type, as ``image/jpeg``."""

    @property
    def size(self) -> int:
        """Its length in bytes."""

    def read(self, offset: int, length: int) -> Awaitable[bytes]:
        """Return exactly these bytes; ``FileChanged`` if they are not those that were hashed."""


class Throttle(Protocol):
    """Lets bytes go at the pace that the bandwidth limit allows, and counts them."""

    def acquire(self, size: int) -> Awaitable[None]:
        """Wait until ``size`` more bytes may be sent."""


Taker = Callable[[bytes], bool]
"""Takes the next bytes of a file that is fetched; False to have no more of it."""


class Remote(Protocol):
    """One upload service at one address."""

    @property
    def identity(self) -> str:
        """What tells this destination from others in the store; no secret is in it."""

    @property
    def capabilities(self) -> Mapping[str, int]:
        """What the server was found to accept, for example its largest chunk; worth keeping over a restart."""

    def restore_capabilities(self, capabilities: Mapping[str, int]) -> None:
        """Restore the capabilities that an earlier process learned."""

    @property
    def terms(self) -> str:
        """The conditions under which content is stored now, such as an expiry; empty where there are none.

        Content that was stored under other terms is no duplicate. No secret is in it.
        """

    @property
    def expires(self) -> bool:
        """Whether what is stored now is dropped by the server later."""

    @property
    def required_proof(self) -> Proof:
        """The weakest proof of a content with which a local file may be deleted."""

    @property
    def block_size(self) -> int:
        """The bytes of a file that one chunk most likely holds."""

    def hasher(self) -> Hasher:
        """Return a new hasher for one file."""

    def hasher_of(self, key: str, ref: str) -> Hasher:
        """Return a hasher whose ``content().key`` is ``key`` for the same bytes, whatever the settings are by now."""

    def recorded(self, *, key: str, ref: str, size: int, sha256: str | None) -> Content:
        """Return the content that a record of the store names; ``size`` is that of the file, in bytes."""

    async def begin(
        self, content: Content, source: Source, session: Session | None, *, tries: int, look_up: bool = False
    ) -> Session | Stored:
        """Agree with the server on an upload, or learn that the content is there already.

        ``session`` is what an earlier try left, with the chunks that were acknowledged; ``tries`` counts those earlier
        tries. ``look_up`` says that the server may well have the content, so it is asked before anything is sent. The
        answer's ``received`` holds every chunk that need not be sent.
        """

    async def send(self, session: Session, index: int, content: Content, source: Source) -> Receipt:
        """Send chunk ``index``; on return the server has it. Calls run concurrently."""

    async def finish(self, session: Session, content: Content, source: Source) -> Stored | Pending:
        """Have the server put the chunks together. ``Pending`` asks for :meth:`poll` later.

        An answer that names neither hash nor size, or that carries an error, proves nothing: then the file itself is
        asked for. ``SessionLost`` if the server does not have it; without an answer the proof is ``Proof.NONE``.
        """

    async def poll(self, pending: Pending, content: Content) -> Stored | Pending:
        """Ask how far the putting together is."""

    async def fetch(self, ref: str, key: str, take: Taker) -> str:
        """Have ``take`` get the bytes of the file that the server keeps as ``ref``; return their key.

        The copy is whole if that is ``key``, the one it was uploaded with, and ``take`` has not turned bytes down.
        ``NotStored`` if the server does not have it any more.
        """

    async def confirm(self, ref: str, content: Content, *, thorough: bool = False) -> Confirmation:
        """Ask whether the server still has what it stored as ``ref``; only an explicit answer is a yes or a no.

        A yes is the right length or the right bytes: at least ``Proof.SIZE``, and with ``thorough`` at least
        :attr:`required_proof`, for which the whole file may be fetched. A no is 404 or 410, or other bytes from a
        server that can tell. A refusal, an error of this request, a redirect that leads nowhere, a 200 without a
        length and an empty ``ref`` tell nothing. Failures of the server as a whole are raised.
        """

    async def check(self) -> None:
        """Ask the server for what can't be there: returns if it can be reached and accepts the token.

        ``Transient`` for the server as a whole if it has that too: it says yes to everything, and is no upload API.
        """

    async def send_in_vain(self, size: int) -> None:
        """Send a chunk of ``size`` bytes for an upload that there is not, to see how long that takes.

        On return the server has taken all of it in and refused it, so nothing of it is left there. ``ChunkTooLarge``
        (:mod:`syncd.remotes.speedtest`) if the server takes no chunk of that size.
        """

    async def close(self) -> None:
        """Let go of all connections."""
