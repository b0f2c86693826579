from syncd.core.model import Proof, Stored
from syncd.core.states import Cause, Outcome, State
from syncd.store import job_store as module
from syncd.store.job_store import JobFilter
from tests.store.support import FOLDER, claim, observe, only_job, seen


async def test_a_remote_is_known_by_its_identity(store):
    first = await store.remote("drive", "multipart http://a")
    await store.save_capabilities(first.id, {"chunk_limit": 10_000})
    again = await store.remote("renamed", "multipart http://a")
    assert (again.id, again.name, again.capabilities) == (first.id, "renamed", {"chunk_limit": 10_000})
    other = await store.remote("drive", "multipart http://b")
    assert other.id != first.id
    assert other.capabilities == {}


async def test_the_old_remote_keeps_its_name(store):
    old = await store.remote("drive", "a")
    await observe(store, old.id, seen("a"))
    await store.remote("drive", "b")
    assert (await only_job(store, "a")).remote == "drive"


async def test_jobs_are_listed_by_their_latest_change(store, remote, clock):
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


async def test_search(store, remote):
    odd = "odd \udcff name.JPG"
    await observe(store, remote, seen("sub/Cat.jpg"), seen("100%.jpg"), seen("dog.png"), seen(odd))

    async def found(search: str) -> set[str]:
        return {job.path for job in (await store.page(JobFilter(remote_ids=[remote], search=search))).jobs}

    assert await found("cat.J") == {"sub/Cat.jpg"}
    assert await found("%") == {"100%.jpg"}
    assert await found("_") == set()
    assert await found("\udcff") == {odd}
    assert await found(".jpg") == {"sub/Cat.jpg", "100%.jpg", odd}


async def test_a_file_is_found_by_either_path(store, remote):
    other = (await store.remote("other", "other")).id
    await observe(store, [remote, other], seen("sub/a"))
    for name in ("sub/a", f"{FOLDER}/sub/a"):
        assert {job.remote for job in await store.jobs_of(name, ["/srv", FOLDER])} == {"drive", "other"}
    for name in ("a", f"{FOLDER}/a", f"{FOLDER}x/sub/a", f"{FOLDER}/", FOLDER):
        assert await store.jobs_of(name, [FOLDER]) == []
    assert await store.jobs_of("sub/a", []) == []
    await store.observe("/", [seen("etc/a")], [remote], is_gone=lambda *_: False)
    assert [job.path for job in await store.jobs_of("/etc/a", ["/", FOLDER])] == ["etc/a"]


async def test_an_unknown_job(store):
    assert await store.job(17) is None
    assert await store.history(17) == []
    assert await store.retry([17]) == []


async def test_the_history_has_every_step(store, remote):
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)
    await store.refuse(job, "no room")
    steps = await store.history(job.id)
    assert [(step.cause, step.before, step.after, step.detail) for step in steps] == [
        (Cause.FOUND, None, State.QUEUED, None),
        (Cause.CLAIMED, State.QUEUED, State.UPLOADING, None),
        (Cause.REFUSED, State.UPLOADING, State.FAILED, "no room"),
    ]


async def test_the_history_has_an_end(store, remote):
    await observe(store, remote, seen("a"), seen("b"))
    for number in range(80):
        for job in await claim(store, remote, 1):
            await store.release(job, str(number))
    a, b = sorted(await store.jobs([remote]), key=lambda job: job.path)
    assert len(await store.history(a.id)) == 100
    assert (await store.history(a.id))[-1].detail == "79"
    assert len(await store.history(b.id)) == 1


async def test_retry(store, remote, clock):
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


async def test_retry_of_many(store, remote, monkeypatch):
    monkeypatch.setattr(module, "RETRY_BATCH_JOBS", 7)
    await observe(store, remote, *(seen(str(number)) for number in range(20)))
    for job in await claim(store, remote):
        await store.refuse(job, "quota")
    assert len(await store.retry()) == 20
    assert (await store.counts([remote])).jobs[State.QUEUED] == 20


async def test_cancel(store, remote):
    await observe(store, remote, seen("queued"))
    await observe(store, remote, seen("running"), seen("done"))
    jobs = {job.path: job for job in await claim(store, remote)}
    await store.release(jobs["queued"], "stopped")
    await store.skip(jobs["done"], "empty")
    cancelled = await store.cancel([job.id for job in jobs.values()])
    assert set(cancelled) == {jobs["queued"].id, jobs["running"].id}
    assert (await store.counts([remote])).jobs[State.SKIPPED] == 3


