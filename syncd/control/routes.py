"""The routes of the control API: each takes the request apart, asks the daemon, and puts the answer into JSON.

=========================  ====================================  ==============================
``GET /healthz``                                                 ``{"ok": true}``, or 503
``GET /metrics``                                                 the metrics, for Prometheus
``GET /v1/openapi.json``                                         all of this, for programs
``GET /v1/status``                                               the status document
``GET /v1/folders``                                              ``{"folders": […]}``
``GET /v1/remotes``                                              ``{"remotes": […]}``
``GET /v1/throughput``                                           ``{"step_seconds": s, "bytes": […]}``
``GET /v1/settings``                                             the configuration, and what holds
``POST /v1/settings``      ``{"bandwidth": "2MiB/s", …}``        the same
``POST /v1/start``                                               ``{}``
``POST /v1/stop``          ``{"now": bool}``                     ``{}``
``POST /v1/rescan``        ``{"path": file URI}``                ``{}``
``GET /v1/jobs``           ``?state= &limit= &before= …``        ``{"jobs": […], "next": cursor, …}``
``GET /v1/job``            ``?target=``                          ``{"jobs": […]}`` with history
``POST /v1/retry``         ``{"targets": [target, …] or "all"}``  ``{"count": n}``
``POST /v1/cancel``        ``{"targets": [target, …]}``          ``{"count": n}``
``GET /v1/preview``        ``?job= &size=``                      a small WebP image, or text
``GET /v1/original``       ``?job=``                             the file
``PUT /v1/drop``           ``?folder= &name=``, the file        ``{"path": …, "name": …}``, 201
``GET /v1/log``            ``?limit= &level= &event= &text=``    ``{"events": […]}``
``GET /v1/events``         ``?only=``                            server-sent events
``POST /v1/verify``        ``{"targets": […], "repair": bool}``  ``{"results": […], "queued": n}``
``POST /v1/reload``                                              ``{"messages": […]}``
``POST /v1/dashboard``                                           ``{"url": …}``, on the socket alone
``POST /v1/shutdown``                                            ``{}``
=========================  ====================================  ==============================

Every error is ``{"error": one line}``, with ``"problems"`` beside it where a configuration was refused. Targets have
the form of :mod:`syncd.control.targets`.
"""

import asyncio
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from syncd.control import openapi, params, sse
from syncd.control.events import TooManyListenersError
from syncd.control.file_routes import FileRoutes
from syncd.control.service import (
    ApiError,
    BusyError,
    ControlService,
    DiskFullError,
    InvalidConfigError,
    InvalidRequestError,
    JobQuery,
    LogQuery,
    NotFoundError,
    TooLargeError,
)
from syncd.core.log_levels import LEVELS
from syncd.core.model import Sort
from syncd.core.states import State

MAX_BODY_BYTES = 1024 * 1024
"""Bytes of a request's body; enough for some ten thousand targets."""
BODY_TIMEOUT_SECONDS = 15.0
"""Seconds that a client has to send its body."""
MAX_PAGE_JOBS = 1000
"""Jobs on one page."""
MAX_LOG_EVENTS = 2000
"""Log events in one answer."""
MAX_VERIFY_TARGETS = 100
"""Targets that are verified together."""

_STATUS = {NotFoundError: 404, TooLargeError: 413, InvalidConfigError: 422, BusyError: 503, DiskFullError: 507}
"""What a refusal is in HTTP, where it is not 400."""

SERVICE: web.AppKey[ControlService] = web.AppKey("steering")

log = structlog.get_logger(__name__)


