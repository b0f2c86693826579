"""Files uploaded through the dashboard are saved completely or not at all.

They never replace another file. The daemon is real.
"""

import asyncio
import io
import os
import shutil
import subprocess

import pytest

from syncd.control.job_targets import encode_target
from syncd.control.service import ApiError, DiskFullError, InvalidRequestError
from syncd.daemon.dashboard_uploads import PartialUpload, save_upload
from tests.support.data import random_bytes
from tests.support.wait import wait_until


async def put(http, folder, name, data, status=201):
    async with http.put("/v1/drop", params={"folder": encode_target(str(folder)), "name": name}, data=data) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def rejection(http, folder, name, data, status=400):
    (reason,) = (await put(http, folder, name, data, status)).values()
    assert "\n" not in reason
    return reason


def stored_names(harness):
    return sorted(os.listdir(harness.inbox))


async def test_dashboard_upload_is_saved_and_uploaded(harness, http):
    await harness.start()
    data = random_bytes(3 * 1024 * 1024)
    before = os.umask(0o022)
    try:
        dropped = await put(http, harness.inbox, "a b é.jpg", io.BytesIO(data))
    finally:
        os.umask(before)
    assert dropped == {"path": str(harness.inbox / "a b é.jpg"), "name": "a b é.jpg"}
    assert (harness.inbox / "a b é.jpg").stat().st_mode & 0o777 == 0o644
    (job,) = await harness.wait_for_states("a b é.jpg", "done")
    assert await harness.content(job) == data
    assert stored_names(harness) == ["a b é.jpg"]


async def test_dashboard_upload_in_polled_folder_is_found_at_once(harness, http, monkeypatch):
    monkeypatch.setattr("syncd.watch.scans.MIN_POLL_INTERVAL_SECONDS", 3600.0)
    harness.settings["folders"][0]["watch"] = "poll"
    await harness.start()
    (watch,) = harness.daemon.runtime.folders.watches.values()
    await wait_until(lambda: watch._scan_runner._next_full_scan)
    await put(http, harness.inbox, "a.jpg", random_bytes(100))
    await harness.wait_for_states("a.jpg", "done")


async def test_dashboard_upload_existing_name_gets_number(stopped, http):
    (stopped.inbox / "a.jpg").write_bytes(b"mine")
    (stopped.inbox / "a (2).jpg").symlink_to("nowhere")
    assert (await put(http, stopped.inbox, "a.jpg", b"theirs"))["name"] == "a (3).jpg"
    assert (stopped.inbox / "a.jpg").read_bytes() == b"mine"
    assert (stopped.inbox / "a (2).jpg").is_symlink()
    assert (stopped.inbox / "a (3).jpg").read_bytes() == b"theirs"


@pytest.mark.parametrize("links", [True, False])
async def test_dashboard_upload_concurrent_same_names_all_saved(stopped, http, links, monkeypatch):
    if not links:
        monkeypatch.setattr("syncd.platform.posix.openat.rename_exclusively", refuse_link)
        monkeypatch.setattr(os, "link", refuse_link)
    contents = [random_bytes(200_000, seed) for seed in range(8)]
    dropped = await asyncio.gather(*(put(http, stopped.inbox, "a.jpg", data) for data in contents))
    assert sorted(one["name"] for one in dropped) == [*(f"a ({number}).jpg" for number in range(2, 9)), "a.jpg"]
    assert [(stopped.inbox / one["name"]).read_bytes() for one in dropped] == contents
    assert len(stored_names(stopped)) == 8


async def test_dashboard_upload_rename_error_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("syncd.platform.posix.openat.rename_exclusively", refuse_link)
    monkeypatch.setattr(os, "link", refuse_link)
    monkeypatch.setattr(os, "replace", refuse_link)
    with pytest.raises(ApiError, match="permission denied"):
        await save_upload(str(tmp_path), "a.jpg", 4, content(b"half"), is_selected=lambda _: True, token=bytes(8))
    assert list(tmp_path.iterdir()) == []


def refuse_link(*_arguments, **_options):
    raise PermissionError(1, "no hard links here")


async def test_dashboard_upload_unselected_number_is_rejected(harness, http):
    harness.settings["folders"][0]["include"] = ["cover.jpg"]
    await harness.start()
    await put(http, harness.inbox, "cover.jpg", b"one")
    assert "patterns exclude cover (2).jpg" in await rejection(http, harness.inbox, "cover.jpg", b"two")
    assert stored_names(harness) == ["cover.jpg"]


@pytest.mark.parametrize("name", ["", "../a.jpg", "a/b.jpg", ".a.jpg", "a\n.jpg", "con.jpg", "x" * 300 + ".jpg"])
async def test_dashboard_upload_unsafe_name_is_rejected(stopped, http, name):
    await rejection(http, stopped.inbox, name, b"content")
    assert stored_names(stopped) == []
    assert not (stopped.folder / "a.jpg").exists()


