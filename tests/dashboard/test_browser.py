"""The way in with a real browser, as it has rules of its own for cookies."""

import os
import shutil

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import async_playwright

from syncd.cli.ctl.open import write_page

pytestmark = pytest.mark.e2e

CHROMIUM = shutil.which("chromium")


@pytest.fixture
async def page():
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield await browser.new_page()
        await browser.close()


@pytest.fixture
async def neighbour():
    """Another server on this machine, with a page that does what it likes; returns its address."""

    async def page(_request):
        return web.Response(text="<!doctype html><title>other</title>", content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/", page)])
    async with TestServer(app, host="127.0.0.1") as server:
        yield str(server.make_url("/"))


async def test_from_a_file_to_the_page(door, tmp_path, page):
    """SameSite=Strict: the cookie comes with the page's first request only if that request began here."""
    path = os.fspath(tmp_path / "open.html")
    write_page(path, door.invite())
    async with page.expect_response(f"{door.url}/") as answer:
        await page.goto(f"file://{path}")
    assert (await answer.value).status == 200
    await page.wait_for_url(f"{door.url}/")
    assert await page.evaluate("fetch('/').then(answer => answer.status)") == 200
    assert await page.evaluate("fetch('/v1/status').then(answer => answer.status)") == 200
    assert await page.evaluate("fetch('/v1/start', {method: 'POST'}).then(answer => answer.status)") == 200
    assert await page.evaluate("document.cookie") == ""


async def test_another_server_of_this_machine_can_neither_do_nor_see(door, daemon, page, neighbour):
    """It is the same site, so the browser sends the cookie with what its pages ask."""
    await page.goto(door.invite())
    await page.wait_for_url(f"{door.url}/")
    await page.goto(neighbour)
    daemon.asked.clear()
    for method, path in (("POST", "/v1/stop"), ("GET", "/v1/jobs")):
        for mode in ("no-cors", "cors"):
            asked = f"fetch('{door.url}{path}', {{method: '{method}', mode: '{mode}', credentials: 'include'}})"
            assert await page.evaluate(f"{asked}.then(answer => answer.text(), () => '')") == ""
    await page.evaluate(
        f"document.body.innerHTML = `<iframe src='{door.url}/v1/log'></iframe>"
        f"<form method=post action='{door.url}/v1/shutdown'>`; document.forms[0].submit()"
    )
    await page.wait_for_url(f"{door.url}/v1/shutdown")
    assert daemon.asked == []
