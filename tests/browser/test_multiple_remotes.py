"""Files with several remotes: one entry per file, with a state for each remote."""

import asyncio
import json
import os

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.conftest import WAIT_TIMEOUT_SECONDS
from tests.support.wait import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]


@pytest_asyncio.fixture(loop_scope="package")
async def half_rejected(daemon, make_photo, rejecting_proxy):
    """A daemon with two photos that remote ``drive`` has and remote ``ascii`` rejects."""
    daemon.settings["folders"][0]["remote"] = ["ascii", "drive"]
    daemon.settings["remotes"]["ascii"]["url"] = rejecting_proxy.url
    for number in range(2):
        make_photo(daemon.inbox / f"{number}.jpg", number)
    await asyncio.to_thread(daemon.start)
    await wait_for_counts(daemon, done=2, failed=2)
    return daemon


async def wait_for_counts(daemon, **counts):
    """Wait in a thread, because the rejecting proxy runs in this event loop."""
    await asyncio.to_thread(daemon.wait_for_counts, **counts)


def rows(page):
    return page.get_by_role("list", name="Files").get_by_role("listitem")


def states(row):
    """Return the state badges. Their text includes what only screen readers see."""
    return row.locator(".remote-states")


FAILED = "ascii: failed. drive: done."


@pytest.mark.parametrize("view", ["files", "files?state=failed", "files?state=done", "files?remote=drive"])
async def test_files_two_remotes_make_one_row_per_file(half_rejected, open_page, view):
    page = await open_page(at=view)
    await expect(rows(page)).to_have_count(2)
    await expect(page.get_by_text("2 files shown")).to_be_visible()
    for row in await rows(page).all():
        await expect(states(row)).to_have_text(FAILED)
        assert await row.locator(".remote-state svg").count() == 2
        await expect(row.locator(".file-row-detail")).to_contain_text("ascii: ")
        await expect(row.locator(".file-row-detail")).to_contain_text("not allowed")
    title = await page.get_by_role("button", name="Failed 2").get_attribute("title")
    assert title.startswith("2 uploads")


async def test_retry_button_retries_failed_remote(half_rejected, open_page, rejecting_proxy):
    page = await open_page(at="files?state=failed")
    row = rows(page).filter(has_text="1.jpg")
    await expect(states(row)).to_have_text(FAILED)
    rejecting_proxy.rejects = False
    await page.get_by_role("button", name="Retry 1.jpg").click()
    await expect(page.get_by_text("1 upload queued again.")).to_be_visible()
    await expect(states(row)).to_have_text("ascii: done. drive: done.")
    await expect(page.get_by_role("button", name="Retry 1.jpg")).to_have_count(0)
    await wait_for_counts(half_rejected, done=3, failed=1)


async def test_selection_by_keyboard_cancels_files(half_rejected, open_page):
    page = await open_page(at="files")
    box = page.get_by_role("checkbox", name="Select 0.jpg")
    await box.focus()
    await page.keyboard.press("Space")
    await expect(page.get_by_text("1 selected")).to_be_visible()
    await page.get_by_role("button", name="Cancel", exact=True).focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("1 upload cancelled.", exact=False)).to_be_visible()
    await expect(states(rows(page).filter(has_text="0.jpg"))).to_have_text("ascii: skipped. drive: done.")
    await expect(states(rows(page).filter(has_text="1.jpg"))).to_have_text(FAILED)
    await wait_for_counts(half_rejected, done=2, failed=1, skipped=1)


async def test_files_across_pages_make_one_row_per_file(daemon, open_page):
    """With more files than a page has jobs, jobs of a later page join the row of their file."""
    daemon.settings["folders"][0]["remote"] = ["ascii", "drive"]
    for number in range(130):
        (daemon.inbox / f"{number:03}.txt").write_text(f"({number})")
    daemon.start()
    daemon.wait_for_counts(done=260)
    page = await open_page(at="files")
    await expect(rows(page).first).to_be_visible()
    seen = set()

    async def all_seen():
        names = await rows(page).locator(".file-row-name strong").all_text_contents()
        assert len(names) == len(set(names))
        seen.update(names)
        await page.mouse.wheel(0, 700)
        return len(seen) == 130

    await wait_until(all_seen, timeout=WAIT_TIMEOUT_SECONDS)
    await expect(page.get_by_text("130 files shown (260 uploads)", exact=True)).to_be_visible()
    assert set(await states(rows(page)).all_text_contents()) == {"ascii: done. drive: done. "}


async def test_gallery_tile_names_failed_remote(half_rejected, open_page, rejecting_proxy):
    page = await open_page(at="gallery")
    tiles = page.get_by_role("list", name="Uploaded images").get_by_role("link")
    await expect(tiles).to_have_count(2)
    tile = tiles.filter(has_text="1.jpg")  # either of the two can be the newest
    await expect(tile).to_have_accessible_name("1.jpg, JPG, ascii: failed")
    await expect(tile.locator(".tile-state svg")).to_be_visible()
    rejecting_proxy.rejects = False
    await asyncio.to_thread(half_rejected.client.retry, None)
    await expect(tile).to_have_accessible_name("1.jpg, JPG")
    await expect(tile.locator(".tile-state")).to_be_hidden()


