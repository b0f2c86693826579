"""Chooses the size of chunks and of single requests for a server of the multipart API.

The client proposes a chunk size in *create*, but the server decides.
"""

from syncd.core.errors import Permanent
from syncd.core.model import Content, Session
from syncd.remotes.chunk_sizes import REFUSED_KEY, ChunkSizes

MAX_DIRECT_BYTES = 20 * 1024 * 1024
"""The largest file that is sent in a single request."""
MIN_CHUNK_BYTES = 64 * 1024
"""A server that rejects a chunk of this size accepts none at all."""


_DIRECT_REFUSED_KEY = "direct_refused"
"""The key in ``capabilities`` of the smallest file that was too large for a single request.

It is 0 if the server offers no single requests."""


class MultipartChunkSizes(ChunkSizes):
    """The request sizes of one server, in bytes."""

    def __init__(self, configured: int) -> None:
        super().__init__(configured, minimum=MIN_CHUNK_BYTES, slow_minimum=MIN_CHUNK_BYTES)

    def allows_direct(self, size: int) -> bool:
        """Return whether a file of ``size`` may be sent in a single request."""
        return size < self._capabilities.get(_DIRECT_REFUSED_KEY, MAX_DIRECT_BYTES + 1) and self.limit.allows(size)

    def record_direct_refused(self, size: int) -> None:
        """Record that a file of ``size`` was too large for a single request.

        The size 0 means that the server offers no single requests.
        """
        self._record(_DIRECT_REFUSED_KEY, size)

    def record_refused(self, length: int) -> bool:
        """Record that a chunk of ``length`` was too large.

        Returns False if ``length`` is the minimum, so that no smaller chunk can be tried.
        """
        if length <= MIN_CHUNK_BYTES:
            return False
        self._record(REFUSED_KEY, length)
        return True

    def check(self, session: Session, content: Content) -> None:
        """Raise ``Permanent`` if the server asks for chunks of a size that it has rejected before."""
        refused = self._capabilities.get(REFUSED_KEY)
        if refused is not None and min(session.chunk_size, content.size) >= refused:
            del self._capabilities[REFUSED_KEY]  # the server ignores it, and may accept the next file's chunks
            raise Permanent(
                f"the server requires chunks of {session.chunk_size} bytes, though it refused one of {refused} bytes: "
                "allow larger requests in the server, or in a proxy before it"
            )
