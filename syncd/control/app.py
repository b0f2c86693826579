"""Builds the aiohttp application of the control API, and renders errors as JSON.

The Unix socket, the named pipe and the dashboard each serve such an application. Each has its own access check.
"""

from collections.abc import Mapping

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from syncd.control import file_handlers, handlers  # noqa: F401 - their import fills HANDLERS
from syncd.control.dispatch import HANDLERS, MAX_BODY_BYTES, SERVICE
from syncd.control.events import TooManyListenersError
from syncd.control.routes import ROUTES
from syncd.control.schemas import Error
from syncd.control.service import (
    ApiError,
    BusyError,
    ControlService,
    DiskFullError,
    InvalidConfigError,
    NotFoundError,
    TooLargeError,
)

_STATUS = {NotFoundError: 404, TooLargeError: 413, InvalidConfigError: 422, BusyError: 503, DiskFullError: 507}
"""The HTTP status of each error class; 400 for the others."""

log = structlog.get_logger(__name__)


def make_app(service: ControlService, *middlewares: Middleware) -> web.Application:
    """Return the control API of ``service``; ``middlewares`` decide who has access."""
    app = web.Application(middlewares=[_handle_errors, *middlewares], client_max_size=MAX_BODY_BYTES)
    app[SERVICE] = service
    app.on_shutdown.append(_close_events)
    for route in ROUTES:
        options = {} if route.allow_head or route.method != "GET" else {"allow_head": False}
        app.router.add_routes([web.route(route.method, route.path, HANDLERS[route], **options)])
    return app


@web.middleware
async def _handle_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        problems = error.problems if isinstance(error, InvalidConfigError) else None
        return _error(_STATUS.get(type(error), 400), str(error), problems=problems)
    except TooManyListenersError as error:
        return _error(503, str(error))
    except web.HTTPException as error:
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return _error(error.status, f"{request.method} {request.path}: {error.reason}", headers=allow)
    except ConnectionError:
        raise  # the client has closed the connection
    except Exception:
        log.exception("control.failed", method=request.method, path=request.path)
        return _error(500, "internal error: see the daemon's log")


def _error(
    status: int, text: str, *, headers: Mapping[str, str] | None = None, problems: list[str] | None = None
) -> web.Response:
    document: Error = {"error": text}
    if problems is not None:
        document["problems"] = problems
    return web.json_response(document, status=status, headers=headers)


async def _close_events(app: web.Application) -> None:
    """End the event streams, which otherwise last until their clients close them."""
    app[SERVICE].events.close()