async def test_counts_of_remotes(store, remote):
    other = (await store.remote("other", "other")).id
    await observe(store, [remote, other], seen("a", size=10), seen("b", size=20))
    both = await store.counts([remote, other])
    assert (both.jobs[State.QUEUED], both.pending, both.pending_bytes) == (4, 4, 60)
    assert set(both.jobs) == set(State)
    assert (await store.counts([])).pending == 0
    await store.cancel([job.id for job in await store.jobs([other])])
    assert (await store.counts([remote, other])).pending_bytes == 30


async def test_what_all_remotes_have_as_it_is(store, remote):
    other = (await store.remote("other", "other")).id
    await observe(store, [remote, other], *(seen(name) for name in ("both", "changed", "gone", "half", "moved on")))

    async def uploaded(*remote_ids: int) -> list[str]:
        found = await store.uploaded(FOLDER, remote_ids)
        assert await store.uploaded_count(FOLDER, remote_ids) == len(found)
        return [file.path for file in found]

    for job in await claim(store, remote):
        await store.finish(job, key=job.path, stored=Stored(ref="ref"), outcome=Outcome.UPLOADED)
    assert await uploaded(remote, other) == []
    for job in await claim(store, other):
        if job.path != "half":
            await store.finish(job, key=job.path, stored=Stored(ref="ref"), outcome=Outcome.DUPLICATE)
    await observe(store, [remote, other], seen("changed", size=3))
    await observe(store, [other], seen("moved on", size=3))  # no longer for the first
    (job,) = [job for job in await claim(store, other) if job.path == "moved on"]
    await store.finish(job, key="new", stored=Stored(ref="ref"), outcome=Outcome.UPLOADED)
    await store.gone(FOLDER, ["gone"])
    assert await uploaded(remote, other) == ["both"]
    assert await uploaded(remote) == ["both", "half"]
    assert await uploaded() == []
    (file,) = await store.uploaded(FOLDER, [other], after="both", limit=1)
    assert file.fingerprint == seen("moved on", size=3).fingerprint
    assert [(content.remote_id, content.key, content.proof) for content in file.contents] == [
        (other, "new", Proof.NONE)
    ]


async def test_settings(store):
    assert await store.get_setting("stopped") is None
    await store.set_setting("stopped", "yes")
    await store.set_setting("stopped", "no")
    assert await store.get_setting("stopped") == "no"


async def test_removals_are_kept_until_they_are_over(store, remote):
    await observe(store, remote, seen("a"), seen("b"))
    ids = await store.begin_removals(FOLDER, [("a", "hidden a"), ("b", "hidden b")])
    begun = await store.removals()
    assert [(one.id, one.folder, one.path, one.hidden) for one in begun] == [
        (ids[0], FOLDER, "a", "hidden a"),
        (ids[1], FOLDER, "b", "hidden b"),
    ]
    await store.end_removals(FOLDER, ids, ["a"])
    assert await store.removals() == []
    assert await store.paths(FOLDER) == ["b"]


async def test_a_content_that_changed_behind_its_stamp_is_queued_again(store, remote):
    await observe(store, remote, seen("a"), seen("b"))
    for job in await claim(store, remote):
        await store.finish(job, key=job.path, stored=Stored(ref="ref"), outcome=Outcome.UPLOADED)
    await store.altered(FOLDER, ["a", "unknown"])
    (job,) = await claim(store, remote)
    assert (job.path, job.version, job.key) == ("a", 2, None)


async def test_a_confirmation_is_kept_with_its_time(store, remote, clock):
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)
    await store.finish(job, key="k", stored=Stored(ref="ref"), outcome=Outcome.UPLOADED, sha256="5a")
    content = await store.content(remote, "k")
    assert (content.proof, content.confirmed_at, content.sha256) == (Proof.NONE, 0.0, "5a")
    assert await store.uploaded_before("k", "5a")
    assert not await store.uploaded_before("other", "5b")
    clock.now += 7
    await store.confirm(remote, "k", Proof.SIZE)
    content = await store.content(remote, "k")
    assert (content.proof, content.confirmed_at) == (Proof.SIZE, clock.now)
