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
    """A request as it arrived; header names in lower case."""

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
    """What goes back. ``headers`` beside the usual ones; ``endless`` has no length: the connection ends.

    The ``kind`` is left out where it is empty.
    """

    status: int
    body: bytes = b""
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    endless: bool = False

    def encoded(self, *, whole: bool = True) -> bytes:
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
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + (self.body if whole else b"")


def json_answer(status: int, value: object = None) -> Answer:
    """Return an answer with a JSON body, or none."""
    return Answer(status=status, body=b"" if value is None else json.dumps(value).encode())


class Server:
    """A server of one API. Subclasses say what it does with a request."""

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
        """What goes wrong with every request that it concerns, until all trouble ends."""
        self.losses: dict[bytes, float] = {}
        """Contents that it had stored and lost by itself, and when, in seconds since the epoch."""
        self.confirmed: dict[bytes, float] = {}
        """Contents that it has, and when it last said so, in seconds since the epoch."""
        self.gave: dict[bytes, float] = {}
        """Contents that it was asked for, and when it last gave them back."""
        self.denied: set[bytes] = set()
        """Those that it was asked for since, and said that it does not have."""
        self.lies: set[str] = set()
        """Hashes of contents that it said something untrue about."""

    @staticmethod
    def digest(data: bytes) -> bytes:
        """Return what a content goes by here."""
        return hashlib.sha256(data).digest()

    def lose(self, rng: random.Random) -> int:
        """Lose a stored file; return how many were lost."""
        raise NotImplementedError

    def confirms(self, data: bytes, *, gives: bool = False) -> None:
        """Take note that it is about to say that it has a content, or to give it back."""
        self.confirmed[self.digest(data)] = self.world.wall()
        if gives:
            self.gave[self.digest(data)] = self.world.wall()

    def lost(self, data: bytes) -> None:
        """Take note that a content is no longer there."""
        self.losses[self.digest(data)] = self.world.wall()
        self.denied.discard(self.digest(data))

    def has(self, data: bytes) -> bool:
        """Say whether exactly this file can be downloaded."""
        raise NotImplementedError

    def excused(self, data: bytes) -> bool:
        """Say whether it is not the client's fault that the file is not there whole."""
        raise NotImplementedError

    def lied_about(self, data: bytes) -> bool:
        """Say whether it said something untrue about a content."""
        raise NotImplementedError

    def content_of(self, request: Request) -> str:
        """Return the hash of the content that a request is about, if it is about one."""
        raise NotImplementedError

    def admits(self) -> str:
        """Say what happens to a new connection."""
        if self.up != "yes":
            self.world.tally[f"{self.name}: connection {self.up}"] += 1
        return self.up

    def accept(self, link: Link) -> "Connection":
        """Take a connection."""
        connection = Connection(self, link)
        self.connections[connection] = None
        return connection

    def fault(self, request: Request) -> "Fault | None":
        """Return what is to go wrong with this request, if anything."""
        for fault in (*self.troubles, *([self.habit] if self.habit else [])):
            if fault.wants(request):
                self.world.tally[f"{self.name}: {fault.kind}"] += 1
                self.world.trace(f"{self.name}: {fault.kind} for {request.method} {request.path}")
                return fault
        return None

    def serve(self, request: Request) -> Answer:
        """Do what is asked for, with the token checked."""
        if self.token is not None and request.headers.get("authorization") != f"Bearer {self.token}":
            self.world.tally[f"{self.name}: token refused"] += 1
            return json_answer(401, {"message": f"no good: {request.headers.get('authorization')}"})
        return self.act(request)

    def act(self, request: Request) -> Answer:
        """Do what is asked for."""
        raise NotImplementedError

    def forget_unfinished(self) -> int:
        """Lose what a restart loses; return how many uploads."""
        raise NotImplementedError

    def restart(self, seconds: float) -> None:
        """Go down with all connections, and come up again having forgotten what was not finished."""
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
    """The server's end of a connection: one request after the other."""

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
        """Take the next bytes."""
        if self.closed:
            self.link.hang_up(reset=True)
            return
        if self.deaf:
            return
        self._buffer += data
        self.link.taken(len(data))
        self._read()

    def lost(self) -> None:
        """Let go: what was asked for and is under way goes on."""
        self.closed = True
        self.server.connections.pop(self, None)

    def close(self, *, reset: bool = False) -> None:
        """Hang up."""
        self.closed = True
        self.server.connections.pop(self, None)
        self.link.hang_up(reset=reset)

    def reply(self, answer: Answer, *, cut: int | None = None) -> None:
        """Send an answer, or only its first ``cut`` bytes and then nothing more."""
        data = answer.encoded(whole=self._request is None or self._request.method != "HEAD")
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
        self._fault = self.server.fault(self._request)  # of the body nothing is here yet

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
