"""Faults of servers and networks, one function for each kind.

A fault is armed for a while and picks requests at random. Each kind decides whether the request takes effect and what
the client sees.
"""

import json
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import TYPE_CHECKING

from tests.simulation.lies import LIES
from tests.simulation.server import Answer, Connection, Request

if TYPE_CHECKING:
    from tests.simulation.world import World

Reply = Callable[[Connection, Request, Answer | None], None]
"""Sends the fault's answer; the plain answer is None if the request took no effect."""
ENDLESS = 16 * 1024 * 1024
"""A client that has read this many bytes of one answer would never stop."""


@dataclass(kw_only=True, eq=False)
class Fault:
    """A fault of one kind. Exactly one of ``during`` and ``after`` is set.

    ``during`` runs when ``share`` of the body has arrived, ``after`` in place of the plain answer.
    """

    kind: str
    rng: random.Random
    chance: float
    left: int
    takes_effect: bool = False
    during: Callable[[Connection, Request], None] | None = None
    share: float = 0.0
    after: Reply | None = None
    delay: float = 0.0
    only: str = ""
    concerns: Callable[[Request], bool] = lambda request: True

    def wants(self, request: Request) -> bool:
        """Return whether the fault strikes this request, and count it."""
        if self.left <= 0 or self.only not in request.path or not self.concerns(request):
            return False
        if self.rng.random() >= self.chance:
            return False
        self.left -= 1
        return True


def _excuse(connection: Connection, request: Request, status: int, rng: random.Random) -> Answer:
    """Return a refusal in one of many formats that quotes all that the client sent."""
    words = f"no: {request.method} {request.path} " + ", ".join(f"{k}={v}" for k, v in request.headers.items())
    shapes = [
        (json.dumps({"code": str(status), "message": words}), "application/json"),
        (json.dumps({"code": status, "error": words}), "application/json"),
        (json.dumps({"title": "Bad", "status": status, "errors": {"field": [words]}}), "application/problem+json"),
        (f"<html><head><title>{words}</title></head></html>", "text/html"),
        (words, "text/plain"),
        ("", "text/plain"),
    ]
    body, kind = rng.choice(shapes)
    headers = (
        {"Location": f"http://localhost:1/?t={request.headers.get('authorization')}"} if rng.random() < 0.2 else {}
    )
    return Answer(status=status, body=body.encode(), kind=kind, headers=headers)


def _status(status: int, *, asks: bool = False) -> Callable[["World", Fault], None]:
    def arm(world: "World", fault: Fault) -> None:
        rng = fault.rng
        seconds = rng.choice([1, 7, 30, 60]) if asks else 0
        as_date = rng.random() < 0.3

        def reply(connection: Connection, request: Request, _: Answer | None) -> None:
            answer = _excuse(connection, request, status, rng)
            if asks:
                value = formatdate(world.wall() + seconds, usegmt=True) if as_date else str(seconds)
                answer = Answer(
                    status=answer.status,
                    body=answer.body,
                    kind=answer.kind,
                    headers={**answer.headers, "Retry-After": value},
                )
            connection.reply(answer)

        fault.after = reply

    return arm


def _lost(world: "World", fault: Fault) -> None:
    reset, cut = fault.rng.random() < 0.5, fault.rng.choice([None, 1, 20, 60])

    def reply(connection: Connection, request: Request, answer: Answer | None) -> None:
        if cut is not None and answer is not None:
            connection.reply(answer, cut=min(cut, len(answer.encoded()) - 1))
        connection.close(reset=reset)

    fault.takes_effect, fault.after = True, reply


def _reset_before(world: "World", fault: Fault) -> None:
    fault.during = lambda connection, request: connection.close(reset=True)


def _reset_inside(world: "World", fault: Fault) -> None:
    fault.during, fault.share = (lambda connection, request: connection.close(reset=True)), fault.rng.uniform(0.1, 0.9)


