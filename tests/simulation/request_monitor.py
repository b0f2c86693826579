"""Watches every request, and reports at once which promise it breaks.

Promise 2: each stored content is a state that some file had. Promise 3: no acknowledged chunk is sent again. Promise 4:
there are never more requests than allowed, none while the server counts as down, and none before ``Retry-After``.
"""

import hashlib
from collections import Counter
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from syncd.core.breaker import Breaker, BreakerState
from tests.simulation.image_server import Image, data_of, key_of
from tests.simulation.network import Link
from tests.simulation.server import Answer, Request, Server

if TYPE_CHECKING:
    from tests.simulation.world import World

MOST = 256
"""The highest limit of requests in flight with ``auto``."""
ON_THE_WAY = 0.25
"""Seconds after a decision in which an earlier request may still begin."""
AWAY = (401, 429, 502, 503, 504)
_PROBE = (
    b"GET /api/files/upload/tasks",
    b"GET /image/" + b"0" * 64,
    b"GET /api/files/upload/resume/" + b"0" * 32,
    b"GET /api/files/" + b"0" * 32,
)


class RequestMonitor:
    """Records the state that decides whether the next request is allowed."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._acknowledged: dict[tuple[str, str], set[tuple[str, int]]] = {}
        self._arrived: Counter[tuple[str, str, int]] = Counter()
        self._agreed: Counter[tuple[str, str]] = Counter()
        self._quiet: dict[str, tuple[float, float]] = {}
        self._down_since: dict[Breaker | None, float] = {}
        self._away_since: dict[str, float] = {}

    def new_incarnation(self) -> None:
        """Forget the process's memory: it was restarted, or a user asked for an attempt at once."""
        self._quiet.clear()
        self._away_since.clear()

    # Promise 4.

    def on_request(self, link: Link) -> None:
        """A request begins."""
        world, name = self._world, link.host.name
        self.on_attempt(name, link.request)
        probe = link.request.startswith(_PROBE)
        in_flight = sum(not other.request.startswith(_PROBE) for other in world.network.busy)
        if in_flight > (world.concurrency or MOST):
            world.report_violation("P4", f"{in_flight} requests in flight, {world.concurrency or MOST} are allowed")
        worker = world.worker(name)
        # An upload that has compared an image may end with a request for an impossible one.
        ending = probe and worker is not None and bool(worker.progress())
        since, until = self._quiet.get(name, (0.0, 0.0))
        if since + ON_THE_WAY < world.now() < until - 0.001:
            wait = until - world.now()
            world.report_violation("P4", f"{name}: {link.request!r} {wait:.1f} s before the time that Retry-After gave")
        breaker = worker and worker.endpoint.breaker
        down_for = world.now() - self._down_since.get(breaker, 0.0)
        if breaker and breaker.state is BreakerState.OPEN and down_for > ON_THE_WAY and not ending:
            world.report_violation("P4", f"{name}: {link.request!r} while the server is taken as down")
        probes = [other for other in world.network.busy if other.host is link.host and other.request.startswith(_PROBE)]
        down = breaker is not None and breaker.state is not BreakerState.CLOSED and down_for > ON_THE_WAY
        if probe and down and len(probes) > 1:
            world.report_violation("P4", f"{name}: two probes at once")

    def on_attempt(self, name: str, request: bytes) -> None:
        """The client tries to reach a server for ``request``."""
        away_for = self._world.now() - self._away_since.get(name, self._world.now())
        if away_for > ON_THE_WAY and not request.startswith(_PROBE):
            self._world.report_violation(
                "P4", f"{name}: {request!r} though it has turned everything away for {away_for:.1f} s"
            )

    def away(self, name: str) -> None:
        """A server refused a request or connection for a reason unrelated to the request."""
        self._away_since.setdefault(name, self._world.now())

    def on_answer(self, name: str, data: bytes) -> None:
        """Bytes of a response arrive, possibly the first."""
        if data.startswith(b"HTTP/1.1 ") and (status := data[9:12]).isdigit() and int(status) not in AWAY:
            self._away_since.pop(name, None)

    def answered(self, server: Server, request: Request, answer: Answer) -> None:
        """A complete response arrived. An incomplete one is not a refusal yet."""
        if answer.status in AWAY:
            self.away(server.name)
        asked = answer.headers.get("Retry-After")
        if asked is not None and answer.status in (429, 503):
            wall = self._world.wall()
            seconds = float(asked) if asked.isdigit() else parsedate_to_datetime(asked).timestamp() - wall
            now = self._world.now()
            since, until = self._quiet.get(server.name, (now, 0.0))
            self._quiet[server.name] = (since if until > now else now, max(until, now + seconds))

    def breaker_opened(self, breaker: Breaker) -> None:
        """The circuit breaker opened."""
        self._down_since[breaker] = self._world.now()

    # Promise 3.

    def acknowledged(self, server: str, key: str, token: str, index: int) -> None:
        """The store has recorded an acknowledged chunk."""
        self._acknowledged.setdefault((server, _digest(key)), set()).add((token, index))

    def over(self, server: str, key: str) -> None:
        """The upload of a content began again, is over, or was lost."""
        self._acknowledged.pop((server, _digest(key)), None)

    def _is_gentle(self, server: str) -> bool:
        """Return whether no chunk may be sent twice. A retried job after a 413 begins again."""
        return self._world.plan.gentle and not self._world.tally[f"{server}: 413"]

    def agreed(self, server: str, digest: str) -> None:
        """The server accepted an upload."""
        self._agreed[server, digest] += 1
        if self._is_gentle(server) and self._agreed[server, digest] > 1:
            self._world.report_violation("P3", f"{server}: {digest} is begun twice, though nothing went wrong")

    def chunk(self, server: str, digest: str, token: str, number: int, size: int, *, new: bool) -> None:
        """The server received a chunk."""
        world = self._world
        if (token, number) in self._acknowledged.get((server, digest), ()):
            world.report_violation("P3", f"{server}: chunk {number} of {token} was acknowledged and is sent again")
        self._arrived[server, digest, number] += 1
        if self._is_gentle(server) and self._arrived[server, digest, number] > 1:
            world.report_violation(
                "P3", f"{server}: chunk {number} of {digest} is sent twice, though nothing went wrong"
            )

    # Promise 2.

    def stored(self, server: str, data: bytes) -> None:
        """The server has stored a complete file."""
        if problem := self._problem([data]):
            self._world.report_violation("P2", f"{server}: {len(data)} bytes are stored that {problem}")

    def stored_text(self, key: str, image: Image) -> None:
        """The server has stored a complete image that no other client changed."""
        text = image.text
        if key_of(text) != key:
            self._world.report_violation("P2", f"ascii: the text under {key} has another hash")
        elif problem := self._problem(data_of(text)):
            self._world.report_violation("P2", f"ascii: a text of {len(text)} characters is stored that {problem}")

    def _problem(self, meanings: list[bytes]) -> str | None:
        """Return the problem with stored bytes, given the contents that they may stand for."""
        files, states = self._world.files, {hashlib.sha256(data).digest() for data in meanings}
        if not states & files.states:
            return "no file ever held"
        if self._world.plan.file_system_properties.leases and not states & files.finished:
            return "a file held while it was open for writing"
        return None


def _digest(key: str) -> str:
    return key.rpartition(":")[2]
