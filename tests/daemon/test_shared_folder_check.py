"""Two daemons that watch one folder warn of each other if files are deleted or moved."""

import os
import sys

import pytest
from structlog.testing import capture_logs

from syncd.daemon import shared_folder_check
from syncd.platform import watchers
from tests.support.wait import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux' own")


@pytest.fixture(autouse=True)
def short_interval(monkeypatch):
    monkeypatch.setattr(shared_folder_check, "CHECK_INTERVAL_SECONDS", 0.02)


def others(harness):
    """Return the watchers of the inbox that another daemon sees."""
    return watchers.other_watchers(os.stat(harness.inbox), None)


def warnings_in(logs):
    return [(event["folder"], event["pids"]) for event in logs if event["event"] == "folder.shared"]


async def test_shared_folder_second_daemon_warns_once(harness, tmp_path):
    harness.settings["folders"][0]["after_upload"] = "delete"
    other = os.stat(tmp_path)
    with capture_logs() as logs:
        await harness.start()
        await wait_until(lambda: others(harness))
        assert warnings_in(logs) == []
        with watchers.announce_watch(os.stat(harness.inbox), other):
            await wait_until(lambda: warnings_in(logs))
            calls = []
            original = watchers.other_watchers
            watchers.other_watchers = lambda *about: calls.append(about) or original(*about)
            try:
                await wait_until(lambda: len(calls) > 3)
            finally:
                watchers.other_watchers = original
        assert warnings_in(logs) == [(str(harness.inbox), [os.getpid()])]


async def test_shared_folder_with_keep_does_not_warn(harness, tmp_path):
    with capture_logs() as logs, watchers.announce_watch(os.stat(harness.inbox), os.stat(tmp_path)):
        await harness.start()
        await wait_until(lambda: len(watchers.LISTED.read_text().split(_number(harness.inbox))) > 2)
        harness.settings["folders"][0]["after_upload"] = "delete"
        assert warnings_in(logs) == []
        await harness.reload()
        await wait_until(lambda: warnings_in(logs))


def _number(path):
    found = os.stat(path)
    return f"syncd-watches:{found.st_dev}:{found.st_ino}:"


async def test_shared_folder_replaced_directory_is_announced(harness):
    """The folder exists all the time: a rename replaces it."""
    harness.inbox.rmdir()
    for name in ("one", "two"):
        (harness.folder / name).mkdir()
        (harness.folder / f"to-{name}").symlink_to(name)
    (harness.folder / "to-one").rename(harness.inbox)
    await harness.start()
    await wait_until(lambda: others(harness))
    (harness.folder / "to-two").rename(harness.inbox)
    await wait_until(lambda: others(harness))
    await wait_until(lambda: not watchers.other_watchers(os.stat(harness.folder / "one"), None))


async def test_shared_folder_returning_folder_is_announced(harness):
    await harness.start()
    await wait_until(lambda: others(harness))
    first = os.stat(harness.inbox)
    harness.inbox.rename(harness.folder / "away")
    await wait_until(lambda: not watchers.other_watchers(first, None))
    harness.inbox.mkdir()
    await wait_until(lambda: others(harness))
    await harness.stop()
    assert others(harness) == []


async def test_shared_folder_removed_folder_is_withdrawn(harness):
    (harness.folder / "other").mkdir()
    harness.settings["folders"].append({"path": "other", "remote": "drive"})
    await harness.start()
    await wait_until(lambda: others(harness) and watchers.other_watchers(os.stat(harness.folder / "other"), None))
    harness.settings["folders"].pop()
    await harness.reload()
    await wait_until(lambda: not watchers.other_watchers(os.stat(harness.folder / "other"), None))
    assert others(harness)
