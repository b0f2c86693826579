"""Take screenshots of the dashboard's first screen in eight states.

A real daemon is in each of these states. Each is taken at desktop and at phone size, and all of a size are also in one
picture. Run ``python -m tests.browser.states FOLDER`` as root, which mounts the small disk that fills up.
"""

import asyncio
import random
import re
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from PIL import Image
from playwright.async_api import async_playwright, expect

from syncd.cli.demo import samples
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.screenshots import SKIES, save
from tests.support.processes import DaemonProcess, ReceiverProcess

SCREENS = {
    "desk": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}
STATES = [
    "idle",
    "first-sync",
    "paused",
    "server-down",
    "token-expired",
    "needs-attention",
    "folder-away",
    "disk-full",
]
GAP = 12
STATE_DISK_BYTES = 24 * 1024 * 1024
ANSWERS = {
    "down": (503, "maintenance until 08:00"),
    "expired": (401, "the token expired on 28 November"),
    "rejecting": (400, "images larger than 40 megapixels are not allowed"),
}
"""The status and the words of the proxy by its mode; in any other mode it passes requests on."""


class Proxy:
    """A proxy to the receiver that answers by :data:`ANSWERS`."""

    def __init__(self, url):
        self.mode = ""
        self._target = url
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self.server = TestServer(app)

    async def _handle(self, request):
        status, words = ANSWERS.get(self.mode, (None, None))
        if status is not None and (self.mode != "rejecting" or request.method == "POST"):
            headers = {"Retry-After": "600"} if status == 503 else None
            return web.json_response({"error": words}, status=status, headers=headers)
        url, body = self._target + request.path_qs, await request.read()
        async with aiohttp.request(request.method, url, data=body, headers=request.headers) as response:
            return web.Response(status=response.status, body=await response.read(), content_type=response.content_type)


class Scenes:
    """Brings one daemon into each state, and takes a screenshot of it on each page."""

    def __init__(self, daemon, proxy, pages, folder):
        self.daemon = daemon
        self.proxy = proxy
        self.pages = pages
        self.folder = folder
        self._random = random.Random(7)
        self._photos = 0

    def add_photos(self, count):
        for _ in range(count):
            self._photos += 1
            image = samples.landscape(self._random, SKIES[self._photos % 3], (1200, 800))
            image.save(self.daemon.inbox / f"IMG_{4200 + self._photos}.jpg", quality=90)

    async def shot(self, state, title):
        for screen, page in self.pages.items():
            await expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(title))
            await page.wait_for_timeout(1500)  # so that the chart and the rates have data
            await save(page, self.folder / f"state-{state}-{screen}.webp")

    async def resolved(self):
        self.proxy.mode = ""
        await asyncio.to_thread(self.daemon.client.start)  # forgets the failures of the servers
        await asyncio.to_thread(self.daemon.client.retry, None)
        await asyncio.to_thread(self.daemon.wait_for_counts, queued=0, uploading=0, waiting=0, failed=0)

    async def take_all(self):
        await self.shot("first-sync", "Uploading")
        await self.limit_bandwidth(None)
        await self.resolved()
        await self.shot("idle", "Everything is uploaded")
        await asyncio.to_thread(self.daemon.client.stop)
        self.add_photos(2)
        await self.shot("paused", "Uploads paused")
        await self.resolved()
        for state, mode, title in (
            ("server-down", "down", "drive is not responding"),
            ("token-expired", "expired", "drive rejects the token"),
            ("needs-attention", "rejecting", "3 uploads failed"),
        ):
            self.proxy.mode = mode
            self.add_photos(3)
            await self.shot(state, title)
            await self.resolved()
        inbox = self.daemon.inbox
        inbox.rename(inbox.parent / "away")
        await self.shot("folder-away", "Folder Photos is offline")
        (inbox.parent / "away").rename(inbox)
        # After a start, the log of the store's writes is short: it has to grow, which a full disk prevents.
        await asyncio.to_thread(self.daemon.terminate)
        await asyncio.to_thread(self.daemon.start)
        await self.open_pages()
        await self.fill_disk()
        self.add_photos(40)
        await self.shot("disk-full", "Uploads are blocked")

    async def limit_bandwidth(self, limit):
        body = b'{"bandwidth": "%s"}' % (limit or "unlimited").encode()
        await asyncio.to_thread(self.daemon.client._request, "POST", "/v1/settings", body)

    async def open_pages(self):
        for page in self.pages.values():
            await page.goto(await asyncio.to_thread(self.daemon.client.dashboard))
            await page.wait_for_selector(".figure")

    async def fill_disk(self):
        with (self.daemon.state / "filler").open("wb", buffering=0) as filler:
            try:
                while filler.write(b"x" * 4096):
                    pass
            except OSError:  # the disk is full
                return


async def main(folder):
    async with AsyncExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="states-")))
        receiver = stack.enter_context(ReceiverProcess(root / "received"))
        proxy = Proxy(receiver.url)
        await proxy.server.start_server()
        stack.push_async_callback(proxy.server.close)
        daemon = create_daemon(root, receiver.url, str(proxy.server.make_url("")).rstrip("/"))
        mount_disk(daemon.state)
        stack.callback(subprocess.run, ["umount", "--lazy", daemon.state], check=True)
        stack.callback(daemon.kill)
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        scenes = Scenes(daemon, proxy, {}, folder)
        scenes.add_photos(90)
        await asyncio.to_thread(daemon.start)
        for name, screen in SCREENS.items():
            scenes.pages[name] = await (await browser.new_context(**screen)).new_page()
        await scenes.open_pages()
        await scenes.take_all()
        await browser.close()
    for screen, columns, width in (("desk", 2, 640), ("phone", 4, 312)):
        save_sheet(folder, screen, columns=columns, width=width)


def mount_disk(folder):
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={STATE_DISK_BYTES}", "syncd", folder], check=True)


def save_sheet(folder, screen, *, columns, width):
    """Save the pictures of one screen size as one."""
    pictures = [Image.open(folder / f"state-{state}-{screen}.webp") for state in STATES]
    height = pictures[0].height * width // pictures[0].width
    sheet = Image.new("RGB", (columns * (width + GAP) - GAP, len(pictures) // columns * (height + GAP) - GAP), "#888")
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        sheet.paste(picture.resize((width, height)), (column * (width + GAP), row * (height + GAP)))
    sheet.save(folder / f"states-{screen}.webp", quality=80, method=6)


def create_daemon(root, archive_url, drive_url):
    daemon = DaemonProcess(root, archive_url)
    daemon.inbox.rmdir()
    daemon.inbox = root / "Photos"
    daemon.inbox.mkdir()
    daemon.state.mkdir()
    daemon.settings["folders"] = [{"path": "Photos", "remote": ["drive", "ascii"], "settle": "300ms"}]
    daemon.settings["remotes"]["drive"]["url"] = drive_url
    daemon.settings["remotes"]["archive"] = daemon.settings["remotes"].pop("ascii")
    daemon.settings["folders"][0]["remote"] = ["drive", "archive"]
    daemon.settings["control"] = {"dashboard": "127.0.0.1:0"}
    daemon.settings["scheduler"]["bandwidth"] = "500KiB/s"
    return daemon


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