async def test_dashboard_upload_unselected_file_is_rejected(harness, http):
    harness.settings["folders"][0] |= {"include": ["*.jpg", "*.png"], "exclude": ["draft*"], "max_size": "1KiB"}
    await harness.start()
    reason = await rejection(http, harness.inbox, "a.doc", b"content")
    assert reason == "a.doc would not be uploaded: the folder takes *.jpg *.png, and leaves out draft*"
    await rejection(http, harness.inbox, "draft.jpg", b"content")
    assert await rejection(http, harness.inbox, "a.jpg", b"") == "a.jpg: empty"
    assert (
        await rejection(http, harness.inbox, "a.jpg", bytes(1025), status=413) == "a.jpg: larger than max_size (1KiB)"
    )
    await rejection(http, harness.folder, "a.jpg", b"content", status=404)
    await rejection(http, harness.folder / "state", "a.jpg", b"content", status=404)
    assert stored_names(harness) == []
    await put(http, harness.inbox, "A.JPG", bytes(1024))


async def test_dashboard_upload_missing_folder_is_rejected(stopped, http):
    stopped.inbox.rename(stopped.folder / "away")
    reason = await rejection(http, stopped.inbox, "a.jpg", b"content", status=404)
    assert "does not exist" in reason or "offline" in reason

    def offline():
        return stopped.daemon.runtime.folders.watches[str(stopped.inbox)].status.state == "offline"

    await wait_until(offline)
    assert "offline" in await rejection(http, stopped.inbox, "a.jpg", b"content", status=404)
    assert not stopped.inbox.exists()


async def test_dashboard_upload_without_length_is_rejected(stopped, http):
    async def chunked():
        yield b"content"

    await rejection(http, stopped.inbox, "a.jpg", chunked(), status=411)
    assert stored_names(stopped) == []


async def test_dashboard_upload_interrupted_leaves_nothing(stopped):
    path = str(stopped.folder / "state" / "control.sock")
    _, writer = await asyncio.open_unix_connection(path)
    target = f"/v1/drop?folder={encode_target(str(stopped.inbox))}&name=a.jpg"
    writer.write(f"PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n".encode() + bytes(300_000))
    await writer.drain()

    def begun():
        return any(path.stat().st_size > 100_000 for path in stopped.inbox.iterdir())

    await wait_until(begun)
    (part,) = stored_names(stopped)
    assert part.startswith(".")
    writer.close()
    await writer.wait_closed()
    await wait_until(lambda: stored_names(stopped) == [])


async def test_dashboard_upload_stalled_is_cancelled(stopped, http, monkeypatch):
    monkeypatch.setattr("syncd.control.file_handlers.STALL_TIMEOUT_SECONDS", 0.05)
    go_on = asyncio.Event()

    async def slow():
        yield bytes(1000)
        await go_on.wait()

    headers = {"Content-Length": "2000"}
    query = {"folder": encode_target(str(stopped.inbox)), "name": "a.jpg"}
    async with http.put("/v1/drop", params=query, data=slow(), headers=headers) as answer:
        assert answer.status == 408
    go_on.set()
    assert stored_names(stopped) == []


async def test_dashboard_upload_leftovers_are_removed_at_start(harness):
    left = harness.inbox / ".syncd-drop-0123456789abcdef.part"
    left.write_bytes(b"half of")
    other = harness.inbox / ".syncd-drop-of-mine.part"
    other.write_bytes(b"mine")
    held = PartialUpload(str(harness.inbox), ".syncd-drop-00000000000000ff.part")
    held.begin(5)  # an upload in progress of another daemon
    await harness.start()
    await wait_until(lambda: not left.exists())
    assert stored_names(harness) == [".syncd-drop-00000000000000ff.part", other.name]
    held.close()
    assert stored_names(harness) == [other.name]


async def content(*pieces):
    for piece in pieces:
        yield piece


async def test_save_upload_cancelled_leaves_nothing(tmp_path):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow():
        yield b"half"
        begun.set()
        await go_on.wait()

    landing = asyncio.create_task(
        save_upload(str(tmp_path), "a.jpg", 8, slow(), is_selected=lambda _: True, token=bytes(8)),
    )
    await begun.wait()
    assert len(list(tmp_path.iterdir())) == 1
    landing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await landing
    assert list(tmp_path.iterdir()) == []


async def test_save_upload_short_content_is_rejected(tmp_path):
    with pytest.raises(InvalidRequestError, match="4 of 8 bytes"):
        await save_upload(str(tmp_path), "a.jpg", 8, content(b"half"), is_selected=lambda _: True, token=bytes(8))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can mount a small file system")
    mount_point = tmp_path / "disk"
    mount_point.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", mount_point], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    yield mount_point
    subprocess.run(["umount", mount_point], check=True)


@pytest.mark.e2e
async def test_save_upload_full_disk_raises_error(small_disk):
    def dropping(size, *pieces):
        return save_upload(str(small_disk), "a.jpg", size, content(*pieces), is_selected=lambda _: True, token=bytes(8))

    with pytest.raises(DiskFullError, match=" free, "):
        await dropping(2 * 1024 * 1024)
    (small_disk / "other").write_bytes(bytes(300_000))
    piece = bytes(100_000)
    with pytest.raises(DiskFullError, match="the disk is full"):  # another program has used the space
        await dropping(700_000, *[piece] * 20)
    assert os.listdir(small_disk) == ["other"]
    assert await dropping(300_000, *[piece] * 3) == "a.jpg"


@pytest.mark.e2e
async def test_dashboard_upload_full_disk_is_507(harness, http, small_disk):
    harness.settings["folders"][0]["path"] = str(small_disk)
    await harness.start()
    assert " free, " in await rejection(http, small_disk, "a.jpg", io.BytesIO(bytes(2 * 1024 * 1024)), status=507)
    assert os.listdir(small_disk) == []
