"""Logging in to the dashboard with a real browser, which applies its own rules to cookies."""

import os

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from syncd.cli.ctl.open import write_page
from tests.dashboard.conftest import clock, daemon, dashboard

pytestmark = pytest.mark.e2e

__all__ = ["clock", "daemon", "dashboard"]


@pytest.fixture
async def other_server():
    """The URL of another server on this machine, with a page that any script can run on."""

    async def index(_request):
        return web.Response(text="<!doctype html><title>other</title>", content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/", index)])
    async with TestServer(app, host="127.0.0.1") as server:
        yield str(server.make_url("/"))


async def test_login_from_local_file_opens_page(dashboard, tmp_path, page):
    """A SameSite=Strict cookie is sent only with requests that the dashboard's page starts."""
    path = os.fspath(tmp_path / "open.html")
    write_page(path, dashboard.login_url())
    async with page.expect_response(f"{dashboard.url}/") as response:
        await page.goto(f"file://{path}")
    assert (await response.value).status == 200
    await page.wait_for_url(f"{dashboard.url}/")
    assert await page.evaluate("fetch('/').then(response => response.status)") == 200
    assert await page.evaluate("fetch('/v1/status').then(response => response.status)") == 200
    assert await page.evaluate("fetch('/v1/start', {method: 'POST'}).then(response => response.status)") == 200
    assert await page.evaluate("document.cookie") == ""


async def test_request_from_other_port_is_rejected(dashboard, daemon, page, other_server):
    """Another port is the same site, so the browser sends the cookie with its requests."""
    await page.goto(dashboard.login_url())
    await page.wait_for_url(f"{dashboard.url}/")
    await page.goto(other_server)
    daemon.asked.clear()
    for method, path in (("POST", "/v1/stop"), ("GET", "/v1/jobs")):
        for mode in ("no-cors", "cors"):
            request = f"fetch('{dashboard.url}{path}', {{method: '{method}', mode: '{mode}', credentials: 'include'}})"
            assert await page.evaluate(f"{request}.then(response => response.text(), () => '')") == ""
    await page.evaluate(
        f"document.body.innerHTML = `<iframe src='{dashboard.url}/v1/log'></iframe>"
        f"<form method=post action='{dashboard.url}/v1/shutdown'>`; document.forms[0].submit()"
    )
    await page.wait_for_url(f"{dashboard.url}/v1/shutdown")
    assert daemon.asked == []
