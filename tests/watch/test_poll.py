"""Polling of folders without events, and the recognition of remote file systems."""

import pytest
from structlog.testing import capture_logs

from syncd.platform import file_info
from syncd.watch import scans
from tests.support.wait import wait_until


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(scans, "MIN_POLL_INTERVAL_SECONDS", 0.1)


async def test_poll_finds_changes(harness, records):
    async with harness.running(watch="poll") as watch:
        assert watch.status.watch == "poll"
        assert watch.status.detail is None
        (harness.path / "keep.jpg").write_bytes(b"x")
        (harness.path / "d").mkdir()
        (harness.path / "d" / "a.jpg").write_bytes(b"x")
        await wait_until(lambda: "d/a.jpg" in records.known)
        (harness.path / "d" / "a.jpg").write_bytes(b"xy")
        await wait_until(lambda: records.known["d/a.jpg"].fingerprint.size == 2)
        (harness.path / "d" / "a.jpg").unlink()
        await wait_until(lambda: records.known.keys() == {"keep.jpg"})


async def test_auto_polls_remote_file_system(harness, records, monkeypatch):
    monkeypatch.setattr("syncd.watch.events.remote_file_system", lambda path: "cifs")
    async with harness.running() as watch:
        assert watch.status.watch == "poll"
        assert "cifs" in watch.status.detail
        (harness.path / "a.jpg").write_bytes(b"x")
        await wait_until(lambda: "a.jpg" in records.known)


async def test_native_uses_events_on_remote_file_system(harness, records, monkeypatch):
    monkeypatch.setattr("syncd.watch.events.remote_file_system", lambda path: "cifs")
    async with harness.running(watch="native") as watch:
        assert watch.status.watch == "native"


@pytest.mark.parametrize(("mode", "logged"), [("poll", ["poll"]), ("native", ["native"]), ("auto", [])])
async def test_start_logs_how_folder_is_watched(harness, monkeypatch, mode, logged):
    """If the mode is auto, the log has folder.polling instead, with the reason."""
    monkeypatch.setattr("syncd.watch.events.remote_file_system", lambda path: "cifs")
    with capture_logs() as logs:
        async with harness.running(watch=mode):
            pass
    assert [entry["watch"] for entry in logs if entry["event"] == "folder.watching"] == logged
    assert len([entry for entry in logs if entry["event"] == "folder.polling"]) == (mode == "auto")


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:50 / /srv/my\\040share rw - cifs //nas/share rw
41 22 0:51 / /srv/nfs rw,relatime shared:7 master:2 - nfs4 nas:/x rw
42 41 8:2 / /srv/nfs/local rw - xfs /dev/sdb1 rw
43 22 0:52 / /srv/twice rw - tmpfs none rw
44 43 0:53 / /srv/twice rw - fuse.sshfs host: rw
"""


@pytest.mark.unix
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv", None),
        ("/srv/my share/photos", "cifs"),
        ("/srv/nfs", "nfs4"),
        ("/srv/nfs/local/x", None),
        ("/srv/nfsx", None),
        ("/srv/twice", "fuse.sshfs"),
    ],
)
def test_remote_file_system_from_mount_table(tmp_path, monkeypatch, path, kind):
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS)
    monkeypatch.setattr("syncd.platform.posix.file_info.MOUNT_TABLE", str(table))
    assert file_info.remote_file_system(path) == kind


@pytest.mark.unix
def test_remote_file_system_without_mount_table(tmp_path, monkeypatch):
    monkeypatch.setattr("syncd.platform.posix.file_info.MOUNT_TABLE", str(tmp_path / "none"))
    assert file_info.remote_file_system("/") is None
