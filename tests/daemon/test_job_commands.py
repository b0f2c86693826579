"""Commands on many jobs, and the list of all jobs while the daemon uploads.

The commands select the jobs by state, by folder, or all at once.
"""

import pytest

from syncd.control.service import JobQuery, NotFoundError
from syncd.core.states import State
from syncd.store import pages
from tests.support.data import random_bytes
from tests.support.wait import wait_until


async def add(harness, *names):
    for name in names:
        path = harness.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random_bytes(100, name))


async def cancel(harness, *names):
    await harness.service.cancel([str(harness.inbox / name) for name in names])


async def names(harness, state):
    return sorted(job["name"] for job in await harness.jobs(state=state))


async def test_snapshot_while_uploading_has_each_job_once(harness, http, monkeypatch):
    monkeypatch.setattr(pages, "SNAPSHOT_PAGE_JOBS", 10)
    harness.settings["scheduler"]["bandwidth"] = "2MiB/s"
    await harness.start()
    await harness.service.stop(now=False)
    for number in range(200):
        (harness.inbox / f"{number:03}.jpg").write_bytes(random_bytes(20_000, number))
    await harness.wait_for_counts(queued=200)
    await harness.service.start()
    mixed, sort = 0, ["latest", "oldest", "name", "largest"]

    async def all_done():
        nonlocal mixed
        sort.append(sort.pop(0))
        async with http.get("/v1/jobs/snapshot", params={"sort": sort[0]}) as answer:
            page = await answer.json()
        assert (answer.status, page["next"], page["siblings"]) == (200, None, [])
        assert len(page["jobs"]) == len({job["id"] for job in page["jobs"]}) == 200
        states = {job["state"] for job in page["jobs"]}
        mixed += len(states) > 1
        return states == {"done"}

    await wait_until(all_done)
    assert mixed  # at least one list was made while the daemon uploaded


async def test_snapshot_of_unknown_remote_names_remotes(harness, http):
    await harness.start()
    async with http.get("/v1/jobs/snapshot", params={"remote": "far"}) as answer:
        assert answer.status == 404
        assert (await answer.json())["error"] == "there is no remote far; the remotes are: ascii, drive"


async def test_retry_folder_queues_jobs_below_it(stopped):
    await add(stopped, "a/1.jpg", "a/b/2.jpg", "a b/3.jpg", "a.jpg", "a0.jpg", "b.jpg")
    await stopped.wait_for_counts(queued=6)
    everything = await names(stopped, State.QUEUED)
    await cancel(stopped, *everything)
    assert await stopped.service.retry([str(stopped.inbox / "a")]) == 2
    assert await names(stopped, State.QUEUED) == ["a/1.jpg", "a/b/2.jpg"]
    assert await stopped.service.retry([str(stopped.inbox / "a"), str(stopped.inbox / "b.jpg")]) == 1
    assert await stopped.service.retry([str(stopped.inbox)]) == 3
    assert await names(stopped, State.QUEUED) == everything


async def test_retry_folder_that_is_gone_or_empty(stopped):
    await add(stopped, "a/1.jpg")
    await stopped.wait_for_counts(queued=1)
    await cancel(stopped, "a/1.jpg")
    (stopped.inbox / "a" / "1.jpg").rename(stopped.folder / "elsewhere.jpg")
    (stopped.inbox / "a").rmdir()
    (stopped.inbox / "empty").mkdir()
    assert await stopped.service.retry([str(stopped.inbox / "a")]) == 1
    assert await stopped.service.retry([str(stopped.inbox / "empty")]) == 0
    for unknown in (str(stopped.inbox / "none"), str(stopped.folder), 4711):
        with pytest.raises(NotFoundError):
            await stopped.service.retry([unknown])


async def test_retry_state_queues_only_jobs_in_it(stopped):
    await add(stopped, "1.jpg", "2.jpg", "3.jpg")
    await stopped.wait_for_counts(queued=3)
    await cancel(stopped, "1.jpg", "2.jpg")
    assert await stopped.service.retry(None) == 0
    assert await stopped.service.retry(None, State.FAILED) == 0
    assert await stopped.service.retry([str(stopped.inbox)], State.WAITING) == 0
    assert await stopped.service.retry([str(stopped.inbox / "1.jpg")], State.FAILED) == 0
    assert await stopped.service.retry([str(stopped.inbox / "1.jpg")], State.SKIPPED) == 1
    assert await stopped.service.retry(None, State.SKIPPED) == 1
    assert await names(stopped, State.QUEUED) == ["1.jpg", "2.jpg", "3.jpg"]


async def test_cancel_all_ends_unfinished_jobs(harness):
    await harness.start()
    await add(harness, "done.jpg")
    await harness.wait_for_counts(done=1)
    harness.settings["scheduler"]["bandwidth"] = "100KiB/s"
    await harness.reload()
    (harness.inbox / "large.tif").write_bytes(random_bytes(1024 * 1024))
    await wait_until(lambda: any(progress.sent > 0 for progress in harness.daemon.runtime.scheduler.progress()))
    await add(harness, "queued.jpg")
    await harness.wait_for_states("queued.jpg", "queued", "uploading")
    assert await harness.service.cancel(None) == 2
    assert harness.daemon.runtime.scheduler.progress() == []
    page = await harness.service.jobs(JobQuery(state=State.SKIPPED))
    assert sorted(job["name"] for job in page["jobs"]) == ["large.tif", "queued.jpg"]
    assert (await harness.counts())["done"] == 1