def _stall_inside(world: "World", fault: Fault) -> None:
    def stop_reading(connection: Connection, request: Request) -> None:
        connection.deaf = True

    fault.during, fault.share = stop_reading, fault.rng.uniform(0.0, 0.9)


def _stall(world: "World", fault: Fault) -> None:
    fault.takes_effect = fault.rng.random() < 0.5
    fault.after = lambda connection, request, answer: None


def _slow(world: "World", fault: Fault) -> None:
    fault.takes_effect, fault.delay = True, fault.rng.uniform(0.5, 4.0)
    fault.after = lambda connection, request, answer: connection.reply(answer or Answer(status=500))


def _garbage(world: "World", fault: Fault) -> None:
    data = fault.rng.choice([b"\x00\xff\x13nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"])
    fault.takes_effect = fault.rng.random() < 0.5

    def reply(connection: Connection, request: Request, answer: Answer | None) -> None:
        connection.link.answer(data)
        connection.close()

    fault.after = reply


def _page(world: "World", fault: Fault) -> None:
    status = fault.rng.choice([200, 200, 201, 502, 504])
    kind = fault.rng.choice(["text/html", "text/plain"])

    def reply(connection: Connection, request: Request, answer: Answer | None) -> None:
        connection.reply(Answer(status=status, body=b"<!doctype html><title>Log in</title>", kind=kind))

    fault.after = reply


def _endless(world: "World", fault: Fault) -> None:
    status = fault.rng.choice([200, 200, 500])
    fault.takes_effect = status == 200 or fault.rng.random() < 0.5
    piece = b"x" * 16 * 1024

    def reply(connection: Connection, request: Request, answer: Answer | None) -> None:
        shown = answer.status if answer is not None and status == 200 else status  # no false success
        connection.link.answer(f"HTTP/1.1 {shown} OK\r\nContent-Type: application/json\r\n\r\n".encode())
        sent = 0

        def more() -> None:
            nonlocal sent
            if connection.closed:
                return
            sent += len(piece)
            if sent > ENDLESS:
                world.report_violation("P5", f"{request.method} {request.path}: {sent} bytes of one answer were read")
            connection.link.answer(piece)
            world.after(0.005, more)

        more()

    fault.after = reply


def _odd_json(world: "World", fault: Fault) -> None:
    """The request was handled, but the answer does not show the result."""
    body = fault.rng.choice([b"", b"null", b"[]", b'{"task_id":', b'{"id": 7', b'{"task_id": true}', b"{}"])
    fault.takes_effect = True
    fault.after = lambda connection, request, answer: connection.reply(replace(answer or Answer(status=500), body=body))


KINDS: dict[str, Callable[["World", Fault], None]] = {
    "400": _status(400),
    "401": _status(401),
    "403": _status(403),
    "404": _status(404),
    "408": _status(408),
    "409": _status(409),
    "413": _status(413),
    "429": _status(429),
    "429 Retry-After": _status(429, asks=True),
    "503": _status(503),
    "503 Retry-After": _status(503, asks=True),
    "500": _status(500),
    "502": _status(502),
    "answer lost": _lost,
    "reset before the body": _reset_before,
    "reset in the body": _reset_inside,
    "stall in the body": _stall_inside,
    "stall": _stall,
    "slow": _slow,
    "garbage": _garbage,
    "page": _page,
    "endless body": _endless,
    "odd JSON": _odd_json,
    **LIES,
}
PERMANENT = {"400", "403", "404", "409", "413", *LIES}
"""The faults after which a job may be failed until a user retries it."""


def arm(world: "World", kind: str, rng: random.Random, *, always: bool = False) -> Fault:
    """Return a fault of ``kind`` for a few random requests, or for any number if ``always``."""
    fault = Fault(kind=kind, rng=rng, chance=rng.choice([0.2, 0.5, 1.0]), left=rng.choice([1, 1, 2, 4, 10, 40]))
    if kind not in LIES:
        fault.only = rng.choice(["", "", "chunk", "complete", "create", "image"])
    KINDS[kind](world, fault)
    if always:
        fault.left = sys.maxsize
    return fault
