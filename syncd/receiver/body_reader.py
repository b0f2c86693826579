"""Reads request bodies, with limits of their size, their speed and their memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from syncd.receiver.errors import ApiError, ErrorCode
from syncd.receiver.settings import KIB

FORM_OVERHEAD_BYTES = 64 * KIB  # for boundaries, part headers and the small fields next to the file
_PIECE = 64 * KIB
_MAX_PARTS = 32
_BUFFERED = web.RequestKey("buffered", int)
_BEGAN = web.RequestKey("began", float)
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One field of a form."""

    data: bytes
    filename: str | None
    content_type: str | None


class BodyReader:
    """Reads bodies, and counts their bytes as buffered until :meth:`release`.

    Times are in seconds, sizes in bytes. `max_buffered` limits the bodies of all requests together.
    """

    def __init__(self, *, idle_timeout: float, min_bytes_per_second: int, max_buffered: int) -> None:
        self._idle_timeout = idle_timeout
        self._slowest = min_bytes_per_second
        self._max_buffered = max_buffered
        self._buffered = 0

    def release(self, request: web.Request) -> int:
        """Stop counting the body of a request, and return its size."""
        buffered: int = request.get(_BUFFERED, 0)
        self._buffered -= buffered
        return buffered

    async def read_json(self, request: web.Request, limit: int) -> dict[str, Any]:
        """Read a JSON object. Raises ApiError."""
        if request.content_type != "application/json":
            raise ApiError(ErrorCode.UNSUPPORTED_MEDIA_TYPE, "The payload must be application/json.")
        body = await self._read(request, limit)
        try:
            payload = json.loads(body.decode())
        except (ValueError, RecursionError):
            raise ApiError(ErrorCode.MALFORMED, "The body is not valid JSON.") from None
        if not isinstance(payload, dict):
            raise ApiError(ErrorCode.MALFORMED, "The body must be a JSON object.")
        return payload

    async def _read(self, request: web.Request, limit: int) -> bytes:
        self._check_announced_size(request, limit)
        body = bytearray()
        while piece := await self._next(request, request.content.readany()):
            self._count_buffered(request, piece)
            body += piece
            if len(body) > limit:
                raise _too_large(limit)
        return bytes(body)

    async def read_form(self, request: web.Request, field: str, limit: int) -> Mapping[str, Part]:
        """Read a multipart form whose `field` has at most `limit` bytes.

        Each other field has at most `FORM_OVERHEAD_BYTES`. Raises ApiError.
        """
        if request.content_type != "multipart/form-data":
            raise ApiError(ErrorCode.UNSUPPORTED_MEDIA_TYPE, "The payload must be multipart/form-data.")
        self._check_announced_size(request, limit + FORM_OVERHEAD_BYTES)
        try:
            form = {name: part async for name, part in self._parts(request, field, limit)}
        except (ValueError, RuntimeError, HttpProcessingError):
            raise ApiError(ErrorCode.MALFORMED, "The body is not a valid multipart form.") from None
        if field not in form:
            raise ApiError(ErrorCode.MALFORMED, f"The form has no field named {field}.")
        return form

    async def _parts(self, request: web.Request, field: str, limit: int) -> AsyncIterator[tuple[str, Part]]:
        reader = await request.multipart()
        for _ in range(_MAX_PARTS):
            part = await self._next(request, reader.next())
            if part is None:
                return
            if not isinstance(part, BodyPartReader) or part.name is None:
                raise ValueError("a part is not a field")
            data = bytearray()
            allowed = limit if part.name == field else FORM_OVERHEAD_BYTES
            while piece := await self._next(request, part.read_chunk(_PIECE)):
                self._count_buffered(request, piece)
                data += piece
                if len(data) > allowed:
                    raise _too_large(allowed)
            content_type = part.headers.get("Content-Type")
            yield part.name, Part(data=bytes(data), filename=part.filename, content_type=content_type)
        raise ApiError(ErrorCode.MALFORMED, "The form has too many fields.")

    async def _next(self, request: web.Request, step: Awaitable[_T]) -> _T:
        try:
            async with asyncio.timeout_at(self._deadline(request)):
                return await step
        except TimeoutError:
            raise ApiError(ErrorCode.BODY_STALLED, headers={"Connection": "close"}) from None
        except RequestPayloadError:
            raise ApiError(ErrorCode.MALFORMED, "The body's transfer encoding is broken.") from None

    def _deadline(self, request: web.Request) -> float:
        """Return the loop time by which the next bytes must arrive.

        That is the idle timeout from now, or earlier if the body so far arrived slower than the minimum speed.
        """
        now = asyncio.get_running_loop().time()
        began: float = request.setdefault(_BEGAN, now)
        buffered: int = request.get(_BUFFERED, 0)
        return min(now, began + buffered / self._slowest) + self._idle_timeout

    def _count_buffered(self, request: web.Request, piece: bytes) -> None:
        self._buffered += len(piece)
        request[_BUFFERED] = request.get(_BUFFERED, 0) + len(piece)
        if self._buffered > self._max_buffered:
            raise ApiError(ErrorCode.BUSY, headers={"Retry-After": "1"})

    @staticmethod
    def _check_announced_size(request: web.Request, limit: int) -> None:
        if request.content_length is not None and request.content_length > limit:
            raise _too_large(limit)


def _too_large(limit: int) -> ApiError:
    return ApiError(ErrorCode.BODY_TOO_LARGE, f"The body is larger than {limit} bytes, the limit of this request.")