async def test_overview_two_remotes_show_two_progress_bars(daemon, open_page):
    daemon.settings["folders"][0]["remote"] = ["ascii", "drive"]
    daemon.settings["remotes"]["drive"] |= {"chunk_size": "64KiB", "direct": "never"}
    daemon.settings["remotes"]["ascii"] |= {"chunk_size": "64KiB"}
    daemon.settings["scheduler"]["bandwidth"] = "200KiB/s"
    daemon.start()
    page = await open_page()
    panel = page.locator(".uploads-panel")
    await expect(page.get_by_role("heading", name="Upload speed")).to_be_visible()
    await expect(panel).to_be_hidden()
    idle = await page.locator(".chart-panel").bounding_box()
    column = await page.locator(".overview-uploads").bounding_box()
    assert idle["width"] == column["width"]
    (daemon.inbox / "sky.jpg").write_bytes(os.urandom(900 * 1024))
    await expect(panel).to_be_visible()
    for name in ("ascii", "drive"):
        await expect(panel.get_by_role("progressbar", name=f"sky.jpg to {name}")).to_be_visible()
    await expect(panel.get_by_role("listitem")).to_have_count(1)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Uploading 1 file")
    daemon.client._request("POST", "/v1/settings", json.dumps({"bandwidth": "unlimited"}).encode())
    await expect(page.get_by_role("heading", level=1)).to_have_text("Everything is uploaded")
    await expect(panel).to_be_hidden()


GROUP_AND_UPDATE = """async () => {
  const { JobsByFile, cancellableJobs, detailText, retryableJobs } = await import("/static/files/jobs-by-file.js");
  const { updateRemoteStates, remoteStates } = await import("/static/ui/remote-states.js");
  const job = (id, name, remote, state, detail = null) =>
    ({ id, path: `/in/${name}`, uri: `file:///in/${name}`, folder: "/in", remote, state, detail,
       outcome: null, size: 1, updated_at: "2026-01-01T00:00:00+00:00" });
  const shape = list => list.files.map(file => [file.path, ...file.jobs.map(one => `${one.remote} ${one.state}`)]);
  const list = new JobsByFile();
  list.add([job(1, "a", "z", "done"), job(2, "b", "z", "failed", "full"), job(3, "a", "y", "queued")]);
  const result = { first: shape(list) };
  result.known = list.applyEvent({ ...job(3, "a", "y", "done"), uri: undefined });
  result.joins = list.applyEvent({ ...job(4, "b", "y", "skipped", "cancelled"), uri: undefined });
  result.foreign = list.applyEvent({ ...job(5, "c", "y", "done"), uri: undefined });
  result.followed = shape(list);
  const b = list.byKey.get("file:///in/b");
  result.retry = retryableJobs(b).map(one => one.remote);
  result.cancel = cancellableJobs(b).map(one => one.remote);
  result.reasons = detailText(b);
  list.add([job(1, "renamed", "z", "done"), job(3, "renamed", "y", "done")]);
  result.renamed = shape(list);
  const many = remoteStates();
  const state = name => (name === "e" ? "failed" : "done");
  updateRemoteStates(many, ["a", "b", "c", "d", "e", "f"].map((name, n) => job(n, "x", name, state(name))));
  result.many = many.textContent;
  return result;
}"""


async def test_jobs_by_file_groups_and_updates_jobs(daemon, open_page):
    daemon.start()
    page = await open_page()
    result = await page.evaluate(GROUP_AND_UPDATE)
    assert result == {
        "first": [["/in/a", "y queued", "z done"], ["/in/b", "z failed"]],
        "known": True,
        "joins": True,
        "foreign": False,
        "followed": [["/in/a", "y done", "z done"], ["/in/b", "y skipped", "z failed"]],
        "retry": ["z"],
        "cancel": ["z"],
        "reasons": "y: cancelled · z: full",
        "renamed": [["/in/b", "y skipped", "z failed"], ["/in/renamed", "y done", "z done"]],
        "many": "e: failed. a: done. b: done. +3 more: c: done, d: done, f: done",
    }


async def test_overview_counts_uploads_and_links_to_them(daemon, open_page, make_photo):
    daemon.settings["folders"][0]["remote"] = ["ascii", "drive"]
    for number in range(3):
        make_photo(daemon.inbox / f"{number}.jpg", number)
    (daemon.inbox / "empty.jpg").touch()
    for name in ("clip.mp4", "notes.pdf"):
        (daemon.inbox / name).write_bytes(b"content")
    daemon.start()
    await wait_for_counts(daemon, done=6, skipped=2)
    page = await open_page()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Uploaded, with exceptions")
    await page.get_by_role("link", name="2 skipped uploads").click()
    await expect(page.get_by_text("1 file shown (2 uploads)")).to_be_visible()
    await page.go_back()
    await page.get_by_role("link", name="2 files left out by patterns (1 video)").click()
    await expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    daemon.client.stop()
    make_photo(daemon.inbox / "late.jpg", 9)
    await wait_for_counts(daemon, queued=2)
    await page.go_back()
    await page.get_by_role("link", name="Pending uploads 2").click()
    await expect(page.get_by_role("button", name="Pending 2")).to_have_attribute("aria-pressed", "true")
    await expect(page.get_by_text("1 file shown (2 uploads)")).to_be_visible()
    await expect(page.get_by_text("late.jpg")).to_be_visible()
