"""Fixtures for browser tests: Chromium, a daemon with a dashboard, and a receiver."""

import shutil
import socket
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from PIL import Image
from playwright.async_api import async_playwright, expect

from tests.support.processes import DaemonProcess, ReceiverProcess

expect.set_options(timeout=30_000)  # milliseconds; the machine may be busy

WAIT_TIMEOUT_SECONDS = 60.0
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# The last three stop Chromium from contacting Google's servers.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items):
    if CHROMIUM is None:
        for item in items:
            if "tests/browser" in str(item.path):
                item.add_marker(pytest.mark.skip(reason="Chromium is not installed: apt-get install chromium"))


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def chromium():
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def page():
    """An empty page in a separate browser, for a server in the test's event loop."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield await browser.new_page()
        await browser.close()


@pytest.fixture
def receiver(tmp_path):
    with ReceiverProcess(tmp_path / "server") as running:
        yield running


@pytest.fixture
def daemon(tmp_path, receiver):
    """A daemon with a dashboard on any free port; not started yet."""
    daemon = DaemonProcess(tmp_path, receiver.url)
    daemon.settings["control"] = {"dashboard": "127.0.0.1:0"}
    yield daemon
    daemon.kill()


@pytest.fixture
def login_url(daemon):
    """Return a function that creates a one-time login URL, as ``syncd ctl open`` does."""
    return daemon.client.dashboard


@pytest_asyncio.fixture(loop_scope="package")
async def open_page(chromium, login_url):
    """Return a function that opens the dashboard; fail at the end if the browser logs errors."""
    contexts, errors = [], []

    async def open_page(*, at="", width=1280, height=860, init_script="", **options):
        context = await chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        await context.add_init_script(init_script)
        page = await context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if _is_error(message) else None)
        page.on("request", lambda request: errors.append(request.url) if _is_cross_origin(request, page) else None)
        await page.goto(login_url())
        await page.wait_for_url(lambda url: urlsplit(url).path == "/")
        if at:
            await page.goto(page.url.split("#")[0] + "#/" + at)
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert errors == []


def _is_cross_origin(request, page):
    """Return whether the request goes to a different origin than the page's."""
    target, home = urlsplit(request.url), urlsplit(page.url)
    return home.scheme == "http" and target.scheme not in {"data", "blob"} and target.netloc != home.netloc


def _is_error(message):
    """Return whether a console message reports an error of the page.

    "Failed to load resource" is not one: the page handles it.
    """
    return message.type in {"error", "warning"} and "Failed to load resource" not in message.text


@pytest.fixture
def make_photo():
    """Return a function that writes a photo; its colour depends on ``number``."""

    def write(path, number=0, size=(640, 480)):
        image = Image.linear_gradient("L").resize(size).convert("RGB")
        tint = Image.new("RGB", size, (40 + number * 53 % 200, 60 + number * 97 % 180, 90 + number * 31 % 160))
        Image.blend(image, tint, 0.6).save(path)
        return path

    return write


@pytest_asyncio.fixture(loop_scope="package")
async def rejecting_proxy(receiver):
    """A proxy to the receiver that rejects new uploads while its ``rejects`` is true."""

    async def handle(request):
        if proxy.rejects and request.method == "POST":
            return web.json_response({"error": "this image is not allowed"}, status=400)
        async with http.request(
            request.method, receiver.url + request.path_qs, data=await request.read(), headers=request.headers
        ) as response:
            return web.Response(status=response.status, body=await response.read(), content_type=response.content_type)

    proxy = web.Application()
    proxy.router.add_route("*", "/{path:.*}", handle)
    async with aiohttp.ClientSession(auto_decompress=False) as http, TestServer(proxy) as server:
        proxy.rejects, proxy.url = True, str(server.make_url(""))
        yield proxy


@pytest.fixture
def free_port():
    """Return a port that was free just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
