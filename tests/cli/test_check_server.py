"""What ``check`` says of a server of the image API: the size of its chunks, and whether it takes the token."""

from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from pydantic import SecretStr

from syncd.cli.check.server import check_server
from tests.remotes.dialects import Ableton, Documented, Fatemezak, Omp, OmpFinex
from tests.remotes.helpers import image_settings, serving

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
TOKEN = SecretStr("tok-secret-1234")


async def found(app, **values):
    """Return what is found, by the first word of where it is."""
    async with serving(app) as url:
        findings = check_server("ascii", image_settings(url, **values), bandwidth=None, sandbox=None)
        return {finding.where.partition(" ")[0]: finding async for finding in findings}


@pytest.mark.parametrize("chunk_size", [48 * 1024, 20_000])
async def test_a_server_that_cuts_off_large_bodies(chunk_size):
    seen = await found(Omp().app, chunk_size=chunk_size)
    assert seen["chunk_size"].level == "warn"
    shown = {48 * 1024: "48 KiB", 20_000: "20 KiB"}[chunk_size]
    assert seen["chunk_size"].what == f"the server rejects chunks of {shown}"
    assert seen["chunk_size"].advice == "set chunk_size to 8KiB"
    assert " requests, rejected by" in seen["speed"].what
    assert "a larger one" not in seen["speed"].what


@pytest.mark.parametrize(("dialect", "chunk_size"), [(Omp, 8192), (Ableton, 49152), (OmpFinex, 49152)])
async def test_a_server_that_takes_the_chunks(dialect, chunk_size):
    seen = await found(dialect().app, chunk_size=chunk_size)
    levels = {where: finding.level for where, finding in seen.items()}
    assert levels == dict.fromkeys(["remote", "clock", "speed"], "ok")


async def test_a_server_that_takes_no_chunk_at_all():
    server = Omp()
    server.largest_body = 400
    seen = await found(server.app)
    assert seen["chunk_size"].advice == "set chunk_size to less than 1KiB"


def guarded(*methods: str, token: str = TOKEN.get_secret_value()) -> web.Application:
    """A server that asks for a token in requests of these methods."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method in methods and request.headers.get("Authorization") != f"Bearer {token}":
            return web.json_response({"message": "no token"}, status=401)
        return await handler(request)

    app = Documented().app
    app.middlewares.append(guard)
    return app


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        ((), "it does not require a token, so yours could not be tested"),
        (("GET",), "and accepts the token"),
        (("POST",), "and accepts the token"),
        (("GET", "POST"), "and accepts the token"),
    ],
)
async def test_a_token_is_accepted_only_where_it_was_asked_for(methods, said):
    seen = await found(guarded(*methods), token=TOKEN)
    assert seen["remote"].level == "ok"
    assert said in seen["remote"].what


@pytest.mark.parametrize("methods", [("GET",), ("POST",), ("GET", "POST")])
async def test_a_token_that_is_refused_is_no_token_that_is_taken(methods):
    seen = await found(guarded(*methods, token="another"), token=TOKEN)
    assert list(seen) == ["remote"]
    assert seen["remote"].level == "error"
    assert "401" in seen["remote"].what
    assert "accepts the token" not in seen["remote"].what


async def test_no_token_is_no_claim():
    assert "token" not in (await found(Fatemezak().app))["remote"].what
