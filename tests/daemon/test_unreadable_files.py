"""A file that cannot be read needs a person: it is failed, until it can be read."""

import pytest
from structlog.testing import capture_logs

from syncd.daemon.once import once
from syncd.platform.openat import open_inside
from syncd.upload import source
from tests.support.data import random_bytes
from tests.support.wait import wait_until


@pytest.fixture
def closed(monkeypatch):
    """Return the names of the files that cannot be opened.

    Permissions would not stop root, which runs the tests.
    """
    names = {"closed.jpg"}

    def open_unless_closed(folder, path, **options):
        if path in names:
            raise PermissionError(13, "Permission denied")
        return open_inside(folder, path, **options)

    monkeypatch.setattr(source, "open_inside", open_unless_closed)
    return names


@pytest.fixture
def two_remotes(harness):
    harness.settings["folders"][0]["remote"] = ["drive", "ascii"]
    for name in ("closed.jpg", "open.jpg"):
        (harness.inbox / name).write_bytes(random_bytes(1000, name))
    return harness


async def status(harness):
    return await harness.service.status()


@pytest.mark.usefixtures("closed")
async def test_unreadable_file_is_failed_once(two_remotes):
    with capture_logs() as logs:
        await two_remotes.start()
        await two_remotes.wait_for_counts(failed=2, done=2)
        for _ in range(3):
            await two_remotes.daemon.unreadable_files.check()
    failed = [entry for entry in logs if entry["event"] == "job.failed"]
    assert [(entry["log_level"], entry["cause"]) for entry in failed] == [("warning", "unreadable")] * 2
    assert "no permission to read the file" in failed[0]["detail"]
    assert {job["name"] for job in await two_remotes.jobs()} == {"closed.jpg", "open.jpg"}
    assert (await status(two_remotes))["unreadable_files"] == 1


async def test_unreadable_file_is_uploaded_once_readable(two_remotes, closed):
    await two_remotes.start()
    await two_remotes.wait_for_counts(failed=2)
    closed.clear()
    jobs = await two_remotes.wait_for_states("closed.jpg", "done")
    assert [step["cause"] for step in jobs[0]["history"]][-3:] == ["changed", "claimed", "uploaded"]
    assert (await status(two_remotes))["unreadable_files"] == 0


async def test_unreadable_file_is_uploaded_after_restart(two_remotes, closed):
    await two_remotes.start()
    await two_remotes.wait_for_counts(failed=2)
    await two_remotes.stop()
    await two_remotes.start()
    await two_remotes.wait_for_counts(failed=2)
    assert (await status(two_remotes))["unreadable_files"] == 1
    (two_remotes.inbox / "closed.jpg").rename(two_remotes.inbox / "renamed.jpg")
    await two_remotes.wait_for_states("renamed.jpg", "done", "failed")
    closed.clear()
    await two_remotes.wait_for_states("renamed.jpg", "done")


async def test_unreadable_file_counts_in_retry_all(two_remotes, closed):
    await two_remotes.start()
    await two_remotes.wait_for_counts(failed=2)
    assert await two_remotes.service.retry(None) == 2
    await two_remotes.wait_for_counts(failed=2)
    (two_remotes.inbox / "closed.jpg").unlink()
    await two_remotes.wait_for_counts(failed=0, skipped=2)
    assert (await status(two_remotes))["unreadable_files"] == 0
    assert closed


async def test_unreadable_file_that_opens_but_fails_is_tried_less_often(two_remotes, closed):
    await two_remotes.start()
    await two_remotes.wait_for_counts(failed=2)
    closed.clear()
    jobs = two_remotes.daemon.unreadable_files

    async def readable():
        await jobs.check()
        return (await two_remotes.counts())["failed"] == 0

    await two_remotes.service.stop(now=False)
    await wait_until(readable)
    closed.add("closed.jpg")
    await two_remotes.service.start()
    await two_remotes.wait_for_counts(failed=2)
    closed.clear()
    await jobs.check()  # its pause is not over
    assert (await two_remotes.counts())["failed"] == 2
    await two_remotes.wait_for_counts(done=4)


async def test_once_unreadable_file_is_failed_until_readable(two_remotes, closed):
    config = two_remotes.write().config
    summary = await once(config)
    assert (summary.uploaded, summary.failed, summary.left) == (2, 2, 0)
    assert {(problem.path, problem.state) for problem in summary.problems} == {("closed.jpg", "failed")}
    closed.clear()
    summary = await once(config)
    assert (summary.uploaded, summary.failed, summary.left) == (2, 0, 0)
