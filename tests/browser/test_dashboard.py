"""Tasks of a user of the dashboard, in a real browser."""

import asyncio
import os

import pytest
from playwright.async_api import expect

from tests.browser.conftest import WAIT_TIMEOUT_SECONDS
from tests.support.wait import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="package")]

KIB = 1024


def headline(page):
    return page.get_by_role("heading", level=1)


async def test_pause_button_pauses_and_resumes_uploads(daemon, open_page, make_photo):
    daemon.start()
    page = await open_page()
    await expect(headline(page)).to_have_text("Waiting for files")
    await page.get_by_role("button", name="Pause uploads").click()
    await expect(headline(page)).to_have_text("Uploads paused")
    assert daemon.client.status()["state"] == "stopped"
    make_photo(daemon.inbox / "late.jpg")
    await expect(page.get_by_text("2 uploads pending (", exact=False)).to_be_visible()
    assert daemon.client.status()["jobs"]["done"] == 0
    await page.get_by_role("button", name="Resume uploads").click()
    await expect(headline(page)).to_have_text("Everything is uploaded")
    assert daemon.client.status()["jobs"]["done"] == 2


async def test_overview_upload_shows_progress_by_chunk(daemon, open_page):
    daemon.settings["folders"][0]["remote"] = "drive"
    daemon.settings["remotes"]["drive"] |= {"chunk_size": "64KiB", "direct": "never"}
    daemon.settings["scheduler"]["bandwidth"] = "100KiB/s"
    daemon.start()
    page = await open_page()
    (daemon.inbox / "sky.jpg").write_bytes(os.urandom(900 * KIB))
    bar = page.get_by_role("progressbar", name="sky.jpg")
    await expect(bar).to_be_visible()
    seen = set()

    async def moved():
        seen.add(round(float(await bar.evaluate("bar => bar.value", timeout=500)), 3))
        return len(seen) > 4

    await wait_until(moved, timeout=WAIT_TIMEOUT_SECONDS)
    assert seen <= {round(number / 15, 3) for number in range(16)}  # the file has 15 chunks
    await expect(page.locator(".uploads small").first).to_contain_text("KiB/s")
    await expect(headline(page)).to_have_text("Everything is uploaded")
    await expect(bar).to_have_count(0)
    await expect(page.get_by_role("link", name="sky.jpg, JPG")).to_be_visible()


DROP = """async ([name, text, times]) => {
  const transfer = new DataTransfer();
  for (let n = 0; n < times; n += 1) transfer.items.add(new File([text + n], name, { type: "text/plain" }));
  for (const type of ["dragenter", "dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}"""


async def test_drop_adds_files_to_folder(daemon, open_page):
    (daemon.inbox / "cat.txt").write_text("was here before")
    daemon.start()
    page = await open_page()
    await expect(page.get_by_text("inbox", exact=False).first).to_be_visible()
    await page.evaluate(DROP, ["cat.txt", "=^.^=", 2])
    await expect(page.get_by_role("region", name="Files being added")).to_contain_text("2 files added")
    assert (daemon.inbox / "cat.txt").read_text() == "was here before"
    assert sorted(path.read_text() for path in daemon.inbox.iterdir()) == ["=^.^=0", "=^.^=1", "was here before"]
    daemon.wait_for_counts(done=6)
    await page.evaluate(DROP, ["notes.docx", "no picture", 1])
    await expect(page.locator(".transfer-panel li[data-tone=error]")).to_contain_text("notes.docx")
    assert len(list(daemon.inbox.iterdir())) == 3


async def test_add_files_button_adds_chosen_files(daemon, open_page, make_photo, tmp_path):
    daemon.start()
    page = await open_page()
    async with page.expect_file_chooser() as chooser:
        await page.get_by_role("button", name="Add files").click()
    await (await chooser.value).set_files([make_photo(tmp_path / "one.png", 1), make_photo(tmp_path / "two.png", 2)])
    daemon.wait_for_counts(done=4)
    assert (daemon.inbox / "one.png").read_bytes() == (tmp_path / "one.png").read_bytes()
    await expect(page.get_by_role("link", name="two.png, PNG").locator("img")).to_have_js_property("naturalWidth", 320)


