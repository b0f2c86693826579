"""Two daemons that watch one folder warn of each other if files are deleted or moved."""

import os
import sys

import pytest
from structlog.testing import capture_logs

from syncd.daemon import watch_marks
from syncd.platform import watchers
from tests.support.wait import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux' own")


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(watch_marks, "CHECK_INTERVAL_SECONDS", 0.02)


def others(site):
    """Return who watches the inbox, as another daemon sees it."""
    return watchers.other_watchers(os.stat(site.inbox), None)


def told(logs):
    return [(event["folder"], event["pids"]) for event in logs if event["event"] == "folder.shared"]


async def test_a_second_daemon_is_warned_of_once(site, tmp_path):
    site.settings["folders"][0]["after_upload"] = "delete"
    other = os.stat(tmp_path)
    with capture_logs() as logs:
        await site.start()
        await wait_until(lambda: others(site))
        assert told(logs) == []
        with watchers.announce_watch(os.stat(site.inbox), other):
            await wait_until(lambda: told(logs))
            looks = []
            original = watchers.other_watchers
            watchers.other_watchers = lambda *about: looks.append(about) or original(*about)
            try:
                await wait_until(lambda: len(looks) > 3)
            finally:
                watchers.other_watchers = original
        assert told(logs) == [(str(site.inbox), [os.getpid()])]


async def test_with_keep_nobody_is_warned(site, tmp_path):
    with capture_logs() as logs, watchers.announce_watch(os.stat(site.inbox), os.stat(tmp_path)):
        await site.start()
        await wait_until(lambda: len(watchers.LISTED.read_text().split(_number(site.inbox))) > 2)
        site.settings["folders"][0]["after_upload"] = "delete"
        assert told(logs) == []
        await site.reload()
        await wait_until(lambda: told(logs))


def _number(path):
    found = os.stat(path)
    return f"syncd-watches:{found.st_dev}:{found.st_ino}:"


async def test_another_directory_in_its_place_is_told_and_the_first_one_no_more(site):
    """Without a moment in which there is none."""
    site.inbox.rmdir()
    for name in ("one", "two"):
        (site.folder / name).mkdir()
        (site.folder / f"to-{name}").symlink_to(name)
    (site.folder / "to-one").rename(site.inbox)
    await site.start()
    await wait_until(lambda: others(site))
    (site.folder / "to-two").rename(site.inbox)
    await wait_until(lambda: others(site))
    await wait_until(lambda: not watchers.other_watchers(os.stat(site.folder / "one"), None))


async def test_a_folder_that_is_away_is_told_again_when_it_is_back(site):
    await site.start()
    await wait_until(lambda: others(site))
    first = os.stat(site.inbox)
    site.inbox.rename(site.folder / "away")
    await wait_until(lambda: not watchers.other_watchers(first, None))
    site.inbox.mkdir()
    await wait_until(lambda: others(site))
    await site.stop()
    assert others(site) == []


async def test_a_folder_that_goes_is_told_no_more(site):
    (site.folder / "other").mkdir()
    site.settings["folders"].append({"path": "other", "remote": "drive"})
    await site.start()
    await wait_until(lambda: others(site) and watchers.other_watchers(os.stat(site.folder / "other"), None))
    site.settings["folders"].pop()
    await site.reload()
    await wait_until(lambda: not watchers.other_watchers(os.stat(site.folder / "other"), None))
    assert others(site)
