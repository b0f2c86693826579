"""Files are written, touched, renamed, deleted and recreated in a real daemon's folder."""

import os
import sqlite3
import sys
from contextlib import closing

import pytest

from syncd.control.service import NotFoundError
from syncd.daemon.once import once
from syncd.platform.read_lease import Writer
from tests.support.data import random_bytes
from tests.support.wait import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux' own")


async def hashed(harness):
    """Wait until all cancelled files are hashed."""

    async def none_left():
        return not await harness.daemon.runtime.store.cancelled_unhashed()

    await wait_until(none_left)


async def cancelled(harness, name="private.jpg", data=None):
    """Wait until the daemon finds the file, then cancel its job."""
    await harness.service.stop(now=False)
    (harness.inbox / name).write_bytes(data or random_bytes(1000))
    await harness.wait_for_counts(queued=1)
    await harness.service.cancel([str(harness.inbox / name)])
    await hashed(harness)
    await harness.service.start()


async def stays_cancelled(harness, name="private.jpg"):
    """Wait until no job is open, and check that the file was not sent."""
    (job,) = await harness.wait_for_states(name, "skipped")
    assert job["detail"] == "cancelled by a person"
    assert (await harness.counters())["chunks_received"] == 0


def touch(harness):
    os.utime(harness.inbox / "private.jpg", (1_600_000_000, 1_600_000_000))


def replace_by_a_copy(harness):
    data = (harness.inbox / "private.jpg").read_bytes()
    (harness.inbox / "private.jpg.part").write_bytes(data)
    (harness.inbox / "private.jpg.part").replace(harness.inbox / "private.jpg")


@pytest.mark.parametrize("change", [touch, replace_by_a_copy])
async def test_cancelled_job_survives_touch(harness, change):
    await harness.start()
    await cancelled(harness)
    (job,) = await harness.show("private.jpg")
    change(harness)
    await harness.service.rescan(None)
    await wait_until(lambda: changes(harness) > 2)
    await stays_cancelled(harness)
    assert len((await harness.show("private.jpg"))[0]["history"]) > len(job["history"])


def changes(harness) -> int:
    with closing(sqlite3.connect(harness.folder / "state" / "syncd.db")) as store:
        query = "SELECT count(*) FROM history WHERE to_state = 'skipped' OR cause = 'changed'"
        return int(store.execute(query).fetchone()[0])


async def test_cancelled_job_survives_restart_and_touch(harness):
    await harness.start()
    await cancelled(harness)
    await harness.stop()
    touch(harness)
    await harness.start()
    await wait_until(lambda: changes(harness) > 2)
    await stays_cancelled(harness)


async def test_cancelled_job_survives_rename(harness):
    await harness.start()
    await cancelled(harness)
    (harness.inbox / "private.jpg").rename(harness.inbox / "other.jpg")
    (job,) = await harness.wait_for_states("other.jpg", "skipped")
    assert len(job["history"]) == 2  # the same job, without a read or a request
    await stays_cancelled(harness, "other.jpg")


async def test_cancelled_job_survives_copy(harness):
    await harness.start()
    await cancelled(harness)
    data = (harness.inbox / "private.jpg").read_bytes()
    (harness.inbox / "private.jpg").unlink()
    (harness.inbox / "copy.jpg").write_bytes(data)
    await stays_cancelled(harness, "copy.jpg")


async def test_cancelled_job_survives_deletion_and_return(harness):
    await harness.start()
    await cancelled(harness)
    data = (harness.inbox / "private.jpg").read_bytes()
    (harness.inbox / "private.jpg").unlink()

    async def gone():
        return not (await harness.show("private.jpg"))[0]["present"]

    await wait_until(gone)
    (harness.inbox / "private.jpg").write_bytes(data)
    await wait_until(lambda: changes(harness) > 2)
    await stays_cancelled(harness)


async def test_cancelled_job_new_content_or_retry_is_uploaded(harness):
    await harness.start()
    await cancelled(harness)
    (harness.inbox / "private.jpg").write_bytes(random_bytes(1000, "public"))
    await harness.wait_for_states("private.jpg", "done")
    await cancelled(harness, "b.jpg", random_bytes(500))
    await harness.service.retry([str(harness.inbox / "b.jpg")])
    await harness.wait_for_states("b.jpg", "done")


async def test_open_file_reports_why_it_waits(harness):
    await harness.start()
    with (harness.inbox / "a.jpg").open("wb", buffering=0) as file:
        file.write(b"half")

        async def waits():
            (folder,) = await harness.service.folders()
            return folder["detail"]

        assert "1 open for writing by another program, such as a.jpg" in await wait_until(waits)
        with pytest.raises(
            NotFoundError, match="is open for writing by another program, and is uploaded when that closes"
        ):
            await harness.show("a.jpg")
        file.write(b" and half")
    (job,) = await harness.wait_for_states("a.jpg", "done")
    assert await harness.content(job) == b"half and half"
    (folder,) = await harness.service.folders()
    assert folder["detail"] is None


async def test_dashboard_upload_does_not_count_as_open(harness):
    await harness.start()

    async def content():
        yield b"dropped"

    await harness.daemon.files.drop(str(harness.inbox), "a.jpg", 7, content())
    (job,) = await harness.wait_for_states("a.jpg", "done")
    assert await harness.content(job) == b"dropped"


async def test_once_open_files_are_reported(harness, monkeypatch):
    monkeypatch.setattr("syncd.watch.folder.MAX_WAIT_IN_SETTLE_TIMES", 1)
    (harness.inbox / "b.jpg").write_bytes(random_bytes(100))
    with (harness.inbox / "a.jpg").open("wb", buffering=0) as file:
        file.write(b"half")
        summary = await once(harness.write().config)
    assert (summary.uploaded, summary.left) == (1, 1)
    (problem,) = summary.problems
    assert (problem.path, problem.state, problem.remote) == ("a.jpg", "waiting", "drive")
    assert problem.detail == "open for writing by another program"
    assert (await once(harness.write().config)).uploaded == 1


async def test_once_file_opened_after_scan_is_left(harness, monkeypatch):
    monkeypatch.setattr("syncd.upload.source.writer", lambda _: Writer.OPEN)
    (harness.inbox / "a.jpg").write_bytes(random_bytes(100))
    summary = await once(harness.write().config)
    assert (summary.uploaded, summary.left) == (0, 1)
    assert [problem.detail for problem in summary.problems] == ["open for writing by another program"]
