"""Paths on Windows: long ones, other cases, links, deleted folders and lost events."""

import subprocess
import sys

import pytest

if sys.platform != "win32":
    pytest.skip("needs Windows: make test-windows", allow_module_level=True)

import os
from pathlib import Path
from types import SimpleNamespace

import pywintypes
import win32api
import win32file
import yaml
from watchdog.events import FileDeletedEvent, FileMovedEvent

from syncd.config.errors import ConfigError
from syncd.config.load import load
from syncd.config.model import Folder
from syncd.control.service import InvalidRequestError
from syncd.core.model import Fingerprint
from syncd.daemon.dashboard_uploads import remove_leftovers, save_upload
from syncd.daemon.folders import _is_gone
from syncd.daemon.local_files import _safe_name
from syncd.platform.file_info import on_disk_case
from syncd.platform.files import join_path, lock_file, to_long_path
from syncd.platform.openat import create, open_directory
from syncd.platform.windows import openat
from syncd.watch.hints import HintBuffer
from syncd.watch.observer import Handler
from syncd.watch.scanner import WatchedTree
from syncd.watch.walk import Scan
from tests.support.data import POOL
from tests.support.wait import wait_until_sync
from tests.windows.harness import running

LONG = "/".join(letter * 60 for letter in "abcdef")


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """Provide one daemon for several tests, because it starts slowly."""
    with running(tmp_path_factory.mktemp("watched")) as harness:
        harness.start()
        yield harness


def deep(base):
    """Return a folder with a long path."""
    folder = os.path.join(base, LONG.replace("/", os.sep))
    os.makedirs(to_long_path(folder))
    return folder


def link(target, at):
    """Create a link to a directory with a Unix command, because wine cannot create one."""
    unix = [
        subprocess.run(["winepath", "-u", path], capture_output=True, text=True, check=True).stdout.strip()
        for path in (str(target), str(at.parent))
    ]
    subprocess.run(
        ["start", "/wait", "/unix", "/bin/ln", "-s", unix[0], f"{unix[1]}/{at.name}"], check=True, capture_output=True
    )


def tree(folder, **settings):
    return WatchedTree.of(Folder(**{"path": str(folder), "remote": "drive", **settings}))


def scanned(found):
    """Return the files that a scan finds and the links that it followed."""
    scan = Scan(found)
    paths = []
    while (batch := scan.next_batch()) is not None:
        paths += [seen.path for seen in batch]
    return sorted(paths), scan.links


def test_long_path_is_found_by_event(watched):
    watched.put(f"{LONG}/first.jpg", b"first")  # its folders did not exist before
    assert watched.arrived(f"{LONG}/first.jpg")
    path = watched.put(f"{LONG}/second.jpg", b"second")
    assert watched.arrived(f"{LONG}/second.jpg")
    assert len(str(path)) > 360
    shown = watched.ctl("show", str(watched.inbox / LONG / "second.jpg"))
    assert (shown.returncode, "done" in shown.stdout) == (0, True), shown


def test_rename_of_case_only_keeps_file(watched):
    path = watched.put("case.jpg", b"case")
    assert watched.arrived("case.jpg")
    before = watched.client.show(str(watched.inbox / "case.jpg"))[0]["id"]
    os.rename(path, path.with_name("case.tmp"))  # wine ignores a rename that changes only the case
    os.rename(path.with_name("case.tmp"), path.with_name("CASE.jpg"))
    wait_until_sync(lambda: "CASE.jpg" in watched.states(), watched.states)
    assert "case.jpg" not in watched.states()
    assert watched.client.show(str(watched.inbox / "CASE.jpg"))[0]["id"] == before


def test_rename_of_case_with_change_is_new_file(watched):
    path = watched.put("both.jpg", b"both")
    assert watched.arrived("both.jpg")
    before = watched.client.show(str(watched.inbox / "both.jpg"))[0]["id"]
    os.rename(path, path.with_name("both.tmp"))
    path.with_name("both.tmp").write_bytes(b"both of them")
    os.rename(path.with_name("both.tmp"), path.with_name("BOTH.jpg"))
    assert watched.arrived("BOTH.jpg")
    wait_until_sync(lambda: not watched.client.show(before)[0]["present"], "the first is gone")


