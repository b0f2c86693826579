"""Responses that may look like a confirmation, by name, with the expected result.

:data:`UPLOAD_CASES` has responses to an upload, :data:`CONFIRM_CASES` responses to a request for a stored file. A
:class:`FakeServer` offers both APIs, and responds correctly except to the calls that a case names.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from syncd.core.errors import Failure, Permanent, SessionLost, Transient, Unauthorized
from syncd.core.model import Presence, Proof

UNKNOWN_ID = "0" * 32
PAGE = b"<!doctype html><title>Log in</title>"


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """A response of the server. With ``measured``, it announces the length of the body."""

    status: int = 200
    body: bytes = b""
    kind: str | None = None
    measured: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)


MakeResponse = Callable[[bytes, str], Response]
"""Makes a response from the uploaded data (for the image API, its text) and the announced hash."""


def fixed_response(status: int = 200, body: bytes = b"", kind: str | None = None, **values: Any) -> MakeResponse:
    """Return the same response each time."""
    return lambda _data, _digest: Response(status=status, body=body, kind=kind, **values)


def json_response(value: object, status: int = 200) -> MakeResponse:
    """Respond with JSON, in which HASH, SHA256, MD5 and SIZE are replaced by the right values."""

    def make(data: bytes, digest: str) -> Response:
        right = {
            "HASH": digest,
            "SHA256": hashlib.sha256(data).hexdigest(),
            "MD5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
            "SIZE": len(data),
        }
        return Response(status=status, body=json.dumps(_filled(value, right)).encode(), kind="application/json")

    return make


def _filled(value: object, right: Mapping[str, object]) -> object:
    if isinstance(value, dict):
        return {name: _filled(one, right) for name, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, right) for one in value]
    return right.get(value, value) if isinstance(value, str) else value


def file_response(change: Callable[[bytes], bytes] = bytes, **values: Any) -> MakeResponse:
    """Respond with the uploaded data, or with the result of ``change`` for the data."""
    return lambda data, _digest: Response(body=change(data), **{"kind": "application/octet-stream", **values})


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadCase:
    """An upload to a server that responds to some calls with ``answers``.

    ``expected`` is the resulting proof or failure. With ``Proof.NONE`` and ``has_id``, the server has sent an id, so
    the client requests the file: the proof is SIZE if the server has the file, and otherwise the upload is lost.
    """

    name: str
    api: str
    answers: Mapping[str, MakeResponse]
    expected: Proof | type[Failure]
    has_id: bool = True
    message: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.api} {self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfirmCase:
    """A request for a stored file, and its response.

    ``expected_thorough`` is the result of a comparison of the bytes.
    """

    name: str
    api: str
    answers: Mapping[str, MakeResponse]
    expected: Presence | type[Failure]
    expected_thorough: Presence | type[Failure] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.api} {self.name}"


FILE = {"id": "f-1", "hash": "HASH", "size": "SIZE"}
OTHER_HASH = "0" * 64

_CLOUD_FILES: list[tuple[str, object, Proof | type[Failure]]] = [
    ("hash and size", FILE, Proof.HASH),
    ("hash alone", {"id": "f-1", "hash": "HASH"}, Proof.HASH),
    ("size alone", {"id": "f-1", "size": "SIZE"}, Proof.SIZE),
    ("size and null hash", {"id": "f-1", "size": "SIZE", "hash": None}, Proof.SIZE),
    ("size and a hash of another kind", {"id": "f-1", "size": "SIZE", "hash": "MD5"}, Proof.SIZE),
    ("id alone", {"id": "f-1"}, Proof.NONE),
    ("id and an error", {"id": "req-1", "error": {"message": "disk full"}}, Proof.NONE),
    ("id and an error as text", {"id": "req-1", "error": "virus found", "status": "rejected"}, Proof.NONE),
    ("id and failed", {"id": "job-17", "status": "failed", "message": "checksum"}, Proof.NONE),
    ("hash, size and an error", {**FILE, "error": "disk full"}, Proof.NONE),
    ("hash, size and failed", {**FILE, "status": "Failed"}, Proof.NONE),
    ("hash, size and a failed number", {**FILE, "status": 4}, Proof.NONE),
    ("hash, size and no success", {**FILE, "success": False}, Proof.NONE),
    ("hash, size and no error", {**FILE, "error": None, "errors": [], "status": "active"}, Proof.HASH),
    ("size of a broken float", {"id": "f-1", "hash": "HASH", "size": 5.5}, Proof.NONE),
    ("negative size", {"id": "f-1", "size": -1}, Proof.NONE),
    ("size with a unit", {"id": "f-1", "size": "100000 B", "hash": ""}, Proof.NONE),
    ("size null and a hash of another kind", {"id": "f-1", "size": None, "hash": "0" * 32}, Proof.NONE),
    ("in file", {"file": FILE}, Proof.HASH),
    ("in file_info", {"file_info": FILE}, Proof.HASH),
    ("in data", {"id": "req-1", "data": FILE}, Proof.HASH),
    ("in data beside an error", {"data": FILE, "error": "disk full"}, Proof.NONE),
]
"""CloudFiles as *complete*, *direct* and *create* may give them."""

_CONTRADICTIONS: list[tuple[str, object, str]] = [
    ("another size", {"id": "f-1", "hash": "HASH", "size": 5}, "5 bytes instead"),
    ("another size as a float", {"id": "f-1", "size": 5.0}, "5 bytes instead"),
    ("size 0", {"id": "f-1", "size": 0}, "0 bytes instead"),
    ("another hash", {"id": "f-1", "hash": OTHER_HASH, "size": "SIZE"}, "another hash"),
    ("another size and an error", {"id": "f-1", "size": 5, "error": "disk full"}, "5 bytes instead"),
]

PORTALS: dict[str, tuple[bytes, str | None]] = {
    "text OK": (b"OK\n", "text/plain"),
    "nothing": (b"", None),
    "JSON": (b'{"status":"ok"}', "application/json"),
    "a page without a type": (PAGE, None),
    "a page with a BOM": (b"\xef\xbb\xbf" + PAGE, None),
    "XHTML": (b"<?xml version='1.0'?><html/>", "application/xhtml+xml"),
    "JavaScript": (b"window.location='http://portal/login'", "application/javascript"),
}
"""Bodies of a server that responds to every request with 200."""


def _multipart_uploads() -> list[UploadCase]:
    rows: list[UploadCase] = []
    for call in ("complete", "direct"):
        for name, file, expected in _CLOUD_FILES:
            rows.append(
                UploadCase(
                    name=f"{call}: {name}", api="multipart", answers={call: json_response(file)}, expected=expected
                )
            )
        for name, file, words in _CONTRADICTIONS:
            answers = {call: json_response(file)}
            rows.append(
                UploadCase(
                    name=f"{call}: {name}", api="multipart", answers=answers, expected=SessionLost, message=words
                )
            )
        for name, answer in {
            "{}": json_response({}),
            "nothing": fixed_response(),
            "201 and nothing": fixed_response(201),
            "a file in an array": json_response({"file": [FILE]}),
        }.items():
            rows.append(UploadCase(name=f"{call}: {name}", api="multipart", answers={call: answer}, expected=Transient))
        page = fixed_response(200, PAGE, "text/html")
        rows.append(UploadCase(name=f"{call}: a page", api="multipart", answers={call: page}, expected=Transient))
    return rows


def _existing() -> list[UploadCase]:
    def row(name: str, file: object, expected: Proof | type[Failure], **values: Any) -> UploadCase:
        answers = {"create": json_response({"file_exists": True, **({} if file is ... else {"file": file})})}
        return UploadCase(
            name=f"create: file_exists, {name}", api="multipart", answers=answers, expected=expected, **values
        )

    rows = [row(name, file, expected) for name, file, expected in _CLOUD_FILES if "in " not in name]
    rows += [row(name, file, Permanent, message=words) for name, file, words in _CONTRADICTIONS]
    rows += [row(name, file, Proof.NONE, has_id=False) for name, file in _NO_FILES.items()]
    md5 = {"settings": {"hash": "md5"}}
    rows += [
        row("MD5 and size", FILE, Proof.SIZE, **md5),
        row("MD5 alone", {"id": "f-1", "hash": "HASH"}, Proof.NONE, **md5),
        row("SHA-256 instead of MD5", {"id": "f-1", "hash": "SHA256"}, Proof.HASH, **md5),
        row("another SHA-256 than asked", {"id": "f-1", "hash": OTHER_HASH}, Permanent, message="another hash", **md5),
    ]
    return rows


_NO_FILES: dict[str, object] = {
    "no file": ...,
    "file null": None,
    "file {}": {},
    "file in an array": [{"id": "x", "hash": "HASH", "size": "SIZE"}],
}


def _progress() -> list[UploadCase]:
    def row(name: str, state: object, expected: Proof | type[Failure], **values: Any) -> UploadCase:
        answers = {"complete": fixed_response(202), "progress": json_response(state)}
        return UploadCase(name=f"progress: {name}", api="multipart", answers=answers, expected=expected, **values)

    return [
        row("Completed with a file", {"status": "Completed", "file": FILE}, Proof.HASH),
        row("Completed with an id", {"status": 3, "file_id": "f-1"}, Proof.NONE),
        row("Completed with the task's id", {"id": "t-1", "status": 3}, Proof.NONE, has_id=False),
        row("Completed without a file", {"status": "Completed"}, Proof.NONE, has_id=False),
        row("3 without a file", {"status": 3}, Proof.NONE, has_id=False),
        row("Completed with a file and an error", {"status": 3, "file": FILE, "error": "disk full"}, Proof.NONE),
        row("Completed with another file", {"status": 3, "file": {**FILE, "size": 5}}, SessionLost),
        row("Failed", {"status": "Failed", "message": "disk full"}, SessionLost, message="disk full"),
        row("Cancelled", {"status": 5}, SessionLost),
        row("Expired", {"status": "expired"}, SessionLost),
    ]


def _encrypted() -> list[UploadCase]:
    def row(
        name: str, file: object, expected: Proof | type[Failure], message: str = "", **answers: MakeResponse
    ) -> UploadCase:
        settings = {"encrypt_password": "psst"}
        answers = {"complete": json_response(file), **answers}
        return UploadCase(
            name=f"encrypted: {name}",
            api="multipart",
            answers=answers,
            expected=expected,
            message=message,
            settings=settings,
        )

    size = {"id": "f-1", "size": "SIZE"}
    ignored = "ignored encrypt_password"
    return [
        row("the file's hash and size", FILE, Permanent, ignored),
        row("the file's hash", {"id": "f-1", "hash": "HASH"}, Permanent, ignored),
        row("the file's size, and its bytes", size, Permanent, ignored, read=file_response()),
        row("the file's size, and other bytes", size, Proof.SIZE, read=file_response(lambda data: data[::-1])),
        row("the file's size, and no bytes", size, Proof.SIZE, read=fixed_response(403)),
        row("another size", {"id": "f-1", "size": 5}, Proof.NONE),
        row("another hash", {"id": "f-1", "hash": OTHER_HASH}, Proof.NONE),
        row("the file's hash and another size", {**FILE, "size": 5}, Proof.NONE),
    ]


def _portals(api: str) -> list[UploadCase]:
    words = "is not an image API" if api == "image" else ""
    return [
        UploadCase(
            name=f"{name} to everything",
            api=api,
            answers={"everything": fixed_response(200, body, kind)},
            expected=Transient,
            message=words if "<" not in body.decode(errors="replace") else "",
        )
        for name, (body, kind) in PORTALS.items()
    ]


def _image_uploads() -> list[UploadCase]:
    def row(
        name: str, expected: Proof | type[Failure], verify: str = "conflict", **answers: MakeResponse
    ) -> UploadCase:
        return UploadCase(
            name=name, api="image", answers=answers, expected=expected, has_id=False, settings={"verify": verify}
        )

    ok = fixed_response(200)
    return [
        row("201 to all", Proof.SIZE),
        row("200 to register", Proof.SIZE, register=ok),
        row("200 to chunks", Proof.SIZE, chunk=ok),
        row("201 to all, verify: always", Proof.BYTES, "always"),
        row("201 to all, verify: never", Proof.SIZE, "never"),
        row("200 to register, no 404 to the probe", Proof.BYTES, register=ok, probe=fixed_response(500)),
        row(
            "200 to register, no 404 to the probe, verify: never",
            Proof.NONE,
            "never",
            register=ok,
            probe=fixed_response(500),
        ),
        row("200 to chunks, no 404 to the probe", Proof.BYTES, chunk=ok, probe=fixed_response(400)),
        row(
            "200 with an error to register", Proof.BYTES, register=json_response({"code": "500", "error": "disk full"})
        ),
        row("200 with an error to chunks", Proof.BYTES, chunk=json_response({"error": "disk full"})),
        row("409 to register", Proof.BYTES, register=fixed_response(409)),
        row("409 to register, verify: never", Proof.NONE, "never", register=fixed_response(409)),
        row("409 to register and nothing there", SessionLost, register=fixed_response(409), read=fixed_response(404)),
        row(
            "409 to register and other bytes",
            Permanent,
            register=fixed_response(409),
            read=file_response(lambda data: data[::-1]),
        ),
    ]


UPLOAD_CASES = [*_multipart_uploads(), *_existing(), *_progress(), *_encrypted()]
UPLOAD_CASES += [*_image_uploads(), *_portals("image"), *_portals("multipart")]

_YES, _NO, _UNKNOWN = Presence.YES, Presence.NO, Presence.UNKNOWN
_READS: list[tuple[str, MakeResponse, Presence | type[Failure], Presence | type[Failure]]] = [
    ("the file", file_response(), _YES, _YES),
    ("the file as HTML", file_response(kind="text/html"), _YES, _YES),
    ("the file without a length", file_response(measured=False), _UNKNOWN, _YES),
    ("other bytes", file_response(lambda data: bytes(len(data))), _YES, _NO),
    ("404", fixed_response(404), _NO, _NO),
    ("404 as a page", fixed_response(404, PAGE, "text/html"), _NO, _NO),
    ("410", fixed_response(410), _NO, _NO),
    ("301 without a location", fixed_response(301), _UNKNOWN, _UNKNOWN),
    ("a redirect to file://", fixed_response(302, headers={"Location": "file:///srv/x"}), _UNKNOWN, _UNKNOWN),
    ("204", fixed_response(204), _UNKNOWN, _UNKNOWN),
    ("400", json_response({"message": "being processed"}, 400), _UNKNOWN, _UNKNOWN),
    ("403", json_response({"message": "forbidden"}, 403), _UNKNOWN, _UNKNOWN),
    ("403 as a page", fixed_response(403, PAGE, "text/html"), _UNKNOWN, _UNKNOWN),
    ("405", fixed_response(405), _UNKNOWN, _UNKNOWN),
    ("500", fixed_response(500), _UNKNOWN, _UNKNOWN),
    ("501", fixed_response(501), _UNKNOWN, _UNKNOWN),
    ("401", fixed_response(401), Unauthorized, Unauthorized),
    ("429", fixed_response(429), Transient, Transient),
    ("502", fixed_response(502), Transient, Transient),
    ("503", fixed_response(503), Transient, Transient),
    ("504", fixed_response(504), Transient, Transient),
]

_LENGTHS: list[tuple[str, MakeResponse, bool]] = [
    ("nothing", fixed_response(200), True),
    ("a part", file_response(lambda data: data[:-1]), True),
    ("more", file_response(lambda data: data + b"!"), True),
    ("a page with its length", fixed_response(200, PAGE, "text/html"), True),
    ("a page", fixed_response(200, PAGE, "text/html", measured=False), False),
    ("an error in JSON", fixed_response(200, b'{"error":"file not found"}', "application/json", measured=False), False),
]
"""Responses with 200 and another length, and whether they announce it."""


def _questions() -> list[ConfirmCase]:
    rows: list[ConfirmCase] = []
    md5 = {"hash": "md5"}
    for name, answer, means, thorough in _READS:
        read = {"read": answer}
        rows.append(ConfirmCase(name=name, api="image", answers=read, expected=means, expected_thorough=thorough))
        rows.append(ConfirmCase(name=name, api="multipart", answers=read, expected=means, expected_thorough=means))
        rows.append(
            ConfirmCase(
                name=f"{name}, MD5",
                api="multipart",
                answers=read,
                expected=means,
                expected_thorough=thorough,
                settings=md5,
            )
        )
    for name, answer, announced in _LENGTHS:
        read = {"read": answer}
        image = _NO if announced else _UNKNOWN
        rows.append(ConfirmCase(name=name, api="image", answers=read, expected=image, expected_thorough=_NO))
        unsure = {**read, "probe": fixed_response(500)}
        name_unsure = f"{name}, no 404 to the probe"
        rows.append(
            ConfirmCase(name=name_unsure, api="image", answers=unsure, expected=_UNKNOWN, expected_thorough=_UNKNOWN)
        )
        rows.append(
            ConfirmCase(name=name, api="multipart", answers=read, expected=_UNKNOWN, expected_thorough=_UNKNOWN)
        )
        rows.append(
            ConfirmCase(
                name=f"{name}, MD5",
                api="multipart",
                answers=read,
                expected=_UNKNOWN,
                expected_thorough=_UNKNOWN,
                settings=md5,
            )
        )
    for name, (body, kind) in PORTALS.items():
        everything = {"everything": fixed_response(200, body, kind)}
        rows.append(
            ConfirmCase(
                name=f"{name} to everything",
                api="image",
                answers=everything,
                expected=Transient,
                expected_thorough=Transient,
            )
        )
        rows.append(
            ConfirmCase(
                name=f"{name} to everything",
                api="multipart",
                answers=everything,
                expected=_UNKNOWN,
                expected_thorough=_UNKNOWN,
            )
        )
    encrypted = {"encrypt_password": "psst", "hash": "md5"}
    swapped = {"read": file_response(lambda data: bytes(len(data)))}
    rows.append(
        ConfirmCase(
            name="other bytes, encrypted",
            api="multipart",
            answers=swapped,
            expected=_YES,
            expected_thorough=_UNKNOWN,
            settings=encrypted,
        )
    )
    return rows


CONFIRM_CASES = _questions()

READ_RESPONSES: dict[Presence, MakeResponse] = {
    _YES: file_response(),
    _NO: fixed_response(404),
    _UNKNOWN: json_response({"message": "forbidden"}, 403),
}
"""The response to a request for the stored file, by its meaning."""


class FakeServer:
    """A server of both APIs for one file.

    ``data`` is the uploaded data: for the image API, its text. The calls are ``create``, ``chunk``, ``complete``,
    ``progress``, ``direct``, ``register``, ``read``, ``probe`` (the request for an unknown object) and ``everything``.
    """

    def __init__(self, data: bytes, digest: str, answers: Mapping[str, MakeResponse]) -> None:
        self.data = data
        self.digest = digest
        self.answers = answers
        self.calls: list[str] = []
        self.app = web.Application(client_max_size=2**30)
        self.app.router.add_route("*", "/{path:.*}", self._handle)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        call = self._call(request)
        self.calls.append(call)
        make = (
            self.answers.get("everything")
            or self.answers.get(call)
            or _CORRECT_RESPONSES.get(call, fixed_response(404))
        )
        answer = make(self.data, self.digest)
        headers = {**answer.headers, **({"Content-Type": answer.kind} if answer.kind else {})}
        response = web.StreamResponse(status=answer.status, headers=headers)
        if answer.measured:
            response.content_length = len(answer.body)
        else:
            response.enable_chunked_encoding()
        await response.prepare(request)
        if answer.body:
            await response.write(answer.body)
        await response.write_eof()
        return response

    def _call(self, request: web.Request) -> str:
        parts = request.path.strip("/").split("/")
        if UNKNOWN_ID in request.path:
            return "probe"
        if parts[0] == "image":
            return "read" if request.method == "GET" else "register" if len(parts) == 1 else "chunk"
        return parts[3] if len(parts) > 3 else "read"


def _task(data: bytes, _digest: str) -> Response:
    agreed = {"task_id": "t-1", "chunk_size": len(data), "chunks_count": 1}
    return Response(body=json.dumps(agreed).encode(), kind="application/json")


_CORRECT_RESPONSES: dict[str, MakeResponse] = {
    "register": fixed_response(201),
    "chunk": fixed_response(201),
    "create": _task,
    "complete": json_response(FILE),
    "read": file_response(),
}