def make_app(service: ControlService, *guards: Middleware) -> web.Application:
    """Return the API in front of ``service``. ``guards`` say who may come in, in the way of the listening side."""
    app = web.Application(middlewares=[_errors, *guards], client_max_size=MAX_BODY_BYTES)
    app[SERVICE] = service
    app.on_shutdown.append(_close_events)
    files = FileRoutes(service.files)
    app.add_routes(
        [
            web.get("/healthz", _health),
            web.get("/metrics", _metrics),
            web.get("/v1/openapi.json", _openapi),
            web.get("/v1/status", _status),
            web.get("/v1/folders", _folders),
            web.get("/v1/remotes", _remotes),
            web.get("/v1/jobs", _jobs),
            web.get("/v1/job", _job),
            web.get("/v1/preview", files.preview, allow_head=False),
            web.get("/v1/original", files.original, allow_head=False),
            web.put("/v1/drop", files.drop),
            web.get("/v1/log", _log),
            web.get("/v1/throughput", _throughput),
            web.get("/v1/settings", _settings),
            web.post("/v1/settings", _limit),
            web.get("/v1/events", _events),
            web.post("/v1/start", _start),
            web.post("/v1/stop", _stop),
            web.post("/v1/rescan", _rescan),
            web.post("/v1/retry", _retry),
            web.post("/v1/cancel", _cancel),
            web.post("/v1/verify", _verify),
            web.post("/v1/reload", _reload),
            web.post("/v1/dashboard", _dashboard),
            web.post("/v1/shutdown", _shutdown),
        ]
    )
    return app


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever goes wrong into one line of JSON."""
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
        raise  # the client is gone
    except Exception:
        log.exception("control.failed", method=request.method, path=request.path)
        return _error(500, "internal error: the daemon's log has more")


def _error(
    status: int, text: str, *, headers: Mapping[str, str] | None = None, problems: list[str] | None = None
) -> web.Response:
    document: dict[str, Any] = {"error": text}
    if problems is not None:
        document["problems"] = problems
    return web.json_response(document, status=status, headers=headers)


async def _close_events(app: web.Application) -> None:
    """Let the streams of events end: they would not by themselves."""
    app[SERVICE].events.close()


async def _health(request: web.Request) -> web.Response:
    trouble = await request.app[SERVICE].health()
    return web.json_response({"ok": True}) if trouble is None else _error(503, trouble)


async def _metrics(request: web.Request) -> web.Response:
    body, content_type = await request.app[SERVICE].metrics()
    return web.Response(body=body, headers={"Content-Type": content_type})


async def _openapi(_request: web.Request) -> web.Response:
    return web.json_response(openapi.document())


async def _status(request: web.Request) -> web.Response:
    return web.json_response(await request.app[SERVICE].status())


async def _folders(request: web.Request) -> web.Response:
    return web.json_response({"folders": await request.app[SERVICE].folders()})


async def _remotes(request: web.Request) -> web.Response:
    return web.json_response({"remotes": await request.app[SERVICE].remotes()})


async def _throughput(request: web.Request) -> web.Response:
    return web.json_response(await request.app[SERVICE].throughput())


async def _settings(request: web.Request) -> web.Response:
    return web.json_response(await request.app[SERVICE].settings())


async def _limit(request: web.Request) -> web.Response:
    await request.app[SERVICE].limit(params.limits(await _body(request, {"bandwidth", "concurrency"})))
    return await _settings(request)


async def _jobs(request: web.Request) -> web.Response:
    query = _query(request, {"state", "limit", "before", "search", "folder", "remote", "sort", "group"})
    folder = query.get("folder")
    page = await request.app[SERVICE].jobs(
        JobQuery(
            state=params.word("state", query.get("state"), State),
            limit=params.number("limit", query.get("limit"), default=JobQuery().limit, most=MAX_PAGE_JOBS),
            before=query.get("before") or None,
            search=query.get("search") or None,
            folder=params.path("folder", folder) if folder else None,
            remote=query.get("remote") or None,
            sort=params.word("sort", query.get("sort"), Sort) or JobQuery().sort,
            siblings=params.among("group", query.get("group") or "job", ("job", "file")) == "file",
        )
    )
    return web.json_response(page)


async def _log(request: web.Request) -> web.Response:
    query = _query(request, {"limit", "level", "event", "text"})
    wanted = LogQuery(
        limit=params.number("limit", query.get("limit"), default=LogQuery().limit, most=MAX_LOG_EVENTS),
        level=params.among("level", query.get("level") or LogQuery().level, LEVELS),
        event=query.get("event", ""),
        text=query.get("text", ""),
    )
    return web.json_response({"events": await request.app[SERVICE].log(wanted)})


async def _events(request: web.Request) -> web.StreamResponse:
    kinds = sse.kinds_in(_query(request, {"only"}).get("only"))
    return await sse.tell(request, request.app[SERVICE].events, kinds)


async def _job(request: web.Request) -> web.Response:
    target = params.target(_query(request, {"target"}).get("target"))
    return web.json_response({"jobs": await request.app[SERVICE].show(target)})


async def _start(request: web.Request) -> web.Response:
    await _body(request, set())
    await request.app[SERVICE].start()
    return web.json_response({})


async def _stop(request: web.Request) -> web.Response:
    now = params.flag("now", (await _body(request, {"now"})).get("now", False))
    await request.app[SERVICE].stop(now=now)
    return web.json_response({})


async def _rescan(request: web.Request) -> web.Response:
    named = (await _body(request, {"path"})).get("path")
    await request.app[SERVICE].rescan(None if named is None else params.path("path", named))
    return web.json_response({})


async def _retry(request: web.Request) -> web.Response:
    named = (await _body(request, {"targets"})).get("targets")
    chosen = None if named == "all" else params.some_targets(named)
    return web.json_response({"count": await request.app[SERVICE].retry(chosen)})


async def _cancel(request: web.Request) -> web.Response:
    chosen = params.some_targets((await _body(request, {"targets"})).get("targets"))
    return web.json_response({"count": await request.app[SERVICE].cancel(chosen)})


async def _verify(request: web.Request) -> web.Response:
    body = await _body(request, {"targets", "repair"})
    chosen = params.some_targets(body.get("targets"), most=MAX_VERIFY_TARGETS)
    repair = params.flag("repair", body.get("repair", False))
    return web.json_response(await request.app[SERVICE].verify(chosen, repair=repair))


async def _reload(request: web.Request) -> web.Response:
    await _body(request, set())
    return web.json_response({"messages": await request.app[SERVICE].reload()})


async def _dashboard(request: web.Request) -> web.Response:
    await _body(request, set())
    return web.json_response({"url": await request.app[SERVICE].dashboard()})


async def _shutdown(request: web.Request) -> web.Response:
    await _body(request, set())
    await request.app[SERVICE].shutdown()
    return web.json_response({})


def _query(request: web.Request, known: set[str]) -> Mapping[str, str]:
    params.only(request.query, known)
    return request.query


async def _body(request: web.Request, known: set[str]) -> dict[str, Any]:
    """Return the JSON object in the body; an empty body is an empty object."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            raw = await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(reason=HTTPStatus.REQUEST_TIMEOUT.phrase) from None
    except web.RequestPayloadError:
        raise InvalidRequestError("the body is broken") from None
    try:
        document = json.loads(raw) if raw else {}
    except (ValueError, RecursionError):
        raise InvalidRequestError("the body is not JSON") from None
    if not isinstance(document, dict):
        raise InvalidRequestError("the body must be a JSON object")
    params.only(document, known)
    return document
