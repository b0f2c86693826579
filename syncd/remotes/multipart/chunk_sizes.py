"""Choose the chunk size for a server of the multipart API.

Three limits are learned. ``refused`` and ``direct_refused`` come from requests that the server rejected as too large.
``slow`` comes from requests that a slow connection did not finish in time (:mod:`syncd.remotes.chunk_limit`).
"""

import time
from collections.abc import Mapping

from syncd.core.errors import Permanent
from syncd.core.model import Content, Session
from syncd.remotes.chunk_limit import SLOW_LIMIT_KEY, ChunkLimit

MAX_DIRECT_BYTES = 20 * 1024 * 1024
"""The largest file that is sent in a single request."""
MIN_CHUNK_BYTES = 64 * 1024
"""A server that rejects a chunk of this size accepts none at all."""


class ChunkSizes:
    """The request sizes of one server, in bytes.

    ``configured`` is the chunk size to use until a limit is known.
    """

    def __init__(self, configured: int) -> None:
        self._configured = configured
        self._capabilities: dict[str, int] = {}
        self.limit = ChunkLimit(self._capabilities, minimum=MIN_CHUNK_BYTES, maximum=configured, clock=time.monotonic)
        """The size that a slow connection allows."""

    @property
    def capabilities(self) -> Mapping[str, int]:
        """``refused``: the smallest chunk that was too large.

        ``direct_refused``: the smallest file that was too large for a single request; 0 if the server does not offer
        single requests. ``slow``: the largest request to send over a connection that was too slow for larger ones.
        """
        return dict(self._capabilities)

    def restore_capabilities(self, capabilities: Mapping[str, int]) -> None:
        """Restore what an earlier process learned."""
        self._capabilities.update(capabilities)

    @property
    def wanted(self) -> int:
        """The chunk size for the next file."""
        largest = min(self._configured, self._capabilities.get(SLOW_LIMIT_KEY, self._configured))
        if "refused" not in self._capabilities:
            return largest
        return min(largest, max(MIN_CHUNK_BYTES, self._capabilities["refused"] // 2))

    def allows_direct(self, size: int) -> bool:
        """Return whether a file of ``size`` may be sent in a single request."""
        return size < self._capabilities.get("direct_refused", MAX_DIRECT_BYTES + 1) and self.limit.allows(size)

    def record_direct_refused(self, size: int) -> None:
        """Record that a file of ``size`` was too large for a single request.

        The size 0 means that the server offers no single requests.
        """
        self._record("direct_refused", size)

    def record_refused(self, length: int) -> bool:
        """Record that a chunk of ``length`` was too large.

        Returns False if ``length`` is the minimum, so that no smaller chunk can be tried.
        """
        if length <= MIN_CHUNK_BYTES:
            return False
        self._record("refused", length)
        return True

    def check(self, session: Session, content: Content) -> None:
        """Raise ``Permanent`` if the server asks for chunks of a size that it has rejected before."""
        refused = self._capabilities.get("refused")
        if refused is not None and min(session.chunk_size, content.size) >= refused:
            del self._capabilities["refused"]  # the server ignores it, and may accept the next file's chunks
            raise Permanent(
                f"the server requires chunks of {session.chunk_size} bytes, though it refused one of {refused} bytes: "
                "allow larger requests in the server, or in a proxy before it"
            )

    def _record(self, name: str, size: int) -> None:
        self._capabilities[name] = min(size, self._capabilities.get(name, size))
