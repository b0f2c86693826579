"""A snapshot shows one moment while other calls change the jobs.

It has each job once, in its state at that moment.
"""

import asyncio
import threading
from contextlib import aclosing

import pytest

from syncd.core.model import Sort
from syncd.core.states import State
from syncd.store import pages, reader
from syncd.store.errors import StoreClosedError
from syncd.store.records import JobFilter
from tests.store.support import claim, observe, seen

JOBS = 20


@pytest.fixture
async def jobs(store, remote, clock, monkeypatch):
    monkeypatch.setattr(pages, "SNAPSHOT_PAGE_JOBS", 3)
    for number in range(JOBS):
        clock.now += 1
        await observe(store, remote, seen(f"{number:02}", size=1000 - number))
    return JOBS


@pytest.mark.parametrize("sort", list(Sort))
async def test_snapshot_has_each_job_once_while_jobs_change(store, remote, clock, jobs, sort):
    found = []
    async with aclosing(store.snapshot(JobFilter(remote_ids=[remote], sort=sort, limit=1000))) as steps:
        async for page in steps:
            assert len(page.jobs) <= 3
            found += page.jobs
            clock.now += 1
            for job in await claim(store, remote, limit=2):
                await store.refuse(job, "quota")
            await observe(store, remote, seen(f"new {len(found)}"))
    assert len(found) == len({job.id for job in found}) == jobs
    assert {job.state for job in found} == {State.QUEUED}
    assert page.next is None
    expected = await store.page(JobFilter(remote_ids=[remote], sort=Sort.NAME, limit=1000))
    assert {job.state for job in expected.jobs} == {State.QUEUED, State.FAILED}


async def test_snapshot_ends_at_limit_with_cursor(store, remote, jobs):
    query = JobFilter(remote_ids=[remote], limit=8)
    found = [page async for page in store.snapshot(query)]
    assert [len(page.jobs) for page in found] == [3, 3, 2]
    (whole,) = [await store.page(query)]
    assert [job for page in found for job in page.jobs] == whole.jobs
    assert found[-1].next == whole.next


async def test_snapshot_without_jobs_is_one_empty_page(store, remote):
    (page,) = [page async for page in store.snapshot(JobFilter(remote_ids=[remote], limit=5))]
    assert (page.jobs, page.next) == ([], None)


async def test_snapshots_are_bounded_and_leave_no_thread(store, remote, jobs, monkeypatch):
    started, begun = [store.snapshot(JobFilter(remote_ids=[remote], limit=9)) for _ in range(5)], []

    async def begin(steps):
        begun.append(await anext(steps))

    tasks = [asyncio.create_task(begin(steps)) for steps in started]
    async with asyncio.timeout(30):
        while len(begun) < reader.MAX_LONG_READS:
            await asyncio.sleep(0.01)
        await store.counts([remote])  # other reads continue
        assert len(begun) == reader.MAX_LONG_READS
        for steps in started[:4]:
            await steps.aclose()
        await asyncio.gather(*tasks)
        await started[4].aclose()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("store-snapshot")]


async def test_snapshot_of_closed_store_raises(store, remote):
    await store.close()
    with pytest.raises(StoreClosedError):
        await anext(store.snapshot(JobFilter(remote_ids=[remote], limit=5)))
