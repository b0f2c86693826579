"""Implements the multipart API: create, chunk, complete, progress, resume, direct.

`hash` is an MD5 or a SHA-256, by its length; other lengths get 400, because the receiver cannot verify them. `pool_id`
is a GUID, a ULID, null or absent; the receiver returns it and does not use it. The id of a stored file is its hash. A
task stays if *complete* finds missing chunks. The receiver remembers a finished task as long as it keeps an unfinished
one, so that a client that missed a response gets the same response again. It deletes a file at its `expired_at`, and
keeps a file without `expired_at` forever. Content that is uploaded again, or that *create* finds, gets the later expiry
of both. `encrypt_password` is rejected, not ignored.
"""

import asyncio
import hashlib
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import structlog
from aiohttp import web

from syncd.receiver import fields
from syncd.receiver.body_reader import BodyReader, Part
from syncd.receiver.counters import Counters
from syncd.receiver.errors import ApiError, DigestMismatchError, ErrorCode, UploadEndedError
from syncd.receiver.file_io import ARRIVED
from syncd.receiver.settings import KIB, Settings
from syncd.receiver.storage import Store
from syncd.receiver.upload import Plan, Upload, list_chunks

MAX_CREATE_BYTES = 64 * KIB
PREFIXES = ("/api/files", "/drive/files")  # the second is the path at the public gateway

log = structlog.get_logger()


