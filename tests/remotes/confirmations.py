"""Every answer of a server that may look like a confirmation, by name, and what it is worth.

:data:`UPLOADS` are answers to an upload, :data:`QUESTIONS` answers to the question whether a file is still there. A
:class:`Double` is a server of both APIs that is honest but for the calls for which one of them is given.
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
    """What the server sends. ``measured`` says whether it announces the length of the body."""

    status: int = 200
    body: bytes = b""
    kind: str | None = None
    measured: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)


Make = Callable[[bytes, str], Response]
"""Makes an answer from what is uploaded (for the image API its text) and the hash that was announced."""


def given(status: int = 200, body: bytes = b"", kind: str | None = None, **values: Any) -> Make:
    """Answer always the same."""
    return lambda _data, _digest: Response(status=status, body=body, kind=kind, **values)


def told(value: object, status: int = 200) -> Make:
    """Answer with JSON, in which the texts HASH, SHA256, MD5 and SIZE stand for what is right."""

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


def copied(change: Callable[[bytes], bytes] = bytes, **values: Any) -> Make:
    """Answer with what is uploaded, or with what ``change`` makes of it."""
    return lambda data, _digest: Response(body=change(data), **{"kind": "application/octet-stream", **values})


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """A whole upload with a server that gives ``answers`` to some calls.

    ``worth`` is the proof that comes of it, or the failure. For ``Proof.NONE`` with ``named``, the server has given an
    id, so the file itself is asked for: the proof is SIZE if it has it, and the upload is lost if it has not.
    """

    name: str
    api: str
    answers: Mapping[str, Make]
    worth: Proof | type[Failure]
    named: bool = True
    words: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.api} {self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A question for a stored file, and its answer. ``thorough`` is what it means where the bytes are compared."""

    name: str
    api: str
    answers: Mapping[str, Make]
    means: Presence | type[Failure]
    thorough: Presence | type[Failure] | None = None
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
"""What may be answered to everything, with 200."""


def _multipart_uploads() -> list[Upload]:
    rows: list[Upload] = []
    for call in ("complete", "direct"):
        for name, file, worth in _CLOUD_FILES:
            rows.append(Upload(name=f"{call}: {name}", api="multipart", answers={call: told(file)}, worth=worth))
        for name, file, words in _CONTRADICTIONS:
            answers = {call: told(file)}
            rows.append(
                Upload(name=f"{call}: {name}", api="multipart", answers=answers, worth=SessionLost, words=words)
            )
        for name, answer in {
            "{}": told({}),
            "nothing": given(),
            "201 and nothing": given(201),
            "a file in an array": told({"file": [FILE]}),
        }.items():
            rows.append(Upload(name=f"{call}: {name}", api="multipart", answers={call: answer}, worth=Transient))
        page = given(200, PAGE, "text/html")
        rows.append(Upload(name=f"{call}: a page", api="multipart", answers={call: page}, worth=Transient))
    return rows


def _existing() -> list[Upload]:
    def row(name: str, file: object, worth: Proof | type[Failure], **values: Any) -> Upload:
        answers = {"create": told({"file_exists": True, **({} if file is ... else {"file": file})})}
        return Upload(name=f"create: file_exists, {name}", api="multipart", answers=answers, worth=worth, **values)

    rows = [row(name, file, worth) for name, file, worth in _CLOUD_FILES if "in " not in name]
    rows += [row(name, file, Permanent, words=words) for name, file, words in _CONTRADICTIONS]
    rows += [row(name, file, Proof.NONE, named=False) for name, file in _NO_FILES.items()]
    md5 = {"settings": {"hash": "md5"}}
    rows += [
        row("MD5 and size", FILE, Proof.SIZE, **md5),
        row("MD5 alone", {"id": "f-1", "hash": "HASH"}, Proof.NONE, **md5),
        row("SHA-256 instead of MD5", {"id": "f-1", "hash": "SHA256"}, Proof.HASH, **md5),
        row("another SHA-256 than asked", {"id": "f-1", "hash": OTHER_HASH}, Permanent, words="another hash", **md5),
    ]
    return rows


_NO_FILES: dict[str, object] = {
    "no file": ...,
    "file null": None,
    "file {}": {},
    "file in an array": [{"id": "x", "hash": "HASH", "size": "SIZE"}],
}


