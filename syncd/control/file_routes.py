"""The routes of the control API that carry files: previews, originals, and new ones.

A file is whatever somebody put into a watched folder, and a browser must not take it for a page of ours: it is told not
to guess the type, and whatever it makes of the content runs nothing and loads nothing.
"""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from urllib.parse import quote

from aiohttp import web

from syncd.control import params
from syncd.control.files import SVG, Files, Original
from syncd.control.service import InvalidRequestError

PREVIEW_EDGES = {"320": 320, "1600": 1600}
"""Lengths in pixels that previews are made in: in a gallery, and on a screen of its own."""
READ_BYTES = 256 * 1024
STALL_TIMEOUT_SECONDS = 60.0
"""Seconds in which something of an upload must come."""

_GUARDED = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}


class FileRoutes:
    """The handlers in front of ``files``."""

    def __init__(self, files: Files) -> None:
        self._files = files

    async def preview(self, request: web.Request) -> web.Response:
        """Answer with a small picture, or 304 where the browser has it."""
        params.only(request.query, {"job", "size"})
        edge = PREVIEW_EDGES[params.among("size", request.query.get("size") or "320", PREVIEW_EDGES)]
        known = {tag.value for tag in request.if_none_match or ()}
        found = await self._files.preview(_job(request), edge, known)
        headers = {"ETag": f'"{found.tag}"', "Cache-Control": "private, no-cache", **_GUARDED}
        if found.body is None:
            return web.Response(status=304, headers=headers)
        return web.Response(body=found.body, headers={"Content-Type": found.media_type, **headers})

    async def original(self, request: web.Request) -> web.StreamResponse:
        """Answer with the whole file."""
        params.only(request.query, {"job"})
        found = await self._files.original(_job(request))
        with found.file:
            answer = web.StreamResponse(headers={**_described(found), **_GUARDED})
            answer.content_length = found.size
            await answer.prepare(request)
            left = found.size
            while left:
                data = await asyncio.to_thread(found.file.read, min(READ_BYTES, left))
                if not data:  # the length was promised: only a broken connection says that it is not whole
                    raise ConnectionResetError("the file got shorter while it was being read")
                await answer.write(data)
                left -= len(data)
            await answer.write_eof()
            return answer

    async def drop(self, request: web.Request) -> web.Response:
        """Write the body into a watched folder."""
        params.only(request.query, {"folder", "name"})
        folder = params.path("folder", request.query.get("folder"))
        size = request.content_length
        if size is None:
            raise web.HTTPLengthRequired
        dropped = await self._files.drop(folder, request.query.get("name", ""), size, _pieces(request))
        return web.json_response(dropped, status=HTTPStatus.CREATED)


async def _pieces(request: web.Request) -> AsyncIterator[bytes]:
    """Yield the body as it comes; ConnectionError if it is broken off."""
    while True:
        try:
            async with asyncio.timeout(STALL_TIMEOUT_SECONDS):
                data = await request.content.readany()
        except TimeoutError:
            raise web.HTTPRequestTimeout(reason=HTTPStatus.REQUEST_TIMEOUT.phrase) from None
        if not data:
            return
        yield data


def _described(found: Original) -> dict[str, str]:
    shown = "inline" if found.media_type not in (None, SVG) else "attachment"
    return {
        "Content-Type": found.media_type or "application/octet-stream",
        "Content-Disposition": f"{shown}; filename*=UTF-8''{quote(found.name, safe='')}",
        "Cache-Control": "private, no-cache",
    }


def _job(request: web.Request) -> int:
    named = params.target(request.query.get("job"))
    if not isinstance(named, int):
        raise InvalidRequestError("job must be a job's id")
    return named
