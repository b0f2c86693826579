"""The network: connections in memory between aiohttp's client and the simulated servers.

Bytes take a while, keep their order, and wait while the other side does not read. :mod:`tests.simulation.faults`
decides what happens to a connection; this module carries it out.
"""

import asyncio
import errno
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp

from tests.simulation.schedule import Schedule

if TYPE_CHECKING:
    from tests.simulation.incarnation_loop import IncarnationLoop

WINDOW = 32 * 1024
"""Bytes in flight at which the sender must wait."""
ROOM_AGAIN = 8 * 1024


class Peer(Protocol):
    """The server's end of a connection."""

    def receive(self, data: bytes) -> None:
        """Receive the next bytes; :meth:`Link.taken` reports that they have arrived."""

    def lost(self) -> None:
        """The client closed the connection, or its process ended."""


class Host(Protocol):
    """A server as the network sees it."""

    name: str

    def admits(self) -> str:
        """``yes``, or the fate of a new connection: ``refused`` or ``ignored``."""

    def accept(self, link: "Link") -> Peer:
        """Accept a connection."""


class Link(asyncio.Transport):
    """The daemon's end of one connection."""

    def __init__(self, network: "Network", host: Host, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._network = network
        self.host = host
        self._protocol = protocol
        self._loop: IncarnationLoop | None = network.loop
        self._sent = 0.0
        self._answered = 0.0
        self._unread = 0
        self._writing_paused = False
        self._reading_paused = False
        self._held: list[bytes] = []
        self._closing = False
        self.busy_since: float | None = None
        self.request = b""
        self._peer = host.accept(self)

    # The transport that aiohttp uses.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return self._unread

    def write(self, data: Any) -> None:
        if self._closing:
            return
        data = bytes(data)
        if self.busy_since is None:
            self.busy_since = self._network.now()
            self.request = data.partition(b"\r\n")[0]
            self._network.on_request(self)
        self._unread += len(data)
        if self._unread > WINDOW and not self._writing_paused:
            self._writing_paused = True
            self._protocol.pause_writing()
        self._sent = self._network.later(self._sent, lambda: self._peer.receive(data))

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(map(bytes, list_of_data)))

    def pause_reading(self) -> None:
        self._reading_paused = True

    def resume_reading(self) -> None:
        self._reading_paused = False
        held, self._held = self._held, []
        for data in held:
            self._deliver(data)

    def close(self) -> None:
        self._end(None)

    abort = close

    # Actions of the server; each takes effect after a delay.

    def taken(self, size: int) -> None:
        """Allow the sender to send more."""
        self._unread -= size
        if self._writing_paused and self._unread <= ROOM_AGAIN and not self._closing and self._loop:
            self._writing_paused = False
            self._loop.call_soon(self._protocol.resume_writing)

    def answer(self, data: bytes, then: Callable[[], None] | None = None) -> None:
        """Send bytes to the client; ``then`` is called when they have arrived."""

        def arrive() -> None:
            if not self._closing:
                self._network.on_answer(self.host.name, data)
                if then is not None:
                    then()
                self._deliver(data)

        self._answered = self._network.later(self._answered, arrive)

    def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection from the server's side, in order or by a reset."""
        error = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer") if reset else None
        self._answered = self._network.later(self._answered, lambda: self._end(error, tell=False))

    def cut(self) -> None:
        """The process has ended: nothing reaches it."""
        if self._loop:
            self._loop.call_soon(self._protocol.connection_lost, None)
        self._loop = None
        self._closing = True
        self._tell_peer()

    def _deliver(self, data: bytes) -> None:
        if self._reading_paused:
            self._held.append(data)
        elif self._loop and not self._closing:
            self._loop.call_soon(self._receive, data)

    def _receive(self, data: bytes) -> None:
        if self._reading_paused:
            self._held.append(data)
        elif not self._closing:
            self._protocol.data_received(data)

    def _end(self, error: Exception | None, *, tell: bool = True) -> None:
        if self._closing:
            return
        self._closing = True
        self.busy_since = None
        self._network.links.pop(self, None)
        if self._loop:
            self._loop.call_soon(self._protocol.connection_lost, error)
        if tell:
            self._tell_peer()

    def _tell_peer(self) -> None:
        self._sent = self._network.later(self._sent, self._peer.lost)


class Network:
    """All connections. The callbacks report each request, attempt, response and refusal."""

    def __init__(self, schedule: Schedule, now: Callable[[], float], rng: random.Random) -> None:
        self.hosts: dict[int, Host] = {}
        self.links: dict[Link, None] = {}
        self.loop: IncarnationLoop | None = None
        self.now = now
        self.on_request: Callable[[Link], None] = lambda link: None
        self.on_attempt: Callable[[str, bytes], None] = lambda name, request: None
        self.on_answer: Callable[[str, bytes], None] = lambda name, data: None
        self.on_refusal: Callable[[str], None] = lambda name: None
        self._schedule = schedule
        self._rng = rng

    def later(self, after: float, do: Callable[[], None]) -> float:
        """Call ``do`` after the latency of a packet, not before ``after``; return the time."""
        when = max(after, self.now() + self._rng.uniform(0.0005, 0.02))
        self._schedule.at(when, do)
        return when

    def cut(self) -> None:
        """End every connection of a process that was killed."""
        for link in self.links:
            link.cut()
        self.links.clear()
        self.loop = None

    @property
    def busy(self) -> list[Link]:
        """The connections with a request in flight."""
        return [link for link in self.links if link.busy_since is not None]

    def connector(self) -> type[aiohttp.TCPConnector]:
        """Return the replacement of aiohttp's connector."""
        network = self

        class Connector(aiohttp.TCPConnector):
            async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
                refusal = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
                if (host := network.hosts.get(req.url.port)) is None:  # the target of a redirect
                    raise aiohttp.ClientConnectorError(req.connection_key, refusal)
                network.on_attempt(host.name, f"{req.method} {req.url.raw_path}".encode())
                await asyncio.sleep(network._rng.uniform(0.0005, 0.02))
                verdict = host.admits()
                if verdict == "refused":
                    network.on_refusal(host.name)
                    raise aiohttp.ClientConnectorError(req.connection_key, refusal)
                if verdict == "ignored":
                    await asyncio.sleep(timeout.sock_connect)
                    network.on_refusal(host.name)
                    raise aiohttp.ConnectionTimeoutError("no answer")
                if network.loop is None:  # the process has been killed
                    raise aiohttp.ClientConnectorError(req.connection_key, OSError(errno.ENETDOWN, "dead"))
                protocol = self._factory()
                link = Link(network, host, protocol)
                network.links[link] = None
                protocol.connection_made(link)
                return protocol

        return Connector
