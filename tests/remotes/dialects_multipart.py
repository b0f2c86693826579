"""Simulated servers of the multipart API, written from descriptions of their behaviour.

:class:`Documented` follows the API's document and offers nothing else. The other classes deviate as their docstrings
say.
"""

import asyncio
import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, web

from tests.remotes.helpers import TOKEN

MIB = 1024 * 1024
MAX_FULL_MD5_BYTES = 5 * MIB
DERIVATIVE = b"a smaller picture"


@dataclass(kw_only=True)
class Task:
    """An upload that has begun."""

    order: Mapping[str, Any]
    chunk_size: int
    count: int
    chunks: dict[int, bytes] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        """The data of the received chunks, with zeros for missing chunks."""
        size = self.order["file_size"]
        gap = bytes(self.chunk_size)
        return b"".join(self.chunks.get(index, gap) for index in range(self.count))[:size]


@dataclass(kw_only=True)
class File:
    """A stored file."""

    data: bytes
    digest: str
    pool: str | None = None
    bundle: str | None = None
    expires: str | None = None


def refuse(status: int, **body: Any) -> web.Response:
    """Return an error as JSON."""
    return web.json_response(body, status=status)


class Documented:
    """The documented API: create, chunk, complete, and the file at ``/api/files/{id}``.

    All calls require the token.
    """

    asks_for_token = True
    largest_chunk: int | None = None
    cut_over: int | None = None
    """Bytes of a request; the server cuts off a longer request, as if the connection were too slow."""
    never_answers_complete = False
    """The server completes the upload, but responds only after the client's timeout."""
    status_of_query: int | None = None
    """The response to an unsupported query."""
    forgets_incomplete = False

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.files: dict[str, File] = {}
        self.calls: list[str] = []
        self._ids = itertools.count(1)
        self.app = web.Application(client_max_size=2**30)
        self.app.router.add_routes(
            [
                web.post("/api/files/upload/create", self._asked(self.create)),
                web.post("/api/files/upload/chunk/{task}/{index}", self._asked(self.chunk)),
                web.post("/api/files/upload/complete/{task}", self._asked(self.complete)),
                web.get("/api/files/{file}", self._asked(self.read)),
            ]
        )
        self.extend()

    def extend(self) -> None:
        """Add the routes that this server has in addition to the documented ones."""

    def add(self, method: str, path: str, handler: Any, *, with_token: bool = True) -> None:
        """Add a route below the prefix."""
        made = self._asked(handler, with_token=with_token)
        self.app.router.add_route(method, f"/api/files/upload/{path}", made)

    def _asked(self, handler: Any, *, with_token: bool = True) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            self.calls.append(handler.__name__)
            asked = with_token and self.asks_for_token
            if asked and request.headers.get("Authorization") != f"Bearer {TOKEN}":
                return web.Response(status=401)
            return await handler(request)

        return handle

    # The documented calls.

    async def create(self, request: web.Request) -> web.StreamResponse:
        order = await request.json()
        if order["file_size"] <= 0:
            return refuse(400, error="file_size must be positive")
        if known := self.known(order):
            return web.json_response({"file_exists": True, "file": self.cloud_file(known)})
        size = order.get("chunk_size") or 5 * MIB
        name = f"t-{next(self._ids)}"
        task = self.tasks[name] = Task(order=order, chunk_size=size, count=-(-order["file_size"] // size))
        return web.json_response({"task_id": name, "chunk_size": size, "chunks_count": task.count})

    def known(self, order: Mapping[str, Any]) -> str | None:
        """Return the id of a stored file with the announced hash, or None."""
        found = (name for name, file in self.files.items() if file.digest == order["hash"])
        return next(found, None)

    async def chunk(self, request: web.Request) -> web.StreamResponse:
        task, index = self.tasks.get(request.match_info["task"]), int(request.match_info["index"])
        await self.enforce_time_limit(request)
        data = (await form_of(request))["chunk"]
        if task is None:
            return self.chunk_of_nothing()
        if self.largest_chunk is not None and len(data) > self.largest_chunk:
            return refuse(413, message="too large")
        if not 0 <= index < task.count:
            return refuse(400, error="index out of range")
        return self.take(task, index, data)

    async def enforce_time_limit(self, request: web.Request) -> None:
        """End a request that takes too long."""
        if self.cut_over is not None and (request.content_length or 0) > self.cut_over + 1024:
            await request.content.readany()
            assert request.transport
            request.transport.abort()

    def take(self, task: Task, index: int, data: bytes) -> web.Response:
        """Store a chunk and respond."""
        task.chunks[index] = data
        return web.Response()

    def chunk_of_nothing(self) -> web.Response:
        """Respond to a chunk of an unknown task."""
        return refuse(404, error="task not found")

    async def complete(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["task"]
        task = self.tasks.get(name)
        if task is None:
            return self.complete_of_nothing()
        if len(task.chunks) < task.count:
            if self.forgets_incomplete:
                del self.tasks[name]
            return refuse(400, code="CHUNK_MISSING", error="upload is incomplete")
        del self.tasks[name]
        answer = self.completed(name, self.store(task.data, task.order))
        if self.never_answers_complete:
            await asyncio.Event().wait()
        return answer

    def completed(self, name: str, file: str) -> web.Response:
        """Respond that the chunks are assembled."""
        return web.json_response(self.cloud_file(file))

    def complete_of_nothing(self) -> web.Response:
        """Respond to *complete* for an unknown task."""
        return refuse(404, error="task not found")

    async def read(self, request: web.Request) -> web.StreamResponse:
        if self.status_of_query and request.query_string:
            return web.Response(status=self.status_of_query)
        file = self.files.get(request.match_info["file"])
        return web.Response(status=404) if file is None else web.Response(body=file.data)

    # Stored files.

    def digest(self, data: bytes, order: Mapping[str, Any]) -> str:
        """Return the hash that the server keeps of a file."""
        name = "md5" if len(order["hash"]) == 32 else "sha256"
        return hashlib.new(name, data, usedforsecurity=False).hexdigest()

    def store(self, data: bytes, order: Mapping[str, Any]) -> str:
        """Store a file with the options of ``order``; return its id."""
        name = f"f-{next(self._ids)}"
        self.files[name] = File(
            data=data,
            digest=self.digest(data, order),
            pool=order.get("pool_id"),
            bundle=order.get("bundle_id"),
            expires=order.get("expired_at"),
        )
        return name

    def cloud_file(self, name: str) -> dict[str, Any]:
        """Return the CloudFile of a stored file."""
        file = self.files[name]
        return {"id": name, "name": "a", "mime_type": "image/jpeg", "hash": file.digest, "size": len(file.data)}


async def form_of(request: web.Request) -> dict[str, bytes]:
    """Return the fields of a multipart form."""
    fields = {}
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        assert part.name
        fields[part.name] = bytes(await part.read())
    return fields


class Drive(Documented):
    """DysonNetwork's Drive.

    * The hash of a file is its MD5; over 5 MiB, the MD5 of its first and last MiB. The announced hash is ignored.
      *create* finds files by this hash.
    * A chunk of an unknown task gets 200, a chunk over 6 MiB gets 413. *complete* with missing chunks deletes the task.
    * A download without ``original=true`` returns a derivative. The first ``processing`` downloads get 400.
    * *resume* and *tasks* exist. *direct* reads only ``poolId``, ``bundleId`` and ``expiredAt``, and finds no file.
    * ``encrypt_password`` is ignored. A pool that is not allowed gets 403.
    """

    largest_chunk = 6 * MIB
    forgets_incomplete = True
    forbidden_pool: str | None = None
    derivative = DERIVATIVE

    def extend(self) -> None:
        self.processing = 0
        self.add("GET", "resume/{task}", self.resume)
        self.add("GET", "tasks", self.list_tasks)
        self.add("POST", "direct", self.direct)

    def digest(self, data: bytes, order: Mapping[str, Any]) -> str:
        hashed = data if len(data) <= MAX_FULL_MD5_BYTES else data[:MIB] + data[-MIB:]
        return hashlib.md5(hashed, usedforsecurity=False).hexdigest()

    async def create(self, request: web.Request) -> web.StreamResponse:
        if self.forbidden_pool and (await request.json()).get("pool_id") == self.forbidden_pool:
            return refuse(403, code="FORBIDDEN", message="pool not allowed")
        return await super().create(request)

    def take(self, task: Task, index: int, data: bytes) -> web.Response:
        super().take(task, index, data)
        return web.json_response({"message": "uploaded"})

    def chunk_of_nothing(self) -> web.Response:
        return web.json_response({"message": "uploaded"})

    async def resume(self, request: web.Request) -> web.StreamResponse:
        task = self.tasks.get(request.match_info["task"])
        if task is None:
            return refuse(404, code="NOT_FOUND")
        listed = sorted(task.chunks)
        document = {"chunks_count": task.count, "chunks_uploaded": len(listed), "uploaded_chunks": listed}
        return web.json_response(document)

    async def list_tasks(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response([{"task_id": name} for name in self.tasks])

    async def direct(self, request: web.Request) -> web.StreamResponse:
        await self.enforce_time_limit(request)
        form = await form_of(request)
        names = {"poolId": "pool_id", "bundleId": "bundle_id", "expiredAt": "expired_at"}
        order = {name: form[field].decode() for field, name in names.items() if field in form}
        return web.json_response(self.cloud_file(self.store(form["file"], {**order, "hash": ""})))

    async def read(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["file"] not in self.files:
            return web.Response(status=404)
        if request.query.get("original") != "true":
            return web.Response(body=self.derivative)
        if self.processing:
            self.processing -= 1
            return refuse(400, message="being processed")
        return await super().read(request)


class DriveOfSpring(Drive):
    """The Drive of spring 2026: 202 to *complete*; *progress* reports the state as a number."""

    def extend(self) -> None:
        super().extend()
        self.pending: dict[str, list[dict[str, Any]]] = {}
        self.add("GET", "progress/{task}", self.progress)

    def completed(self, name: str, file: str) -> web.Response:
        states = [{"status": 2}, {"status": "Processing"}, {"status": 3, "file": self.cloud_file(file)}]
        self.pending[name] = states
        return web.json_response({"taskId": name, "status": "processing"}, status=202)

    async def progress(self, request: web.Request) -> web.StreamResponse:
        states = self.pending.get(request.match_info["task"])
        if states is None:
            return web.Response(status=404)
        return web.json_response(states.pop(0) if len(states) > 1 else states[0])


class DysonFS(Documented):
    """DysonFS.

    * The hash of a file is its SHA-256, but no file is found by its hash. A chunk gets ``{"ok": true}``.
    * *resume* requires no token. It lists no chunks, but its count is correct. There is no *progress*.
    * *complete* fills lost chunks (:meth:`lose_chunks`) with zeros. A repeated *complete* gets 400.
    * A download without ``original=true`` returns a derivative.
    * *direct* ignores the pool of the form and uses the default pool. A pool that is not allowed gets 400.
    * ``bundle_id`` and ``encrypt_password`` are ignored.
    """

    forbidden_pool: str | None = None

    def extend(self) -> None:
        self.add("GET", "resume/{task}", self.resume, with_token=False)
        self.add("GET", "tasks", self.list_tasks)
        self.add("POST", "direct", self.direct)

    def known(self, order: Mapping[str, Any]) -> str | None:
        return None

    def digest(self, data: bytes, order: Mapping[str, Any]) -> str:
        return hashlib.sha256(data).hexdigest()

    def lose_chunks(self) -> None:
        """Lose the chunks in the temporary folder, but report them as received."""
        for task in self.tasks.values():
            task.chunks = dict.fromkeys(task.chunks, bytes(task.chunk_size))

    async def create(self, request: web.Request) -> web.StreamResponse:
        if self.forbidden_pool and (await request.json()).get("pool_id") == self.forbidden_pool:
            return refuse(400, error="pool not allowed")
        return await super().create(request)

    def take(self, task: Task, index: int, data: bytes) -> web.Response:
        super().take(task, index, data)
        return web.json_response({"ok": True})

    def complete_of_nothing(self) -> web.Response:
        return refuse(400, error="upload is not active")

    async def resume(self, request: web.Request) -> web.StreamResponse:
        task = self.tasks.get(request.match_info["task"])
        if task is None:
            return refuse(404, error="task not found")
        document = {"chunks_count": task.count, "chunks_uploaded": len(task.chunks), "uploaded_chunks": []}
        return web.json_response(document)

    async def list_tasks(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response({"tasks": list(self.tasks)})

    async def direct(self, request: web.Request) -> web.StreamResponse:
        await self.enforce_time_limit(request)
        form = await form_of(request)
        return web.json_response(self.cloud_file(self.store(form["file"], {"hash": ""})))

    async def read(self, request: web.Request) -> web.StreamResponse:
        known = request.match_info["file"] in self.files
        if known and request.query.get("original") != "true":
            return web.Response(body=DERIVATIVE)
        return await super().read(request)


class Conflicting(Documented):
    """The documented API, except that a repeated chunk gets 409."""

    def take(self, task: Task, index: int, data: bytes) -> web.Response:
        if index in task.chunks:
            return refuse(409, message="chunk exists")
        return super().take(task, index, data)


DIALECTS: dict[str, type[Documented]] = {
    "documented": Documented,
    "Drive": Drive,
    "Drive, spring 2026": DriveOfSpring,
    "DysonFS": DysonFS,
    "409 for chunks": Conflicting,
}
