"""The appearance of the page.

Covers the selection in forced colours, names that could reverse a text, and the end of a pause.
"""

from datetime import UTC, datetime

import pytest
from playwright.async_api import expect

from tests.support.wait import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]

RLO = "\u202e"
"""The character that reverses the text after it."""

SHOWN_TEXT = """() => document.body.textContent + [...document.querySelectorAll("*")].flatMap(element =>
    ["title", "aria-label", "alt", "placeholder"].map(name => element.getAttribute(name) ?? "")).join(" ")"""
BACKGROUND = "element => getComputedStyle(element).backgroundColor"
HIGHLIGHT = """() => {
    const sample = document.createElement("i");
    sample.style.backgroundColor = "Highlight";
    document.body.append(sample);
    return getComputedStyle(sample).backgroundColor;
}"""


async def test_forced_colors_show_selected_tab_and_page(daemon, open_page, make_photo):
    make_photo(daemon.inbox / "a.jpg")
    daemon.start()
    daemon.wait_for_counts(done=2)
    page = await open_page(at="files", forced_colors="active")
    tabs = page.get_by_role("main").get_by_role("button", pressed=True)
    await expect(tabs).to_have_count(1)
    links = page.get_by_role("navigation").get_by_role("link")
    highlight = await page.evaluate(HIGHLIGHT)
    assert await tabs.evaluate(BACKGROUND) == highlight
    assert await links.filter(has_text="Files").evaluate(BACKGROUND) == highlight
    assert await page.get_by_role("button", name="Failed 0").evaluate(BACKGROUND) != highlight
    assert await links.filter(has_text="Log").evaluate(BACKGROUND) != highlight


async def test_direction_characters_are_escaped_everywhere(daemon, open_page, make_photo):
    daemon.settings["folders"][0]["remote"] = "drive"
    name, safe = f"inv{RLO}gnp.png", r"inv\u202egnp.png"
    make_photo(daemon.inbox / name)
    daemon.start()
    daemon.wait_for_counts(done=1)
    assert daemon.client.jobs()["jobs"][0]["name"] == name  # the API has the real name
    page = await open_page()
    for view in ("", "gallery", "files", "log"):
        await page.goto(page.url.split("#")[0] + "#/" + view)

        async def shows_name():
            return safe in await page.get_by_role("main").inner_html()

        await wait_until(shows_name, f"the view {view!r} shows the name")
        assert RLO not in await page.evaluate(SHOWN_TEXT)
    await page.goto(page.url.split("#")[0] + "#/files")
    await page.get_by_role("link").filter(has_text=safe).first.click()
    dialog = page.get_by_role("dialog", name=safe)
    await expect(dialog.get_by_role("img", name=safe)).to_be_visible()
    assert RLO not in await page.evaluate(SHOWN_TEXT)
    assert RLO not in await page.title()


async def test_overview_names_end_of_pause(daemon, open_page):
    daemon.start()
    daemon.client.stop(until=datetime(2040, 7, 1, 5, tzinfo=UTC))
    page = await open_page(timezone_id="Europe/Berlin")
    await expect(page.get_by_role("heading", name="Uploads paused until 1 Jul 07:00")).to_be_visible()
    await page.get_by_role("button", name="Resume uploads").first.click()
    await expect(page.get_by_role("heading", name="Uploads paused")).to_have_count(0)
