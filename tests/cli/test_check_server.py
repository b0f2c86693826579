"""``syncd check`` of simulated servers of the image API: chunk size and token."""

from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from pydantic import SecretStr

from syncd.cli.check.server import check_server
from tests.remotes.dialects import Ableton, Documented, Fatemezak, Omp, OmpFinex
from tests.remotes.helpers import image_settings, serve_app

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
TOKEN = SecretStr("tok-secret-1234")


async def check_app(app, **values):
    """Check a server; return the findings by the first word of ``where``."""
    async with serve_app(app) as url:
        findings = check_server("ascii", image_settings(url, **values), bandwidth=None, sandbox=None)
        return {finding.where.partition(" ")[0]: finding async for finding in findings}


@pytest.mark.parametrize("chunk_size", [48 * 1024, 20_000])
async def test_check_chunk_size_too_large_advises_smaller(chunk_size):
    findings = await check_app(Omp().app, chunk_size=chunk_size)
    assert findings["chunk_size"].level == "warn"
    shown = {48 * 1024: "48 KiB", 20_000: "20 KiB"}[chunk_size]
    assert findings["chunk_size"].what == f"the server rejects chunks of {shown}"
    assert findings["chunk_size"].advice == "set chunk_size to 8KiB"
    assert " requests, rejected by" in findings["speed"].what
    assert "a larger request" not in findings["speed"].what


@pytest.mark.parametrize(("dialect", "chunk_size"), [(Omp, 8192), (Ableton, 49152), (OmpFinex, 49152)])
async def test_check_accepted_chunk_size_is_ok(dialect, chunk_size):
    findings = await check_app(dialect().app, chunk_size=chunk_size)
    levels = {where: finding.level for where, finding in findings.items()}
    assert levels == dict.fromkeys(["remote", "clock", "speed"], "ok")


async def test_check_every_chunk_rejected_advises_less():
    server = Omp()
    server.largest_body = 400
    findings = await check_app(server.app)
    assert findings["chunk_size"].advice == "set chunk_size to less than 1KiB"


def require_token(*methods: str, token: str = TOKEN.get_secret_value()) -> web.Application:
    """Return a server that requires a token for requests with these methods."""

    @web.middleware
    async def check_token(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method in methods and request.headers.get("Authorization") != f"Bearer {token}":
            return web.json_response({"message": "no token"}, status=401)
        return await handler(request)

    app = Documented().app
    app.middlewares.append(check_token)
    return app


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        ((), "it does not require a token, so yours could not be tested"),
        (("GET",), "and accepts the token"),
        (("POST",), "and accepts the token"),
        (("GET", "POST"), "and accepts the token"),
    ],
)
async def test_check_token_accepted_only_if_required(methods, expected):
    findings = await check_app(require_token(*methods), token=TOKEN)
    assert findings["remote"].level == "ok"
    assert expected in findings["remote"].what


@pytest.mark.parametrize("methods", [("GET",), ("POST",), ("GET", "POST")])
async def test_check_rejected_token_is_only_finding(methods):
    findings = await check_app(require_token(*methods, token="another"), token=TOKEN)
    assert list(findings) == ["remote"]
    assert findings["remote"].level == "error"
    assert "401" in findings["remote"].what
    assert "accepts the token" not in findings["remote"].what


async def test_check_without_token_does_not_mention_token():
    assert "token" not in (await check_app(Fatemezak().app))["remote"].what
