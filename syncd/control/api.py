"""The routes of the control API: each takes the request apart, asks the daemon, and puts the answer into JSON.

=========================  ====================================  ==============================
``GET /v1/status``                                               the status document
``POST /v1/start``                                               ``{}``
``POST /v1/stop``          ``{"now": bool}``                     ``{}``
``POST /v1/rescan``        ``{"path": file URI}``                ``{}``
``GET /v1/jobs``           ``?state= &limit= &before= &search=``  ``{"jobs": […], "next": cursor}``
``GET /v1/job``            ``?target=``                          ``{"jobs": […]}`` with history
``POST /v1/retry``         ``{"targets": [target, …] or "all"}``  ``{"count": n}``
``POST /v1/cancel``        ``{"targets": [target, …]}``          ``{"count": n}``
``POST /v1/reload``                                              ``{"messages": […]}``
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

from syncd.control import targets
from syncd.control.steering import BadConfig, Invalid, JobQuery, NotFound, Refusal, Steering
from syncd.control.targets import Target
from syncd.core.states import State

MAX_BODY = 1024 * 1024
"""Bytes of a request's body; enough for some ten thousand targets."""
BODY_TIMEOUT = 15.0
"""Seconds that a client has to send its body."""
MAX_LIMIT = 1000
"""Jobs on one page."""

STEERING: web.AppKey[Steering] = web.AppKey("steering")

log = structlog.get_logger(__name__)


def make_app(steering: Steering, *guards: Middleware) -> web.Application:
    """Return the API in front of ``steering``. ``guards`` say who may come in, in the way of the listening side."""
    app = web.Application(middlewares=[_errors, *guards], client_max_size=MAX_BODY)
    app[STEERING] = steering
    app.add_routes(
        [
            web.get("/v1/status", _status),
            web.get("/v1/jobs", _jobs),
            web.get("/v1/job", _job),
            web.post("/v1/start", _start),
            web.post("/v1/stop", _stop),
            web.post("/v1/rescan", _rescan),
            web.post("/v1/retry", _retry),
            web.post("/v1/cancel", _cancel),
            web.post("/v1/reload", _reload),
            web.post("/v1/shutdown", _shutdown),
        ]
    )
    return app


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever goes wrong into one line of JSON."""
    try:
        return await handler(request)
    except NotFound as error:
        return _error(404, str(error))
    except BadConfig as error:
        return _error(422, str(error), problems=error.problems)
    except Refusal as error:
        return _error(400, str(error))
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


async def _status(request: web.Request) -> web.Response:
    return web.json_response(await request.app[STEERING].status())


async def _jobs(request: web.Request) -> web.Response:
    query = _query(request, {"state", "limit", "before", "search"})
    page = await request.app[STEERING].jobs(
        JobQuery(
            state=_state(query.get("state")),
            limit=_limit(query.get("limit")),
            before=query.get("before") or None,
            search=query.get("search") or None,
        )
    )
    return web.json_response(page)


async def _job(request: web.Request) -> web.Response:
    target = _target(_query(request, {"target"}).get("target"))
    return web.json_response({"jobs": await request.app[STEERING].show(target)})


async def _start(request: web.Request) -> web.Response:
    await _body(request, set())
    await request.app[STEERING].start()
    return web.json_response({})


async def _stop(request: web.Request) -> web.Response:
    now = (await _body(request, {"now"})).get("now", False)
    if not isinstance(now, bool):
        raise Invalid("now must be true or false")
    await request.app[STEERING].stop(now=now)
    return web.json_response({})


async def _rescan(request: web.Request) -> web.Response:
    named = (await _body(request, {"path"})).get("path")
    path = None if named is None else _target(named)
    if isinstance(path, int):
        raise Invalid("path must be a file:// URI")
    await request.app[STEERING].rescan(path)
    return web.json_response({})


async def _retry(request: web.Request) -> web.Response:
    named = (await _body(request, {"targets"})).get("targets")
    chosen = None if named == "all" else _targets(named)
    return web.json_response({"count": await request.app[STEERING].retry(chosen)})


async def _cancel(request: web.Request) -> web.Response:
    chosen = _targets((await _body(request, {"targets"})).get("targets"))
    return web.json_response({"count": await request.app[STEERING].cancel(chosen)})


async def _reload(request: web.Request) -> web.Response:
    await _body(request, set())
    return web.json_response({"messages": await request.app[STEERING].reload()})


async def _shutdown(request: web.Request) -> web.Response:
    await _body(request, set())
    await request.app[STEERING].shutdown()
    return web.json_response({})


def _query(request: web.Request, known: set[str]) -> Mapping[str, str]:
    _only(request.query, known)
    return request.query


async def _body(request: web.Request, known: set[str]) -> dict[str, Any]:
    """Return the JSON object in the body; an empty body is an empty object."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            raw = await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(reason=HTTPStatus.REQUEST_TIMEOUT.phrase) from None
    except web.RequestPayloadError:
        raise Invalid("the body is broken") from None
    try:
        document = json.loads(raw) if raw else {}
    except (ValueError, RecursionError):
        raise Invalid("the body is not JSON") from None
    if not isinstance(document, dict):
        raise Invalid("the body must be a JSON object")
    _only(document, known)
    return document


def _only(given: Mapping[str, Any], known: set[str]) -> None:
    for name in given:
        if name not in known:
            raise Invalid(f"unknown field {name!a}" + (f": known are {', '.join(sorted(known))}" if known else ""))


def _state(text: str | None) -> State | None:
    if not text:
        return None
    try:
        return State(text)
    except ValueError:
        raise Invalid(f"state must be one of {', '.join(State)}") from None


def _limit(text: str | None) -> int:
    if not text:
        return JobQuery().limit
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= MAX_LIMIT):
        raise Invalid(f"limit must be a number from 1 to {MAX_LIMIT}")
    return int(text)


def _targets(named: object) -> list[Target]:
    if not isinstance(named, list) or not named:
        raise Invalid("targets must be a list with at least one target")
    return [_target(one) for one in named]


def _target(named: object) -> Target:
    if not isinstance(named, str):
        raise Invalid("a target is a job's id or a file:// URI, as a text")
    try:
        return targets.decode(named)
    except ValueError as error:
        raise Invalid(str(error)) from None
