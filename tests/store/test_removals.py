from syncd.core.model import Proof, Stored
from syncd.core.states import Outcome
from tests.store.support import FOLDER, claim, observe, seen


async def test_uploaded_requires_every_remote_and_current_version(store, remote):
    other = (await store.register_remote("other", "other")).id
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
    await store.mark_files_gone(FOLDER, ["gone"])
    assert await uploaded(remote, other) == ["both"]
    assert await uploaded(remote) == ["both", "half"]
    assert await uploaded() == []
    (file,) = await store.uploaded(FOLDER, [other], after="both", limit=1)
    assert file.fingerprint == seen("moved on", size=3).fingerprint
    assert [(content.remote_id, content.key, content.proof) for content in file.contents] == [
        (other, "new", Proof.NONE)
    ]


async def test_removals_are_pending_until_they_end(store, remote):
    await observe(store, remote, seen("a"), seen("b"))
    ids = await store.begin_removals(FOLDER, [("a", "hidden a"), ("b", "hidden b")])
    begun = await store.pending_removals()
    assert [(one.id, one.folder, one.path, one.hidden) for one in begun] == [
        (ids[0], FOLDER, "a", "hidden a"),
        (ids[1], FOLDER, "b", "hidden b"),
    ]
    await store.end_removals(FOLDER, ids, ["a"])
    assert await store.pending_removals() == []
    assert await store.paths(FOLDER) == ["b"]


async def test_requeue_altered_queues_new_version(store, remote):
    await observe(store, remote, seen("a"), seen("b"))
    for job in await claim(store, remote):
        await store.finish(job, key=job.path, stored=Stored(ref="ref"), outcome=Outcome.UPLOADED)
    await store.requeue_altered(FOLDER, ["a", "unknown"])
    (job,) = await claim(store, remote)
    assert (job.path, job.version, job.key) == ("a", 2, None)
