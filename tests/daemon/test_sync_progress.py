"""The progress of a sync: its counts, its end, and signs of more work."""

import pytest
from structlog.testing import capture_logs

from syncd.daemon.once import once
from tests.support.data import random_bytes
from tests.support.wait import wait_until


@pytest.fixture
def logs():
    with capture_logs() as entries:
        yield entries


def settled(logs):
    return [entry for entry in logs if entry["event"] == "sync.settled"]


async def test_sync_settles_once_with_counts(harness, logs):
    harness.settings["folders"][0]["remote"] = ["drive", "ascii"]
    for number in range(5):
        (harness.inbox / f"{number}.jpg").write_bytes(random_bytes(1000, number))
    (harness.inbox / "copy.jpg").write_bytes(random_bytes(1000, 0))
    (harness.inbox / "empty.jpg").touch()
    await harness.start()
    await harness.wait_for_counts(done=12, skipped=2)
    await wait_until(lambda: settled(logs))
    await harness.stop()
    (entry,) = settled(logs)
    assert entry.pop("seconds") > 0
    assert entry == {
        "event": "sync.settled",
        "log_level": "info",
        "uploaded": 10,
        "duplicates": 2,
        "bytes": 10_000,
        "failed": 0,
        "skipped": 2,
    }


async def test_each_sync_settles(harness, logs):
    await harness.start()
    for number in range(1, 4):
        (harness.inbox / f"{number}.jpg").write_bytes(random_bytes(1000, number))
        await wait_until(lambda: len(settled(logs)) == number)  # noqa: B023 - awaited here
    assert [entry["uploaded"] for entry in settled(logs)] == [1, 1, 1]


async def test_idle_daemon_does_not_settle(harness, logs):
    await harness.start()
    await wait_until(lambda: any(entry["event"] == "folder.scanned" for entry in logs))
    assert (await harness.service.status())["sync"]["settled"]
    await harness.stop()
    assert settled(logs) == []


async def test_status_shows_done_of_total(stopped):
    for number in range(3):
        (stopped.inbox / f"{number}.jpg").write_bytes(random_bytes(1000, number))
    await stopped.wait_for_counts(queued=3)
    await wait_until(lambda: not stopped.daemon.runtime.sync.busy)
    sync = (await stopped.service.status())["sync"]
    assert sync == {"done": 0, "total": 3, "settling": 0, "scanning": False, "settled": False}
    jobs = await stopped.jobs()
    await stopped.service.cancel([jobs[0]["id"]])
    sync = (await stopped.service.status())["sync"]
    assert (sync["done"], sync["total"]) == (1, 3)


async def test_queue_of_earlier_run_settles(stopped, logs):
    """The jobs that an earlier run has left are part of the sync."""
    (stopped.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await stopped.wait_for_counts(queued=1)
    await stopped.stop()
    assert settled(logs) == []
    await stopped.start()
    await wait_until(lambda: not stopped.daemon.runtime.sync.busy)
    assert (await stopped.service.status())["sync"]["total"] == 1
    await stopped.service.start()
    await wait_until(lambda: settled(logs))


async def test_file_that_settles_keeps_sync_open(harness):
    harness.settings["folders"][0]["settle"] = "1h"
    await harness.start()
    (harness.inbox / "a.jpg").touch()  # without a close event it would be quiet after an hour
    with (harness.inbox / "a.jpg").open("wb") as file:
        file.write(b"x")
        file.flush()
        await wait_until(lambda: harness.daemon.runtime.folders.watches[str(harness.inbox)].settling_count)
        sync = (await harness.service.status())["sync"]
        assert (sync["settling"], sync["settled"]) == (1, False)


async def test_missing_folder_does_not_keep_sync_open(harness, logs):
    harness.inbox.rmdir()
    await harness.start()
    await wait_until(lambda: any(entry["event"] == "folder.offline" for entry in logs))
    assert (await harness.service.status())["sync"]["settled"]


async def test_once_settles(harness, logs):
    (harness.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await once(harness.write().config)
    (entry,) = settled(logs)
    assert entry["uploaded"] == 1


async def test_first_sync_logs_summaries_not_files(harness, logs, monkeypatch):
    monkeypatch.setattr("syncd.daemon.sync_progress.SUMMARY_INTERVAL_SECONDS", 0.2)
    harness.settings["logging"] = {"each_file": False}
    harness.settings["scheduler"]["bandwidth"] = "100KiB/s"
    for number in range(300):
        (harness.inbox / f"{number}.jpg").write_bytes(random_bytes(1000, number))
    await harness.start()
    await wait_until(lambda: settled(logs))
    summaries = [entry for entry in logs if entry["event"] == "sync.progress"]
    assert len(summaries) >= 2
    assert 0 < sum(entry["uploaded"] for entry in summaries) <= 300
    for entry in summaries:
        assert entry["bytes"] == 1000 * entry["uploaded"]
        assert entry["per_second"] > 0
    assert [entry["remaining"] for entry in summaries] == sorted(
        (entry["remaining"] for entry in summaries), reverse=True
    )
    assert [entry for entry in logs if entry["event"].startswith("job.") and entry["log_level"] != "debug"] == []
    logs.clear()
    (harness.inbox / "new.jpg").write_bytes(random_bytes(1000, 99))
    await wait_until(lambda: settled(logs))
    assert [entry["event"] for entry in logs if entry["event"].startswith("job.")] == [
        "job.queued",
        "job.uploading",
        "job.done",
    ]


async def test_reload_lists_each_file(harness, logs):
    harness.settings["logging"] = {"each_file": False}
    await harness.start()
    harness.settings["logging"] = {"each_file": True}
    assert await harness.reload() == ["logging"]
    assert harness.daemon.runtime.job_log.each_file
