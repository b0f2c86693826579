"""The dashboard as an installed app: its manifest, icons and badge."""

import io
import json
import re

import pytest
from PIL import Image
from playwright.async_api import async_playwright, expect

from tests.browser.conftest import CHROMIUM, FLAGS, WAIT_TIMEOUT_SECONDS
from tests.support.wait import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]


async def test_dashboard_is_installable(daemon, login_url, tmp_path):
    """Chromium installs no app from a private window, so the profile is a folder."""
    daemon.start()
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            str(tmp_path / "profile"), executable_path=CHROMIUM, args=FLAGS
        )
        page = context.pages[0]
        await page.goto(login_url())
        await page.wait_for_selector(".figure")
        session = await context.new_cdp_session(page)
        manifest = await session.send("Page.getAppManifest")
        problems = await session.send("Page.getInstallabilityErrors")
        start = json.loads(manifest["data"])["start_url"]
        answer = await page.goto(page.url.split("#")[0].rstrip("/") + start)  # as the system opens the app
        assert (answer.status, manifest["errors"], problems["installabilityErrors"]) == (200, [], [])
        await page.wait_for_selector(".figure")
        await context.close()


async def test_manifest_icons_have_the_stated_size(daemon, open_page):
    daemon.start()
    page = await open_page()
    home = page.url.split("#")[0].rstrip("/")
    manifest = await (await page.request.get(f"{home}/static/manifest.webmanifest")).json()
    for icon in manifest["icons"]:
        answer = await page.request.get(home + icon["src"])
        assert (answer.status, answer.headers["content-type"]) == (200, icon["type"])
        if icon["type"] == "image/png":
            width, height = Image.open(io.BytesIO(await answer.body())).size
            assert icon["sizes"] == f"{width}x{height}"


RECORD_BADGES = """window.badges = [];
navigator.setAppBadge = async count => void badges.push(count);
navigator.clearAppBadge = async () => void badges.push(0);"""


async def test_badge_and_title_show_failed_uploads(daemon, open_page, make_photo, rejecting_proxy):
    daemon.settings["folders"][0]["remote"] = "ascii"
    daemon.settings["remotes"]["ascii"]["url"] = rejecting_proxy.url
    for number in range(3):
        make_photo(daemon.inbox / f"{number}.jpg", number)
    daemon.start()
    page = await open_page(init_script=RECORD_BADGES)
    icon = page.locator('link[rel="icon"]')
    await expect(page).to_have_title(re.compile(r"\(3\) 3 uploads failed "))
    await expect(icon).to_have_attribute("href", "/static/icon-attention.svg")
    assert await page.evaluate("badges.at(-1)") == 3
    rejecting_proxy.rejects = False
    daemon.client.retry(None)
    await expect(page).to_have_title(re.compile("Everything is uploaded "))
    await expect(icon).to_have_attribute("href", "/static/icon.svg")
    await wait_until(lambda: page.evaluate("badges.at(-1) === 0"), timeout=WAIT_TIMEOUT_SECONDS)
