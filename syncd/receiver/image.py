"""Implements the image API: ASCII texts, named by SHA-256, uploaded in chunks.

`size`, `chunk_size` and a chunk's `size` count characters, each of which is one byte; `data` that is not ASCII gets
400. After the last chunk, the receiver verifies the hash of the whole text. If it matches, the chunk gets 201.
Otherwise the chunk gets 400, and the receiver drops the registration and the chunks, so that the client can register
the image again.
"""

import structlog
from aiohttp import web

from syncd.receiver import fields
from syncd.receiver.body_reader import BodyReader
from syncd.receiver.counters import Counters
from syncd.receiver.errors import ApiError, DigestMismatchError, ErrorCode, UploadEndedError
from syncd.receiver.settings import KIB, Settings
from syncd.receiver.storage import Store
from syncd.receiver.upload import Plan, Upload

MAX_REGISTER_BYTES = 4 * KIB

log = structlog.get_logger()


class ImageApi:
    """The handlers of the image API. The keys of their store are image digests."""

    def __init__(self, *, store: Store, body_reader: BodyReader, counters: Counters, settings: Settings) -> None:
        self._store = store
        self._body_reader = body_reader
        self._counters = counters
        self._settings = settings

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the API."""
        return [
            web.post("/image", self.register),
            web.post("/image/{sha256}/chunks", self.chunk),
            web.get("/image/{sha256}", self.download),
        ]

    async def recover(self) -> None:
        """Load the uploads of an earlier process, and finish the complete ones."""
        for upload in await self._store.recover():
            if upload.complete:
                try:
                    await self._finish(upload)
                except ApiError:
                    log.warning("receiver.damaged", upload=upload.key)

    async def register(self, request: web.Request) -> web.Response:
        """Answer 201, or 409 if the image is registered, complete or not."""
        payload = await self._body_reader.read_json(request, MAX_REGISTER_BYTES)
        digest = fields.sha256(payload, "sha256")
        size = fields.integer(payload, "size", low=1, high=self._settings.max_file_size)
        chunk_size = fields.integer(payload, "chunk_size", low=1, high=self._settings.max_file_size)
        plan = Plan(digest=digest, size=size, chunk_size=chunk_size)
        if plan.length(0) > self._settings.image_body_limit:
            high = self._settings.image_body_limit
            raise ApiError(ErrorCode.INVALID_FIELD, f"chunk_size: a chunk can have at most {high} characters.")
        if plan.chunks_count > self._settings.max_chunks:
            high = self._settings.max_chunks
            raise ApiError(ErrorCode.INVALID_FIELD, f"chunk_size: an image can have at most {high} chunks.")
        if not isinstance(await self._store.start(digest, plan), Upload):
            raise ApiError(ErrorCode.IMAGE_EXISTS)
        return _created("Image registered.")

    async def chunk(self, request: web.Request) -> web.Response:
        """Answer 201, or 409 if the chunk or the complete image is stored already."""
        digest = _digest(request)
        payload = await self._body_reader.read_json(request, self._settings.image_body_limit)
        upload = self._store.get(digest)
        if upload is None:
            raise await self._no_upload(digest)
        index, data = _chunk(payload, upload.plan)
        try:
            fresh = await self._store.write(upload, index, data)
        except UploadEndedError:
            raise await self._no_upload(digest) from None
        self._counters.chunk(fresh=fresh)
        if upload.complete:
            await self._finish(upload)
        if not fresh:
            raise ApiError(ErrorCode.CHUNK_EXISTS)
        return _created("Chunk stored.")

    async def _finish(self, upload: Upload) -> None:
        try:
            await self._store.finish(upload)
        except DigestMismatchError:
            raise ApiError(ErrorCode.HASH_MISMATCH) from None
        except UploadEndedError:  # the request of another chunk finished the upload
            if await self._store.stored(upload.key) is None:
                raise ApiError(ErrorCode.HASH_MISMATCH) from None
        else:
            self._counters.images += 1
            log.info("receiver.stored", api="image", digest=upload.key, size=upload.plan.size)

    async def _no_upload(self, digest: str) -> ApiError:
        if await self._store.stored(digest) is None:
            return ApiError(ErrorCode.IMAGE_NOT_FOUND)
        self._counters.chunk(fresh=False)
        return ApiError(ErrorCode.CHUNK_EXISTS, "The image is complete.")

    async def download(self, request: web.Request) -> web.StreamResponse:
        """Answer 200 with the complete text, or 404."""
        digest = _digest(request)
        if await self._store.stored(digest) is None:
            raise ApiError(ErrorCode.IMAGE_NOT_FOUND)
        headers = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
        return web.FileResponse(self._store.path(digest), headers=headers)


def _digest(request: web.Request) -> str:
    digest = request.match_info["sha256"]
    if not fields.is_sha256(digest):
        raise ApiError(ErrorCode.IMAGE_NOT_FOUND)
    return digest


def _chunk(payload: dict[str, object], plan: Plan) -> tuple[int, bytes]:
    if "id" not in payload:
        raise ApiError(ErrorCode.INVALID_FIELD, "Chunk ID field is missing.")
    index = fields.integer(payload, "id", low=0, high=plan.chunks_count - 1)
    length = plan.length(index)
    data = fields.text(payload, "data", longest=plan.chunk_size)
    if not data.isascii():
        raise ApiError(ErrorCode.INVALID_FIELD, "data: must be ASCII; send other content as base64.")
    fields.integer(payload, "size", low=length, high=length)
    if len(data) != length:
        raise ApiError(ErrorCode.CHUNK_SIZE_WRONG, f"data: chunk {index} must be {length} characters, not {len(data)}.")
    return index, data.encode("ascii")


def _created(message: str) -> web.Response:
    return web.json_response({"code": "201", "message": message}, status=201)
