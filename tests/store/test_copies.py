"""Queries over uploaded copies."""

import os
import sqlite3
from contextlib import closing

import pytest

from syncd.core.model import Proof, Stored
from syncd.core.states import Cause, Outcome, State
from syncd.store import migrations
from syncd.store.copies import CopyIndex, PathScope
from syncd.store.errors import StoreError
from syncd.store.job_store import JobStore
from tests.store.support import FOLDER, claim, observe, only_job, seen
from tests.support.records import stored_content

ALL = [PathScope(folder=FOLDER)]


@pytest.fixture
async def copies(store, path):
    copies = await CopyIndex.open(path)
    yield copies
    await copies.close()


async def upload(store: JobStore, remote: int, **keys: str) -> None:
    """Upload each file as the content key that its keyword argument names."""
    for job in await claim(store, remote):
        key = keys[job.path.rpartition("/")[2]]
        await store.finish(job, key=key, stored=Stored(ref=f"ref-{key}"), outcome=Outcome.UPLOADED)


async def test_copies_are_sorted_by_content_across_pages(store, remote, copies):
    await observe(store, remote, *(seen(name, size=7) for name in "abcdef"))
    await upload(store, remote, a="k1", b="k2", c="k1", d="k3", e="k2", f="k1")
    found = []
    after = None
    while page := await copies.copies(remote, ALL, after=after, limit=2):
        found += page
        after = page[-1]
    assert [(copy.key, copy.path) for copy in found] == [
        ("k1", "a"),
        ("k1", "c"),
        ("k1", "f"),
        ("k2", "b"),
        ("k2", "e"),
        ("k3", "d"),
    ]
    assert {(copy.ref, copy.size, copy.present) for copy in found[:3]} == {("ref-k1", 7, True)}
    total = await copies.contents(remote, ALL)
    assert (total.count, total.size) == (3, 21)


async def test_copies_only_of_finished_jobs(store, remote, copies):
    other = (await store.register_remote("other", "other")).id
    await observe(store, [remote, other], seen("a"), seen("b"))
    await upload(store, remote, a="k", b="k2")
    await store.mark_files_gone(FOLDER, ["a"])
    await observe(store, [remote, other], seen("b", size=5))
    assert [(copy.path, copy.present) for copy in await copies.copies(remote, ALL)] == [("a", False)]
    assert await copies.copies(other, ALL) == []
    assert (await copies.contents(other, ALL)).size == 0


async def test_files_have_copies_of_current_version(store, remote, copies):
    other = (await store.register_remote("other", "other")).id
    odd = "odd \udcff\n"
    await observe(store, [remote, other], seen("a", mtime_ns=10**18 + 1), seen(odd))
    await observe(store, remote, seen("b"))
    await upload(store, remote, a="k", b="k2", **{odd: "k3"})
    await upload(store, other, a="k", **{odd: "k3"})
    await store.mark_files_gone(FOLDER, ["a"])
    await observe(store, other, seen("b", size=5))  # the remote that has it is not asked for any more
    files = {file.path: file for file in await copies.files(ALL[0])}
    assert {path: [copy.remote_id for copy in file.copies] for path, file in files.items()} == {
        "a": [remote, other],
        "b": [],
        odd: [remote, other],
    }
    assert (files["a"].mtime_ns, files["a"].present, files["b"].present) == (10**18 + 1, False, True)
    assert (await copies.files_total(ALL[0])).count == 2


async def test_files_are_paged_by_path(store, remote, copies):
    await observe(store, remote, *(seen(name) for name in "abcde"))
    assert [file.path for file in await copies.files(ALL[0], limit=2)] == ["a", "b"]
    assert [file.path for file in await copies.files(ALL[0], after="b", limit=9)] == ["c", "d", "e"]


async def test_scopes_select_folder_directory_or_file(store, remote, copies):
    names = ["a", "a/b", "a/c/d", "a0", "a.jpg", "ab"]
    await observe(store, remote, *map(seen, names))

    async def at(path: str | None, folder: str = FOLDER) -> list[str]:
        return [file.path for file in await copies.files(PathScope(folder=folder, path=path))]

    assert await at("a") == ["a", "a/b", "a/c/d"]
    assert await at("a/c") == ["a/c/d"]
    assert await at("ab") == ["ab"]
    assert await at(None) == sorted(names)
    assert await at(None, "/srv") == []
    assert await copies.copies(remote, []) == []


async def test_remote_id_finds_identity(store, remote, copies):
    assert await copies.remote_id("multipart http://drive") == remote
    assert await copies.remote_id("another") is None


async def test_open_missing_or_empty_file_raises(tmp_path):
    for data in (b"", b"precious"):
        (tmp_path / "x.db").write_bytes(data)
        with pytest.raises(StoreError):
            await CopyIndex.open(str(tmp_path / "x.db"))
        assert (tmp_path / "x.db").read_bytes() == data
    with pytest.raises(StoreError, match="no record of uploads on this machine"):
        await CopyIndex.open(str(tmp_path / "none.db"))
    assert os.listdir(tmp_path) == ["x.db"]


async def test_repair_forgets_contents_and_queues_present_files(store, remote, clock):
    await observe(store, remote, *(seen(name) for name in "abcd"))
    await upload(store, remote, a="k1", b="k1", c="k2", d="k3")
    await store.mark_files_gone(FOLDER, ["c"])
    await observe(store, remote, seen("e"))
    jobs = [await only_job(store, name) for name in "abce"]
    changes = []
    store.changes.subscribe(changes.append)
    clock.now += 5
    assert await store.repair([job.id for job in jobs]) == [jobs[0].id, jobs[1].id]
    assert [(change.path, change.cause, change.after) for change in changes] == [
        ("a", Cause.MISSING, State.QUEUED),
        ("b", Cause.MISSING, State.QUEUED),
    ]
    known = [await stored_content(store, remote, key) for key in ("k1", "k2", "k3")]
    assert [content and content.ref for content in known] == [None, None, "ref-k3"]
    assert {job.path for job in await claim(store, remote)} == {"a", "b", "e"}


async def test_open_does_not_migrate(store, path, monkeypatch):
    monkeypatch.setattr(migrations, "REVISIONS", (*migrations.REVISIONS, "9999"))
    monkeypatch.setattr(migrations, "HEAD", "9999")
    with pytest.raises(StoreError, match="run syncd once or syncd run to update it"):
        await CopyIndex.open(path)


async def test_unproven_counts_contents_without_hash_or_size(store, path, remote):
    """Contents with better proof since then, or uploaded by earlier versions, do not count."""
    other = (await store.register_remote("other", "other")).id
    for remote_id, key, proof in (
        (remote, "a", Proof.NONE),
        (remote, "b", Proof.NONE),
        (remote, "c", Proof.SIZE),
        (other, "a", Proof.SIZE),
    ):
        await observe(store, remote_id, seen(key))
        (job,) = await claim(store, remote_id)
        await store.finish(job, key=key, stored=Stored(ref=key, proof=proof), outcome=Outcome.UPLOADED)
    copies = await CopyIndex.open(path)
    assert await copies.unproven(remote) == (2, 3)
    await store.confirm(remote, "b", Proof.SIZE)
    assert await copies.unproven(remote) == (1, 3)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE jobs SET detail = NULL WHERE remote_id = ? AND key = 'a'", (remote,))
    assert await copies.unproven(remote) == (0, 3)
    assert await copies.unproven(other) == (0, 1)
    await copies.close()