async def test_files_failed_upload_can_be_retried(daemon, open_page, make_photo, rejecting_proxy):
    daemon.settings["folders"][0]["remote"] = "ascii"
    daemon.settings["remotes"]["ascii"]["url"] = rejecting_proxy.url
    for number in range(3):
        make_photo(daemon.inbox / f"{number}.jpg", number)
    daemon.start()
    page = await open_page()
    await expect(headline(page)).to_have_text("3 uploads failed")
    await page.get_by_role("navigation").get_by_role("link", name="Files").click()
    await page.get_by_role("button", name="Failed 3").click()
    await expect(page.get_by_text("this image is not allowed").first).to_be_visible()
    rejecting_proxy.rejects = False
    await page.get_by_role("button", name="Retry 1.jpg").click()
    await wait_until(lambda: daemon.client.status()["jobs"]["done"] == 1, timeout=WAIT_TIMEOUT_SECONDS)
    await page.get_by_role("button", name="Retry all failed (2)").click()
    await expect(page.get_by_text("2 uploads queued again.")).to_be_visible()
    await expect(page.get_by_role("heading", name="No failed uploads")).to_be_visible()


async def test_files_selected_uploads_can_be_cancelled(daemon, open_page, make_photo):
    for number in range(4):
        make_photo(daemon.inbox / f"{number}.jpg", number)
    daemon.settings["folders"][0]["remote"] = "drive"
    daemon.start()
    daemon.client.stop(now=True)
    (daemon.inbox / "late.jpg").write_bytes(b"x")
    page = await open_page(at="files?state=queued")
    await wait_until(lambda: daemon.client.status()["jobs"]["queued"] >= 1, timeout=WAIT_TIMEOUT_SECONDS)
    queued = daemon.client.status()["jobs"]["queued"]
    await page.reload()
    await page.get_by_role("checkbox", name="Select all files shown").check()
    await expect(page.get_by_text(f"{queued} selected")).to_be_visible()
    await page.get_by_role("button", name="Cancel", exact=True).click()
    daemon.wait_for_counts(skipped=queued, queued=0)


async def test_log_filters_pauses_and_downloads_lines(daemon, open_page, make_photo):
    daemon.start()
    page = await open_page(at="log")
    lines = page.get_by_role("region", name="Log lines").get_by_role("listitem")
    await expect(lines.filter(has_text="daemon.started")).to_have_count(1)
    make_photo(daemon.inbox / "new.jpg")
    await expect(lines.filter(has_text="job.done")).to_have_count(2)
    await page.get_by_role("searchbox", name="Event name starts with").fill("job.")
    await expect(lines.filter(has_text="daemon.started")).to_have_count(0)
    await page.get_by_role("searchbox", name="Search text").fill("remote=DRIVE")
    await expect(lines.filter(has_text="remote=ascii")).to_have_count(0)
    await expect(lines.filter(has_text="job.done")).to_have_count(1)
    await page.get_by_role("searchbox", name="Search text").fill("")
    await page.get_by_role("combobox", name="Minimum level").select_option("error")
    await expect(lines).to_have_count(0)
    await page.get_by_role("combobox", name="Minimum level").select_option("debug")
    await page.get_by_role("button", name="Pause log").click()
    make_photo(daemon.inbox / "paused.jpg", 2)
    daemon.wait_for_counts(done=4)
    await expect(page.get_by_text("Paused.", exact=False)).to_contain_text("new line")
    await expect(lines.filter(has_text="paused.jpg")).to_have_count(0)
    await page.get_by_role("button", name="Resume log").click()
    await expect(lines.filter(has_text="paused.jpg").first).to_be_visible()
    await expect(lines.filter(has_text="job.done").filter(has_text="paused.jpg")).to_have_count(2)
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Download").click()
    assert '"event":"job.done"' in (await (await download.value).path()).read_text()
    await lines.filter(has_text="job.done").last.get_by_role("link").click()
    await expect(page.get_by_role("dialog", name="paused.jpg")).to_be_visible()


