"""The gate that every request passes: who may come in, how many at once, and how a failure is answered."""

import errno
import hmac
import time
from collections.abc import Collection

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from syncd.receiver.bodies import Bodies
from syncd.receiver.counters import Counters
from syncd.receiver.errors import NoRoom, Refusal, Refused, TooManyUnfinished
from syncd.receiver.hosts import refuse_foreign
from syncd.receiver.settings import Settings

log = structlog.get_logger()

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_SCHEME = "bearer "


def make_gate(settings: Settings, bodies: Bodies, counters: Counters, *, names: Collection[str]) -> Middleware:
    """Build the middleware: it admits, refuses in the API's own shape, counts, and logs a line a request.

    With a token, whoever has it comes in: no page can send it. Without one the request must be for one of the
    receiver's own `names`, and from no other site.
    """

    @web.middleware
    async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.monotonic()
        counters.enter()
        held = 0
        try:
            _admit(request, settings, counters, names)
            response = await handler(request)
        except ConnectionError:  # the client is gone: there is no one to answer
            raise
        except Exception as error:  # noqa: BLE001 - whatever fails becomes an answer
            refused = _refusal_of(request, error)
            counters.refused += 1
            name, status = refused.refusal.name, refused.refusal.status
            log.info(
                "receiver.refused", path=request.rel_url.raw_path, code=name, status=status, reason=refused.message
            )
            response = _render(request.path, refused)
        finally:
            held = bodies.release(request)
            counters.bytes += held
            counters.leave()
        log.debug(
            "receiver.request",
            method=request.method,
            path=request.rel_url.raw_path,
            status=response.status,
            bytes=held,
            seconds=round(time.monotonic() - began, 6),
        )
        return response

    return gate


def _admit(request: web.Request, settings: Settings, counters: Counters, names: Collection[str]) -> None:
    if settings.token is None:
        refuse_foreign(request, names)
    elif not _has_token(request, settings.token):
        raise Refused(Refusal.UNAUTHORIZED, headers={"WWW-Authenticate": 'Bearer realm="syncd"'})
    if counters.in_flight > settings.max_requests:
        raise Refused(Refusal.BUSY, headers={"Retry-After": "1"})


def _has_token(request: web.Request, token: str) -> bool:
    given = request.headers.get("Authorization", "")
    scheme, value = given[: len(_SCHEME)], given[len(_SCHEME) :].strip()
    right = hmac.compare_digest(value.encode(errors="surrogateescape"), token.encode())
    return right and scheme.lower() == _SCHEME


def _refusal_of(request: web.Request, error: Exception) -> Refused:
    """Translate anything that a handler or the router raised."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, web.HTTPNotFound):
        return Refused(Refusal.NOT_FOUND)
    if isinstance(error, web.HTTPMethodNotAllowed):
        return Refused(Refusal.METHOD_NOT_ALLOWED, headers={"Allow": error.headers["Allow"]})
    if isinstance(error, TooManyUnfinished):
        return Refused(Refusal.TOO_MANY_UNFINISHED, headers={"Retry-After": "60"})
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        error = NoRoom(Refusal.STORAGE_FULL, Refusal.STORAGE_FULL.meaning)
    if isinstance(error, NoRoom):
        log.error("receiver.full", reason=str(error))
        return Refused(error.refusal, str(error))
    log.error("receiver.failed", path=request.rel_url.raw_path, exc_info=error)
    return Refused(Refusal.INTERNAL_ERROR)


def _render(path: str, refused: Refused) -> web.Response:
    """Answer in the error shape of the API that `path` belongs to."""
    status = refused.refusal.status
    if path.startswith("/image"):
        body: dict[str, object] = {"code": str(status), "message": refused.message}
    else:
        body = {"code": refused.refusal.name, "message": refused.message, "status": status}
    return web.json_response(body, status=status, headers=refused.headers)
