"""The control service of a running daemon: list, retry, cancel, pause, rescan, errors."""

import os

import pytest

from syncd.control.service import InvalidRequestError, JobQuery, NotFoundError
from syncd.core.remaining_time import RemainingTime
from syncd.core.states import State
from tests.support.data import random_bytes
from tests.support.wait import wait_until

MIB = 1024 * 1024


@pytest.fixture
async def stopped(harness):
    """A paused daemon: it watches and queues, but uploads nothing."""
    await harness.start()
    await harness.service.stop(now=False)
    return harness


async def test_control_service_pages_have_every_job_once(stopped):
    names = {f"{number:02}.jpg" for number in range(23)}
    for name in names:
        (stopped.inbox / name).write_bytes(random_bytes(100, name))
    await stopped.wait_for_counts(queued=23)
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        page = await stopped.service.jobs(JobQuery(limit=5, before=cursor))
        assert len(page["jobs"]) <= 5
        seen += [os.path.basename(job["path"]) for job in page["jobs"]]
        cursor, pages = page["next"], pages + 1
    assert pages == 5
    assert sorted(seen) == sorted(names)
    exact = await stopped.service.jobs(JobQuery(limit=23))
    assert exact["next"] is None


async def test_control_service_jobs_of_one_file_are_adjacent(harness):
    harness.settings["folders"][0]["remote"] = ["ascii", "drive"]
    await harness.start()
    await harness.service.stop(now=False)
    for name in ("a.jpg", "b.jpg"):
        (harness.inbox / name).write_bytes(random_bytes(100, name))
    await harness.wait_for_counts(queued=4)
    await harness.service.cancel([job["id"] for job in await harness.jobs(search="a.jpg", remote="drive")])
    alone = await harness.service.jobs(JobQuery(state=State.SKIPPED))
    assert (len(alone["jobs"]), alone["siblings"]) == (1, [])
    for query in ({"state": State.SKIPPED}, {"search": "a.jpg", "remote": "drive"}):
        page = await harness.service.jobs(JobQuery(**query, siblings=True))
        listed = [(job["name"], job["remote"], job["state"]) for job in (*page["jobs"], *page["siblings"])]
        assert listed == [("a.jpg", "drive", "skipped"), ("a.jpg", "ascii", "queued")]


async def test_control_service_jobs_filter_by_state_and_name(stopped):
    for name in ("a 100%_sure.jpg", "b.jpg"):
        (stopped.inbox / name).write_bytes(random_bytes(100, name))
    await stopped.wait_for_counts(queued=2)
    assert await stopped.jobs(state=State.DONE) == []
    assert len(await stopped.jobs(state=State.QUEUED)) == 2
    assert len(await stopped.jobs(state="pending")) == 2
    assert [job["path"][-6:] for job in await stopped.jobs(search="100%_s")] == ["re.jpg"]
    assert await stopped.jobs(search="%") != []
    assert await stopped.jobs(search="0_0") == []  # no wildcard


@pytest.mark.parametrize("cursor", ["", ":", "x", "1:x", "nan:1:2", "1e999:99999999999999999999999", "inf:1", "nan:1"])
async def test_control_service_any_cursor_is_page_or_error(stopped, cursor):
    try:
        page = await stopped.service.jobs(JobQuery(before=cursor))
    except InvalidRequestError:
        pass
    else:
        assert page == {"jobs": [], "next": None}


NAME = "escaped \udcff\n\x1b[2J \u202e.jpg"


async def test_control_service_any_name_is_escaped_and_found(harness):
    await harness.start()
    data = random_bytes(1000)
    (harness.inbox / NAME).write_bytes(data)
    (job,) = await harness.wait_for_states(NAME, "done")
    assert job["path"].startswith(str(harness.inbox))
    assert "\\xff\\n\\x1b[2J" in job["path"]
    job["path"].encode()
    assert await harness.content(job) == data
    assert [step["state"] for step in job["history"]] == ["queued", "uploading", "done"]
    (same,) = await harness.service.show(job["id"])
    assert same["path"] == job["path"]


async def test_control_service_missing_targets_have_own_errors(harness):
    await harness.start()
    (harness.inbox / "left out.doc").write_bytes(b"x")
    for path, words in [
        (harness.inbox / "left out.doc", "left out by include or exclude"),
        (harness.inbox / "none.jpg", "no such file"),
        (harness.folder / "elsewhere.jpg", "none of the watched folders"),
        (f"{harness.inbox}-2/a.jpg", "none of the watched folders"),
    ]:
        with pytest.raises(NotFoundError, match=words):
            await harness.service.show(str(path))
    with pytest.raises(NotFoundError, match="no job 4711"):
        await harness.service.show(4711)
    with pytest.raises(NotFoundError, match="none of the watched folders"):
        await harness.service.rescan("/")
    with pytest.raises(NotFoundError, match="no remote attic"):
        await harness.service.probe("attic")
    for order in (harness.service.retry, harness.service.cancel):
        with pytest.raises(NotFoundError):
            await order([4711])