async def test_file_dialog_damaged_copy_is_uploaded_again(daemon, receiver, open_page, make_photo):
    daemon.settings["folders"][0]["remote"] = "drive"
    make_photo(daemon.inbox / "precious.jpg")
    daemon.start()
    daemon.wait_for_counts(done=1)
    page = await open_page(at="gallery")
    await page.get_by_role("link", name="precious.jpg, JPG").click()
    dialog = page.get_by_role("dialog", name="precious.jpg")
    await expect(dialog.get_by_role("img", name="precious.jpg")).to_have_js_property("naturalWidth", 640)
    verify = dialog.get_by_role("button", name="Verify: drive")
    await verify.click()
    await expect(dialog.get_by_text("The server's copy is intact", exact=False)).to_be_visible()
    content = (daemon.inbox / "precious.jpg").read_bytes()
    [stored] = [path for path in receiver.folder.rglob("*") if path.is_file() and path.read_bytes() == content]
    stored.write_bytes(content[:-1] + b"!")
    await verify.click()
    await expect(dialog.locator(".verify-result[data-tone=error]")).to_be_visible()
    await dialog.get_by_role("button", name="Upload again").click()
    await wait_until(lambda: stored.exists() and stored.read_bytes() == content, timeout=WAIT_TIMEOUT_SECONDS)
    daemon.wait_for_counts(done=1)
    await verify.click()
    await expect(dialog.get_by_text("The server's copy is intact", exact=False)).to_be_visible()


async def test_file_dialog_verify_result_survives_job_update(daemon, receiver, open_page, make_photo):
    daemon.settings["folders"][0]["remote"] = "drive"
    photo = daemon.inbox / "precious.jpg"
    make_photo(photo)
    daemon.start()
    daemon.wait_for_counts(done=1)
    page = await open_page(at="gallery")
    answer = asyncio.Event()

    async def hold(route):
        await answer.wait()
        await route.continue_()

    await page.route("**/v1/verify", hold)
    await page.get_by_role("link", name="precious.jpg, JPG").click()
    dialog = page.get_by_role("dialog", name="precious.jpg")
    await dialog.get_by_role("button", name="Verify: drive").click()
    await expect(dialog.get_by_text("Downloading the server's copy")).to_be_visible()
    shown = await dialog.locator(".remote-section time").first.get_attribute("datetime")
    photo.write_bytes(photo.read_bytes() + b"changed")
    await expect(dialog.locator(".remote-section time").first).not_to_have_attribute("datetime", shown)
    daemon.wait_for_counts(done=1)
    answer.set()
    await expect(dialog.get_by_text("The server's copy is intact", exact=False)).to_be_visible()


async def test_settings_bandwidth_changes_until_reload(daemon, open_page):
    daemon.start()
    page = await open_page(at="settings")
    await expect(page.get_by_text("Current: unlimited")).to_be_visible()
    await page.get_by_role("checkbox", name="unlimited").uncheck()
    await page.get_by_role("spinbutton", name="Bandwidth limit").fill("3")
    await page.get_by_role("button", name="Apply").first.click()
    await expect(page.get_by_text("Current: 3MiB/s")).to_be_visible()
    await expect(page.get_by_text("differs from the configuration file")).to_be_visible()
    await page.get_by_role("button", name="Reload").click()
    await expect(page.get_by_text("Current: unlimited")).to_be_visible()


