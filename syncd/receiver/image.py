"""The image API: texts of ASCII characters, known by the SHA-256 of the text, sent in chunks.

`size`, `chunk_size` and a chunk's `size` count characters, which here are bytes: `data` outside ASCII gets 400.
The last chunk to arrive is answered when the whole was compared with its hash: 201 when right; when wrong 400,
and the registration is dropped with its chunks, so that the image can be registered again.
"""

import structlog
from aiohttp import web

from syncd.receiver import fields
from syncd.receiver.bodies import Bodies
from syncd.receiver.counters import Counters
from syncd.receiver.errors import Gone, Refusal, Refused, WrongDigest
from syncd.receiver.settings import KIB, Settings
from syncd.receiver.storage import Store
from syncd.receiver.upload import Plan, Upload

REGISTER_LIMIT = 4 * KIB

log = structlog.get_logger()


class ImageApi:
    """The handlers of the image API over a store whose keys are the images' digests."""

    def __init__(self, *, store: Store, bodies: Bodies, counters: Counters, settings: Settings) -> None:
        self._store = store
        self._bodies = bodies
        self._counters = counters
        self._settings = settings

    def routes(self) -> list[web.RouteDef]:
        """Return the routes that the API has."""
        return [
            web.post("/image", self.register),
            web.post("/image/{sha256}/chunks", self.chunk),
            web.get("/image/{sha256}", self.download),
        ]

    async def recover(self) -> None:
        """Take up what an earlier process left, and finish what lacked only its end."""
        for upload in await self._store.recover():
            if upload.complete:
                try:
                    await self._finish(upload)
                except Refused:
                    log.warning("receiver.damaged", upload=upload.key)

    async def register(self, request: web.Request) -> web.Response:
        """Answer 201, or 409 when the image is registered, whole or not."""
        payload = await self._bodies.json(request, REGISTER_LIMIT)
        digest = fields.sha256(payload, "sha256")
        size = fields.whole(payload, "size", low=1, high=self._settings.max_file_size)
        chunk_size = fields.whole(payload, "chunk_size", low=1, high=self._settings.max_file_size)
        plan = Plan(digest=digest, size=size, chunk_size=chunk_size)
        if plan.length(0) > self._settings.image_body_limit:
            high = self._settings.image_body_limit
            raise Refused(Refusal.INVALID_FIELD, f"chunk_size: a chunk may have {high} characters at most.")
        if plan.chunks_count > self._settings.max_chunks:
            high = self._settings.max_chunks
            raise Refused(Refusal.INVALID_FIELD, f"chunk_size: an image may have {high} chunks at most.")
        if not isinstance(await self._store.start(digest, plan), Upload):
            raise Refused(Refusal.IMAGE_EXISTS)
        return _created("Image registered.")

    async def chunk(self, request: web.Request) -> web.Response:
        """Answer 201, or 409 when the chunk, or the whole image, is here already."""
        digest = _digest(request)
        payload = await self._bodies.json(request, self._settings.image_body_limit)
        upload = self._store.get(digest)
        if upload is None:
            raise await self._no_upload(digest)
        index, data = _chunk(payload, upload.plan)
        try:
            fresh = await self._store.write(upload, index, data)
        except Gone:
            raise await self._no_upload(digest) from None
        self._counters.chunk(fresh=fresh)
        if upload.complete:
            await self._finish(upload)
        if not fresh:
            raise Refused(Refusal.CHUNK_EXISTS)
        return _created("Chunk stored.")

    async def _finish(self, upload: Upload) -> None:
        try:
            await self._store.finish(upload)
        except WrongDigest:
            raise Refused(Refusal.HASH_MISMATCH) from None
        except Gone:  # another chunk's request came to the end first
            if await self._store.stored(upload.key) is None:
                raise Refused(Refusal.HASH_MISMATCH) from None
        else:
            self._counters.images += 1
            log.info("receiver.stored", api="image", digest=upload.key, size=upload.plan.size)

    async def _no_upload(self, digest: str) -> Refused:
        if await self._store.stored(digest) is None:
            return Refused(Refusal.IMAGE_NOT_FOUND)
        self._counters.chunk(fresh=False)
        return Refused(Refusal.CHUNK_EXISTS, "The image is complete.")

    async def download(self, request: web.Request) -> web.StreamResponse:
        """Answer 200 with the whole text, or 404."""
        digest = _digest(request)
        if await self._store.stored(digest) is None:
            raise Refused(Refusal.IMAGE_NOT_FOUND)
        headers = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
        return web.FileResponse(self._store.path(digest), headers=headers)


def _digest(request: web.Request) -> str:
    digest = request.match_info["sha256"]
    if not fields.is_sha256(digest):
        raise Refused(Refusal.IMAGE_NOT_FOUND)
    return digest


def _chunk(payload: dict[str, object], plan: Plan) -> tuple[int, bytes]:
    if "id" not in payload:
        raise Refused(Refusal.INVALID_FIELD, "Chunk ID field is missing.")
    index = fields.whole(payload, "id", low=0, high=plan.chunks_count - 1)
    length = plan.length(index)
    data = fields.text(payload, "data", longest=plan.chunk_size)
    if not data.isascii():
        raise Refused(Refusal.INVALID_FIELD, "data: must be ASCII; send other content as base64.")
    fields.whole(payload, "size", low=length, high=length)
    if len(data) != length:
        raise Refused(Refusal.CHUNK_SIZE_WRONG, f"data: chunk {index} must be {length} characters, not {len(data)}.")
    return index, data.encode("ascii")


def _created(message: str) -> web.Response:
    return web.json_response({"code": "201", "message": message}, status=201)
