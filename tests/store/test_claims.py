import asyncio

import pytest
from sqlalchemy import text

from syncd.core.model import Session, Stored
from syncd.core.states import Cause, Outcome, State
from syncd.store.job_rows import load
from syncd.store.job_store import JobStore
from syncd.store.records import LARGE_FILE_BYTES
from syncd.store.transitions import UnitOfWork, apply_transition
from tests.store.support import FOLDER, claim, observe, only_job, seen
from tests.support.clock import ManualClock
from tests.support.records import session_of, stored_content

STORED = Stored(ref="ref")


async def test_claim_takes_oldest_first(store, remote, clock):
    for name in "cab":
        await observe(store, remote, seen(name))
        clock.now += 1
    assert [job.path for job in await claim(store, remote, 2)] == ["c", "a"]
    assert [job.path for job in await claim(store, remote, 2)] == ["b"]
    assert await claim(store, remote, 2) == []


async def test_claim_sorts_waiting_jobs_by_due_time(store, remote, clock):
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)
    await store.defer(job, due_at=clock.now + 5, failures=1, detail="503")
    await observe(store, remote, seen("b"))
    clock.now += 9
    await observe(store, remote, seen("c"))
    assert [job.path for job in await claim(store, remote)] == ["b", "a", "c"]


async def test_apply_transition_rejects_outdated_rows(store, remote):
    """Rows that were read in an earlier transaction may be outdated."""
    await observe(store, remote, seen("a"))
    (record,) = await store.jobs([remote])
    row = await store.database.read(lambda connection: load(connection, record.id))
    await store.cancel([record.id])
    with pytest.raises(RuntimeError, match="not in the state"):
        await store.database.write(
            lambda connection: apply_transition(UnitOfWork(connection=connection, now=0.0), Cause.CLAIMED, [row])
        )
    assert (await only_job(store, "a")).state is State.SKIPPED
    assert len(await store.history(record.id)) == 2


async def test_claim_returns_job_fields(store, remote):
    await observe(store, remote, seen("a", 3, size=12))
    (job,) = await claim(store, remote)
    assert (job.folder, job.path, job.size, job.fingerprint) == (FOLDER, "a", 12, seen("a", 3, size=12).fingerprint)
    assert (job.version, job.claim, job.failures, job.key) == (1, 1, 0, None)
    assert (await only_job(store, "a")).state is State.UPLOADING


async def test_claim_only_jobs_of_the_remote(store, remote):
    other = (await store.register_remote("other", "other")).id
    await observe(store, remote, seen("a"))
    assert await claim(store, other) == []
    assert await store.next_due(other) is None
    assert len(await claim(store, remote)) == 1


async def test_claim_limits_large_files(store, remote, clock):
    for number in range(5):
        await observe(store, remote, seen(f"large {number}", size=LARGE_FILE_BYTES))
        clock.now += 1
    await observe(store, remote, seen("small 1", size=LARGE_FILE_BYTES - 1), seen("small 2"))
    assert [job.path for job in await claim(store, remote, 3, large=1)] == ["large 0", "small 1", "small 2"]
    assert await claim(store, remote, 3, large=0) == []
    assert [job.path for job in await claim(store, remote, 3)] == ["large 1", "large 2", "large 3"]


async def test_claim_limits_files_that_became_large(store, remote):
    await observe(store, remote, seen("grown", size=LARGE_FILE_BYTES - 1), seen("shrunk", size=LARGE_FILE_BYTES))
    await observe(store, remote, seen("grown", size=LARGE_FILE_BYTES), seen("shrunk", size=LARGE_FILE_BYTES - 1))
    assert [job.path for job in await claim(store, remote, large=0)] == ["shrunk"]


async def test_claim_takes_waiting_jobs_when_due(store, remote, clock):
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)
    assert await store.next_due(remote) is None
    assert await store.defer(job, due_at=clock.now + 10, failures=3, detail="503") is State.WAITING
    record = await only_job(store, "a")
    assert (record.due_at, record.failures, record.detail) == (clock.now + 10, 3, "503")
    assert await store.next_due(remote) == clock.now + 10
    assert await claim(store, remote) == []
    clock.now += 10
    (again,) = await claim(store, remote)
    assert (again.failures, again.claim) == (3, 2)
    assert (await only_job(store, "a")).due_at is None


