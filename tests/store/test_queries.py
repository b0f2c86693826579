from syncd.core.states import Cause, State
from syncd.store.records import JobFilter
from tests.store.support import FOLDER, claim, observe, seen


async def test_jobs_sorts_by_latest_change(store, remote, clock):
    for name in "abcd":
        await observe(store, remote, seen(name))
        clock.now += 1
    (job,) = await claim(store, remote, 1)
    clock.now += 1
    await store.refuse(job, "quota")
    assert [job.path for job in await store.jobs([remote])] == ["a", "d", "c", "b"]
    assert [job.path for job in await store.jobs([remote], state=State.FAILED)] == ["a"]
    assert await store.jobs([remote + 1]) == []
    assert await store.jobs([]) == []


async def test_page_search_matches_part_of_the_path(store, remote):
    odd = "odd \udcff name.JPG"
    await observe(store, remote, seen("sub/Cat.jpg"), seen("100%.jpg"), seen("dog.png"), seen(odd))

    async def found(search: str) -> set[str]:
        return {job.path for job in (await store.page(JobFilter(remote_ids=[remote], search=search))).jobs}

    assert await found("cat.J") == {"sub/Cat.jpg"}
    assert await found("%") == {"100%.jpg"}
    assert await found("_") == set()
    assert await found("\udcff") == {odd}
    assert await found(".jpg") == {"sub/Cat.jpg", "100%.jpg", odd}


async def test_jobs_of_accepts_absolute_and_relative_path(store, remote):
    other = (await store.register_remote("other", "other")).id
    await observe(store, [remote, other], seen("sub/a"))
    for name in ("sub/a", f"{FOLDER}/sub/a"):
        assert {job.remote for job in await store.jobs_of(name, ["/srv", FOLDER])} == {"drive", "other"}
    for name in ("a", f"{FOLDER}/a", f"{FOLDER}x/sub/a", f"{FOLDER}/", FOLDER):
        assert await store.jobs_of(name, [FOLDER]) == []
    assert await store.jobs_of("sub/a", []) == []
    await store.observe("/", [seen("etc/a")], [remote], is_gone=lambda *_: False)
    assert [job.path for job in await store.jobs_of("/etc/a", ["/", FOLDER])] == ["etc/a"]


async def test_job_unknown_returns_none(store):
    assert await store.job(17) is None
    assert await store.history(17) == []
    assert await store.retry([17]) == []


async def test_history_has_every_change(store, remote):
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)
    await store.refuse(job, "no room")
    steps = await store.history(job.id)
    assert [(step.cause, step.before, step.after, step.detail) for step in steps] == [
        (Cause.FOUND, None, State.QUEUED, None),
        (Cause.CLAIMED, State.QUEUED, State.UPLOADING, None),
        (Cause.REFUSED, State.UPLOADING, State.FAILED, "no room"),
    ]


async def test_history_is_limited(store, remote):
    await observe(store, remote, seen("a"), seen("b"))
    for number in range(80):
        for job in await claim(store, remote, 1):
            await store.release(job, str(number))
    a, b = sorted(await store.jobs([remote]), key=lambda job: job.path)
    assert len(await store.history(a.id)) == 100
    assert (await store.history(a.id))[-1].detail == "79"
    assert len(await store.history(b.id)) == 1


async def test_counts_only_given_remotes(store, remote):
    other = (await store.register_remote("other", "other")).id
    await observe(store, [remote, other], seen("a", size=10), seen("b", size=20))
    both = await store.counts([remote, other])
    assert (both.jobs[State.QUEUED], both.pending, both.pending_bytes) == (4, 4, 60)
    assert set(both.jobs) == set(State)
    assert (await store.counts([])).pending == 0
    await store.cancel([job.id for job in await store.jobs([other])])
    assert (await store.counts([remote, other])).pending_bytes == 30
