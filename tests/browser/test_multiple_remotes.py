"""A file that goes to several servers is one entry everywhere, with its state on each of them."""

import asyncio
import os

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.conftest import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]


@pytest_asyncio.fixture(loop_scope="package")
async def half_refused(daemon, make_photo, rejecting_proxy):
    """Two photos that one of their two servers refuses, and the other has."""
    daemon.settings["folders"][0]["remote"] = ["ascii", "drive"]
    daemon.settings["remotes"]["ascii"]["url"] = rejecting_proxy.url
    for number in range(2):
        make_photo(daemon.inbox / f"{number}.jpg", number)
    await asyncio.to_thread(daemon.start)
    await counted(daemon, done=2, failed=2)
    return daemon


async def counted(daemon, **counts):
    """Wait in a thread: the server that refuses has this loop."""
    await asyncio.to_thread(daemon.until_counts, **counts)


def rows(page):
    return page.get_by_role("list", name="Files").get_by_role("listitem")


def markers(row):
    """What a screen reader says of the markers."""
    return row.locator(".markers")


FAILED = "ascii: failed. drive: done."


@pytest.mark.parametrize("view", ["files", "files?state=failed", "files?state=done", "files?remote=drive"])
async def test_files_two_remotes_make_one_row_per_file(half_refused, open_page, view):
    page = await open_page(at=view)
    await expect(rows(page)).to_have_count(2)
    await expect(page.get_by_text("2 files shown")).to_be_visible()
    for row in await rows(page).all():
        await expect(markers(row)).to_have_text(FAILED)
        assert await row.locator(".marker svg").count() == 2
        await expect(row.locator(".row-detail")).to_contain_text("ascii: ")
        await expect(row.locator(".row-detail")).to_contain_text("not allowed")
    title = await page.get_by_role("button", name="Failed 2").get_attribute("title")
    assert title.startswith("2 uploads")


async def test_retry_button_retries_failed_remote(half_refused, open_page, rejecting_proxy):
    page = await open_page(at="files?state=failed")
    row = rows(page).filter(has_text="1.jpg")
    await expect(markers(row)).to_have_text(FAILED)
    rejecting_proxy.rejects = False
    await page.get_by_role("button", name="Retry 1.jpg").click()
    await expect(page.get_by_text("1 upload queued again.")).to_be_visible()
    await expect(markers(row)).to_have_text("ascii: done. drive: done.")
    await expect(page.get_by_role("button", name="Retry 1.jpg")).to_have_count(0)
    await counted(half_refused, done=3, failed=1)


async def test_selection_by_keyboard_cancels_files(half_refused, open_page):
    page = await open_page(at="files")
    box = page.get_by_role("checkbox", name="Select 0.jpg")
    await box.focus()
    await page.keyboard.press("Space")
    await expect(page.get_by_text("1 selected")).to_be_visible()
    await page.get_by_role("button", name="Cancel", exact=True).focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("1 upload cancelled.", exact=False)).to_be_visible()
    await expect(markers(rows(page).filter(has_text="0.jpg"))).to_have_text("ascii: skipped. drive: done.")
    await expect(markers(rows(page).filter(has_text="1.jpg"))).to_have_text(FAILED)
    await counted(half_refused, done=2, failed=1, skipped=1)


async def test_files_across_pages_make_one_row_per_file(daemon, open_page):
    """More files than a page has jobs: what comes with a later page joins the row that is there."""
    daemon.settings["folders"][0]["remote"] = ["ascii", "drive"]
    for number in range(130):
        (daemon.inbox / f"{number:03}.txt").write_text(f"({number})")
    daemon.start()
    daemon.until_counts(done=260)
    page = await open_page(at="files")
    await expect(rows(page).first).to_be_visible()
    seen = set()

    async def all_seen():
        names = await rows(page).locator(".row-name strong").all_text_contents()
        assert len(names) == len(set(names))
        seen.update(names)
        await page.mouse.wheel(0, 700)
        return len(seen) == 130

    await wait_until(all_seen)
    await expect(page.get_by_text("130 files shown", exact=True)).to_be_visible()
    assert set(await markers(rows(page)).all_text_contents()) == {"ascii: done. drive: done. "}


