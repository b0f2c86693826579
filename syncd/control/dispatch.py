"""Connects routes to handlers: parses parameters, calls the handler, encodes the result.

A handler registers with :func:`json_handler` or :func:`raw_handler`; :mod:`syncd.control.app` serves all handlers.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from syncd.control.params import parse_all
from syncd.control.routes import Route
from syncd.control.service import ControlService, InvalidRequestError

MAX_BODY_BYTES = 1024 * 1024
"""The maximum size of a JSON body; enough for about ten thousand targets."""
BODY_TIMEOUT_SECONDS = 15.0
"""The time limit for a client to send a JSON body."""

SERVICE: web.AppKey[ControlService] = web.AppKey("service")
HANDLERS: dict[Route[Any], Handler] = {}

T = TypeVar("T")
JsonFunction = Callable[..., Awaitable[T]]
RawFunction = Callable[..., Awaitable[web.StreamResponse]]


def json_handler(route: Route[T]) -> Callable[[JsonFunction[T]], JsonFunction[T]]:
    """Register a function that returns the document of ``route``.

    Its arguments are the service and the parameters of the route.
    """

    def register(function: JsonFunction[T]) -> JsonFunction[T]:
        async def handle(request: web.Request) -> web.Response:
            document = await function(request.app[SERVICE], **await _arguments(request, route))
            return web.json_response(document, status=route.status)

        HANDLERS[route] = handle
        return function

    return register


def raw_handler(route: Route[Any]) -> Callable[[RawFunction], RawFunction]:
    """Register a function that returns the response of ``route``.

    Its arguments are the request and the parameters of the route.
    """

    def register(function: RawFunction) -> RawFunction:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await function(request, **await _arguments(request, route))

        HANDLERS[route] = handle
        return function

    return register


async def _arguments(request: web.Request, route: Route[Any]) -> dict[str, Any]:
    """Return the parameters of a request. Raises :class:`InvalidRequestError`."""
    if route.method == "POST":
        return parse_all(route.body, await _read_object(request))
    if not route.query:
        return {}  # the route ignores a query
    given = {name: request.query[name] for name in request.query}
    known = {parameter.name for parameter in route.query}
    return parse_all(route.query, {name: text for name, text in given.items() if text or name not in known})


async def _read_object(request: web.Request) -> Mapping[str, Any]:
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
    return document
