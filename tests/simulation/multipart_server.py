"""A server of the multipart API by its specification, with quirks of real servers."""

import hashlib
import itertools
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.simulation.server import Answer, Request, Server, json_answer

if TYPE_CHECKING:
    from tests.simulation.world import World


@dataclass(kw_only=True, slots=True)
class Task:
    """An unfinished upload."""

    id: str
    digest: str
    size: int
    name: str
    chunk_size: int
    chunks: dict[int, bytes] = field(default_factory=dict)
    state: str = "open"
    file_id: str = ""

    @property
    def count(self) -> int:
        return -(-self.size // self.chunk_size)


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A stored file."""

    id: str
    digest: str
    name: str
    data: bytes


class MultipartServer(Server):
    """Keeps files in memory."""

    name = "drive"

    def __init__(self, world: "World", rng: random.Random, token: str) -> None:
        super().__init__(world, rng)
        self.token = token
        self.tasks: dict[str, Task] = {}
        self.files: dict[str, File] = {}
        self._lost: dict[str, bytes] = {}
        self._numbers = itertools.count(1)
        self.own_chunk_size = rng.choice([None, None, None, 1000, 4096])
        self.says_exists = rng.random() < 0.7
        self.tells_resume = rng.choice(["chunks", "count", "nothing"])
        self.takes_direct = rng.choice([0, 0, 2000, 10**9])
        self.processes = rng.choice([0.0, 0.0, 0.0, 0.4, 12.0])
        self.fails_processing = 0
        self.verifies = rng.random() < 0.5
        self.on_missing = rng.choice(["throws away", "keeps", "marks failed"])
        self.status_as_number = rng.random() < 0.5
        self.tells_hash = rng.choice(["all", "all", "size", "hash", "MD5 of it", "nothing"])
        if world.plan.gentle:
            self.tells_hash = "all"

    def act(self, request: Request) -> Answer:
        """Handle one of the calls."""
        if request.method in ("GET", "HEAD") and not request.path.startswith("/api/files/upload/"):
            return self._download(request.path.partition("?")[0].rpartition("/")[2])
        _, _, _, _, call, *rest = request.path.split("/")
        match request.method, call, rest:
            case "POST", "create", []:
                return self._create(request)
            case "POST", "direct", []:
                return self._direct(request)
            case "POST", "chunk", [task, number]:
                return self._chunk(task, int(number), request)
            case "POST", "complete", [task]:
                return self._complete(task)
            case "GET", "resume", [task]:
                return self._resume(task)
            case "GET", "progress", [task]:
                return self._progress(task)
        return json_answer(404, {"error": "no such call"})

    def _create(self, request: Request) -> Answer:
        order = request.json()
        digest, size = order["hash"], order["file_size"]
        if file := self._stored(digest):
            return json_answer(200, {"file_exists": True, "file": self.file_json(file)})
        if size <= 0:
            return json_answer(400, {"error": "file_size"})
        task = Task(
            id=f"task-{next(self._numbers)}",
            digest=digest,
            size=size,
            name=order["file_name"],
            chunk_size=self.own_chunk_size or order["chunk_size"],
        )
        self.tasks[task.id] = task
        if task.count > 1:  # the store records no session of one chunk, as there is nothing to resume
            self.world.request_monitor.agreed(self.name, digest)
        answer: dict[str, Any] = {"task_id": task.id, "chunk_size": task.chunk_size, "chunks_count": task.count}
        if self.says_exists:
            answer["file_exists"] = False
        return json_answer(200, answer)

    def _stored(self, digest: str) -> File | None:
        return next((file for file in self.files.values() if file.digest == digest), None)

    def _chunk(self, task_id: str, number: int, request: Request) -> Answer:
        task = self.tasks.get(task_id)
        if task is None:
            return json_answer(404, {"code": "NOT_FOUND", "message": "Task not found", "status": 404})
        data = _parts(request)["chunk"]
        expected = min(task.chunk_size, task.size - number * task.chunk_size)
        if not 0 <= number < task.count or len(data) != expected:
            return json_answer(400, {"error": "chunk"})
        self.world.request_monitor.chunk(
            self.name, task.digest, task_id, number, len(data), new=number not in task.chunks
        )
        task.chunks[number] = data
        return json_answer(200)

    def _direct(self, request: Request) -> Answer:
        if not self.takes_direct:
            return json_answer(self.rng.choice([404, 405]))
        parts = _parts(request)
        data = parts["file"]
        digest = parts["hash"].decode()
        if len(data) > self.takes_direct:
            return json_answer(413, {"error": "too large"})
        self.world.request_monitor.chunk(self.name, digest, "", 0, len(data), new=True)
        return json_answer(200, self.file_json(self._stored(digest) or self._keep(digest, "direct", data)))

    def _keep(self, digest: str, name: str, data: bytes) -> File:
        file = File(id=f"file-{next(self._numbers)}", digest=digest, name=name, data=data)
        self.files[file.id] = file
        self.world.request_monitor.stored(self.name, data)
        return file

    def _complete(self, task_id: str) -> Answer:
        task = self.tasks.get(task_id)
        if task is None:
            return json_answer(404, {"error": "Task not found"})
        if task.state == "done":
            return json_answer(200, self.file_json(self.files[task.file_id]))
        if len(task.chunks) < task.count:
            return self._missing(task)
        if task.state == "processing":
            return json_answer(202, {"taskId": task_id, "status": "processing"})
        if self.processes:
            task.state = "processing"
            self.world.after(self.processes, lambda: self._merge(task))
            return json_answer(202, {"taskId": task_id, "status": "processing"})
        self._merge(task)
        if task.state == "done":
            return json_answer(200, self.file_json(self.files[task.file_id]))
        return json_answer(400, {"error": "the merge failed"})

    def _missing(self, task: Task) -> Answer:
        if self.on_missing == "throws away":
            del self.tasks[task.id]
            return json_answer(400, {"code": "CHUNK_MISSING", "message": "chunks are missing", "status": 400})
        if self.on_missing == "keeps":
            return json_answer(400, {"error": "upload is incomplete"})
        task.state = "failed"
        return json_answer(500, {"error": "failed"})

    def _merge(self, task: Task) -> None:
        data = b"".join(task.chunks[number] for number in range(task.count))
        matches_hash = hashlib.new("sha256" if len(task.digest) == 64 else "md5", data).hexdigest() == task.digest
        if self.fails_processing > 0 or (self.verifies and not matches_hash):
            self.fails_processing -= 1
            how = "202 that ends in failure" if self.processes else "400 for a merge that failed"
            self.world.tally[f"{self.name}: {how}"] += 1
            task.state = "failed"
            return
        task.state = "done"
        file = self._stored(task.digest) or self._keep(task.digest, task.name, data)
        task.file_id = file.id

    def _resume(self, task_id: str) -> Answer:
        task = self.tasks.get(task_id)
        if task is None or self.tells_resume == "nothing":
            return json_answer(404, {"error": "not found"})
        answer: dict[str, Any] = {"chunks_count": task.count, "chunks_uploaded": len(task.chunks)}
        if self.tells_resume == "chunks":
            answer["uploaded_chunks"] = sorted(task.chunks)
        return json_answer(200, answer)

    def _download(self, file_id: str) -> Answer:
        file = self.files.get(file_id)
        if file is None:
            if file_id in self._lost:
                self.denied.add(self._lost[file_id])
            return json_answer(404, {"error": "not found"})
        self.confirms(file.data, gives=True)
        return Answer(status=200, body=file.data, kind="image/jpeg")

    def _progress(self, task_id: str) -> Answer:
        task = self.tasks.get(task_id)
        if task is None:
            return json_answer(404, {"error": "not found"})
        words = {"open": ("Uploading", 1), "processing": ("Processing", 2), "done": ("Completed", 3)}
        word, number = words.get(task.state, ("Failed", 4))
        answer: dict[str, Any] = {"status": number if self.status_as_number else word}
        if task.state == "done" and self.says_exists:
            answer["file"] = self.file_json(self.files[task.file_id])
        return json_answer(200, answer)

    def file_json(self, file: File) -> dict[str, Any]:
        """Return the fields of the CloudFile that this server reports."""
        self.confirms(file.data)
        about = {"id": file.id, "name": file.name, "mime_type": "x/y"}
        if self.tells_hash in ("all", "hash"):
            about["hash"] = file.digest
        if self.tells_hash == "MD5 of it":
            about["hash"] = hashlib.md5(file.data).hexdigest()
        return about if self.tells_hash in ("hash", "nothing") else {**about, "size": len(file.data)}

    def lose(self, rng: random.Random) -> int:
        """Lose a file; return the number of lost files."""
        if not self.files:
            return 0
        file = self.files.pop(rng.choice(list(self.files)))
        if not self.has(file.data):
            self.lost(file.data)
            self._lost[file.id] = self.digest(file.data)
        for task in list(self.tasks.values()):
            if task.file_id == file.id:
                del self.tasks[task.id]
        return 1

    def lied_about(self, data: bytes) -> bool:
        """Return whether the server made a false statement about a content."""
        return bool(self.lies & {hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest()})

    def content_of(self, request: Request) -> str:
        """Return the hash of the content that a request concerns, or an empty string."""
        *_, call, last = request.path.partition("?")[0].split("/")
        if last == "create":
            return str(request.json()["hash"])
        if last == "direct":
            return _parts(request)["hash"].decode()
        if call == "upload":
            return ""
        task = self.tasks.get(last if call != "chunk" else request.path.split("/")[-2])
        if task is not None:
            return task.digest
        file = self.files.get(last)
        return file.digest if file is not None else ""

    def forget_unfinished(self) -> int:
        """Forget the tasks; return the number of unfinished ones."""
        lost = sum(task.state != "done" for task in self.tasks.values())
        self.tasks.clear()
        return lost

    def has(self, data: bytes) -> bool:
        """Return whether exactly this file can be downloaded."""
        return any(file.data == data for file in self.files.values())

    def excused(self, data: bytes) -> bool:
        """Return False: the client is always to blame for an incomplete file."""
        return False


def _parts(request: Request) -> dict[str, bytes]:
    boundary = request.headers["content-type"].partition("boundary=")[2].encode()
    parts = {}
    for part in request.body.split(b"--" + boundary)[1:-1]:
        head, _, body = part[2:-2].partition(b"\r\n\r\n")
        parts[head.partition(b'name="')[2].partition(b'"')[0].decode()] = body
    return parts
