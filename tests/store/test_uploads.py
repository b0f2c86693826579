from syncd.core.chunks import ChunkSet
from syncd.core.model import Proof, Session, Stored
from syncd.core.states import Outcome
from tests.store.support import claim, observe, seen

SESSION = Session(token="task", chunk_size=36_864, count=5000, received=ChunkSet([0, 4999]))


async def test_save_session_keeps_chunks(store, remote):
    assert await store.session(remote, "key") is None
    await store.save_session(remote, "key", SESSION)
    assert await store.session(remote, "key") == SESSION
    for index in (7, 0, 7):
        await store.acknowledge(remote, "key", "task", index)
    kept = await store.session(remote, "key")
    assert kept.received == ChunkSet([0, 7, 4999])


async def test_session_belongs_to_remote_and_content(store, remote):
    other = (await store.register_remote("other", "other")).id
    await store.save_session(remote, "key", SESSION)
    assert await store.session(other, "key") is None
    assert await store.session(remote, "other key") is None
    await store.drop_session(other, "key")
    await store.drop_session(remote, "other key")
    assert await store.session(remote, "key") == SESSION


async def test_save_session_replaces_old_session(store, remote):
    await store.save_session(remote, "key", SESSION)
    new = Session(token="new", chunk_size=1, count=2, needs_verification=True)
    await store.save_session(remote, "key", new)
    await store.acknowledge(remote, "key", "task", 1)  # meant for the old one
    assert await store.session(remote, "key") == new


async def test_require_verification_is_kept(store, remote):
    await store.save_session(remote, "key", SESSION)
    await store.require_verification(remote, "key")
    assert (await store.session(remote, "key")).needs_verification


async def test_drop_session_deletes_chunks(store, remote):
    await store.save_session(remote, "key", SESSION)
    await store.drop_session(remote, "key")
    assert await store.session(remote, "key") is None
    chunks = await store.database.read(lambda connection: connection.exec_driver_sql("SELECT * FROM chunks").all())
    assert chunks == []


async def test_expire_sessions_deletes_old_sessions(store, remote, clock):
    await store.save_session(remote, "old", SESSION)
    clock.now += 10
    await store.save_session(remote, "new", SESSION)
    assert await store.expire_sessions(clock.now) == 1
    assert await store.session(remote, "old") is None
    assert await store.session(remote, "new") == SESSION


async def test_forget_content_deletes_record(store, remote):
    await store.forget_content(remote, "never known")
    assert await store.content(remote, "key") is None


async def test_uploaded_before_finds_sha256_or_key(store, remote):
    other = (await store.register_remote("other", "other")).id
    for remote_id, key, sha256 in ((remote, "md5:1", None), (other, "sha256:2", "2")):
        await observe(store, remote_id, seen(key))
        (job,) = await claim(store, remote_id)
        await store.finish(job, key=key, stored=Stored(ref=key), outcome=Outcome.UPLOADED, sha256=sha256)

    async def found(key: str, sha256: str | None) -> set[int]:
        return {each.remote_id for each in await store.uploaded_before(key, sha256)}

    assert await found("md5:1", "1") == {remote}  # as an earlier version has uploaded it
    assert await found("md5:2", "2") == {other}
    assert await found("sha256:1", "1") == set()
    assert await found("sha256:1", None) == set()


async def test_apply_terms_drops_sessions_of_other_terms(store, remote):
    other = (await store.register_remote("other", "other")).id
    under_way = Session(token="t", chunk_size=1, count=2)
    for remote_id in (remote, other):
        await store.save_session(remote_id, "k", under_way)
    await store.apply_terms(remote, "expired_at 1 s")  # an earlier version did not say which terms held
    await store.apply_terms(remote, "expired_at 1 s")
    assert await store.session(remote, "k") == under_way
    await store.apply_terms(remote, "")
    assert await store.session(remote, "k") is None
    assert await store.session(other, "k") == under_way


async def test_confirm_saves_proof_and_time(store, remote, clock):
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
