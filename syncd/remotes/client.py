"""Provides the part of a client that the image API and the multipart API share.

:class:`syncd.remotes.image.client.ImageRemote` and :class:`syncd.remotes.multipart.client.MultipartRemote` extend
:class:`RemoteClient`. :class:`syncd.remotes.base.Remote` is the interface that they implement.
"""

from collections.abc import Callable, Mapping

from syncd.config import destinations
from syncd.config.remotes import AnyRemote
from syncd.core import chunks
from syncd.remotes.base import Throttle
from syncd.remotes.chunk_sizes import ChunkSizes
from syncd.remotes.http import Http


class RemoteClient:
    """The settings, the HTTP client and the learned chunk sizes of one server.

    ``name`` is the remote's name in the configuration. ``clock`` returns seconds since the epoch. A subclass sets
    ``_sizes``.
    """

    _sizes: ChunkSizes

    def __init__(
        self, name: str, settings: AnyRemote, *, throttle: Throttle, clock: Callable[[], float], user_agent: str
    ) -> None:
        self._name = name
        self._settings = settings
        self._http = Http(settings, throttle=throttle, clock=clock, user_agent=user_agent)

    @property
    def identity(self) -> str:
        """The text by which the store identifies this destination.

        It consists of a place on a server and an account (:mod:`syncd.config.destinations`).
        """
        return destinations.identity(self._name, self._settings)

    @property
    def capabilities(self) -> Mapping[str, int]:
        """The limits learned about the server; see :attr:`ChunkSizes.capabilities`."""
        return self._sizes.capabilities

    def restore_capabilities(self, capabilities: Mapping[str, int]) -> None:
        """Restore the capabilities that an earlier process learned."""
        self._sizes.restore_capabilities(capabilities)

    @property
    def block_size(self) -> int:
        """The size of the blocks in which chunks of the expected size are read."""
        return chunks.read_size(self._sizes.chunk_size)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()
