"""Deleting and moving one file: only in its confirmed state, and never another file."""

import errno
import fcntl
import hashlib
import mmap
import os
import pathlib
import re
import subprocess
import threading

import pytest

import syncd
from syncd.core.model import Fingerprint
from syncd.platform import openat, removable_file, removal
from syncd.platform.posix import openat as posix_openat
from syncd.platform.posix import read_lease as posix_read_lease
from syncd.platform.removable_file import RemovableFile
from syncd.platform.removal import ArchiveDirectory, ContentMismatchError, NotRemovedError, RemovalProof

HIDDEN = ".syncd-removing-0123456789abcdef.part"


class Sha256:
    def __init__(self, data):
        self._wanted = hashlib.sha256(data).digest()
        self._hash = hashlib.sha256()

    def update(self, data):
        self._hash.update(data)

    def matches(self):
        return self._hash.digest() == self._wanted


def fingerprint_of(path):
    found = os.stat(path, follow_symlinks=False)
    return Fingerprint(inode=found.st_ino, size=found.st_size, mtime_ns=found.st_mtime_ns)


def proven(path, data=None, *, quiet=False):
    content = path.read_bytes() if data is None else data
    return RemovalProof(fingerprint=fingerprint_of(path), digests=[Sha256(content)], quiet=quiet)


def remove(folder, name, about=None, *, archive=None, stop=None):
    about = about or proven(folder / name)
    removal.remove(str(folder), name, about, HIDDEN, archive=archive, stop=stop or threading.Event())


def made(path):
    target = ArchiveDirectory(str(path))
    target.create()
    return target


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "files").mkdir()
    return tmp_path / "files"


@pytest.fixture(params=["same file system", "another file system", "no exclusive rename", "no hard links"])
def move_to(request, tmp_path, monkeypatch):
    """Return a destination, on file systems that support or refuse the kinds of rename."""
    exclusively, link = posix_openat.rename_exclusively, os.link
    into = tmp_path / "sent"
    into.mkdir()

    def rename(directory, name, target, wanted):
        if request.param == "another file system" and directory != target:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        if request.param.startswith("no "):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        exclusively(directory, name, target, wanted)

    def hard_link(source, target, **options):
        if request.param == "no hard links":
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        link(source, target, **options)

    monkeypatch.setattr(posix_openat, "rename_exclusively", rename)
    monkeypatch.setattr(os, "link", hard_link)
    return into


