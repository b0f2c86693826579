"""Cancelled contents stay cancelled under another name, version or fingerprint."""

import pytest
from sqlalchemy import event

from syncd.core.model import Stored
from syncd.core.states import Cause, Outcome, State
from syncd.store import cancellations
from syncd.store.records import ContentQuery
from tests.store.support import FOLDER, claim, observe, only_job, seen

SHA = "a" * 64
OTHER = "b" * 64


async def cancel(store, path: str, sha256: str | None = SHA) -> int:
    """Cancel the job of a file; return its id."""
    job = await only_job(store, path)
    assert await store.cancel([job.id]) == [job.id]
    for cancelled in await store.cancelled_unhashed():
        if cancelled.id == job.id and sha256:
            await store.save_cancelled_content(cancelled, sha256)
    return job.id


async def alike(store, job, sha256: str = SHA) -> list[int]:
    found = [cancelled.id for cancelled in await store.cancelled_alike(job, sha256)]
    query = ContentQuery(remote_id=job.remote_id, key="any", sha256=sha256)
    assert (await store.content_records(query)).cancelled or not found
    return found


async def test_save_cancelled_content_ends_unhashed(store, remote):
    await observe(store, remote, seen("a"), seen("b"))
    number = await cancel(store, "a", None)
    (job,) = await store.cancelled_unhashed()
    assert (job.id, job.folder, job.path, job.fingerprint, job.version) == (
        number,
        FOLDER,
        "a",
        seen("a").fingerprint,
        1,
    )
    assert await store.cancelled_unhashed(after=number) == []
    await store.save_cancelled_content(job, SHA)
    assert await store.cancelled_unhashed() == []


async def test_save_cancelled_content_ignores_changed_file(store, remote):
    await observe(store, remote, seen("a"), seen("b"))
    for path in "ab":
        await cancel(store, path, None)
    first, second = await store.cancelled_unhashed()
    await observe(store, remote, seen("a", size=5))
    await store.retry([second.id])
    for job in first, second:
        await store.save_cancelled_content(job, SHA)
    for job in await claim(store, remote):
        assert await alike(store, job) == []


async def test_cancel_saves_known_content(store, remote):
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)
    stored = Stored(ref="ref")
    await store.finish(job, key="key", stored=stored, outcome=Outcome.UPLOADED, sha256=SHA)
    await store.repair([job.id])
    await store.finish((await claim(store, remote))[0], key="key", stored=stored, outcome=Outcome.UPLOADED, sha256=SHA)
    await observe(store, remote, seen("b"))
    (other,) = await claim(store, remote)
    await store.set_content_key(other, "key")
    await cancel(store, "b", None)
    assert await store.cancelled_unhashed() == []


@pytest.mark.parametrize("change", [{"mtime_ns": 5}, {"inode": 99}, {"birth_ns": 8}])
async def test_cancel_again_changed_file_with_same_content(store, remote, change):
    await observe(store, remote, seen("a"))
    number = await cancel(store, "a")
    for file in seen("a", **change), seen("a", mtime_ns=6):
        await observe(store, remote, file)
        (job,) = await claim(store, remote)
        assert await alike(store, job) == [number]
        assert await alike(store, job, OTHER) == []
        assert await store.cancel_again(job, SHA) is State.SKIPPED
        record = await only_job(store, "a")
        assert (record.cause, record.detail) == (Cause.CANCELLED, "cancelled by a person")
        assert await store.cancelled_unhashed() == []


async def test_cancelled_content_survives_gone_file(store, remote):
    await observe(store, remote, seen("a"))
    number = await cancel(store, "a")
    await store.mark_files_gone(FOLDER, ["a"])
    assert (await only_job(store, "a")).cause is Cause.CANCELLED
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)
    assert await alike(store, job) == [number]


async def test_cancelled_alike_includes_gone_files_of_the_remote(store, remote):
    other = (await store.register_remote("other", "other")).id
    await observe(store, remote, seen("a"))
    number = await cancel(store, "a")
    await observe(store, [remote, other], seen("b", birth_ns=8))
    (job,), (other_job,) = await claim(store, remote), await claim(store, other)
    (here,) = await store.cancelled_alike(job, SHA)
    assert (here.id, here.path, here.present) == (number, "a", True)
    await store.mark_files_gone(FOLDER, ["a"])
    (gone,) = await store.cancelled_alike(job, SHA)
    assert (gone.id, gone.present) == (number, False)
    assert await alike(store, other_job) == []
    await store.cancel_again(job, SHA)
    await store.mark_files_gone(FOLDER, ["b"])
    await observe(store, remote, seen("c", birth_ns=9))
    (third,) = await claim(store, remote)
    assert len(await alike(store, third)) == 2


async def test_finish_with_other_content_ends_cancellation(store, remote):
    await observe(store, remote, seen("a"))
    await cancel(store, "a")
    await observe(store, remote, seen("a", size=5))
    (job,) = await claim(store, remote)
    await store.finish(job, key="key", stored=Stored(ref="ref"), outcome=Outcome.UPLOADED, sha256=OTHER)
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)
    assert await alike(store, job) == []


async def test_retry_ends_cancellation_of_content(store, remote):
    """The content is uploaded under the new name; the job of the old name stays cancelled."""
    await observe(store, remote, seen("a"))
    await cancel(store, "a")
    await store.mark_files_gone(FOLDER, ["a"])
    await observe(store, remote, seen("b", birth_ns=8), seen("c"))
    jobs = {job.path: job for job in await claim(store, remote)}
    await store.cancel_again(jobs["b"], SHA)
    await store.retry([jobs["b"].id])
    (again,) = await claim(store, remote)
    assert await alike(store, again) == []


async def test_retry_keeps_cancellation_on_other_remotes(store, remote):
    """The user wants the content on one remote; on the other it stays cancelled."""
    other = (await store.register_remote("other", "other")).id
    await observe(store, [remote, other], seen("a"))
    jobs = {job.remote_id: job for job in await store.jobs_of("a", [FOLDER])}
    assert len(await store.cancel([job.id for job in jobs.values()])) == 2
    for cancelled in await store.cancelled_unhashed():
        await store.save_cancelled_content(cancelled, SHA)
    await store.mark_files_gone(FOLDER, ["a"])
    await store.retry([jobs[remote].id])
    await observe(store, [remote, other], seen("b", birth_ns=8))
    for remote_id, expected in ((remote, []), (other, [jobs[other].id])):
        (job,) = [job for job in await claim(store, remote_id) if job.path == "b"]
        assert await alike(store, job) == expected


async def test_cancel_twice_keeps_the_last_content(store, remote):
    await observe(store, remote, seen("a"))
    await cancel(store, "a")
    await observe(store, remote, seen("a", size=5))
    await cancel(store, "a", OTHER)
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)
    assert await alike(store, job) == []
    assert len(await alike(store, job, OTHER)) == 1


async def test_cancellation_queries_use_indexes(store, remote):
    asked = []
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)

    def plans(connection):
        def explain(_connection, cursor, statement, parameters, *_):
            if statement.startswith("SELECT"):
                rows = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
                asked.extend(str(row) for row in rows)

        event.listen(connection, "before_cursor_execute", explain)
        try:
            cancellations.cancelled_alike(connection, job, SHA)
            cancellations.cancelled_unhashed(connection, limit=10)
        finally:
            event.remove(connection, "before_cursor_execute", explain)

    await store.database.read(plans)
    assert any("jobs_by_cancelled" in plan for plan in asked)
    assert any("jobs_unhashed" in plan for plan in asked)
    assert not any("SCAN jobs" in plan and "jobs_unhashed" not in plan for plan in asked)
