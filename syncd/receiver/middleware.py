"""Checks each request, limits the requests in progress, and renders errors."""

import errno
import hmac
import time
from collections.abc import Collection

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from syncd.receiver.body_reader import BodyReader
from syncd.receiver.counters import Counters
from syncd.receiver.errors import ApiError, ErrorCode, StorageFullError, TooManyUploadsError
from syncd.receiver.hosts import check_host
from syncd.receiver.settings import Settings

log = structlog.get_logger()

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_SCHEME = "bearer "


def make_middleware(
    settings: Settings, body_reader: BodyReader, counters: Counters, *, names: Collection[str]
) -> Middleware:
    """Return the middleware: it checks, counts and logs requests, and renders errors.

    With a token, a request needs only the token, which a web page cannot know. Without a token, the `Host` of a request
    must be one of the receiver's own `names`, and the request must not come from another site.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.monotonic()
        counters.enter()
        body_size = 0
        try:
            _admit(request, settings, counters, names)
            response = await handler(request)
        except ConnectionError:  # the client has disconnected
            raise
        except Exception as error:  # noqa: BLE001 - every failure becomes a response
            rejection = _to_api_error(request, error)
            counters.refused += 1
            name, status = rejection.code.name, rejection.code.status
            log.info(
                "receiver.refused", path=request.rel_url.raw_path, code=name, status=status, reason=rejection.message
            )
            response = _render(request.path, rejection)
        finally:
            body_size = body_reader.release(request)
            counters.bytes += body_size
            counters.leave()
        log.debug(
            "receiver.request",
            method=request.method,
            path=request.rel_url.raw_path,
            status=response.status,
            bytes=body_size,
            seconds=round(time.monotonic() - began, 6),
        )
        return response

    return middleware


def _admit(request: web.Request, settings: Settings, counters: Counters, names: Collection[str]) -> None:
    if settings.token is None:
        check_host(request, names)
    elif not _has_token(request, settings.token):
        raise ApiError(ErrorCode.UNAUTHORIZED, headers={"WWW-Authenticate": 'Bearer realm="syncd"'})
    if counters.in_flight > settings.max_requests:
        raise ApiError(ErrorCode.BUSY, headers={"Retry-After": "1"})


def _has_token(request: web.Request, token: str) -> bool:
    given = request.headers.get("Authorization", "")
    scheme, value = given[: len(_SCHEME)], given[len(_SCHEME) :].strip()
    right = hmac.compare_digest(value.encode(errors="surrogateescape"), token.encode())
    return right and scheme.lower() == _SCHEME


def _to_api_error(request: web.Request, error: Exception) -> ApiError:
    """Return the ApiError for an exception of a handler or the router."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, web.HTTPNotFound):
        return ApiError(ErrorCode.NOT_FOUND)
    if isinstance(error, web.HTTPMethodNotAllowed):
        return ApiError(ErrorCode.METHOD_NOT_ALLOWED, headers={"Allow": error.headers["Allow"]})
    if isinstance(error, TooManyUploadsError):
        return ApiError(ErrorCode.TOO_MANY_UNFINISHED, headers={"Retry-After": "60"})
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        error = StorageFullError(ErrorCode.STORAGE_FULL, ErrorCode.STORAGE_FULL.meaning)
    if isinstance(error, StorageFullError):
        log.error("receiver.full", reason=str(error))
        return ApiError(error.code, str(error))
    log.error("receiver.failed", path=request.rel_url.raw_path, exc_info=error)
    return ApiError(ErrorCode.INTERNAL_ERROR)


def _render(path: str, rejection: ApiError) -> web.Response:
    """Return the response in the error format of the API that `path` belongs to."""
    status = rejection.code.status
    if path.startswith("/image"):
        body: dict[str, object] = {"code": str(status), "message": rejection.message}
    else:
        body = {"code": rejection.code.name, "message": rejection.message, "status": status}
    return web.json_response(body, status=status, headers=rejection.headers)