async def test_gallery_tile_names_failed_remote(half_refused, open_page, rejecting_proxy):
    page = await open_page(at="gallery")
    tiles = page.get_by_role("list", name="Uploaded pictures").get_by_role("link")
    await expect(tiles).to_have_count(2)
    tile = tiles.filter(has_text="1.jpg")  # which of the two is the newest is chance
    await expect(tile).to_have_accessible_name("1.jpg, JPG, ascii: failed")
    await expect(tile.locator(".tile-marker svg")).to_be_visible()
    rejecting_proxy.rejects = False
    await asyncio.to_thread(half_refused.ctl.retry, None)
    await expect(tile).to_have_accessible_name("1.jpg, JPG")
    await expect(tile.locator(".tile-marker")).to_be_hidden()


async def test_overview_two_remotes_show_two_progress_bars(daemon, open_page):
    daemon.settings["folders"][0]["remote"] = ["ascii", "drive"]
    daemon.settings["remotes"]["drive"] |= {"chunk_size": "64KiB", "direct": "never"}
    daemon.settings["remotes"]["ascii"] |= {"chunk_size": "64KiB"}
    daemon.settings["scheduler"]["bandwidth"] = "200KiB/s"
    daemon.start()
    page = await open_page()
    panel = page.locator(".flights-panel")
    await expect(page.get_by_role("heading", name="Upload speed")).to_be_visible()
    await expect(panel).to_be_hidden()
    idle = await page.locator(".chart-panel").bounding_box()
    hero = await page.locator(".hero").bounding_box()
    assert idle["width"] == hero["width"]
    (daemon.inbox / "sky.jpg").write_bytes(os.urandom(900 * 1024))
    await expect(panel).to_be_visible()
    for name in ("ascii", "drive"):
        await expect(panel.get_by_role("progressbar", name=f"sky.jpg to {name}")).to_be_visible()
    await expect(panel.get_by_role("listitem")).to_have_count(1)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Uploading 1 file")
    daemon.ctl._ask("POST", "/v1/settings", {"bandwidth": "unlimited"})
    await expect(page.get_by_role("heading", level=1)).to_have_text("Everything is uploaded")
    await expect(panel).to_be_hidden()


LIST = """async () => {
  const { JobsByFile, cancellableJobs, detailText, retryableJobs } = await import("/static/files/jobs-by-file.js");
  const { updateRemoteStates, remoteStates } = await import("/static/ui/remote-states.js");
  const job = (id, name, remote, state, detail = null) =>
    ({ id, path: `/in/${name}`, uri: `file:///in/${name}`, folder: "/in", remote, state, detail,
       outcome: null, size: 1, updated_at: "2026-01-01T00:00:00+00:00" });
  const shape = list => list.files.map(file => [file.path, ...file.jobs.map(one => `${one.remote} ${one.state}`)]);
  const list = new JobsByFile();
  list.add([job(1, "a", "z", "done"), job(2, "b", "z", "failed", "full"), job(3, "a", "y", "queued")]);
  const told = { first: shape(list) };
  told.known = list.follow({ ...job(3, "a", "y", "done"), uri: undefined });
  told.joins = list.follow({ ...job(4, "b", "y", "skipped", "cancelled"), uri: undefined });
  told.foreign = list.follow({ ...job(5, "c", "y", "done"), uri: undefined });
  told.followed = shape(list);
  const b = list.byKey.get("file:///in/b");
  told.retry = retryableJobs(b).map(one => one.remote);
  told.cancel = cancellableJobs(b).map(one => one.remote);
  told.reasons = detailText(b);
  list.add([job(1, "renamed", "z", "done"), job(3, "renamed", "y", "done")]);
  told.renamed = shape(list);
  const many = remoteStates();
  updateRemoteStates(many, ["a", "b", "c", "d", "e", "f"].map((name, n) => job(n, "x", name, n === 4 ? "failed" : "done")));
  told.many = many.textContent;
  return told;
}"""


async def test_jobs_by_file_groups_and_updates_jobs(daemon, open_page):
    daemon.start()
    page = await open_page()
    told = await page.evaluate(LIST)
    assert told == {
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
