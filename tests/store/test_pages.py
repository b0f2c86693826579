"""Pages of jobs equal the result of a plain filter and sort over all jobs."""

import itertools
import os

import pytest

from syncd.core.model import Sort, Stored
from syncd.core.states import Outcome, State
from syncd.store import pages as pages_module
from syncd.store import queries
from syncd.store.job_store import JobStore
from syncd.store.records import PENDING, JobFilter, JobRecord
from tests.store.support import FOLDER, claim, observe, query_plans, seen

OTHER = "/srv/\udcffther"
KEYS = {
    Sort.LATEST: lambda job: (-job.updated_at, -job.id),
    Sort.OLDEST: lambda job: (job.updated_at, job.id),
    Sort.LARGEST: lambda job: (-job.size, -job.id),
    Sort.SMALLEST: lambda job: (job.size, job.id),
    Sort.NAME: lambda job: (os.fsencode(job.folder), os.fsencode(job.path), job.remote_id),
}


@pytest.fixture
async def remotes(store, clock) -> list[int]:
    """Create three remotes and two folders with jobs in all states and few distinct keys."""
    ids = [(await store.register_remote(name, name)).id for name in ("drive", "ascii", "seldom")]
    for number in range(26):
        clock.now += number % 7 == 0
        name = f"{number * 7 % 26:02d} \udcff{'ABC'[: number % 4]}.jpg"
        found = seen(name, size=number % 5, unfit="empty" if number % 11 == 0 else None)
        folder, targets = (FOLDER, ids[:2]) if number % 3 else (OTHER, ids[1:])
        await store.observe(folder, [found], targets, is_gone=lambda *_: False)
    for job in await claim(store, ids[0], 8):
        await store.refuse(job, "no room")
    for job in await claim(store, ids[1], 8):
        await store.finish(job, key=f"key {job.id}", stored=Stored(ref="ref"), outcome=Outcome.UPLOADED)
    await claim(store, ids[1], 3)
    return ids


async def pages(store: JobStore, wanted: JobFilter) -> list[JobRecord]:
    """Return the jobs of all pages; check the length of each page."""
    found: list[JobRecord] = []
    after = None
    for number in itertools.count():
        assert number < 2000, "the pages have no end"
        page = await store.page(
            JobFilter(
                remote_ids=wanted.remote_ids,
                states=wanted.states,
                folder=wanted.folder,
                search=wanted.search,
                sort=wanted.sort,
                limit=wanted.limit,
                after=after,
            )
        )
        assert len(page.jobs) <= wanted.limit
        assert page.next is None or len(page.jobs) == wanted.limit
        found += page.jobs
        after = page.next
        if after is None:
            return found
    raise AssertionError


def fits(job: JobRecord, wanted: JobFilter) -> bool:
    return (
        job.remote_id in wanted.remote_ids
        and (not wanted.states or job.state in wanted.states)
        and wanted.folder in (None, job.folder)
        and (wanted.search or "").lower() in job.path.lower()
    )


@pytest.mark.parametrize("strategy", ["few candidates", "in order", "out of time"])
@pytest.mark.parametrize("sort", Sort)
async def test_page_matches_plain_query(store, remotes, monkeypatch, strategy, sort):
    everything = await store.jobs(remotes, limit=1000)
    assert {job.state for job in everything} == {*State} - {State.WAITING}
    if strategy != "few candidates":
        monkeypatch.setattr(pages_module, "SORT_IN_MEMORY_MAX_JOBS", -1)
        monkeypatch.setattr(pages_module, "BATCH_JOBS", 4)
    if strategy == "out of time":
        monkeypatch.setattr(pages_module, "READ_IN_ORDER_MAX_SECONDS", -1.0)
    combinations = itertools.product(
        (remotes, remotes[2:]),
        ((), (State.DONE,), (State.WAITING,), PENDING),
        (None, OTHER),
        (None, "b.J", "bc.J", "\udcff"),
    )
    some = False
    for remote_ids, states, folder, search in combinations:
        wanted = JobFilter(remote_ids=remote_ids, states=states, folder=folder, search=search, sort=sort, limit=5)
        expected = sorted((job for job in everything if fits(job, wanted)), key=KEYS[sort])
        assert [job.id for job in await pages(store, wanted)] == [job.id for job in expected], wanted
        some |= len(expected) > 5
    assert some