def test_rescan_in_other_case_finds_file_on_disk(watched):
    watched.put("Folder/told.jpg", b"told")
    assert watched.ctl("rescan", str(watched.inbox / "FOLDER" / "TOLD.JPG")).returncode == 0
    assert watched.arrived("Folder/told.jpg")
    assert watched.ctl("rescan", str(watched.inbox / "folder")).returncode == 0
    shown = watched.ctl("show", str(watched.inbox / "FOLDER" / "TOLD.jpg"))
    assert (shown.returncode, "Folder\\told.jpg" in shown.stdout) == (0, True), shown
    assert [name for name in watched.states() if name.lower() == "folder/told.jpg"] == ["Folder/told.jpg"]


def test_alternate_stream_is_not_a_file(watched):
    path = watched.put("whole.jpg", b"whole")
    assert watched.arrived("whole.jpg")
    with open(f"{path}:part.jpg", "wb") as stream:
        stream.write(b"part")
    assert watched.ctl("rescan", f"{watched.inbox}\\whole.jpg:part.jpg").returncode == 0
    watched.put("after.jpg", b"after")
    assert watched.arrived("after.jpg")
    shown = watched.ctl("show", f"{watched.inbox}\\whole.jpg:part.jpg")
    assert shown.returncode == 1, shown


async def test_save_upload_accepts_long_path(tmp_path):
    async def content():
        yield b"drop"
        yield b"ped"

    folder = deep(tmp_path)
    for expected in ("a.jpg", "a (2).jpg"):
        assert await save_upload(folder, "a.jpg", 7, content(), is_selected=lambda _: True, token=bytes(8)) == expected
    names = {"a.jpg": b"dropped", "a (2).jpg": b"dropped"}
    assert {path.name: path.read_bytes() for path in Path(to_long_path(folder)).iterdir()} == names  # noqa: ASYNC240 - no other task


def test_remove_leftovers_removes_unlocked_part(tmp_path):
    folder = deep(tmp_path)
    directory, part = open_directory(folder), f".syncd-drop-{'0' * 16}.part"
    with open(create(directory, part), "wb") as writer:
        lock_file(writer.fileno())
        remove_leftovers(folder)
        assert os.listdir(to_long_path(folder)) == [part]
    remove_leftovers(folder)
    os.close(directory)
    assert os.listdir(to_long_path(folder)) == []


def test_safe_name_refuses_drive_and_stream():
    """``0:`` would be a drive, and what is dropped under that name would land there."""
    for name in ("0:", "C:x", "C:/x"):
        assert join_path(r"C:\inbox", name).startswith("\\\\?\\C:\\inbox\\")
    with pytest.raises(InvalidRequestError, match="on Windows"):
        _safe_name("0:")
    with pytest.raises(InvalidRequestError, match="on Windows"):
        _safe_name("a.jpg:b.jpg")


@pytest.mark.parametrize(
    ("other", "says"), [("INBOX", "is already watched"), ("Inbox\\Sub", "is in"), ("inbox\\..\\iNbox", "already")]
)
def test_folders_that_differ_in_case_overlap(tmp_path, other, says):
    (tmp_path / "inbox" / "sub").mkdir(parents=True)
    config = tmp_path / "config.yaml"
    folders = [{"path": "inbox", "remote": "drive"}, {"path": other, "remote": "drive"}]
    remotes = {"drive": {"type": "multipart", "url": "http://127.0.0.1:1", "pool_id": POOL}}
    config.write_text(yaml.safe_dump({"folders": folders, "remotes": remotes}))
    with pytest.raises(ConfigError, match=says):
        load(config)
    folders[1] = {"path": str(tmp_path / "out"), "remote": "drive", "after_upload": {"move": "INBOX\\done"}}
    config.write_text(yaml.safe_dump({"folders": folders, "remotes": remotes}))
    with pytest.raises(ConfigError, match="files would be uploaded again"):
        load(config)


def test_unstable_file_id_finds_no_rename(tmp_path, monkeypatch):
    """Otherwise a later file with the same ID, size and time would count as uploaded."""
    assert _is_gone(str(tmp_path), "a.jpg")
    monkeypatch.setattr(win32api, "GetVolumeInformation", lambda _: ("CAMERA", 1, 255, 0, "FAT32"))
    assert not _is_gone(str(tmp_path), "a.jpg")


def test_moved_folder_takes_its_files(watched):
    watched.put("moved/a.jpg", b"moved")
    assert watched.arrived("moved/a.jpg")
    number = watched.client.show(str(watched.inbox / "moved" / "a.jpg"))[0]["id"]
    os.rename(watched.inbox / "moved", watched.base / "moved")
    wait_until_sync(lambda: not watched.client.show(number)[0]["present"], "it is known that the file is gone")


