"""Faults whose response confirms nothing, although a careless client would trust it.

The server records each such answer, so a job may be done although the server has no file. The daemon must not delete a
file because of such an answer.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.simulation.server import Answer, Connection, Request, json_answer

if TYPE_CHECKING:
    from tests.simulation.faults import Fault
    from tests.simulation.world import World

_FILES = "/api/files/"
_UPLOAD = "/api/files/upload/"
_LOGIN = b"<!doctype html><html><title>Log in</title></html>"


def _uploads(*calls: str) -> Callable[[Request], bool]:
    return lambda request: request.path.startswith(tuple(f"{_UPLOAD}{call}" for call in calls))


def _asks_for_file(request: Request) -> bool:
    """Return whether the request is for a stored file, on either kind of server."""
    if request.method not in ("GET", "HEAD") or request.path.startswith(_UPLOAD):
        return False
    return request.path.startswith((_FILES, "/image/"))


def _lies(fault: "Fault", answer: Callable[[Request], Answer | None]) -> None:
    """Make the fault answer without effect; None is the refusal of a busy server."""

    def reply(connection: Connection, request: Request, _: Answer | None) -> None:
        if about := connection.server.content_of(request):
            connection.server.lies.add(about)
        connection.reply(answer(request) or Answer(status=503))

    fault.after = reply


def _error_in_200(world: "World", fault: "Fault") -> None:
    fault.concerns = _uploads("create", "direct", "complete")
    body = fault.rng.choice(
        [
            {"id": "req-1", "error": "quota exceeded"},
            {"id": "req-1", "status": "failed"},
            {"id": 7, "success": False, "message": "try again"},
            {"file": {"id": "x", "status": 4}},
        ]
    )
    _lies(fault, lambda request: json_answer(200, body))


def _bare_id(world: "World", fault: "Fault") -> None:
    """The request took effect, but the response has neither hash nor size."""
    fault.concerns = _uploads("create", "direct", "complete", "progress")
    fault.takes_effect = True

    def reply(connection: Connection, request: Request, answer: Answer | None) -> None:
        assert answer is not None
        connection.reply(json_answer(answer.status, _bare(json.loads(answer.body))) if answer.body else answer)

    fault.after = reply


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _bare(inner) for key, inner in value.items() if key not in ("hash", "size", "mime_type")}
    return value


def _exists_without_file(world: "World", fault: "Fault") -> None:
    fault.concerns = _uploads("create")
    file = fault.rng.choice([None, {"id": "x", "size": "many"}, {"id": "x", "size": -1}, {"id": "x", "size": True}, {}])
    body = {"file_exists": True, **fault.rng.choice([{}, {"file": file}])}
    _lies(fault, lambda request: json_answer(200, body))


def _completed_without_file(world: "World", fault: "Fault") -> None:
    """The server reports the chunks as assembled, but they are not."""
    fault.concerns = _uploads("complete", "progress")
    status = fault.rng.choice(["Completed", 3])

    def answer(request: Request) -> Answer:
        if request.path.startswith(f"{_UPLOAD}complete"):
            return json_answer(202, {"taskId": request.path.rpartition("/")[2], "status": "processing"})
        return json_answer(200, {"status": status})

    _lies(fault, answer)


def _yes_to_everything(world: "World", fault: "Fault") -> None:
    body, kind = fault.rng.choice(
        [(b"OK", "text/plain"), (b"", ""), (b'{"status": "ok"}', "application/json"), (_LOGIN, "")]
    )
    fault.chance, fault.left = 1.0, 10**6
    _lies(fault, lambda request: Answer(status=200, body=body, kind=kind))


def _yes_without_effect(world: "World", fault: "Fault") -> None:
    """An image server accepts the chunks and forgets them."""
    fault.concerns = lambda request: request.method == "POST" and request.path.startswith("/image")
    status = fault.rng.choice([200, 201])
    _lies(fault, lambda request: json_answer(status))


def _confirm(status: int) -> Callable[["World", "Fault"], None]:
    def arm(world: "World", fault: "Fault") -> None:
        fault.concerns = _asks_for_file
        where = {"Location": "http://localhost:1/elsewhere"} if status == 301 else {}
        fault.after = lambda connection, request, _: connection.reply(Answer(status=status, headers=where))

    return arm


def _confirm_without_length(world: "World", fault: "Fault") -> None:
    fault.concerns = _asks_for_file
    body = fault.rng.choice([b"", b"\xff\xd8 a picture made smaller"])
    answer = Answer(status=200, body=body, kind=fault.rng.choice(["image/jpeg", "text/plain"]), endless=True)
    fault.after = lambda connection, request, _: connection.reply(answer)


def _confirm_other_length(world: "World", fault: "Fault") -> None:
    fault.concerns = _asks_for_file
    answer = Answer(status=200, body=bytes(fault.rng.randint(0, 3000)), kind="image/jpeg")
    fault.after = lambda connection, request, _: connection.reply(answer)


LIES: dict[str, Callable[["World", "Fault"], None]] = {
    "an error in a 200": _error_in_200,
    "neither hash nor size": _bare_id,
    "file_exists without a file": _exists_without_file,
    "Completed without a file": _completed_without_file,
    "200 to everything": _yes_to_everything,
    "yes without effect": _yes_without_effect,
    "400 to confirm": _confirm(400),
    "403 to confirm": _confirm(403),
    "405 to confirm": _confirm(405),
    "301 to confirm": _confirm(301),
    "500 to confirm": _confirm(500),
    "200 without a length to confirm": _confirm_without_length,
    "200 with another length to confirm": _confirm_other_length,
}
