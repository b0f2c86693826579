"""Answers the routes of the control API for previews, originals and new files.

A file in a watched folder can contain anything. The headers stop a browser from treating it as a page of the dashboard:
the browser must not guess its type, run its scripts or load files that it refers to.
"""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from urllib.parse import quote

from aiohttp import web

from syncd.control import routes
from syncd.control.dispatch import SERVICE, raw_handler
from syncd.control.service import SVG, NotFoundError, Original

READ_BYTES = 256 * 1024
STALL_TIMEOUT_SECONDS = 60.0
"""The time limit for the next bytes of an upload."""

_SAFETY_HEADERS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}


@raw_handler(routes.PREVIEW)
async def _preview(request: web.Request, job: int, size: int, missing: int) -> web.Response:
    known = {tag.value for tag in request.if_none_match or ()}
    try:
        preview = await request.app[SERVICE].files.preview(job, size, known)
    except NotFoundError:
        if missing == HTTPStatus.NO_CONTENT:
            return _no_content()
        raise
    headers = {"ETag": f'"{preview.tag}"', "Cache-Control": "private, no-cache", **_SAFETY_HEADERS}
    if preview.body is None:
        return web.Response(status=304, headers=headers)
    return web.Response(body=preview.body, headers={"Content-Type": preview.media_type, **headers})


@raw_handler(routes.ORIGINAL)
async def _original(request: web.Request, job: int, missing: int) -> web.StreamResponse:
    try:
        original = await request.app[SERVICE].files.original(job)
    except NotFoundError:
        if missing == HTTPStatus.NO_CONTENT:
            return _no_content()
        raise
    with original.file:
        response = web.StreamResponse(headers={**_describe(original), **_SAFETY_HEADERS})
        response.content_length = original.size
        await response.prepare(request)
        remaining = original.size
        while remaining:
            data = await asyncio.to_thread(original.file.read, min(READ_BYTES, remaining))
            if not data:  # the headers promised more bytes: only a broken connection shows that the file is incomplete
                raise ConnectionResetError("the file was truncated while syncd sent it")
            await response.write(data)
            remaining -= len(data)
        await response.write_eof()
        return response


def _no_content() -> web.Response:
    """Return an empty response, which browsers do not report as an error.

    The page shows a placeholder.
    """
    return web.Response(status=HTTPStatus.NO_CONTENT, headers=_SAFETY_HEADERS)


@raw_handler(routes.DROP)
async def _drop(request: web.Request, folder: str, name: str) -> web.Response:
    size = request.content_length
    if size is None:
        raise web.HTTPLengthRequired
    dropped = await request.app[SERVICE].files.drop(folder, name, size, _read_body(request))
    return web.json_response(dropped, status=routes.DROP.status)


async def _read_body(request: web.Request) -> AsyncIterator[bytes]:
    """Yield the body as it arrives.

    Raises ConnectionError if the client closes the connection.
    """
    while True:
        try:
            async with asyncio.timeout(STALL_TIMEOUT_SECONDS):
                data = await request.content.readany()
        except TimeoutError:
            raise web.HTTPRequestTimeout(reason=HTTPStatus.REQUEST_TIMEOUT.phrase) from None
        if not data:
            return
        yield data


def _describe(original: Original) -> dict[str, str]:
    disposition = "inline" if original.media_type not in (None, SVG) else "attachment"
    return {
        "Content-Type": original.media_type or "application/octet-stream",
        "Content-Disposition": f"{disposition}; filename*=UTF-8''{quote(original.name, safe='')}",
        "Cache-Control": "private, no-cache",
    }