def _progress() -> list[Upload]:
    def row(name: str, state: object, worth: Proof | type[Failure], **values: Any) -> Upload:
        answers = {"complete": given(202), "progress": told(state)}
        return Upload(name=f"progress: {name}", api="multipart", answers=answers, worth=worth, **values)

    return [
        row("Completed with a file", {"status": "Completed", "file": FILE}, Proof.HASH),
        row("Completed with an id", {"status": 3, "file_id": "f-1"}, Proof.NONE),
        row("Completed with the task's id", {"id": "t-1", "status": 3}, Proof.NONE, named=False),
        row("Completed without a file", {"status": "Completed"}, Proof.NONE, named=False),
        row("3 without a file", {"status": 3}, Proof.NONE, named=False),
        row("Completed with a file and an error", {"status": 3, "file": FILE, "error": "disk full"}, Proof.NONE),
        row("Completed with another file", {"status": 3, "file": {**FILE, "size": 5}}, SessionLost),
        row("Failed", {"status": "Failed", "message": "disk full"}, SessionLost, words="disk full"),
        row("Cancelled", {"status": 5}, SessionLost),
        row("Expired", {"status": "expired"}, SessionLost),
    ]


def _encrypted() -> list[Upload]:
    def row(name: str, file: object, worth: Proof | type[Failure], words: str = "", **answers: Make) -> Upload:
        settings = {"encrypt_password": "psst"}
        answers = {"complete": told(file), **answers}
        return Upload(
            name=f"encrypted: {name}", api="multipart", answers=answers, worth=worth, words=words, settings=settings
        )

    size = {"id": "f-1", "size": "SIZE"}
    ignored = "ignored encrypt_password"
    return [
        row("the file's hash and size", FILE, Permanent, ignored),
        row("the file's hash", {"id": "f-1", "hash": "HASH"}, Permanent, ignored),
        row("the file's size, and its bytes", size, Permanent, ignored, read=copied()),
        row("the file's size, and other bytes", size, Proof.SIZE, read=copied(lambda data: data[::-1])),
        row("the file's size, and no bytes", size, Proof.SIZE, read=given(403)),
        row("another size", {"id": "f-1", "size": 5}, Proof.NONE),
        row("another hash", {"id": "f-1", "hash": OTHER_HASH}, Proof.NONE),
        row("the file's hash and another size", {**FILE, "size": 5}, Proof.NONE),
    ]


def _portals(api: str) -> list[Upload]:
    words = "is not an image API" if api == "image" else ""
    return [
        Upload(
            name=f"{name} to everything",
            api=api,
            answers={"everything": given(200, body, kind)},
            worth=Transient,
            words=words if "<" not in body.decode(errors="replace") else "",
        )
        for name, (body, kind) in PORTALS.items()
    ]


def _image_uploads() -> list[Upload]:
    def row(name: str, worth: Proof | type[Failure], verify: str = "conflict", **answers: Make) -> Upload:
        return Upload(name=name, api="image", answers=answers, worth=worth, named=False, settings={"verify": verify})

    ok = given(200)
    return [
        row("201 to all", Proof.SIZE),
        row("200 to register", Proof.SIZE, register=ok),
        row("200 to chunks", Proof.SIZE, chunk=ok),
        row("201 to all, verify: always", Proof.BYTES, "always"),
        row("201 to all, verify: never", Proof.SIZE, "never"),
        row("200 to register, no 404 to the probe", Proof.BYTES, register=ok, probe=given(500)),
        row("200 to register, no 404 to the probe, verify: never", Proof.NONE, "never", register=ok, probe=given(500)),
        row("200 to chunks, no 404 to the probe", Proof.BYTES, chunk=ok, probe=given(400)),
        row("200 with an error to register", Proof.BYTES, register=told({"code": "500", "error": "disk full"})),
        row("200 with an error to chunks", Proof.BYTES, chunk=told({"error": "disk full"})),
        row("409 to register", Proof.BYTES, register=given(409)),
        row("409 to register, verify: never", Proof.NONE, "never", register=given(409)),
        row("409 to register and nothing there", SessionLost, register=given(409), read=given(404)),
        row("409 to register and other bytes", Permanent, register=given(409), read=copied(lambda data: data[::-1])),
    ]


UPLOADS = [*_multipart_uploads(), *_existing(), *_progress(), *_encrypted()]
UPLOADS += [*_image_uploads(), *_portals("image"), *_portals("multipart")]