class MultipartApi:
    """The handlers of the multipart API. The keys of their store are task ids.

    `clock` returns epoch seconds.
    """

    def __init__(
        self,
        *,
        store: Store,
        body_reader: BodyReader,
        counters: Counters,
        settings: Settings,
        clock: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._store = store
        self._body_reader = body_reader
        self._counters = counters
        self._settings = settings

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the API under both prefixes."""
        return [route for prefix in PREFIXES for route in self._routes_under(prefix)]

    def _routes_under(self, prefix: str) -> list[web.RouteDef]:
        return [
            web.post(f"{prefix}/upload/create", self.create),
            web.post(f"{prefix}/upload/chunk/{{task}}/{{index}}", self.chunk),
            web.post(f"{prefix}/upload/complete/{{task}}", self.complete),
            web.get(f"{prefix}/upload/progress/{{task}}", self.progress),
            web.get(f"{prefix}/upload/resume/{{task}}", self.resume),
            web.post(f"{prefix}/upload/direct", self.direct),
            web.get(f"{prefix}/{{id}}", self.download),
        ]

    async def recover(self) -> None:
        """Load the uploads of an earlier process."""
        await self._store.recover()

    async def create(self, request: web.Request) -> web.Response:
        """Answer 200 with the stored file, or with a new task if it is not stored."""
        payload = await self._body_reader.read_json(request, MAX_CREATE_BYTES)
        plan = self._plan(payload)
        task = uuid.uuid4().hex
        started = await self._store.start(task, plan)
        if isinstance(started, Plan):
            return web.json_response({"file_exists": True, "file": _cloud_file(started)})
        agreed = {"task_id": task, "chunk_size": plan.chunk_size, "chunks_count": plan.chunks_count}
        return web.json_response({"file_exists": False, **agreed})

    async def chunk(self, request: web.Request) -> web.Response:
        """Answer 200 with an empty body, also for a chunk that arrived before."""
        task, index = _task(request), request.match_info["index"]
        form = await self._body_reader.read_form(request, "chunk", self._settings.chunk_limit)
        upload = self._store.get(task)
        plan = upload.plan if upload else (await self._outcome(task))[0]
        number, data = _chunk(plan, index, form["chunk"].data)
        fresh = False
        if upload is not None:
            try:
                fresh = await self._store.write(upload, number, data)
            except UploadEndedError:
                await self._outcome(task)
        self._counters.chunk(fresh=fresh)
        return web.Response()

    async def complete(self, request: web.Request) -> web.Response:
        """Answer 200 with the CloudFile, also for a task that was completed before."""
        task = _task(request)
        upload = self._store.get(task)
        if upload is None:
            return web.json_response(_cloud_file((await self._outcome(task))[1]))
        if not upload.complete:
            count, missing = upload.plan.chunks_count, upload.plan.chunks_count - upload.arrived
            raise ApiError(ErrorCode.CHUNK_MISSING, f"{missing} of {count} chunks are missing.")
        return web.json_response(_cloud_file(await self._finish(upload)))

    async def _finish(self, upload: Upload) -> Plan:
        try:
            stored = await self._store.finish(upload)
        except DigestMismatchError:
            raise ApiError(ErrorCode.HASH_MISMATCH) from None
        except UploadEndedError:  # another request completed it first
            return (await self._outcome(upload.key))[1]
        self._note_stored(stored)
        return stored

    def _note_stored(self, plan: Plan) -> None:
        self._counters.files += 1
        log.info("receiver.stored", api="multipart", digest=plan.digest, size=plan.size)

    async def _outcome(self, task: str) -> tuple[Plan, Plan]:
        outcome = await self._store.outcome(task)
        if outcome is None:
            raise ApiError(ErrorCode.TASK_NOT_FOUND)
        return outcome

    async def progress(self, request: web.Request) -> web.Response:
        """Answer 200 with the progress of the task.

        `status` is Uploading, Processing or Completed.
        """
        task = _task(request)
        upload = self._store.get(task)
        plan = upload.plan if upload else (await self._outcome(task))[0]
        uploaded = upload.arrived if upload else plan.chunks_count
        status = "Completed" if upload is None else "Processing" if upload.finishing else "Uploading"
        return web.json_response(
            {
                "task_id": task,
                "status": status,
                "progress": 100 * uploaded // plan.chunks_count,
                "chunks_count": plan.chunks_count,
                "chunks_uploaded": uploaded,
            }
        )

    async def resume(self, request: web.Request) -> web.Response:
        """Answer 200 with the plan, and the arrived chunks in the form of `list_chunks`."""
        task = _task(request)
        upload = self._store.get(task)
        try:
            marks = None if upload is None else await upload.marks()
        except UploadEndedError:
            upload, marks = None, None
        plan = upload.plan if upload else (await self._outcome(task))[0]
        return web.json_response(
            {
                "task_id": task,
                "file_name": plan.details["name"],
                "file_size": plan.size,
                "chunk_size": plan.chunk_size,
                "chunks_count": plan.chunks_count,
                **list_chunks(ARRIVED * plan.chunks_count if marks is None else marks),
            }
        )

    async def direct(self, request: web.Request) -> web.Response:
        """Store a file sent in a single request; answer 200 with its CloudFile."""
        form = await self._body_reader.read_form(request, "file", self._settings.direct_limit)
        file = form["file"]
        payload = _texts(form)
        payload.setdefault("file_name", file.filename)
        payload.setdefault("content_type", file.content_type or "application/octet-stream")
        if "hash" not in payload:
            digest = await asyncio.to_thread(hashlib.sha256, file.data)
            payload["hash"] = digest.hexdigest()
        plan = self._plan({**payload, "file_size": len(file.data), "chunk_size": None})
        try:
            stored = await self._store.put(plan, file.data)
        except DigestMismatchError:
            raise ApiError(ErrorCode.HASH_MISMATCH) from None
        self._note_stored(stored)
        return web.json_response(_cloud_file(stored))

    async def download(self, request: web.Request) -> web.StreamResponse:
        """Answer 200 with the bytes of a stored file.

        The headers stop a browser from running scripts in it.
        """
        digest = request.match_info["id"]
        stored = await self._store.stored(digest) if fields.is_digest(digest) else None
        if stored is None:
            raise ApiError(ErrorCode.FILE_NOT_FOUND)
        headers = {
            "Content-Type": stored.details["mime_type"],
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(stored.details['name'], safe='')}",
            "Content-Security-Policy": "sandbox",
            "X-Content-Type-Options": "nosniff",
        }
        return web.FileResponse(self._store.path(digest), headers=headers)

    def _plan(self, payload: Mapping[str, Any]) -> Plan:
        given = {name: value for name, value in payload.items() if value is not None}
        if given.get("encrypt_password"):
            raise ApiError(ErrorCode.ENCRYPTION_UNSUPPORTED)
        size = fields.integer(given, "file_size", low=1, high=2**63)
        if size > self._settings.max_file_size:
            high = self._settings.max_file_size
            raise ApiError(ErrorCode.FILE_TOO_LARGE, f"A file can have at most {high} bytes.")
        return Plan(
            digest=fields.digest(given, "hash"),
            size=size,
            chunk_size=self._chunk_size(given, size),
            expires=self._expiry(given),
            details={
                "name": fields.text(given, "file_name", longest=4096),
                "mime_type": fields.mime_type(given, "content_type"),
                "pool_id": fields.guid_or_ulid(given, "pool_id") if "pool_id" in given else None,
                "bundle_id": fields.guid(given, "bundle_id") if "bundle_id" in given else None,
                "created_at": datetime.fromtimestamp(self._clock(), UTC).isoformat(),
                "expired_at": given.get("expired_at"),
            },
        )

    def _chunk_size(self, given: Mapping[str, Any], size: int) -> int:
        most = self._settings.chunk_size
        asked = fields.integer(given, "chunk_size", low=1, high=2**63) if "chunk_size" in given else most
        least = -(-size // self._settings.max_chunks)
        return max(min(asked, most), least)

    def _expiry(self, given: Mapping[str, Any]) -> float | None:
        if "expired_at" not in given:
            return None
        expires = fields.timestamp(given, "expired_at")
        if expires <= self._clock():
            raise ApiError(ErrorCode.INVALID_FIELD, "expired_at: must be in the future.")
        return expires


def _task(request: web.Request) -> str:
    task = request.match_info["task"]
    if not fields.is_task(task):
        raise ApiError(ErrorCode.TASK_NOT_FOUND)
    return task


def _chunk(plan: Plan, index: str, data: bytes) -> tuple[int, bytes]:
    if not fields.is_index(index) or int(index) >= plan.chunks_count:
        last = plan.chunks_count - 1
        raise ApiError(ErrorCode.CHUNK_OUT_OF_RANGE, f"The upload has chunks 0 to {last} only.")
    length = plan.length(int(index))
    if len(data) != length:
        raise ApiError(ErrorCode.CHUNK_SIZE_WRONG, f"Chunk {int(index)} must be {length} bytes, not {len(data)}.")
    return int(index), data


def _texts(form: Mapping[str, Part]) -> dict[str, Any]:
    """Return the texts of the form, without empty fields and a `pool_id` of null."""
    try:
        texts = {name: part.data.decode() for name, part in form.items() if name != "file" and part.data}
    except UnicodeDecodeError:
        raise ApiError(ErrorCode.MALFORMED, "A field of the form is not UTF-8.") from None
    if texts.get("pool_id") == "null":  # a form cannot express null, so browsers send the word
        del texts["pool_id"]
    return texts


def _cloud_file(plan: Plan) -> dict[str, Any]:
    return {"id": plan.digest, "hash": plan.digest, "size": plan.size, **plan.details}
