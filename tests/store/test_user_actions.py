from syncd.core.states import State
from syncd.store import user_actions
from tests.store.support import claim, observe, seen


async def test_retry_queues_jobs_that_may_be_retried(store, remote, clock):
    await observe(store, remote, seen("failed"), seen("waiting"), seen("running"), seen("skipped"))
    jobs = {job.path: job for job in await claim(store, remote)}
    await store.refuse(jobs["failed"], "quota")
    await store.defer(jobs["waiting"], due_at=clock.now + 99, failures=7, detail="503")
    await store.skip(jobs["skipped"], "empty")
    ids = {name: job.id for name, job in jobs.items()}
    assert await store.retry() == [ids["failed"]]
    assert set(await store.retry(list(ids.values()))) == {ids["waiting"], ids["skipped"]}
    clock.now += 1
    await observe(store, remote, seen("new"))
    again = [(job.path, job.failures) for job in await claim(store, remote)]
    assert sorted(again[:3]) == [("failed", 0), ("skipped", 0), ("waiting", 0)]  # in turn before the new one


async def test_retry_all_failed_takes_several_transactions(store, remote, monkeypatch):
    monkeypatch.setattr(user_actions, "BATCH_JOBS", 7)
    await observe(store, remote, *(seen(str(number)) for number in range(20)))
    for job in await claim(store, remote):
        await store.refuse(job, "quota")
    assert len(await store.retry()) == 20
    assert (await store.counts([remote])).jobs[State.QUEUED] == 20


async def test_cancel_ends_jobs_that_are_not_finished(store, remote):
    await observe(store, remote, seen("queued"))
    await observe(store, remote, seen("running"), seen("done"))
    jobs = {job.path: job for job in await claim(store, remote)}
    await store.release(jobs["queued"], "stopped")
    await store.skip(jobs["done"], "empty")
    cancelled = await store.cancel([job.id for job in jobs.values()])
    assert set(cancelled) == {jobs["queued"].id, jobs["running"].id}
    assert (await store.counts([remote])).jobs[State.SKIPPED] == 3