_YES, _NO, _UNKNOWN = Presence.YES, Presence.NO, Presence.UNKNOWN
_READS: list[tuple[str, Make, Presence | type[Failure], Presence | type[Failure]]] = [
    ("the file", copied(), _YES, _YES),
    ("the file as HTML", copied(kind="text/html"), _YES, _YES),
    ("the file without a length", copied(measured=False), _UNKNOWN, _YES),
    ("other bytes", copied(lambda data: bytes(len(data))), _YES, _NO),
    ("404", given(404), _NO, _NO),
    ("404 as a page", given(404, PAGE, "text/html"), _NO, _NO),
    ("410", given(410), _NO, _NO),
    ("301 without a location", given(301), _UNKNOWN, _UNKNOWN),
    ("a redirect to file://", given(302, headers={"Location": "file:///srv/x"}), _UNKNOWN, _UNKNOWN),
    ("204", given(204), _UNKNOWN, _UNKNOWN),
    ("400", told({"message": "being processed"}, 400), _UNKNOWN, _UNKNOWN),
    ("403", told({"message": "forbidden"}, 403), _UNKNOWN, _UNKNOWN),
    ("403 as a page", given(403, PAGE, "text/html"), _UNKNOWN, _UNKNOWN),
    ("405", given(405), _UNKNOWN, _UNKNOWN),
    ("500", given(500), _UNKNOWN, _UNKNOWN),
    ("501", given(501), _UNKNOWN, _UNKNOWN),
    ("401", given(401), Unauthorized, Unauthorized),
    ("429", given(429), Transient, Transient),
    ("502", given(502), Transient, Transient),
    ("503", given(503), Transient, Transient),
    ("504", given(504), Transient, Transient),
]

_LENGTHS: list[tuple[str, Make, bool]] = [
    ("nothing", given(200), True),
    ("a part", copied(lambda data: data[:-1]), True),
    ("more", copied(lambda data: data + b"!"), True),
    ("a page with its length", given(200, PAGE, "text/html"), True),
    ("a page", given(200, PAGE, "text/html", measured=False), False),
    ("an error in JSON", given(200, b'{"error":"file not found"}', "application/json", measured=False), False),
]
"""Answers with 200 of another length, and whether they announce it."""


def _questions() -> list[Question]:
    rows: list[Question] = []
    md5 = {"hash": "md5"}
    for name, answer, means, thorough in _READS:
        read = {"read": answer}
        rows.append(Question(name=name, api="image", answers=read, means=means, thorough=thorough))
        rows.append(Question(name=name, api="multipart", answers=read, means=means, thorough=means))
        rows.append(
            Question(name=f"{name}, MD5", api="multipart", answers=read, means=means, thorough=thorough, settings=md5)
        )
    for name, answer, announced in _LENGTHS:
        read = {"read": answer}
        image = _NO if announced else _UNKNOWN
        rows.append(Question(name=name, api="image", answers=read, means=image, thorough=_NO))
        unsure = {**read, "probe": given(500)}
        name_unsure = f"{name}, no 404 to the probe"
        rows.append(Question(name=name_unsure, api="image", answers=unsure, means=_UNKNOWN, thorough=_UNKNOWN))
        rows.append(Question(name=name, api="multipart", answers=read, means=_UNKNOWN, thorough=_UNKNOWN))
        rows.append(
            Question(
                name=f"{name}, MD5", api="multipart", answers=read, means=_UNKNOWN, thorough=_UNKNOWN, settings=md5
            )
        )
    for name, (body, kind) in PORTALS.items():
        everything = {"everything": given(200, body, kind)}
        rows.append(
            Question(name=f"{name} to everything", api="image", answers=everything, means=Transient, thorough=Transient)
        )
        rows.append(
            Question(
                name=f"{name} to everything", api="multipart", answers=everything, means=_UNKNOWN, thorough=_UNKNOWN
            )
        )
    encrypted = {"encrypt_password": "psst", "hash": "md5"}
    swapped = {"read": copied(lambda data: bytes(len(data)))}
    rows.append(
        Question(
            name="other bytes, encrypted",
            api="multipart",
            answers=swapped,
            means=_YES,
            thorough=_UNKNOWN,
            settings=encrypted,
        )
    )
    return rows


QUESTIONS = _questions()

READS: dict[Presence, Make] = {_YES: copied(), _NO: given(404), _UNKNOWN: told({"message": "forbidden"}, 403)}
"""What the server says when the file itself is asked for."""


class Double:
    """A server of both APIs for one file. ``data`` is what is uploaded: for the image API its text.

    Calls: ``create``, ``chunk``, ``complete``, ``progress``, ``direct``, ``register``, ``read``, ``probe`` (the
    question for what can't be there), and ``everything``.
    """

    def __init__(self, data: bytes, digest: str, answers: Mapping[str, Make]) -> None:
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
        make = self.answers.get("everything") or self.answers.get(call) or _HONEST.get(call, given(404))
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


_HONEST: dict[str, Make] = {
    "register": given(201),
    "chunk": given(201),
    "create": _task,
    "complete": told(FILE),
    "read": copied(),
}
