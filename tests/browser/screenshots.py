"""Take screenshots of every view for the documentation.

Each is taken in light and dark mode, at desktop and at phone size. Run ``make screenshots``, or
``python -m tests.browser.screenshots FOLDER``.
"""

import asyncio
import io
import json
import random
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from PIL import Image
from playwright.async_api import async_playwright

from syncd.cli.demo import samples
from tests.browser.conftest import CHROMIUM, FLAGS, WAIT_TIMEOUT_SECONDS
from tests.support.processes import DaemonProcess, ReceiverProcess
from tests.support.wait import wait_until

VIEWS = {"now": "", "gallery": "gallery", "files": "files?state=failed", "log": "log", "settings": "settings"}
SCREENS = {
    "desk-light": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    "desk-dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "phone-light": {"viewport": {"width": 390, "height": 800}, "color_scheme": "light", "device_scale_factor": 2},
    "phone-dark": {"viewport": {"width": 390, "height": 800}, "color_scheme": "dark", "device_scale_factor": 2},
}
SKIES = [((70, 130, 200), (225, 238, 250)), ((45, 30, 90), (250, 150, 80)), ((8, 10, 40), (60, 70, 130))]


async def main(folder):
    async with AsyncExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="screenshots-")))
        receiver = stack.enter_context(ReceiverProcess(root / "received"))
        archive = await stack.enter_async_context(rejecting_proxy(receiver.url))
        daemon = create_daemon(root, receiver.url, archive)
        stack.callback(daemon.kill)
        await asyncio.to_thread(upload_samples, daemon)
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name, screen in SCREENS.items():
            context = await browser.new_context(**screen)
            await take_screenshots(daemon, await context.new_page(), folder, name)
            await context.close()
        await browser.close()


def create_daemon(root, url, archive):
    daemon = DaemonProcess(root, url)
    (root / "drawings").mkdir()
    daemon.settings["folders"] = [
        {"path": "inbox", "remote": "drive", "settle": "300ms"},
        {"path": "drawings", "remote": ["ascii", "drive"], "settle": "300ms"},
    ]
    daemon.settings["remotes"]["drive"] |= {"chunk_size": "128KiB", "direct": "never"}
    daemon.settings["remotes"]["ascii"]["url"] = archive
    daemon.settings["control"] = {"dashboard": "127.0.0.1:0"}
    return daemon


def rejecting_proxy(url):
    """A proxy to the receiver that rejects large drawings."""

    async def handle(request):
        body = await request.read()
        if request.method == "POST" and len(body) < 1000 and json.loads(body).get("size", 0) > 9_999:
            return web.json_response({"error": "drawings larger than 9,999 bytes are not allowed"}, status=400)
        headers = request.headers
        async with aiohttp.request(request.method, url + request.path_qs, data=body, headers=headers) as response:
            return web.Response(status=response.status, body=await response.read(), content_type=response.content_type)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    return _RunningServer(TestServer(app))


class _RunningServer:
    """Runs a server in an ``async with`` block, which gets the server's URL."""

    def __init__(self, server):
        self.server = server

    async def __aenter__(self):
        await self.server.start_server()
        return str(self.server.make_url("")).rstrip("/")

    async def __aexit__(self, *_):
        await self.server.close()


def upload_samples(daemon):
    """Start the daemon with finished, rejected and active uploads.

    A bandwidth limit keeps the active ones active.
    """
    rng = random.Random(11)
    daemon.start()
    for number in range(44):
        sky = SKIES[number % 3]
        if number % 4 == 3:
            image = samples.rosette(rng, 640, 5 + number % 9)
        else:
            image = samples.landscape(rng, tuple(tuple(int(part * rng.uniform(0.8, 1)) for part in end) for end in sky))
        image.save(daemon.inbox / f"IMG_{4201 + number}.jpg", quality=88)
    drawings = daemon.inbox.parent / "drawings"
    for name, width in {
        "postcard": 60,
        "stamp": 36,
        "poster": 210,
        "wallpaper": 240,
        "mural": 230,
        "banner": 220,
    }.items():
        (drawings / f"{name}.txt").write_text(samples.ascii_art(samples.landscape(rng, SKIES[1]), width))
    daemon.wait_for_counts(done=52, failed=4)
    daemon.client._request("POST", "/v1/settings", json.dumps({"bandwidth": "350KiB/s"}).encode())
    for number in range(5):
        view = samples.landscape(rng, SKIES[number % 3], (3200 + 300 * number, 1900))
        grain = Image.effect_noise(view.size, 60)
        image = Image.blend(view, Image.merge("RGB", [grain] * 3), 0.3)  # noise makes the file as large as a real photo
        image.save(daemon.inbox / f"panorama {number + 1}.jpg", quality=97)


async def take_screenshots(daemon, page, folder, screen):
    await page.goto(await asyncio.to_thread(daemon.client.dashboard))
    await page.wait_for_selector(".figure")
    home = page.url.split("#")[0]
    for name, address in VIEWS.items():
        await page.goto(f"{home}#/{address}")
        await wait_until_loaded(page)
        await save(page, folder / f"{name}-{screen}.webp")
    await page.goto(f"{home}#/gallery")
    await page.locator(".tile", has=page.locator("img")).nth(4).click()
    await page.wait_for_selector("dialog[open] h2")
    await wait_until_loaded(page)
    await save(page, folder / f"picture-{screen}.webp")


async def wait_until_loaded(page):
    """Wait until all images and thumbnails are loaded."""
    loaded = """[...document.images].every(image => image.complete && image.src)
      && !document.querySelector('.thumbnail:empty')"""
    await page.wait_for_timeout(1500)  # so that the chart and the rates have data
    await wait_until(lambda: page.evaluate(loaded), timeout=WAIT_TIMEOUT_SECONDS)


async def save(page, path):
    shot = Image.open(io.BytesIO(await page.screenshot(animations="disabled")))
    shot.convert("RGB").save(path, quality=82, method=6)
    print(path, f"{path.stat().st_size / 1024:.0f} KiB", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
