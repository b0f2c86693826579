"""The base of both simulated servers: HTTP over an in-memory connection, with faults."""

import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tests.simulation.network import Link

if TYPE_CHECKING:
    from tests.simulation.faults import Fault
    from tests.simulation.world import World


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A received request; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""

    def json(self) -> dict[str, Any]:
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A response. ``headers`` are additional.

    ``endless``: it has no length and ends when the connection closes.

    An empty ``kind`` is omitted.
    """

    status: int
    body: bytes = b""
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    endless: bool = False

    def encoded(self, *, with_body: bool = True) -> bytes:
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = "Odd"
        lines = [f"HTTP/1.1 {self.status} {phrase}"]
        if not self.endless:
            lines.append(f"Content-Length: {len(self.body)}")
        if self.body and self.kind:
            lines.append(f"Content-Type: {self.kind}")
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + (self.body if with_body else b"")


def json_answer(status: int, value: object = None) -> Answer:
    """Return an answer with a JSON body, or without a body for None."""
    return Answer(status=status, body=b"" if value is None else json.dumps(value).encode())


class Server:
    """A server of one API. Subclasses handle its requests."""

    name: str
    token: str | None = None

    def __init__(self, world: "World", rng: random.Random) -> None:
        self.world = world
        self.rng = rng
        self.up = "yes"
        self.troubles: list[Fault] = []
        self.slowness = rng.choice([0.002, 0.02, 0.1])
        self.keepalive = rng.choice([1.0, 5.0, 75.0])
        self.connections: dict[Connection, None] = {}
        self.habit: Fault | None = None
        """A fault of every request that it concerns, until all faults end."""
        self.losses: dict[bytes, float] = {}
        """Contents that the server lost, and when, in seconds since the epoch."""
        self.confirmed: dict[bytes, float] = {}
        """Contents that the server has, and when it last confirmed them, in seconds since the epoch."""
        self.gave: dict[bytes, float] = {}
        """Contents that a client downloaded, and when it last did."""
        self.denied: set[bytes] = set()
        """Lost contents that the server has denied since."""
        self.lies: set[str] = set()
        """Hashes of contents about which the server made a false statement."""

    @staticmethod
    def digest(data: bytes) -> bytes:
        """Return the hash that this API uses for a content."""
        return hashlib.sha256(data).digest()

    def lose(self, rng: random.Random) -> int:
        """Lose a stored file; return the number of lost files."""
        raise NotImplementedError

    def confirms(self, data: bytes, *, gives: bool = False) -> None:
        """Record that the server confirms a content, or returns it."""
        self.confirmed[self.digest(data)] = self.world.wall()
        if gives:
            self.gave[self.digest(data)] = self.world.wall()

    def lost(self, data: bytes) -> None:
        """Record that a content is lost."""
        self.losses[self.digest(data)] = self.world.wall()
        self.denied.discard(self.digest(data))

    def has(self, data: bytes) -> bool:
        """Return whether exactly this file can be downloaded."""
        raise NotImplementedError

    def excused(self, data: bytes) -> bool:
        """Return whether the client is not to blame for an incomplete file."""
        raise NotImplementedError

    def lied_about(self, data: bytes) -> bool:
        """Return whether the server made a false statement about a content."""
        raise NotImplementedError

    def content_of(self, request: Request) -> str:
        """Return the hash of the content that a request concerns, or an empty string."""
        raise NotImplementedError

    def admits(self) -> str:
        """Return the fate of a new connection: accepted or not."""
        if self.up != "yes":
            self.world.tally[f"{self.name}: connection {self.up}"] += 1
        return self.up

    def accept(self, link: Link) -> "Connection":
        """Accept a connection."""
        connection = Connection(self, link)
        self.connections[connection] = None
        return connection

    def fault(self, request: Request) -> "Fault | None":
        """Return the fault of this request, or None."""
        for fault in (*self.troubles, *([self.habit] if self.habit else [])):
            if fault.wants(request):
                self.world.tally[f"{self.name}: {fault.kind}"] += 1
                self.world.trace(f"{self.name}: {fault.kind} for {request.method} {request.path}")
                return fault
        return None

    def serve(self, request: Request) -> Answer:
        """Check the token, and handle the request."""
        if self.token is not None and request.headers.get("authorization") != f"Bearer {self.token}":
            self.world.tally[f"{self.name}: token refused"] += 1
            return json_answer(401, {"message": f"no good: {request.headers.get('authorization')}"})
        return self.act(request)

    def act(self, request: Request) -> Answer:
        """Handle the request."""
        raise NotImplementedError

    def forget_unfinished(self) -> int:
        """Lose the unfinished uploads; return their number."""
        raise NotImplementedError

    def restart(self, seconds: float) -> None:
        """Close all connections, and start again without the unfinished uploads."""
        self.world.tally[f"{self.name}: restart"] += 1
        self.up = "refused"
        for connection in list(self.connections):
            connection.link.hang_up(reset=True)
            connection.closed = True
        self.connections.clear()
        self.world.tally[f"{self.name}: upload lost in a restart"] += self.forget_unfinished()
        self.world.after(seconds, self._come_up)

    def _come_up(self) -> None:
        self.up = "yes"


class Connection:
    """The server's end of a connection; it handles one request at a time."""

    def __init__(self, server: Server, link: Link) -> None:
        self.server = server
        self.link = link
        self.closed = False
        self.deaf = False
        self._buffer = bytearray()
        self._request: Request | None = None
        self._length = 0
        self._fault: Fault | None = None
        self._working = False
        self._serial = 0

    def receive(self, data: bytes) -> None:
        """Receive the next bytes."""
        if self.closed:
            self.link.hang_up(reset=True)
            return
        if self.deaf:
            return
        self._buffer += data
        self.link.taken(len(data))
        self._read()

    def lost(self) -> None:
        """The client closed the connection; requests that were received are still handled."""
        self.closed = True
        self.server.connections.pop(self, None)

    def close(self, *, reset: bool = False) -> None:
        """Close the connection."""
        self.closed = True
        self.server.connections.pop(self, None)
        self.link.hang_up(reset=reset)

    def reply(self, answer: Answer, *, cut: int | None = None) -> None:
        """Send an answer, or only its first ``cut`` bytes and then nothing more."""
        data = answer.encoded(with_body=self._request is None or self._request.method != "HEAD")
        if cut is not None:
            self.link.answer(data[:cut])
            return
        request = self._request
        assert request is not None
        self.link.answer(data, lambda: self._answered(request, answer))
        if answer.endless:
            self.close()
        self._request = None
        self._working = False
        self._serial += 1
        serial = self._serial
        self.server.world.after(self.server.keepalive, lambda: self._idle(serial))

    def _answered(self, request: Request, answer: Answer) -> None:
        self.link.busy_since = None
        self.server.world.request_monitor.answered(self.server, request, answer)

    def _idle(self, serial: int) -> None:
        if not self.closed and serial == self._serial and self._request is None and not self._buffer:
            self.server.world.tally[f"{self.server.name}: idle connection closed"] += 1
            self.close()

    def _read(self) -> None:
        if self._request is None:
            head, found, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not found:
                return
            self._begin(head.decode("latin-1"))
            self._buffer[:] = rest
        if self._working or self._request is None:
            return
        fault = self._fault
        if fault is not None and fault.during is not None and len(self._buffer) >= fault.share * self._length:
            self._working = True
            fault.during(self, self._request)
            return
        if len(self._buffer) >= self._length:
            request = self._request
            self._request = Request(
                method=request.method,
                path=request.path,
                headers=request.headers,
                body=bytes(self._buffer[: self._length]),
            )
            del self._buffer[: self._length]
            self._working = True
            world = self.server.world
            world.after(world.rng.uniform(0, self.server.slowness), self._work)

    def _begin(self, head: str) -> None:
        first, *lines = head.split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self._length = int(headers.get("content-length", "0"))
        self._request = Request(method=method, path=path, headers=headers)
        self._fault = self.server.fault(self._request)  # no byte of the body has arrived yet

    def _work(self) -> None:
        world, fault, request = self.server.world, self._fault, self._request
        assert request is not None
        self._fault = None
        world.moment("request")
        answer = None if fault is not None and not fault.takes_effect else self.server.serve(request)
        world.moment("effect")
        if fault is not None and fault.after is not None:
            world.after(fault.delay, lambda: self.closed or fault.after(self, request, answer))
        elif answer is not None:
            world.after(world.rng.uniform(0, self.server.slowness), lambda: self.closed or self.reply(answer))
