"""A real Chromium on the dashboard of a real daemon, with a receiver behind it."""

import shutil
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from PIL import Image
from playwright.async_api import async_playwright, expect

from tests.e2e.processes import Daemon, Receiver

expect.set_options(timeout=30_000)  # milliseconds; the machine may be busy

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# The last three keep it from asking hosts of its maker for things that no test needs.
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
                item.add_marker(pytest.mark.skip(reason="there is no Chromium here: apt-get install chromium"))


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def chromium():
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
def receiver(tmp_path):
    with Receiver(tmp_path / "server") as running:
        yield running


@pytest.fixture
def daemon(tmp_path, receiver):
    """A daemon with a dashboard at any free port; not started yet."""
    made = Daemon(tmp_path, receiver.url)
    made.settings["control"] = {"dashboard": "127.0.0.1:0"}
    yield made
    made.kill()


@pytest.fixture
def ticket(daemon):
    """Ask for an address that opens the dashboard, as ``syncd ctl open --print`` does."""

    def ask():
        command = [sys.executable, "-m", "syncd", "ctl", "-c", str(daemon.config), "open", "--print"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    return ask


@pytest_asyncio.fixture(loop_scope="package")
async def open_page(chromium, ticket):
    """Open the dashboard; nothing may go wrong on it, as far as the browser can tell."""
    contexts, complaints = [], []

    async def opened(*, at="", width=1280, height=860, **options):
        context = await chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = await context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if _is_complaint(said) else None)
        page.on("request", lambda request: complaints.append(request.url) if _is_abroad(request, page) else None)
        await page.goto(ticket())
        await page.wait_for_url(lambda url: urlsplit(url).path == "/")
        if at:
            await page.goto(page.url.split("#")[0] + "#/" + at)
        return page

    yield opened
    for context in contexts:
        await context.close()
    assert complaints == []


def _is_abroad(request, page):
    """Whether something is asked for at another host than the page's own."""
    asked, home = urlsplit(request.url), urlsplit(page.url)
    return home.scheme == "http" and asked.scheme not in {"data", "blob"} and asked.netloc != home.netloc


def _is_complaint(said):
    """Whether the page is at fault; that a picture is not there, or the daemon is down, is what it shows."""
    return said.type in {"error", "warning"} and "Failed to load resource" not in said.text


@pytest.fixture
def photo():
    """Write a real photo, of a colour of its own."""

    def write(path, number=0, size=(640, 480)):
        image = Image.linear_gradient("L").resize(size).convert("RGB")
        tint = Image.new("RGB", size, (40 + number * 53 % 200, 60 + number * 97 % 180, 90 + number * 31 % 160))
        Image.blend(image, tint, 0.6).save(path)
        return path

    return write


@pytest_asyncio.fixture(loop_scope="package")
async def picky(receiver):
    """A way to the receiver that refuses what is registered as long as ``refuses`` is true."""

    async def handle(request):
        if picky.refuses and request.method == "POST":
            return web.json_response({"error": "this picture is not wanted here"}, status=400)
        async with http.request(
            request.method, receiver.url + request.path_qs, data=await request.read(), headers=request.headers
        ) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)

    picky = web.Application()
    picky.router.add_route("*", "/{path:.*}", handle)
    async with aiohttp.ClientSession(auto_decompress=False) as http, TestServer(picky) as server:
        picky.refuses, picky.url = True, str(server.make_url(""))
        yield picky


@pytest.fixture
def free_port():
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
