import asyncio
from dataclasses import replace

from syncd.core.chunks import ChunkSet
from syncd.core.model import Proof, Session, Stored
from syncd.core.states import Outcome, State
from syncd.store.records import ContentQuery
from tests.store.support import claim, observe, seen
from tests.support.records import session_of, stored_content

SESSION = Session(token="task", chunk_size=36_864, count=5000, received=ChunkSet([0, 4999]))


async def test_save_session_keeps_chunks(store, remote):
    assert await session_of(store, remote, "key") is None
    await store.save_session(remote, "key", SESSION)
    assert await session_of(store, remote, "key") == SESSION
    for index in (7, 0, 7):
        await store.acknowledge(remote, "key", "task", index)
    kept = await session_of(store, remote, "key")
    assert kept.received == ChunkSet([0, 7, 4999])


async def test_session_belongs_to_remote_and_content(store, remote):
    other = (await store.register_remote("other", "other")).id
    await store.save_session(remote, "key", SESSION)
    assert await session_of(store, other, "key") is None
    assert await session_of(store, remote, "other key") is None
    await store.drop_session(other, "key")
    await store.drop_session(remote, "other key")
    assert await session_of(store, remote, "key") == SESSION


async def test_save_session_replaces_old_session(store, remote):
    await store.save_session(remote, "key", SESSION)
    new = Session(token="new", chunk_size=1, count=2, needs_verification=True)
    await store.save_session(remote, "key", new)
    await store.acknowledge(remote, "key", "task", 1)  # meant for the old one
    assert await session_of(store, remote, "key") == new


async def test_require_verification_is_kept(store, remote):
    await store.save_session(remote, "key", SESSION)
    await store.require_verification(remote, "key")
    assert (await session_of(store, remote, "key")).needs_verification


async def test_drop_session_deletes_chunks(store, remote):
    await store.save_session(remote, "key", SESSION)
    await store.drop_session(remote, "key")
    assert await session_of(store, remote, "key") is None
    chunks = await store.database.read(lambda connection: connection.exec_driver_sql("SELECT * FROM chunks").all())
    assert chunks == []


async def test_expire_sessions_deletes_old_sessions(store, remote, clock):
    await store.save_session(remote, "old", SESSION)
    clock.now += 10
    await store.save_session(remote, "new", SESSION)
    assert await store.expire_sessions(clock.now) == 1
    assert await session_of(store, remote, "old") is None
    assert await session_of(store, remote, "new") == SESSION


async def test_forget_content_deletes_record(store, remote):
    await store.forget_content(remote, "never known")
    assert await stored_content(store, remote, "key") is None


async def records_of(store, remote_id, key, sha256=None):
    return await store.content_records(ContentQuery(remote_id=remote_id, key=key, sha256=sha256))


async def test_content_records_anywhere_finds_sha256_or_key(store, remote):
    other = (await store.register_remote("other", "other")).id
    for remote_id, key, sha256 in ((remote, "md5:1", None), (other, "sha256:2", "2")):
        await observe(store, remote_id, seen(key))
        (job,) = await claim(store, remote_id)
        await store.finish(job, key=key, stored=Stored(ref=key), outcome=Outcome.UPLOADED, sha256=sha256)

    async def found(key: str, sha256: str | None) -> set[int]:
        return {each.remote_id for each in (await records_of(store, remote, key, sha256)).anywhere}

    assert await found("md5:1", "1") == {remote}  # as uploaded by an earlier version
    assert await found("md5:2", "2") == {other}
    assert await found("sha256:1", "1") == set()
    assert await found("sha256:1", None) == set()


async def test_apply_terms_drops_sessions_of_other_terms(store, remote):
    other = (await store.register_remote("other", "other")).id
    unfinished = Session(token="t", chunk_size=1, count=2)
    for remote_id in (remote, other):
        await store.save_session(remote_id, "k", unfinished)
    await store.apply_terms(remote, "expired_at 1 s")  # an earlier version did not record the terms
    await store.apply_terms(remote, "expired_at 1 s")
    assert await session_of(store, remote, "k") == unfinished
    await store.apply_terms(remote, "")
    assert await session_of(store, remote, "k") is None
    assert await session_of(store, other, "k") == unfinished


async def test_confirm_saves_proof_and_time(store, remote, clock):
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)
    await store.finish(job, key="k", stored=Stored(ref="ref"), outcome=Outcome.UPLOADED, sha256="5a")
    content = await stored_content(store, remote, "k")
    assert (content.proof, content.confirmed_at, content.sha256) == (Proof.NONE, 0.0, "5a")
    assert (await records_of(store, remote, "k", "5a")).anywhere
    assert not (await records_of(store, remote, "other", "5b")).anywhere
    clock.now += 7
    await store.confirm(remote, "k", Proof.SIZE)
    content = await stored_content(store, remote, "k")
    assert (content.proof, content.confirmed_at) == (Proof.SIZE, clock.now)


async def test_content_records_at_once_belong_to_their_queries(store, remote):
    """Concurrent calls share statements; each gets the result for its arguments."""
    other = (await store.register_remote("other", "other")).id
    for number in range(3):
        key = f"k{number}"
        await observe(store, remote, seen(key))
        (job,) = await claim(store, remote)
        await store.finish(job, key=key, stored=Stored(ref=key), outcome=Outcome.UPLOADED, sha256=f"{number}")
        await store.save_session(other, key, Session(token=key, chunk_size=1, count=2, received=ChunkSet([number % 2])))
    asked = [(remote_id, number) for remote_id in (remote, other) for number in range(4)]
    found = await asyncio.gather(*(records_of(store, *pair(remote_id, number)) for remote_id, number in asked))
    for (remote_id, number), records in zip(asked, found, strict=True):
        known = number < 3
        assert (records.stored is not None) == (known and remote_id == remote)
        assert [each.ref for each in records.anywhere] == ([f"k{number}"] if known else [])
        session = records.session
        assert (None if session is None else session.token) == (f"k{number}" if known and remote_id == other else None)
        assert session is None or list(session.received) == [number % 2]
        assert not records.cancelled


def pair(remote_id, number):
    return remote_id, f"k{number}", f"{number}"


async def test_finish_at_once_records_each_result(store, remote):
    names = [f"{number}" for number in range(5)]
    await observe(store, remote, *map(seen, names))
    jobs = await claim(store, remote, limit=5)
    outdated = replace(jobs[0], claim=jobs[0].claim - 1)
    changes = []
    store.changes.subscribe(changes.append)
    states = await asyncio.gather(
        *(
            store.finish(job, key=f"k{job.path}", stored=Stored(ref=job.path), outcome=Outcome.UPLOADED)
            for job in (outdated, *jobs)
        )
    )
    assert states == [None] + [State.DONE] * 5
    assert sorted(change.path for change in changes) == names
    for job in jobs:
        assert (await stored_content(store, remote, f"k{job.path}")).ref == job.path