async def test_control_service_running_job_cancel_and_retry(harness):
    harness.settings["scheduler"]["bandwidth"] = "500KiB/s"
    await harness.start()
    data = random_bytes(4 * MIB)
    (harness.inbox / "giant.tif").write_bytes(data)
    await wait_until(lambda: any(progress.sent > 0 for progress in harness.daemon.runtime.scheduler.progress()))
    (job,) = await harness.show("giant.tif")
    assert job["state"] == "uploading"
    assert await harness.service.cancel([str(harness.inbox / "giant.tif")]) == 1
    assert harness.daemon.runtime.scheduler.progress() == []
    (job,) = await harness.show("giant.tif")
    assert (job["state"], job["detail"]) == ("skipped", "cancelled by a person")
    assert await harness.service.cancel([job["id"]]) == 0
    harness.settings["scheduler"]["bandwidth"] = "unlimited"
    await harness.reload()
    assert await harness.service.retry([job["id"]]) == 1
    (job,) = await harness.wait_for_states("giant.tif", "done")
    assert await harness.content(job) == data
    assert (await harness.counters())["chunks_repeated"] == 0


async def test_control_service_cancel_skips_done_jobs(harness):
    await harness.start()
    (harness.inbox / "a.jpg").write_bytes(random_bytes(100, 1))
    await harness.wait_for_counts(done=1)
    await harness.service.stop(now=False)
    (harness.inbox / "b.jpg").write_bytes(random_bytes(100, 2))
    await harness.wait_for_counts(queued=1)
    assert await harness.service.cancel([str(harness.inbox / name) for name in ("a.jpg", "b.jpg")]) == 1
    assert await harness.counts() == {"queued": 0, "uploading": 0, "waiting": 0, "done": 1, "failed": 0, "skipped": 1}
    assert await harness.service.retry(None) == 0  # None retries failed jobs, not cancelled ones
    assert await harness.service.retry([str(harness.inbox / "b.jpg")]) == 1
    await harness.service.start()
    await harness.wait_for_counts(done=2)


async def test_control_service_stop_now_interrupts_start_resumes(harness):
    harness.settings["scheduler"]["bandwidth"] = "500KiB/s"
    await harness.start()
    (harness.inbox / "giant.tif").write_bytes(random_bytes(2 * MIB))
    await wait_until(lambda: any(progress.sent > 0 for progress in harness.daemon.runtime.scheduler.progress()))
    await harness.service.stop(now=True)
    assert harness.daemon.runtime.scheduler.progress() == []
    assert (await harness.service.status())["state"] == "stopped"
    harness.settings["scheduler"]["bandwidth"] = "unlimited"
    await harness.reload()
    await harness.service.start()
    await harness.wait_for_counts(done=1)
    assert (await harness.counters())["chunks_repeated"] == 0


async def test_control_service_status_of_server_down(harness):
    harness.settings["remotes"]["drive"]["url"] = "http://127.0.0.1:1"
    harness.settings["scheduler"]["retry"] = {"initial": "300s", "max": "300s"}
    await harness.start()
    (harness.inbox / "a.jpg").write_bytes(random_bytes(100))

    async def drive():
        status = await harness.service.status()
        return next(remote for remote in status["remotes"] if remote["state"] != "online" or remote["name"] == "drive")

    async def down():
        return (await drive())["state"] == "offline" and (await harness.counts())["queued"] == 1

    await wait_until(down)
    remote = await drive()
    assert "can't connect" in remote["detail"]
    assert 0 <= remote["retry_in_seconds"] <= 300
    status = await harness.service.status()
    assert status["bytes"]["pending"] == 100
    assert status["eta_seconds"] is None


async def test_control_service_paused_daemon_has_no_eta(harness, monkeypatch):
    harness.settings["remotes"]["drive"]["url"] = "http://127.0.0.1:1"
    await harness.start()
    (harness.inbox / "a.jpg").write_bytes(random_bytes(100))
    await harness.wait_for_counts(queued=1)
    monkeypatch.setattr(RemainingTime, "seconds", lambda *_, jobs, size: size / 50.0)
    await wait_until(lambda: not harness.daemon.runtime.sync.busy)
    assert (await harness.service.status())["eta_seconds"] == 2.0
    await harness.daemon.pause(now=False)
    assert (await harness.service.status())["eta_seconds"] is None


async def test_control_service_chart_has_sent_bytes(harness):
    await harness.start()
    (harness.inbox / "a.jpg").write_bytes(random_bytes(100_000))
    await harness.wait_for_counts(done=1)
    chart = await harness.service.throughput()
    assert chart["step_seconds"] == 5
    assert sum(chart["bytes"]) == (await harness.service.status())["bytes"]["sent"] >= 100_000


async def test_status_counts_files_left_out_by_patterns(harness):
    for name in ("a.jpg", "clip.mp4", "notes.pdf", ".hidden"):
        (harness.inbox / name).write_bytes(random_bytes(100, name))
    await harness.start()
    await harness.wait_for_counts(done=1)
    (folder,) = (await harness.service.status())["folders"]
    assert (folder["files"], folder["left_out_files"], folder["left_out_videos"]) == (1, 2, 1)
    (harness.inbox / "clip.mp4").unlink()
    await harness.service.rescan(None)

    async def counted():
        return (await harness.service.folders())[0]["left_out_files"] == 1

    await wait_until(counted)