def test_watched_folder_that_returns_is_watched(watched):
    def state():
        return watched.client.status()["folders"][0]["state"]

    os.rename(watched.inbox, watched.base / "away")
    wait_until_sync(lambda: state() == "offline", state)
    os.rename(watched.base / "away", watched.inbox)
    wait_until_sync(lambda: state() == "watching", state)
    watched.put("back.jpg", b"back")
    assert watched.arrived("back.jpg")


def test_on_disk_case_returns_case_of_disk(tmp_path):
    folder = str(tmp_path)
    (tmp_path / "Sub" / "In").mkdir(parents=True)
    (tmp_path / "Sub" / "In" / "a.JPG").write_bytes(b"a")
    known = {}
    assert on_disk_case(folder, "SUB/in/A.jpg", known) == "Sub/In/a.JPG"
    assert known["SUB"] == "Sub"
    assert on_disk_case(folder, "sub/IN/b.jpg", known) is None
    assert on_disk_case(folder, "sub/?n/a.JPG") is None
    assert on_disk_case(folder, "Sub/In/a.JPG:stream") is None
    assert _is_gone(folder, "Sub/In/A.JPG")
    assert not _is_gone(folder, "Sub/In/a.JPG")


def test_on_disk_case_of_unreadable_folder_raises(tmp_path, monkeypatch):
    def refuse(_):
        raise pywintypes.error(5, "FindFirstFile", "Access is denied.")

    (tmp_path / "a.jpg").write_bytes(b"a")
    monkeypatch.setattr(win32file, "FindFilesW", refuse)
    with pytest.raises(PermissionError):
        on_disk_case(str(tmp_path), "a.jpg")
    assert not _is_gone(str(tmp_path), "a.jpg")


def test_patterns_ignore_case(tmp_path):
    found = tree(tmp_path, include=["*.JPG"], exclude=["Raw/"])
    assert found.matches("a.jpg")
    assert found.matches("SUB/A.Jpg")
    assert not found.matches("RAW/a.jpg")
    assert found.relative(str(tmp_path).upper() + "\\SUB\\A.jpg") == "SUB/A.jpg"


def test_scan_enters_junction_only_with_follow_symlinks(tmp_path):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (inbox / "a.jpg").write_bytes(b"a")
    (tmp_path / "elsewhere" / "b.jpg").write_bytes(b"b")
    link(tmp_path / "elsewhere", inbox / "link")
    link(inbox, inbox / "loop")
    assert scanned(tree(inbox)) == (["a.jpg"], [])
    assert scanned(tree(inbox, follow_symlinks=True)) == (["a.jpg", "link/b.jpg"], ["link"])


@pytest.mark.parametrize(
    ("tag", "is_link"), [(0xA0000003, True), (0xA000000C, True), (0xA000001D, True), (0x9000601A, False), (0, True)]
)
def test_is_link_distinguishes_reparse_tags(tmp_path, monkeypatch, tag, is_link):
    """A junction, a link, a link of WSL, a file in OneDrive, and wine's tag of a link."""
    entry = SimpleNamespace(
        name="sub",
        stat=lambda **_: SimpleNamespace(st_file_attributes=0x410, st_reparse_tag=tag),
        is_dir=lambda: True,
    )
    scan = Scan(tree(tmp_path))
    assert scan._name("", entry) == (None if is_link else b"sub/")


def test_deleted_folder_event_gives_directory_hint(tmp_path):
    """Windows reports it like a deleted file."""
    hints = HintBuffer(lambda: None)
    handler = Handler(tree(tmp_path), hints)
    handler.dispatch(FileDeletedEvent(join_path(str(tmp_path), "sub")))
    handler.dispatch(FileDeletedEvent(join_path(str(tmp_path), "a.part")))
    handler.dispatch(FileMovedEvent(join_path(str(tmp_path), "a.jpg"), join_path(str(tmp_path), "A.jpg")))
    drained = hints.drain()
    assert (drained.directories, set(drained.files)) == ({"sub"}, {"a.jpg", "A.jpg"})


def test_fingerprint_of_path_and_open_file_agree(tmp_path):
    """If ``stat`` and ``fstat`` differed, a file would count as changed forever."""
    (tmp_path / "a.jpg").write_bytes(b"a")
    seen = tree(tmp_path).find_file("a.jpg")
    with open(openat.open_inside(str(tmp_path), "a.jpg", follow_symlinks=False), "rb") as file:
        found = os.fstat(file.fileno())
    assert seen.fingerprint == Fingerprint(inode=found.st_ino, size=found.st_size, mtime_ns=found.st_mtime_ns)
