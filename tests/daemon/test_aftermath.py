"""What becomes of the local file: only what every server has confirmed, and only as it was confirmed."""

import asyncio
import errno
import os

import pytest

from syncd.config.model import AfterUpload
from syncd.daemon import aftermath
from syncd.daemon.aftermath import Aftermath
from syncd.engine.source import stamp_of
from tests.daemon.site import noise, until


def put_away(folder, name, stamp=None, move=None):
    what = AfterUpload(action="move", move=str(move)) if move else AfterUpload(action="delete")
    stamp = stamp or stamp_of(os.lstat(folder / name))
    return aftermath._put_away(str(folder), name, stamp, what)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "files").mkdir()
    return tmp_path / "files"


@pytest.fixture(params=["same file system", "another file system", "no hard links"])
def move_to(request, tmp_path, monkeypatch):
    """Where to move to; a link can't be made to another file system, nor on some at all."""
    real, to = os.link, tmp_path / "sent"

    def link(source, target, **options):
        if request.param == "no hard links":
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        if request.param == "another file system" and not source.startswith(str(to)):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        real(source, target, **options)

    monkeypatch.setattr(os, "link", link)
    return to


def test_delete(folder):
    (folder / "a.jpg").write_bytes(b"content")
    assert put_away(folder, "a.jpg")
    assert os.listdir(folder) == []


def test_move_keeps_name_content_and_times(folder, move_to):
    (folder / "sub").mkdir()
    path = folder / "sub" / "not utf-8 \udcff.jpg"
    path.write_bytes(b"content")
    os.utime(path, ns=(1, 1_600_000_000_123_456_789))
    assert put_away(folder, "sub/not utf-8 \udcff.jpg", move=move_to)
    moved = move_to / "sub" / path.name
    assert moved.read_bytes() == b"content"
    assert moved.stat().st_mtime_ns == 1_600_000_000_123_456_789
    assert not path.exists()
    assert os.listdir(move_to / "sub") == [path.name]


def test_a_name_that_is_taken_stays_as_it_is(folder, move_to):
    move_to.mkdir()
    (move_to / "a.jpg").write_bytes(b"first")
    (move_to / "a-1.jpg").write_bytes(b"second")
    (move_to / "b.jpg").symlink_to("nowhere")
    for name in ("a.jpg", "b.jpg"):
        (folder / name).write_bytes(b"new")
        assert put_away(folder, name, move=move_to)
    assert {name: (move_to / name).read_bytes() for name in os.listdir(move_to) if name != "b.jpg"} == {
        "a.jpg": b"first",
        "a-1.jpg": b"second",
        "a-2.jpg": b"new",
        "b-1.jpg": b"new",
    }
    assert os.readlink(move_to / "b.jpg") == "nowhere"


def test_a_crash_between_link_and_unlink_leaves_one_file_in_the_end(folder, tmp_path):
    (folder / "a.jpg").write_bytes(b"content")
    (tmp_path / "sent").mkdir()
    os.link(folder / "a.jpg", tmp_path / "sent" / "a.jpg")
    assert put_away(folder, "a.jpg", move=tmp_path / "sent")
    assert os.listdir(folder) == []
    assert os.listdir(tmp_path / "sent") == ["a.jpg"]


@pytest.mark.parametrize("move", [False, True])
def test_a_file_that_changed_is_kept(folder, tmp_path, move):
    path = folder / "a.jpg"
    path.write_bytes(b"content")
    stamp = stamp_of(path.stat())
    path.write_bytes(b"changed")
    os.utime(path, ns=(0, stamp.mtime_ns + 1))
    assert not put_away(folder, "a.jpg", stamp, move=tmp_path / "sent" if move else None)
    assert path.read_bytes() == b"changed"
    assert not (tmp_path / "sent").exists()


def test_a_file_that_changes_while_it_is_copied_is_kept(folder, tmp_path, monkeypatch):
    """To another file system a move is a copy, which takes its time."""
    path = folder / "a.jpg"
    path.write_bytes(b"content")

    def link(source, target, **_):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    real = aftermath.shutil.copyfileobj

    def copy(reader, writer, *rest):
        real(reader, writer, *rest)
        with path.open("ab") as file:
            file.write(b", and more")

    monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(aftermath.shutil, "copyfileobj", copy)
    assert not put_away(folder, "a.jpg", move=tmp_path / "sent")
    assert path.read_bytes() == b"content, and more"
    assert os.listdir(tmp_path / "sent") == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_copy_that_fails_leaves_nothing_half(folder, tmp_path, monkeypatch, code):
    (folder / "a.jpg").write_bytes(b"content")

    def link(source, target, **_):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    def copy(reader, writer, *_):
        writer.write(b"con")
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(aftermath.shutil, "copyfileobj", copy)
    with pytest.raises(OSError, match=os.strerror(code)):
        put_away(folder, "a.jpg", move=tmp_path / "sent")
    assert (folder / "a.jpg").read_bytes() == b"content"
    assert os.listdir(tmp_path / "sent") == []