async def test_shift_due_times_after_clock_was_set_back(store, remote, clock):
    await observe(store, remote, seen("queued"), seen("waiting"))
    jobs = {job.path: job for job in await claim(store, remote)}
    await store.defer(jobs["waiting"], due_at=clock.now + 10, failures=1, detail="503")
    await store.release(jobs["queued"], "stopped")
    clock.now -= 10**8
    assert await store.next_due(remote) == clock.now
    assert [job.path for job in await claim(store, remote)] == ["queued"]
    await store.recover("a new start")
    assert len(await claim(store, remote)) == 2


async def test_wake_makes_jobs_of_key_due(store, remote, clock):
    await observe(store, remote, seen("a"), seen("b"), seen("c"))
    for job in await claim(store, remote):
        await store.set_content_key(job, "key b" if job.path == "b" else "other key")
        await store.defer(job, due_at=clock.now + 100, failures=0, detail="same content")
    assert await store.wake(remote, "key b") == 1
    (job,) = await claim(store, remote)
    assert (job.path, job.key) == ("b", "key b")
    assert await claim(store, remote) == []


@pytest.mark.parametrize("outcome", Outcome)
async def test_finish_records_outcome_and_content(store, remote, outcome):
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)
    session = Session(token="t", chunk_size=1, count=1)
    await store.save_session(remote, "key", session)
    changes = []
    store.changes.subscribe(changes.append)
    assert await store.finish(job, key="key", stored=STORED, outcome=outcome) is State.DONE
    assert [(change.cause, change.outcome) for change in changes] == [(Cause(outcome.value), outcome)]
    record = await only_job(store, "a")
    assert (record.state, record.outcome, record.key, record.ref) == (State.DONE, outcome, "key", "ref")
    assert (await stored_content(store, remote, "key")).ref == "ref"
    assert await session_of(store, remote, "key") is None
    assert await store.unfinished([remote]) == 0


RESULTS = {
    "finish": (lambda store, job: store.finish(job, key="k", stored=STORED, outcome=Outcome.UPLOADED), State.DONE),
    "defer": (lambda store, job: store.defer(job, due_at=9e9, failures=4, detail="x"), State.WAITING),
    "release": (lambda store, job: store.release(job, "x"), State.QUEUED),
    "refuse": (lambda store, job: store.refuse(job, "x"), State.FAILED),
    "skip": (lambda store, job: store.skip(job, "x"), State.SKIPPED),
    "mark_gone": (lambda store, job: store.mark_gone(job), State.SKIPPED),
}
results = pytest.mark.parametrize("result", RESULTS)


@results
async def test_result_ends_claim(store, remote, result):
    call, after = RESULTS[result]
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)
    assert await call(store, job) is after
    assert (await only_job(store, "a")).state is after
    assert await call(store, job) is None


@results
async def test_result_for_outdated_version_requeues(store, remote, result):
    call, _ = RESULTS[result]
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)
    await store.defer(job, due_at=0, failures=5, detail="x")
    (job,) = await claim(store, remote)
    await observe(store, remote, seen("a", size=5))
    assert await call(store, job) is State.QUEUED
    record = await only_job(store, "a")
    assert (record.state, record.present, record.failures) == (State.QUEUED, True, 0)


@results
async def test_result_of_outdated_claim_changes_nothing(store, remote, result):
    call, _ = RESULTS[result]
    await observe(store, remote, seen("a"))
    (stale,) = await claim(store, remote)
    await store.recover("another")
    (fresh,) = await claim(store, remote)
    before = await store.history(stale.id)
    assert await call(store, stale) is None
    await store.set_content_key(stale, "wrong")
    assert await store.history(stale.id) == before
    assert await stored_content(store, remote, "k") is None
    assert (await only_job(store, "a")).key is None
    assert await store.finish(fresh, key="k", stored=STORED, outcome=Outcome.UPLOADED) is State.DONE


async def test_mark_gone_renamed_file_is_requeued(store, remote):
    await observe(store, remote, seen("a", inode=5))
    (job,) = await claim(store, remote)
    await observe(store, remote, seen("b", inode=5), is_gone=("a",))
    assert await store.mark_gone(job) is State.QUEUED
    assert (await only_job(store, "b")).present
    assert [job.path for job in await claim(store, remote)] == ["b"]


