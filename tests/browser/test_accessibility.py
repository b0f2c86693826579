"""Accessibility: narrow widths, keyboard, colour schemes, reduced motion and axe-core."""

import json

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.browser.conftest import WAIT_TIMEOUT_SECONDS
from tests.support.wait import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]

VIEWS = {"": "Overview", "gallery": "Gallery", "files": "Files", "log": "Log", "settings": "Settings"}


@pytest.fixture
def daemon_with_files(daemon, make_photo):
    """A running daemon with uploaded and skipped files."""
    for number in range(12):
        make_photo(daemon.inbox / f"a photo with quite a long name, number {number}.jpg", number)
    (daemon.inbox / "cat.txt").write_text(" /\\_/\\\n( o.o )\n > ^ <\n")
    (daemon.inbox / "empty.png").touch()
    daemon.start()
    daemon.wait_for_counts(done=26, skipped=2)
    return daemon


async def show_view(page, view):
    await page.goto(page.url.split("#")[0] + "#/" + view)
    await expect(page.get_by_role("navigation").get_by_role("link", name=VIEWS[view])).to_have_attribute(
        "aria-current", "page"
    )
    await expect(page.locator("main h1")).to_be_visible()
    if view == "settings":
        await expect(page.locator(".configuration details").first).to_be_visible()


# Elements that extend beyond the right edge, except those in scrollable containers.
TOO_WIDE = """width => [...document.querySelectorAll("main *, header *, nav *")]
  .filter(element => element.getBoundingClientRect().right > width && !element.closest(".tabs, .log-box, pre, svg"))
  .map(element => element.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("width", [360, 768, 2560])
async def test_views_any_width_fit_the_page(daemon_with_files, open_page, width):
    daemon_with_files.client._request(
        "POST", "/v1/settings", json.dumps({"bandwidth": "3MiB/s"}).encode()
    )  # adds a badge to the settings
    page = await open_page(width=width, height=800)
    for view in VIEWS:
        await show_view(page, view)
        assert await page.evaluate(TOO_WIDE, width) == [], view
    await page.goto(page.url.split("#")[0] + "#/files")
    await page.locator(".file-row-name").first.click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await page.evaluate("document.querySelector('dialog').getBoundingClientRect().right") <= width


@pytest.mark.parametrize(
    "options", [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"color_scheme": "dark", "width": 360}]
)
async def test_views_pass_axe_rules(daemon_with_files, open_page, options):
    page = await open_page(**options)
    for view in [*VIEWS, "job"]:
        if view == "job":
            await show_view(page, "files")
            await page.locator(".file-row-name").first.click()
            await expect(page.get_by_role("dialog").get_by_role("button", name="Close")).to_be_visible()
        else:
            await show_view(page, view)
        found = await Axe().run(page)
        assert found.response["passes"], "axe-core checked nothing"
        assert found.violations_count == 0, f"{view}: {found.generate_report()}"


async def test_page_keyboard_reaches_all_controls(daemon_with_files, open_page):
    page = await open_page()
    await show_view(page, "")
    press = page.keyboard.press

    async def tab_to(role, name):
        wanted = page.get_by_role(role, name=name)

        async def is_focused():
            if await wanted.first.evaluate("element => element === document.activeElement"):
                return True
            await press("Tab")
            return False

        await wait_until(is_focused, timeout=WAIT_TIMEOUT_SECONDS)

    await tab_to("link", "Skip to content")
    await press("Enter")
    assert await page.evaluate("document.activeElement.id") == "content"
    await tab_to("button", "Pause uploads")
    await press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Uploads paused")
    await press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Uploaded, with exceptions")
    await page.evaluate("document.activeElement.blur()")
    await tab_to("link", "Gallery")
    await press("Enter")
    await tab_to("link", "cat.txt, TXT")
    await press("ArrowRight")
    next_label = await page.evaluate("document.activeElement.ariaLabel")
    assert next_label
    assert next_label != "cat.txt, TXT"
    await press("Enter")
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("heading", level=1)).to_have_text(next_label.rpartition(",")[0])
    await press("ArrowLeft")
    await expect(dialog.get_by_role("heading", level=1)).to_have_text("cat.txt")
    await press("Escape")
    await expect(dialog).to_have_count(0)
    assert await page.evaluate("document.activeElement.className") == "tile"


async def test_page_reduced_motion_disables_animation(daemon_with_files, open_page):
    page = await open_page(reduced_motion="reduce")
    await show_view(page, "")
    moving = """[...document.querySelectorAll('*')].map(element => getComputedStyle(element))
      .filter(style => parseFloat(style.transitionDuration) || style.animationName !== 'none').length"""
    assert await page.evaluate(moving) == 0
    page = await open_page(reduced_motion="no-preference")
    await show_view(page, "")
    assert await page.evaluate(moving) > 0


async def test_theme_choice_survives_reload(daemon_with_files, open_page):
    page = await open_page(color_scheme="light")
    await show_view(page, "settings")
    background = "getComputedStyle(document.body).backgroundColor"
    light = await page.evaluate(background)
    await page.get_by_role("button", name="Dark").click()
    dark = await page.evaluate(background)
    assert dark != light
    await page.reload()
    await expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
    assert await page.evaluate(background) == dark