async def test_gallery_many_images_keeps_few_elements(daemon, open_page):
    daemon.settings["folders"][0]["remote"] = "drive"
    for number in range(700):
        (daemon.inbox / f"{number:04}.txt").write_text(f"({number})")
    daemon.start()
    daemon.wait_for_counts(done=700)
    page = await open_page(at="gallery")
    tiles = page.get_by_role("list", name="Uploaded images").get_by_role("listitem")
    await expect(tiles.first).to_be_visible()
    seen = set()

    async def all_seen():
        names = await tiles.get_by_role("link").evaluate_all("links => links.map(link => link.ariaLabel)")
        assert len(names) < 250
        seen.update(names)
        await page.mouse.wheel(0, 700)
        return len(seen) == 700

    await wait_until(all_seen, timeout=WAIT_TIMEOUT_SECONDS)


async def test_files_slow_search_shows_busy_list(daemon, open_page, make_photo):
    make_photo(daemon.inbox / "sea.jpg", 1)
    make_photo(daemon.inbox / "hill.jpg", 2)
    daemon.start()
    daemon.wait_for_counts(done=4)
    page = await open_page(at="files")
    files = page.get_by_role("list", name="Files")
    await expect(files.get_by_role("listitem")).to_have_count(2)
    freed = asyncio.Event()

    async def slow(route):
        await freed.wait()
        await route.continue_()

    await page.route(lambda url: "search=hill" in url, slow)
    await page.get_by_role("searchbox", name="Search names").fill("hill")
    await expect(files).to_have_attribute("aria-busy", "true")
    freed.set()
    await expect(files.get_by_role("listitem")).to_have_count(1)
    await expect(files).not_to_have_attribute("aria-busy", "true")


async def test_page_lost_connection_reconnects(daemon, open_page, make_photo, free_port):
    daemon.settings["control"]["dashboard"] = f"127.0.0.1:{free_port}"
    daemon.start()
    page = await open_page()
    await expect(headline(page)).to_have_text("Waiting for files")
    daemon.kill()
    await expect(page.get_by_role("status").filter(has_text="Connection lost").first).to_be_visible()
    await expect(page.get_by_role("button", name="Pause uploads")).to_be_disabled()
    make_photo(daemon.inbox / "meanwhile.jpg")
    daemon.start()
    await expect(headline(page)).to_have_text("Everything is uploaded")
    await expect(page.get_by_role("button", name="Pause uploads")).to_be_enabled()
    await expect(page.get_by_role("link", name="meanwhile.jpg, JPG")).to_be_visible()


async def test_overview_unreachable_server_is_shown(daemon, receiver, open_page, make_photo):
    daemon.start()
    page = await open_page()
    receiver.kill()
    make_photo(daemon.inbox / "wait.jpg")
    await expect(headline(page)).to_have_text("ascii and drive are not responding")
    await expect(page.get_by_text("Offline").first).to_be_visible()
    await expect(page.get_by_text("connection refused. ").first).to_be_visible()
    receiver.start()
    await expect(headline(page)).to_have_text("Everything is uploaded")


@pytest.mark.parametrize(
    ("folder", "within", "path"),
    [
        ("/srv/photos", "may/a\\b.jpg", "/srv/photos/may/a\\b.jpg"),
        (r"C:\photos", r"may\a.jpg", r"C:\photos\may\a.jpg"),
        (r"\\nas\photos", r"may\a.jpg", r"\\nas\photos\may\a.jpg"),
        ("/srv/photos", "/srv/else/a.jpg", "/srv/else/a.jpg"),
    ],
)
async def test_format_path_is_split_by_its_separator(daemon, open_page, folder, within, path):
    """The daemon may run on Windows, with another separator."""
    daemon.start()
    page = await open_page()
    parts = await page.evaluate(
        """async ([path, folder]) => {
            const {baseName, relativePath} = await import("/static/ui/format.js");
            return [baseName(path), relativePath(path, folder)];
        }""",
        [path, folder],
    )
    assert parts == ["a\\b.jpg" if "b.jpg" in path else "a.jpg", within]