@pytest.mark.parametrize("sort", Sort)
async def test_page_reads_no_further_than_its_last_job(store, remotes, monkeypatch, sort):
    monkeypatch.setattr(pages_module, "SORT_IN_MEMORY_MAX_JOBS", -1)
    monkeypatch.setattr(pages_module, "BATCH_JOBS", 2)
    batches, sort_batch = [], pages_module._sorted
    monkeypatch.setattr(pages_module, "_sorted", lambda *about: batches.append(about) or sort_batch(*about))
    page = await store.page(JobFilter(remote_ids=remotes, sort=sort, limit=1))
    assert (len(page.jobs), len(batches)) == (1, 1)


@pytest.mark.parametrize("too_many", [False, True])
async def test_page_by_name_sorts_few_jobs_in_memory(store, remotes, monkeypatch, too_many):
    jobs = len(await store.jobs(remotes, limit=1000))
    monkeypatch.setattr(pages_module, "SORT_IN_MEMORY_MAX_JOBS", jobs - too_many)
    reads, read_in_order = [], pages_module._first_in_order
    monkeypatch.setattr(pages_module, "_first_in_order", lambda *about: reads.append(about) or read_in_order(*about))
    assert (await store.page(JobFilter(remote_ids=remotes, sort=Sort.NAME, limit=1))).jobs
    assert len(reads) == too_many


@pytest.mark.parametrize("sort", Sort)
async def test_page_has_siblings_of_its_files(store, remotes, sort):
    """Siblings may have other states and remotes, or be on other pages."""
    everything = await store.jobs(remotes, limit=1000)
    for asked in (
        {"states": [State.FAILED]},
        {"remote_ids": remotes[1:2]},
        {"search": "b.J", "limit": 3},
        {"limit": 3},
    ):
        wanted = {"remote_ids": remotes, "sort": sort, **asked}
        assert not (await store.page(JobFilter(**wanted))).siblings
        page = await store.page(JobFilter(**wanted, sibling_remote_ids=remotes))
        shown = {job.id for job in page.jobs}
        of_files = {(job.folder, job.path) for job in page.jobs}
        expected = {job.id for job in everything if (job.folder, job.path) in of_files} - shown
        assert sorted(job.id for job in page.siblings) == sorted(expected)
        assert expected
    some = await store.page(JobFilter(remote_ids=remotes, sibling_remote_ids=remotes[:1], limit=3))
    assert {job.remote_id for job in some.siblings} <= {remotes[0]}


async def test_moved_file_is_listed_in_new_folder(store, remote):
    await observe(store, remote, seen("a", 1, size=10), seen("b", 2, size=20))
    await store.observe(OTHER, [seen("c", 1, size=10)], [remote], is_gone=lambda _, path: path == "a")
    for sort in Sort:
        moved = await store.page(JobFilter(remote_ids=[remote], folder=OTHER, sort=sort))
        assert [job.path for job in moved.jobs] == ["c"]
        left = await store.page(JobFilter(remote_ids=[remote], folder=FOLDER, sort=sort))
        assert [job.path for job in left.jobs] == ["b"]
    assert (await store.counts([remote])).pending_bytes == 30


async def test_page_queries_use_indexes(store, remotes):
    """SQLite's plan of each statement says SEARCH with an index, not SCAN."""

    def list_jobs(connection) -> None:
        for sort in Sort:
            for states in ((), (State.FAILED,), PENDING):
                wanted = JobFilter(
                    remote_ids=remotes, sibling_remote_ids=remotes, states=states, folder=FOLDER, sort=sort, limit=5
                )
                pages_module.page(connection, wanted, lambda: 0.0)
        queries.failed_ids(connection, 5)

    plans = await store.database.read(lambda connection: query_plans(connection, list_jobs))
    scans = [step for plan in plans for step in plan.split(", ") if step.startswith("SCAN") and "json_each" not in step]
    assert [step for step in scans if "files" in step or "jobs" in step.split()] == []
    assert len(plans) > 10
