"""The first screen: problems with their actions, the folders and the remotes."""

import os
import re

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.browser.conftest import WAIT_TIMEOUT_SECONDS
from tests.browser.states import SCREENS, Proxy
from tests.support.wait import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]


@pytest_asyncio.fixture(loop_scope="package")
async def proxy(daemon, receiver):
    """A proxy between the daemon and the remote ``drive``; tests choose its answers."""
    proxy = Proxy(receiver.url)
    await proxy.server.start_server()
    daemon.settings["remotes"]["drive"]["url"] = str(proxy.server.make_url("")).rstrip("/")
    yield proxy
    await proxy.server.close()


def headline(page):
    return page.get_by_role("heading", level=1)


def primary(page):
    return page.locator("main .primary:visible, main .pause-button[data-action=resume]:visible")


async def assert_accessible(page):
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


async def test_server_down_is_explained_and_checked_again(daemon, proxy, open_page, make_photo):
    """Only the button can start the next attempt: ``Retry-After`` is ten minutes."""
    proxy.mode = "down"
    make_photo(daemon.inbox / "a.jpg")
    daemon.start()
    page = await open_page(color_scheme="dark")
    await expect(headline(page)).to_have_text("drive is not responding")
    words = page.locator(".summary-detail")
    await expect(words).to_have_text(
        "Maintenance until 08:00. No files are lost: uploads continue when the server responds again."
    )
    plumbing = page.locator(".problem-plumbing")
    await expect(plumbing).to_contain_text("answered 503 to")
    await expect(plumbing).to_contain_text("Next attempt in 9 min")
    assert (await words.bounding_box())["y"] < (await plumbing.bounding_box())["y"]
    await expect(page.locator(".status-hint:visible")).to_contain_text("Maintenance until 08:00. Next attempt in")
    await expect(primary(page)).to_have_text("Check again")
    await assert_accessible(page)
    proxy.mode = ""
    await primary(page).click()
    await expect(headline(page)).to_have_text("Everything is uploaded")
    await expect(page.get_by_role("list", name="Needs attention")).to_be_hidden()


async def test_rejected_token_leads_to_settings(daemon, proxy, open_page, make_photo):
    proxy.mode = "expired"
    make_photo(daemon.inbox / "a.jpg")
    daemon.start()
    page = await open_page()
    await expect(headline(page)).to_have_text("drive rejects the token")
    await expect(page.locator(".summary-detail")).to_have_text(
        "The token expired on 28 November. Set a valid token in the configuration, then reload it."
    )
    await expect(page.get_by_role("button", name="Check again")).to_be_visible()
    await assert_accessible(page)
    await expect(primary(page)).to_have_text("Open settings")
    await primary(page).click()
    await expect(page.get_by_role("button", name="Reload configuration")).to_be_visible()


async def test_failed_uploads_are_retried_in_place(daemon, proxy, open_page, make_photo):
    proxy.mode = "rejecting"
    make_photo(daemon.inbox / "a.jpg")
    make_photo(daemon.inbox / "b.jpg", 1)
    daemon.start()
    page = await open_page()
    await expect(headline(page)).to_have_text("2 uploads failed")
    example = page.locator(".problem-example")
    await expect(example).to_contain_text(".jpg: Images larger than 40 megapixels are not allowed. ")
    await assert_accessible(page)
    await example.get_by_role("link").click()
    await expect(page.get_by_role("dialog")).to_contain_text("larger than 40 megapixels")
    await page.keyboard.press("Escape")
    await page.get_by_role("link", name="Show details").click()
    await expect(page.get_by_role("button", name="Failed 2")).to_have_attribute("aria-pressed", "true")
    await page.go_back()
    proxy.mode = ""
    await expect(primary(page)).to_have_text("Retry all failed")
    await primary(page).click()
    await expect(page.get_by_text("2 uploads queued again.")).to_be_visible()
    await expect(headline(page)).to_have_text("Everything is uploaded")


async def test_problems_are_listed_by_severity(daemon, proxy, open_page, make_photo):
    proxy.mode = "rejecting"
    make_photo(daemon.inbox / "a.jpg")
    daemon.start()
    page = await open_page()
    await expect(headline(page)).to_have_text("1 upload failed")
    daemon.inbox.rename(daemon.inbox.parent / "away")
    await expect(headline(page)).to_have_text("Folder inbox is offline")
    problems = page.get_by_role("list", name="Needs attention").get_by_role("listitem")
    await expect(problems).to_have_count(2)
    await expect(problems.last).to_contain_text("1 upload failed")
    await expect(primary(page)).to_have_text("Check again")
    (daemon.inbox.parent / "away").rename(daemon.inbox)
    await primary(page).click()
    await expect(headline(page)).to_have_text("1 upload failed")
    proxy.mode = "down"
    make_photo(daemon.inbox / "b.jpg", 1)
    await expect(headline(page)).to_have_text("drive is not responding")
    await page.get_by_role("button", name="Pause uploads").click()
    await expect(headline(page)).to_have_text("Uploads paused")
    await expect(primary(page)).to_have_text(["Resume uploads"])
    await expect(problems).to_have_count(2)
    await expect(page.get_by_role("button", name="Check again")).to_have_count(0)
    await assert_accessible(page)


async def test_blocked_store_is_explained_on_the_overview(daemon, open_page, make_photo):
    make_photo(daemon.inbox / "a.jpg")
    daemon.start()
    daemon.wait_for_counts(done=2)
    page = await open_page()
    store, moved = daemon.state / "syncd.db", daemon.state / "moved.db"
    os.rename(store, moved)
    make_photo(daemon.inbox / "b.jpg", 1)
    await expect(headline(page)).to_have_text("Uploads are blocked")
    await expect(page.locator(".summary-detail")).to_contain_text(re.compile("^The job store was deleted or replaced"))
    await expect(page.locator(".problem-plumbing")).to_contain_text(f"its job store {store}.")
    await expect(page.locator("#banner")).to_be_hidden()
    await expect(primary(page)).to_have_text("Show details")
    await primary(page).click()
    await expect(page.get_by_role("region", name="Log lines")).to_contain_text("store.blocked")
    await expect(page.locator("#banner")).to_be_visible()
    os.rename(moved, store)


@pytest.mark.parametrize("screen", SCREENS)
async def test_folders_and_remotes_are_above_the_fold(daemon, proxy, open_page, make_photo, screen):
    make_photo(daemon.inbox / "a.jpg")
    daemon.start()
    page = await open_page(**SCREENS[screen]["viewport"])
    await expect(headline(page)).to_have_text("Everything is uploaded")
    await wait_until(lambda: page.evaluate(ABOVE_FOLD), timeout=WAIT_TIMEOUT_SECONDS)
    proxy.mode = "down"
    make_photo(daemon.inbox / "b.jpg", 1)
    await expect(headline(page)).to_have_text("drive is not responding")
    await expect(page.locator(".status-list .status-hint:visible")).to_have_count(1)
    assert await page.evaluate(ABOVE_FOLD)


# Whether the page shows every folder and remote without scrolling. On a phone, the navigation covers the lower edge.
ABOVE_FOLD = """() => {
  const nav = document.querySelector("#sidebar").getBoundingClientRect();
  const fold = nav.top > 100 ? nav.top : innerHeight;
  const rows = [...document.querySelectorAll(".status-list li")];
  return scrollY === 0 && rows.length === 3 && rows.every(row => row.getBoundingClientRect().bottom <= fold);
}"""