@pytest.fixture
def other_disk(tmp_path):
    """Mount a separate file system for the test."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], check=False, capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False, capture_output=True)


def test_remove_deletes_file(folder):
    (folder / "a.jpg").write_bytes(b"content")
    remove(folder, "a.jpg")
    assert os.listdir(folder) == []


def test_move_keeps_name_content_and_times(folder, move_to):
    (folder / "sub").mkdir()
    path = folder / "sub" / "not utf-8 \udcff.jpg"
    path.write_bytes(b"content")
    os.utime(path, ns=(1, 1_600_000_000_123_456_789))
    os.chmod(path, 0o640)
    remove(folder, "sub/not utf-8 \udcff.jpg", archive=made(move_to))
    moved = move_to / "sub" / path.name
    assert moved.read_bytes() == b"content"
    assert moved.stat().st_mtime_ns == 1_600_000_000_123_456_789
    assert moved.stat().st_mode & 0o777 == 0o640
    assert os.listdir(folder / "sub") == []
    assert os.listdir(move_to / "sub") == [path.name]


@pytest.mark.e2e
def test_move_to_another_disk_copies(folder, other_disk):
    (folder / "a.jpg").write_bytes(b"content" * 500_000)
    data = (folder / "a.jpg").read_bytes()
    remove(folder, "a.jpg", archive=made(other_disk / "sent"))
    assert (other_disk / "sent" / "a.jpg").read_bytes() == data
    assert os.listdir(folder) == []
    assert os.listdir(other_disk / "sent") == ["a.jpg"]


def test_move_to_taken_name_adds_number(folder, move_to):
    (move_to / "a.jpg").write_bytes(b"first")
    (move_to / "a-1.jpg").write_bytes(b"second")
    (move_to / "b.jpg").symlink_to("nowhere")
    for name in ("a.jpg", "b.jpg"):
        (folder / name).write_bytes(b"new")
        remove(folder, name, archive=made(move_to))
    assert {name: (move_to / name).read_bytes() for name in os.listdir(move_to) if name != "b.jpg"} == {
        "a.jpg": b"first",
        "a-1.jpg": b"second",
        "a-2.jpg": b"new",
        "b-1.jpg": b"new",
    }
    assert os.readlink(move_to / "b.jpg") == "nowhere"


def test_move_after_crash_reuses_complete_copy(folder, move_to):
    (folder / "a.jpg").write_bytes(b"content")
    (move_to / "a.jpg").write_bytes(b"content")
    remove(folder, "a.jpg", archive=made(move_to))
    assert os.listdir(folder) == []
    assert os.listdir(move_to) == ["a.jpg"]


@pytest.mark.parametrize("move", [False, True])
def test_remove_changed_file_is_refused(folder, tmp_path, move):
    path = folder / "a.jpg"
    path.write_bytes(b"content")
    about = proven(path)
    path.write_bytes(b"changed")
    os.utime(path, ns=(0, about.fingerprint.mtime_ns + 1))
    target = made(tmp_path / "sent") if move else None
    with pytest.raises(NotRemovedError, match="changed since"):
        remove(folder, "a.jpg", about, archive=target)
    assert path.read_bytes() == b"changed"
    assert not move or os.listdir(tmp_path / "sent") == []


@pytest.mark.parametrize("move", [False, True])
def test_remove_other_content_is_refused(folder, tmp_path, move):
    """Happens after a write by memory map, with a reused inode, or with coarse timestamps."""
    path = folder / "a.jpg"
    path.write_bytes(b"content")
    about = proven(path, b"another")
    target = made(tmp_path / "sent") if move else None
    with pytest.raises(ContentMismatchError, match="uploaded again"):
        remove(folder, "a.jpg", about, archive=target)
    assert os.listdir(folder) == ["a.jpg"]


def test_remove_file_open_for_writing_is_refused(folder):
    path = folder / "a.jpg"
    path.write_bytes(b"content")
    with path.open("r+b"), pytest.raises(NotRemovedError, match="open for writing"):
        remove(folder, "a.jpg")
    assert path.read_bytes() == b"content"
    remove(folder, "a.jpg")


def test_remove_file_mapped_for_writing_is_refused(folder):
    path = folder / "a.jpg"
    path.write_bytes(b"content")
    with path.open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    with pytest.raises(NotRemovedError, match="open for writing"):
        remove(folder, "a.jpg")
    mapped.close()
    remove(folder, "a.jpg")


def test_remove_interrupted_by_writer_is_refused(folder, monkeypatch):
    """The writer waits for the lease, then finds the file at its path and loses no data."""
    path = folder / "a.jpg"
    path.write_bytes(b"content" * 100_000)
    monkeypatch.setattr(removable_file, "READ_BLOCK_BYTES", 4096)
    writers = []
    real = os.read

    def append():
        with path.open("ab") as file:
            file.write(b", and more")

    def read(descriptor, size):
        if not writers:
            writers.append(threading.Thread(target=append))
            writers[0].start()
            while fcntl.fcntl(descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK:
                pass
        return real(descriptor, size)

    monkeypatch.setattr(os, "read", read)
    with pytest.raises(NotRemovedError, match="open for writing"):
        remove(folder, "a.jpg")
    writers[0].join()
    assert path.read_bytes() == b"content" * 100_000 + b", and more"
    assert os.listdir(folder) == ["a.jpg"]


@pytest.mark.parametrize("quiet", [False, True])
def test_remove_without_lease_needs_quiet_file(folder, monkeypatch, quiet):
    monkeypatch.setattr(posix_read_lease, "file_system_type", lambda _: None)
    path = folder / "a.jpg"
    path.write_bytes(b"content")
    if quiet:
        remove(folder, "a.jpg", proven(path, quiet=True))
        assert os.listdir(folder) == []
    else:
        with pytest.raises(NotRemovedError, match="not quiet for long enough"):
            remove(folder, "a.jpg", proven(path, quiet=False))
        assert os.listdir(folder) == ["a.jpg"]


def test_remove_below_symlink_is_refused(folder, tmp_path):
    """Otherwise files outside the watched folder would be deleted."""
    (folder / "sub").mkdir()
    path = folder / "sub" / "a.jpg"
    path.write_bytes(b"content")
    about = proven(path)
    os.rename(folder / "sub", tmp_path / "outside")
    (folder / "sub").symlink_to(tmp_path / "outside")
    with pytest.raises(NotRemovedError, match="symbolic link"):
        remove(folder, "sub/a.jpg", about)
    assert (tmp_path / "outside" / "a.jpg").read_bytes() == b"content"


def test_remove_symlink_is_refused(folder, tmp_path):
    (folder / "a.jpg").write_bytes(b"content")
    about = proven(folder / "a.jpg")
    os.rename(folder / "a.jpg", tmp_path / "moved away.jpg")
    (folder / "a.jpg").symlink_to(tmp_path / "moved away.jpg")
    with pytest.raises(NotRemovedError, match="symbolic link"):
        remove(folder, "a.jpg", about)
    assert (tmp_path / "moved away.jpg").read_bytes() == b"content"
    assert (folder / "a.jpg").is_symlink()


def test_remove_fifo_is_refused_unopened(folder):
    (folder / "a.jpg").write_bytes(b"content")
    about = proven(folder / "a.jpg")
    os.unlink(folder / "a.jpg")
    os.mkfifo(folder / "a.jpg")
    with pytest.raises(NotRemovedError, match="changed since"):
        remove(folder, "a.jpg", about)


@pytest.mark.usefixtures("move_to")
def test_hide_is_one_rename(folder, monkeypatch):
    """With link and unlink, a file that gets the name in between would be lost."""
    path = folder / "a.jpg"
    path.write_bytes(b"content")
    about = proven(path)
    real = os.link

    def link(source, target, **options):
        real(source, target, **options)
        if source == "a.jpg":
            (folder / "new").write_bytes(b"another")
            os.replace(folder / "new", path)

    monkeypatch.setattr(os, "link", link)
    remove(folder, "a.jpg", about)
    assert os.listdir(folder) == []


@pytest.mark.parametrize("move", [False, True])
def test_remove_puts_back_file_replaced_at_last_moment(folder, tmp_path, monkeypatch, move):
    path = folder / "a.jpg"
    path.write_bytes(b"content")
    about = proven(path)
    real = RemovableFile.hide

    def hide(self, hidden):
        (folder / "new").write_bytes(b"another")
        os.replace(folder / "new", path)
        real(self, hidden)

    monkeypatch.setattr(RemovableFile, "hide", hide)
    with pytest.raises(NotRemovedError, match="changed since"):
        remove(folder, "a.jpg", about, archive=made(tmp_path / "sent") if move else None)
    assert path.read_bytes() == b"another"
    assert os.listdir(folder) == ["a.jpg"]


def test_move_of_file_changed_during_copy_is_refused(folder, tmp_path, monkeypatch):
    """A move to another file system is a slow copy, and no lease keeps this writer out."""
    path = folder / "a.jpg"
    path.write_bytes(b"content")
    monkeypatch.setattr(posix_read_lease, "file_system_type", lambda _: None)
    monkeypatch.setattr(posix_openat, "rename_exclusively", across)
    real = RemovableFile._copy_status

    def copy_status(self, copy):
        with open(folder / HIDDEN, "ab") as file:
            file.write(b", and more")
        real(self, copy)

    monkeypatch.setattr(RemovableFile, "_copy_status", copy_status)
    about = proven(path, quiet=True)
    with pytest.raises(NotRemovedError, match="changed since"):
        remove(folder, "a.jpg", about, archive=made(tmp_path / "sent"))
    assert path.read_bytes() == b"content, and more"
    assert os.listdir(tmp_path / "sent") == []


real_rename = posix_openat.rename_exclusively


def across(directory, name, into, wanted):
    if os.fstat(directory).st_ino != os.fstat(into).st_ino:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    real_rename(directory, name, into, wanted)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_move_with_failed_copy_leaves_no_part(folder, tmp_path, monkeypatch, code):
    (folder / "a.jpg").write_bytes(b"content")
    monkeypatch.setattr(posix_openat, "rename_exclusively", across)

    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=os.strerror(code)):
        remove(folder, "a.jpg", archive=made(tmp_path / "sent"))
    assert os.listdir(folder) == ["a.jpg"]
    assert os.listdir(tmp_path / "sent") == []


@pytest.mark.parametrize("move", [False, True])
def test_move_with_failed_removal_leaves_no_copy(folder, tmp_path, monkeypatch, move):
    """Otherwise each attempt would leave another copy."""
    (folder / "a.jpg").write_bytes(b"content")
    monkeypatch.setattr(posix_openat, "rename_exclusively", across)
    real = openat.remove

    def refuse(directory, name):
        if name == HIDDEN:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        real(directory, name)

    monkeypatch.setattr(openat, "remove", refuse)
    with pytest.raises(PermissionError):
        remove(folder, "a.jpg", archive=made(tmp_path / "sent") if move else None)
    assert os.listdir(folder) == ["a.jpg"]
    assert not move or os.listdir(tmp_path / "sent") == []


def test_remove_stops_on_request(folder):
    (folder / "a.jpg").write_bytes(b"content")
    stop = threading.Event()
    stop.set()
    with pytest.raises(NotRemovedError, match="interrupted"):
        remove(folder, "a.jpg", stop=stop)
    assert os.listdir(folder) == ["a.jpg"]


# Where files are moved to.


@pytest.mark.e2e
def test_move_to_unmounted_archive_is_refused(folder, other_disk):
    target = made(other_disk / "sent")
    (folder / "a.jpg").write_bytes(b"content")
    subprocess.run(["umount", str(other_disk)], check=True)
    with pytest.raises(NotRemovedError, match="is its file system mounted"):
        remove(folder, "a.jpg", archive=target)
    (other_disk / "sent").mkdir()
    with pytest.raises(NotRemovedError, match="on another file system than before"):
        remove(folder, "a.jpg", archive=target)
    assert os.listdir(folder) == ["a.jpg"]
    assert os.listdir(other_disk / "sent") == []


def test_move_to_impossible_archive_names_the_reason(folder, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (folder / "a.jpg").write_bytes(b"content")
    target = made(tmp_path / "file" / "sent")
    with pytest.raises(NotRemovedError, match="can't be used: Not a directory"):
        remove(folder, "a.jpg", archive=target)


def test_move_below_symlink_in_archive_is_refused(folder, tmp_path):
    (folder / "sub").mkdir()
    (folder / "sub" / "a.jpg").write_bytes(b"content")
    target = made(tmp_path / "sent")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "sent" / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotRemovedError, match="symbolic link"):
        remove(folder, "sub/a.jpg", archive=target)
    assert os.listdir(tmp_path / "elsewhere") == []
    assert os.listdir(folder / "sub") == ["a.jpg"]


# After a crash.


def test_recover_puts_back_hidden_file(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / HIDDEN).write_bytes(b"content")
    assert removal.recover(str(folder), "sub/a.jpg", HIDDEN) == "a.jpg"
    assert (folder / "sub" / "a.jpg").read_bytes() == b"content"


def test_recover_with_taken_name_adds_number(folder):
    (folder / HIDDEN).write_bytes(b"content")
    (folder / "a.jpg").write_bytes(b"new")
    assert removal.recover(str(folder), "a.jpg", HIDDEN) == "a-1.jpg"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a.jpg": b"new", "a-1.jpg": b"content"}


def test_recover_without_hidden_file_does_nothing(folder):
    (folder / "a.jpg").write_bytes(b"content")
    assert removal.recover(str(folder), "a.jpg", HIDDEN) is None
    assert removal.recover(str(folder), "sub/b.jpg", HIDDEN) is None
    assert os.listdir(folder) == ["a.jpg"]


def test_recover_in_empty_or_missing_root_raises(folder):
    with pytest.raises(OSError, match="is its file system mounted"):
        removal.recover(str(folder), "a.jpg", HIDDEN)
    with pytest.raises(FileNotFoundError):
        removal.recover(str(folder / "missing"), "a.jpg", HIDDEN)


OWN_FILES = {
    "cli/ctl/open.py",
    "cli/init.py",
    "cli/demo/environment.py",
    "control/unix_server.py",
    "daemon/dashboard_uploads.py",
    "recovery/restore_folder.py",
    "dashboard/auth.py",
    "platform/posix/openat.py",
    "logs/file.py",
    "preview/cache.py",
    "receiver/check.py",
    "receiver/names.py",
    "receiver/staging.py",
    "receiver/stored_files.py",
    "receiver/storage.py",
    "receiver/upload.py",
    "recovery/backup.py",
    "store/startup.py",
}
"""Modules that remove or rename other files: state, logs, sockets, partial files and the receiver's files; and the
functions that do it."""
REMOVES = re.compile(r"\b(os|openat|shutil)\.(unlink|remove|rename|replace|move|rmtree)\(|\.unlink\(")


def test_only_removal_deletes_or_moves_user_files():
    """Review each module that is new here."""
    root = pathlib.Path(syncd.__file__).parent
    found = {str(path.relative_to(root)) for path in root.rglob("*.py") if REMOVES.search(path.read_text("utf-8"))}
    assert found - OWN_FILES == {"platform/removal.py", "platform/removable_file.py"}
