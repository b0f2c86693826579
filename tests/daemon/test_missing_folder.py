"""The folder of queued files disappears and returns.

No file counts as gone, and the uploads continue when the folder is back.
"""

import pytest

from syncd.core.states import FOLDER_MISSING
from syncd.daemon.once import once
from syncd.watch.scanner import WatchedTree
from tests.support.data import random_bytes
from tests.support.wait import wait_until

NAMES = ("a.jpg", "b.jpg")


@pytest.fixture
async def paused(harness):
    """Return a paused daemon with two queued files and one uploaded file."""
    (harness.inbox / "done.jpg").write_bytes(random_bytes(500, "done"))
    await harness.start()
    await harness.wait_for_counts(done=1)
    await harness.service.stop(now=False)
    for name in NAMES:
        (harness.inbox / name).write_bytes(random_bytes(1000, name))
    await harness.wait_for_counts(queued=2)
    return harness


async def folder(harness):
    (only,) = (await harness.service.status())["folders"]
    return only


async def folder_state(harness, state):
    async def reached():
        return (await folder(harness))["state"] == state

    await wait_until(reached)


async def waiting(harness):
    """Wait until both jobs wait for the folder, and check that no file counts as gone."""
    await harness.wait_for_counts(waiting=2)
    for name in NAMES:
        (job,) = await harness.show(name)
        assert (job["present"], job["detail"]) == (True, FOLDER_MISSING)
    assert (await folder(harness))["files"] == 3


@pytest.mark.parametrize("unmounted", [False, True], ids=["missing", "unmounted"])
async def test_missing_folder_uploads_wait_for_it(paused, unmounted, monkeypatch):
    with monkeypatch.context() as patch:
        if unmounted:  # the empty mount point at its path is on another device
            patch.setattr(WatchedTree, "identity", lambda _: (-1, -1))
        away = paused.inbox.rename(paused.folder / "away")
        if unmounted:
            paused.inbox.mkdir()
        await paused.service.start()
        await waiting(paused)
        if unmounted:
            paused.inbox.rmdir()
    away.rename(paused.inbox)
    await paused.wait_for_counts(done=3)


async def test_missing_folder_retry_marks_no_file_gone(paused):
    await paused.service.cancel([str(paused.inbox / name) for name in NAMES])
    await paused.wait_for_counts(skipped=2)
    away = paused.inbox.rename(paused.folder / "away")
    await folder_state(paused, "offline")
    await paused.service.start()
    await paused.service.retry([str(paused.inbox / name) for name in NAMES])
    await waiting(paused)
    await paused.service.retry([str(paused.inbox / name) for name in NAMES])
    await waiting(paused)
    await paused.service.rescan(None)
    away.rename(paused.inbox)
    await paused.wait_for_counts(done=3)


async def test_present_folder_missing_file_is_gone(paused):
    (paused.inbox / "a.jpg").unlink()
    await paused.service.start()
    await paused.wait_for_counts(done=2, skipped=1)
    (job,) = await paused.show("a.jpg")
    assert job["detail"] == "removed before it was uploaded"


async def test_missing_folder_once_leaves_its_files(paused):
    await paused.stop()
    paused.inbox.rename(paused.folder / "away")
    summary = await once(paused.write().config)
    assert (summary.left, summary.skipped, summary.unscanned) == (2, 0, 1)
    assert {problem.detail for problem in summary.problems if problem.state == "waiting"} == {FOLDER_MISSING}