def test_a_file_that_can_not_go_leaves_no_copies(folder, tmp_path, monkeypatch):
    """Each try would leave another one."""
    (folder / "a.jpg").write_bytes(b"content")
    real = os.unlink

    def link(source, target, **_):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    def unlink(path, **options):
        if path == str(folder / "a.jpg"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        real(path, **options)

    monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(os, "unlink", unlink)
    with pytest.raises(PermissionError):
        put_away(folder, "a.jpg", move=tmp_path / "sent")
    assert (folder / "a.jpg").read_bytes() == b"content"
    assert os.listdir(tmp_path / "sent") == []


def test_a_file_that_is_gone_already_is_put_away(folder):
    (folder / "a.jpg").write_bytes(b"content")
    stamp = stamp_of((folder / "a.jpg").stat())
    (folder / "a.jpg").unlink()
    assert put_away(folder, "a.jpg", stamp)


def test_a_link_that_took_its_place_is_kept(folder, tmp_path):
    (folder / "a.jpg").write_bytes(b"content")
    stamp = stamp_of((folder / "a.jpg").stat())
    os.rename(folder / "a.jpg", tmp_path / "moved away.jpg")
    (folder / "a.jpg").symlink_to(tmp_path / "moved away.jpg")
    assert not put_away(folder, "a.jpg", stamp)
    assert (tmp_path / "moved away.jpg").read_bytes() == b"content"
    assert (folder / "a.jpg").is_symlink()


# In the daemon.


async def test_a_file_is_deleted_once_every_server_has_it(site):
    site.settings["folders"][0] |= {"remote": ["drive", "ascii"], "after_upload": "delete"}
    ascii_url = site.settings["remotes"]["ascii"]["url"]
    site.settings["remotes"]["ascii"]["url"] = "http://127.0.0.1:1"  # nobody is there
    await site.start()
    (site.inbox / "a.jpg").write_bytes(noise(1000))
    await site.until_counts(done=1)
    await Aftermath(site.daemon.rooms).sweep()
    assert (site.inbox / "a.jpg").exists()
    site.settings["remotes"]["ascii"]["url"] = ascii_url
    await site.reload()
    await until(lambda: not (site.inbox / "a.jpg").exists())


async def test_a_file_that_can_not_go_is_tried_again_later_and_not_at_each_sweep(site, monkeypatch):
    async def never(self):
        await asyncio.Event().wait()

    def refuse(folder, path, *_):
        tried.append(path)
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    tried = []
    monkeypatch.setattr(Aftermath, "run", never)
    site.settings["folders"][0]["after_upload"] = "delete"
    await site.start()
    (site.inbox / "a.jpg").write_bytes(noise(1000))
    await site.until_counts(done=1)
    patient, hasty = Aftermath(site.daemon.rooms), Aftermath(site.daemon.rooms)
    with monkeypatch.context() as patch:
        patch.setattr(aftermath, "_put_away", refuse)
        for _ in range(3):
            await patient.sweep()
        assert tried == ["a.jpg"]
        patch.setattr(aftermath, "AGAIN", 0.0)
        await hasty.sweep()
    await patient.sweep()
    assert (site.inbox / "a.jpg").exists()
    await hasty.sweep()
    assert not (site.inbox / "a.jpg").exists()


async def test_a_file_that_changes_after_it_was_uploaded_is_uploaded_again_and_then_moved(site, tmp_path, monkeypatch):
    """The sweep comes upon the changed file before the watch does."""
    site.settings["folders"][0] |= {"after_upload": {"move": str(tmp_path / "sent")}, "settle": "300ms"}
    path = site.inbox / "a.jpg"
    real = Aftermath._sweep_folder

    async def change_first(self, folder):
        if path.exists() and path.read_bytes() == b"before":
            path.write_bytes(b"after!")
        await real(self, folder)

    monkeypatch.setattr(Aftermath, "_sweep_folder", change_first)
    await site.start()
    path.write_bytes(b"before")
    await until(lambda: not path.exists())
    assert (tmp_path / "sent" / "a.jpg").read_bytes() == b"after!"
    assert (await site.counters())["files"] == 2


async def test_what_was_confirmed_before_a_crash_is_put_away_after_it(site, monkeypatch):
    site.settings["folders"][0]["after_upload"] = "delete"

    async def never(self):
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(Aftermath, "run", never)
        await site.start()
        (site.inbox / "a.jpg").write_bytes(noise(1000))
        await site.until_counts(done=1)
        await site.end()
    assert (site.inbox / "a.jpg").exists()
    await site.start()
    await until(lambda: not (site.inbox / "a.jpg").exists())


async def test_it_outlives_a_reload_that_takes_its_remote_away(site):
    """A sweep may fall into the moment in which the folder's remote is not there."""
    site.settings["folders"][0]["after_upload"] = "delete"
    await site.start()
    rooms = site.daemon.rooms
    away = rooms.remote_ids.pop("drive")
    await Aftermath(rooms).sweep()
    rooms.remote_ids["drive"] = away
    (site.inbox / "a.jpg").write_bytes(noise(1000))
    await until(lambda: not (site.inbox / "a.jpg").exists())


@pytest.mark.parametrize("task", ["run", "heartbeat"])
async def test_a_side_task_that_dies_ends_the_daemon(site, monkeypatch, task):
    """Rather than that it only seems to work."""

    async def die(self):
        raise ZeroDivisionError

    if task == "run":
        monkeypatch.setattr(Aftermath, "run", die)
    else:
        monkeypatch.setattr("syncd.daemon.service.Daemon._heartbeat", die)
    with pytest.raises(ZeroDivisionError):
        await site.run_to_the_end()
