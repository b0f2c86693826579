"""Errors of the daemon are shown on the page, in full length."""

import os

import pytest
from playwright.async_api import expect

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]


async def test_banner_missing_job_store_blocks_uploads(daemon, open_page, make_photo):
    make_photo(daemon.inbox / "a.jpg")
    daemon.start()
    daemon.wait_for_counts(done=2)
    page = await open_page(at="files")
    banner = page.locator("#banner")
    await expect(page.get_by_role("list", name="Files").get_by_role("listitem")).to_have_count(1)
    await expect(banner).to_be_hidden()
    store, moved = daemon.state / "syncd.db", daemon.state / "moved.db"
    os.rename(store, moved)
    make_photo(daemon.inbox / "b.jpg", 1)
    await expect(banner).to_contain_text("Uploads are blocked: syncd cannot write to its job store.")
    await expect(banner).to_contain_text("The job store was deleted or replaced", ignore_case=True)
    await expect(page.locator("#overall-status")).to_have_text("Uploads are blocked")
    os.rename(moved, store)
    await expect(banner).to_be_hidden()
    await expect(page.locator("#overall-status")).to_have_text("Everything is uploaded")


async def test_folder_hint_long_reason_is_not_cut_off(daemon, open_page, make_photo, tmp_path):
    """A hint with a path and a sentence is neither cut off nor broken within a word."""
    archive = tmp_path / "archive of what was uploaded"
    daemon.settings["folders"][0] |= {"remote": "drive", "after_upload": {"move": str(archive)}}
    daemon.start()
    archive.rmdir()
    make_photo(daemon.inbox / "a.jpg")
    daemon.wait_for_counts(done=1)
    page = await open_page(width=360)
    hint = page.locator(".status-list li .status-hint").first
    await expect(hint).to_contain_text("1 uploaded but kept here (1: ")
    detail = daemon.client.status()["folders"][0]["detail"]
    assert len(detail) > 50
    await expect(hint).to_have_text(detail + ".", ignore_case=True)
    assert await hint.evaluate(CUT_OFF) is False
    assert await hint.evaluate(BROKEN_WORDS) == []


CUT_OFF = "element => element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight"
# Words, or parts of a path, that are spread over two lines.
BROKEN_WORDS = r"""element => {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const broken = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (const { 0: word, index } of node.textContent.matchAll(/[^\s/-]+/g)) {
      const range = document.createRange();
      range.setStart(node, index);
      range.setEnd(node, index + word.length);
      if (range.getClientRects().length > 1) broken.push(word);
    }
  }
  return broken;
}"""


@pytest.mark.parametrize("width", [360, 1300, 1440])
async def test_path_too_long_wraps_between_its_parts(daemon, open_page, tmp_path, width):
    folder = tmp_path / "photographs of the year" / "holidays by the sea" / "raw and developed" / "camera uploads"
    folder.mkdir(parents=True)
    daemon.settings["folders"].append({"path": str(folder), "remote": ["ascii", "drive"]})
    daemon.start()
    page = await open_page(width=width)
    notes = page.locator(".status-list .status-address")
    path = notes.filter(has_text="developed")
    await expect(path).to_have_text(str(folder))
    assert (await path.bounding_box())["height"] > 30, "the path fits on one line"
    for note in await notes.all():
        assert await note.evaluate(BROKEN_WORDS) == []
        assert await note.evaluate(CUT_OFF) is False


async def test_missing_previews_log_no_console_error(daemon, open_page, make_photo):
    """A browser reports each failed image request, whatever the page does about it."""
    make_photo(daemon.inbox / "gone.jpg")
    (daemon.inbox / "broken.png").write_bytes(b"no picture")
    (daemon.inbox / "gone.txt").write_text("text")
    (daemon.inbox / "gone.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    daemon.start()
    daemon.wait_for_counts(done=8)
    for name in ("gone.jpg", "gone.txt", "gone.svg"):
        (daemon.inbox / name).unlink()
    page = await open_page(at="settings")
    logged, failed = [], []
    page.on("console", lambda message: logged.append(message.text))
    page.on("response", lambda response: failed.append(response.url) if response.status >= 400 else None)
    home = page.url.split("#")[0]
    for view in ("", "gallery"):
        await page.goto(f"{home}#/{view}")
        await expect(page.locator("main .thumbnail-placeholder")).to_have_count(4)
    await page.get_by_role("link", name="gone.jpg, JPG").click()
    await expect(page.get_by_role("dialog").get_by_role("button", name="Close")).to_be_visible()
    await expect(page.get_by_role("dialog").get_by_role("img", name="gone.jpg")).to_have_count(0)
    assert (logged, failed) == ([], [])