async def test_result_of_cancelled_job_changes_nothing(store, remote):
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)
    assert await store.cancel([job.id]) == [job.id]
    assert await store.finish(job, key="k", stored=STORED, outcome=Outcome.UPLOADED) is None
    assert (await only_job(store, "a")).state is State.SKIPPED


async def test_content_key_belongs_to_one_version(store, remote):
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)
    await store.set_content_key(job, "key")
    await store.release(job, "stopped")
    (job,) = await claim(store, remote)
    assert job.key == "key"
    await store.release(job, "stopped")
    await observe(store, remote, seen("a", size=4))
    assert (await claim(store, remote))[0].key is None


async def test_release_keeps_place_in_queue(store, remote, clock):
    await observe(store, remote, seen("first"))
    clock.now += 1
    await observe(store, remote, seen("second"))
    (job,) = await claim(store, remote, 1)
    clock.now += 1
    await store.release(job, "stopped")
    assert [job.path for job in await claim(store, remote, 1)] == ["first"]


async def test_recover_releases_jobs_of_other_owners(path, clock):
    store = await JobStore.open(path, clock=clock)
    remote = (await store.register_remote("drive", "drive")).id
    await observe(store, remote, seen("a"), seen("b"))
    (job,) = await store.claim(remote, 1, owner="first", lease=1e9)
    await store.close()

    store = await JobStore.open(path, clock=clock)
    assert await store.claim(remote, 5, owner="second", lease=60) != []
    assert await store.recover("second") == 1
    assert (await store.history(job.id))[-1].detail == "interrupted"
    assert (await only_job(store, job.path)).state is State.QUEUED
    assert await store.recover("second") == 0
    await store.close()


async def test_recover_makes_jobs_of_same_content_due(path, clock):
    store = await JobStore.open(path, clock=clock)
    remote = (await store.register_remote("drive", "drive")).id
    await observe(store, remote, seen("a"), seen("b"), seen("c"))
    _, same_content, failed = await store.claim(remote, 3, owner="first", lease=60)
    await store.set_content_key(same_content, "key")
    for job in (same_content, failed):
        await store.defer(job, due_at=clock.now + 50, failures=0, detail="later")
    await store.close()

    store = await JobStore.open(path, clock=clock)
    await store.recover("second")
    assert {job.path for job in await store.claim(remote, 5, owner="second", lease=60)} == {"a", "b"}
    await store.close()


async def test_renew_extends_leases(store, remote, clock):
    async def leases() -> set[tuple[str, float]]:
        query = text("SELECT lease_owner, lease_until FROM jobs WHERE lease_owner IS NOT NULL")
        return set(await store.database.read(lambda connection: map(tuple, connection.execute(query).all())))

    await observe(store, remote, seen("a"), seen("b"))
    await store.claim(remote, 1, owner="one", lease=60)
    (other,) = await store.claim(remote, 1, owner="two", lease=60)
    clock.now += 50
    await store.renew("one", 60)
    renewed = ("one", clock.now + 60)
    assert await leases() == {renewed, ("two", clock.now + 10)}
    await store.release(other, "stopped")
    clock.now += 1
    await store.renew("two", 60)
    assert await leases() == {renewed}


async def test_concurrent_claims_get_each_job_once(store, remote):
    await observe(store, remote, *(seen(str(number)) for number in range(300)))
    claimed = [job.id for jobs in await asyncio.gather(*(claim(store, remote, 7) for _ in range(60))) for job in jobs]
    assert len(claimed) == len(set(claimed)) == 300


async def test_write_uses_time_of_its_transaction(path):
    clock = ManualClock()
    store = await JobStore.open(path, clock=clock)
    remote = (await store.register_remote("drive", "drive")).id
    await observe(store, remote, seen("a"))
    clock.now += 5
    (job,) = await claim(store, remote)
    assert [step.at for step in await store.history(job.id)] == [clock.now - 5, clock.now]
    await store.close()


async def test_recover_leaves_waiting_job_with_outdated_key(store, remote, clock):
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)
    await store.set_content_key(job, "key")
    await observe(store, remote, seen("a", size=5))
    await store.release(job, "changed")
    (job,) = await claim(store, remote)
    await store.defer(job, due_at=clock.now + 100, failures=1, detail="503")
    await store.recover("another")
    assert await claim(store, remote) == []
    clock.now += 100
    assert len(await claim(store, remote)) == 1
