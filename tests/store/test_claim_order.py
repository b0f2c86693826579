"""Claims follow the configured order, with new files before the backlog."""

import pytest

from syncd.core.model import ClaimOrder
from syncd.store.records import LARGE_FILE_BYTES
from tests.store.support import claim, observe, seen


async def _paths(store, remote, limit, **values):
    return [job.path for job in await claim(store, remote, limit, **values)]


@pytest.fixture
async def queue(store, remote, clock):
    """Queue three files of a backlog between six new files.

    Each file is a second later than the file before.
    """
    for number in range(1, 10):
        await observe(store, remote, seen(f"{number}", backlog=number in (1, 2, 5)))
        clock.now += 1


@pytest.mark.parametrize(
    ("order", "paths"),
    [(ClaimOrder.OLDEST, "1234"), (ClaimOrder.NEWEST, "9876"), (ClaimOrder.FAIR, "9182")],
)
async def test_claim_takes_jobs_in_order(store, remote, queue, order, paths):
    assert await _paths(store, remote, 4, order=order) == list(paths)


async def test_claim_fair_gives_odd_place_by_turns(store, remote, queue):
    assert await _paths(store, remote, 1, order=ClaimOrder.FAIR, new_turn=True) == ["9"]
    assert await _paths(store, remote, 1, order=ClaimOrder.FAIR, new_turn=False) == ["1"]
    assert await _paths(store, remote, 3, order=ClaimOrder.FAIR, new_turn=False) == ["2", "8", "3"]


async def test_claim_fair_fills_all_places(store, remote, queue):
    """Neither a lack of new files nor a lack of others leaves a place empty."""
    assert sorted(await _paths(store, remote, 7, order=ClaimOrder.FAIR)) == list("1236789")
    assert await _paths(store, remote, 9, order=ClaimOrder.FAIR) == ["4", "5"]


async def test_claim_fair_ends_each_job(store, remote, clock):
    """While new files keep arriving, claims also get the backlog and older new files."""
    await observe(store, remote, *(seen(f"backlog {number}", backlog=True) for number in range(4)))
    claimed = []
    for number in range(20):
        await observe(store, remote, *(seen(f"new {number} {each}") for each in range(3)))
        clock.now += 1
        claimed += await _paths(store, remote, 2, order=ClaimOrder.FAIR, new_turn=bool(number % 2))
    assert {f"backlog {number}" for number in range(4)} <= set(claimed[:8])
    assert "new 0 0" in claimed


async def test_claim_only_new_leaves_backlog(store, remote, clock, queue):
    assert await _paths(store, remote, 4, only_new=True) == list("9876")
    (job,) = await claim(store, remote, 1, only_new=True)
    await store.defer(job, due_at=clock.now + 5, failures=1, detail="503")
    assert await _paths(store, remote, 4, only_new=True) == ["3"]
    clock.now += 5
    assert await _paths(store, remote, 4, only_new=True) == ["4"]


async def test_claim_fair_limits_large_files(store, remote, clock):
    for number in range(4):
        name, backlog = ("backlog", True) if number < 2 else ("new", False)
        await observe(store, remote, seen(f"{name} {number}", size=LARGE_FILE_BYTES, backlog=backlog))
        clock.now += 1
    await observe(store, remote, *(seen(f"small {number}", backlog=True) for number in range(8)))
    jobs = await _paths(store, remote, 6, order=ClaimOrder.FAIR, large=2)
    assert [path for path in jobs if "small" not in path] == ["new 3", "backlog 0"]
    assert len(jobs) == 6


async def test_changed_file_is_new(store, remote, clock):
    """A file of the backlog becomes a new file when an event reports it.

    A new file moves to the backlog when a scan reports it as backlog.
    """
    await observe(store, remote, seen("a", 1, backlog=True), seen("b", 2))
    await observe(store, remote, seen("a", 1, size=7), seen("b", 2, size=7, backlog=True))
    assert await _paths(store, remote, 9, only_new=True) == ["a"]


async def test_retried_job_is_new(store, remote):
    """A user who retries a file waits for it; all failed jobs together are a backlog."""
    await observe(store, remote, seen("a", backlog=True), seen("b"))
    a, b = await claim(store, remote)
    for job in (a, b):
        await store.refuse(job, "x")
    await store.retry([a.id])
    await store.retry()
    assert await _paths(store, remote, 9, only_new=True) == ["a"]
