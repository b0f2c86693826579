import os
from dataclasses import replace

import pytest
from sqlalchemy import select

from syncd.core.model import FoundFile, Stored
from syncd.core.states import IN_USE, Cause, Outcome, State
from syncd.store.records import LARGE_FILE_BYTES
from syncd.store.schema import files
from tests.store.support import FOLDER, claim, fingerprint, observe, only_job, seen
from tests.support.records import stored_content


async def diff(store, remotes, *files: FoundFile) -> list[FoundFile]:
    return await store.diff(FOLDER, files, remotes if isinstance(remotes, list) else [remotes])


async def finish(store, job, key: str = "key") -> State | None:
    return await store.finish(job, key=key, stored=Stored(ref="ref"), outcome=Outcome.UPLOADED)


async def test_observe_new_file_creates_job_for_each_remote(store, remote, clock):
    other = (await store.register_remote("other", "other")).id
    changes = []
    store.changes.subscribe(changes.append)
    file = seen("a.jpg", size=17)
    assert await diff(store, [remote, other], file) == [file]
    assert await observe(store, [remote, other], file) == 2
    assert await diff(store, [remote, other], file) == []
    assert [(change.remote, change.cause, change.before, change.after) for change in changes] == [
        ("drive", Cause.FOUND, None, State.QUEUED),
        ("other", Cause.FOUND, None, State.QUEUED),
    ]
    assert (changes[0].folder, changes[0].path, changes[0].size, changes[0].at) == (FOLDER, "a.jpg", 17, clock.now)
    assert (await store.counts([remote])).pending_bytes == 17
    assert await store.unfinished([remote, other]) == 2


@pytest.mark.parametrize("odd", [[], ["not utf-8 \udcff"]])
async def test_observe_new_files_stores_their_values(store, remote, odd):
    other = (await store.register_remote("other", "other")).id
    changes = []
    await observe(store, remote, seen("earlier"))
    store.changes.subscribe(changes.append)
    names = ["b.jpg", 'quo"te\n\x01.jpg', "\U0001f431.jpg", *odd, *(f"{n}.jpg" for n in range(1200))]
    found = [seen(name, 2**64 + n, size=n, mtime_ns=2**70 + n, birth_ns=n or None) for n, name in enumerate(names)]
    found[1] = replace(found[1], unfit="empty", closed=True)
    assert await observe(store, [remote, other], *found) == 2 * len(names)
    assert await diff(store, [remote, other], *found) == []
    assert {change.path for change in changes} == set(names)
    for change in changes[:8]:
        job, (entry,) = await store.job(change.job_id), await store.history(change.job_id)
        assert (job.path, job.remote, job.state, job.detail) == (
            change.path,
            change.remote,
            change.after,
            change.detail,
        )
        assert (entry.before, entry.after, entry.cause, entry.at) == (None, change.after, change.cause, change.at)
    assert await store.files_count(FOLDER) == len(names) + 1
    rows = await store.database.read(lambda connection: connection.execute(select(files)).all())
    stored = {row.path: (row.inode, row.size, row.mtime_ns, row.birth_ns, row.closed, row.version) for row in rows}
    for file in found:
        expected = (file.fingerprint.inode, file.fingerprint.size, file.fingerprint.mtime_ns)
        assert stored[file.path] == (*expected, file.birth_ns, file.closed, 1)


async def test_observe_creates_job_for_added_remote(store, remote):
    await observe(store, remote, seen("a"))
    await observe(store, remote, seen("a", size=5))  # the file's second version
    other = (await store.register_remote("other", "other")).id
    assert await diff(store, [remote, other], seen("a", size=5)) == [seen("a", size=5)]
    await observe(store, [remote, other], seen("a", size=5))
    (job,) = await claim(store, other)
    assert await finish(store, job) is State.DONE
    assert await diff(store, [remote, other], seen("a", size=5)) == []


async def test_observe_ends_jobs_of_removed_remote(store, remote):
    other = (await store.register_remote("other", "other")).id
    await observe(store, remote, seen("open"), seen("done"))
    jobs = {job.path: job for job in await claim(store, remote)}
    await finish(store, jobs["done"])
    await store.release(jobs["open"], "stopped")
    assert len(await diff(store, other, seen("open"), seen("done"))) == 2
    await observe(store, other, seen("open"), seen("done"))
    states = {job.path: job.state for job in await store.jobs([remote])}
    assert states == {"open": State.SKIPPED, "done": State.DONE}
    await observe(store, remote, seen("open"), seen("done"))
    assert (await store.counts([remote])).jobs[State.QUEUED] == 1


async def test_observe_unchanged_file_stays_done(store, remote):
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)
    assert await finish(store, job) is State.DONE
    assert await observe(store, remote, seen("a")) == 0
    assert await diff(store, remote, seen("a")) == []


@pytest.mark.parametrize("change", [{"size": 7}, {"mtime_ns": 5}, {"inode": 99}])
async def test_observe_changed_fingerprint_queues(store, remote, change):
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)
    await finish(store, job)
    file = seen("a", **change)
    assert await diff(store, remote, file) == [file]
    await observe(store, remote, file)
    (again,) = await claim(store, remote)
    assert (again.id, again.version, again.fingerprint) == (job.id, 2, file.fingerprint)
    assert again.key is None


async def test_observe_change_during_upload_waits_for_its_end(store, remote):
    await observe(store, remote, seen("a", size=10))
    (job,) = await claim(store, remote)
    assert await observe(store, remote, seen("a", size=20)) == 0
    assert (await only_job(store, "a")).state is State.UPLOADING
    assert await finish(store, job, "old") is State.QUEUED
    assert (await stored_content(store, remote, "old")).ref == "ref"
    assert (await store.counts([remote])).pending_bytes == 20
    (again,) = await claim(store, remote)
    assert (again.version, again.size) == (2, 20)


async def test_observe_unfit_file_is_skipped(store, remote):
    empty = seen("a", size=0, unfit="empty")
    await observe(store, remote, empty)
    job = await only_job(store, "a")
    assert (job.state, job.cause, job.detail) == (State.SKIPPED, Cause.UNFIT, "empty")
    assert await diff(store, remote, empty) == []
    other_words = seen("a", size=0, unfit="0 bytes")
    assert await diff(store, remote, other_words) == [other_words]
    await observe(store, remote, other_words)
    assert (await only_job(store, "a")).detail == "0 bytes"
    fit = seen("a", size=0)  # the same file: the rules have changed
    assert await diff(store, remote, fit) == [fit]
    await observe(store, remote, fit)
    assert (await only_job(store, "a")).state is State.QUEUED
    await observe(store, remote, empty)
    assert (await only_job(store, "a")).state is State.SKIPPED


async def test_observe_unfit_after_upload_stays_done(store, remote):
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)
    await finish(store, job)
    assert await diff(store, remote, seen("a", unfit="too large")) == []
    await observe(store, remote, seen("a", size=9, unfit="too large"))
    assert (await only_job(store, "a")).state is State.SKIPPED


async def test_observe_file_without_content(store, remote):
    pipe = FoundFile(path="pipe", fingerprint=None, unfit="a named pipe")
    await observe(store, remote, pipe)
    another = FoundFile(path="another", fingerprint=None, unfit="a named pipe")
    await observe(store, remote, another, seen("of inode 0", 0), is_gone=("pipe",))
    assert await store.paths(FOLDER) == ["another", "of inode 0", "pipe"]
    assert await diff(store, remote, pipe) == []
    await observe(store, remote, seen("pipe"))
    assert (await only_job(store, "pipe")).state is State.QUEUED


async def test_observe_cancelled_until_file_changes(store, remote):
    await observe(store, remote, seen("a"))
    await store.cancel([(await only_job(store, "a")).id])
    assert await diff(store, remote, seen("a")) == []
    assert await diff(store, remote, seen("a", unfit="too large")) == []
    await observe(store, remote, seen("a"))
    assert (await only_job(store, "a")).state is State.SKIPPED
    await observe(store, remote, seen("a", size=1))
    assert (await only_job(store, "a")).state is State.QUEUED


async def test_gone_file_that_returns_is_queued(store, remote):
    await observe(store, remote, seen("queued"), seen("done"), seen("running"))
    jobs = {job.path: job for job in await claim(store, remote)}
    await finish(store, jobs["done"])
    await store.release(jobs["queued"], "stopped")
    assert await store.mark_files_gone(FOLDER, ["queued", "done", "running", "never was"]) == 1
    assert await store.paths(FOLDER) == []
    assert await store.files_count(FOLDER) == 0
    gone = await only_job(store, "queued")
    assert (gone.state, gone.present) == (State.SKIPPED, False)
    assert (await only_job(store, "done")).state is State.DONE
    assert (await only_job(store, "running")).state is State.UPLOADING
    assert await store.mark_gone(jobs["running"]) is State.SKIPPED
    back = [seen("queued"), seen("done"), seen("running")]
    assert await diff(store, remote, *back) == back
    assert await observe(store, remote, *back) == 3
    assert await store.files_count(FOLDER) == 3
    assert {job.path: (job.state, job.cause) for job in await store.jobs([remote])} == dict.fromkeys(
        ("queued", "done", "running"), (State.QUEUED, Cause.CHANGED)
    )
    assert {job.version for job in await claim(store, remote)} == {2}
    assert await diff(store, remote, *back) == []


async def test_rename_keeps_record(store, remote):
    await observe(store, remote, seen("a", 5), seen("b", 6))
    jobs = {job.path: job for job in await claim(store, remote)}
    await finish(store, jobs["a"])
    moved = seen("new/a", 5)
    assert await diff(store, remote, moved) == [moved]
    assert await observe(store, remote, moved, is_gone=("a",)) == 0
    record = await only_job(store, "new/a")
    assert (record.id, record.state) == (jobs["a"].id, State.DONE)
    assert await store.jobs_of("a", [FOLDER]) == []
    assert await store.paths(FOLDER) == ["b", "new/a"]
    assert await store.files_count(FOLDER) == 2


async def test_rename_seen_as_gone_first_keeps_record(store, remote):
    await observe(store, remote, seen("a", 5))
    await store.mark_files_gone(FOLDER, ["a"])
    await observe(store, remote, seen("b", 5), is_gone=("a",))
    assert (await only_job(store, "b")).state is State.QUEUED
    assert await store.jobs_of("a", [FOLDER]) == []


async def test_rename_between_folders_keeps_record(store, remote):
    other = (await store.register_remote("other", "other")).id
    await observe(store, remote, seen("a", 5))
    await store.observe("/srv/other", [seen("a", 5)], [other], is_gone=lambda folder, path: folder == FOLDER)
    assert [await store.files_count(folder) for folder in (FOLDER, "/srv/other")] == [0, 1]
    assert (await store.counts([remote])).jobs[State.SKIPPED] == 1
    assert (await store.counts([other])).jobs[State.QUEUED] == 1


async def test_hard_link_or_reused_inode_is_no_rename(store, remote):
    await observe(store, remote, seen("a", 5))
    await observe(store, remote, seen("link", 5))
    await observe(store, remote, seen("reused", 5, size=3), is_gone=("a", "link"))
    assert await store.paths(FOLDER) == ["a", "link", "reused"]


async def test_rename_of_hard_link_keeps_other_name(store, remote):
    await observe(store, remote, seen("a", 5))
    await observe(store, remote, seen("b", 5))
    await observe(store, remote, seen("c", 5), seen("d", 5), is_gone=("b",))
    assert await store.paths(FOLDER) == ["a", "c", "d"]


async def renamed(store, remote, before: FoundFile, after: FoundFile, *, removed: bool = False) -> bool:
    """Return True if ``after`` is recorded as ``before``, renamed, when ``before`` is gone."""
    await observe(store, remote, before)
    (job,) = await claim(store, remote)
    await finish(store, job)
    if removed:
        await store.mark_files_gone(FOLDER, [before.path], removed=True)
    await observe(store, remote, after, is_gone=(before.path,))
    record = await only_job(store, after.path)
    assert (record.id == job.id) is (record.state is State.DONE)
    return record.state is State.DONE


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ({"birth_ns": 3}, {"birth_ns": 3}, True),
        ({"birth_ns": 3}, {"birth_ns": 4}, False),  # the inode was reused
        ({"birth_ns": 3}, {"birth_ns": 4, "moved_from": "a"}, False),
        ({"birth_ns": 3}, {"birth_ns": None}, False),
        ({"birth_ns": None}, {"birth_ns": 3, "moved_from": "a"}, True),
        ({"birth_ns": None}, {"birth_ns": None, "moved_from": "a"}, True),
        ({"birth_ns": None}, {"birth_ns": None, "moved_from": "x"}, False),
        ({"birth_ns": None}, {"birth_ns": None}, False),
        ({"birth_ns": 3}, {"birth_ns": 3, "moved_from": "a", "mtime_ns": 1}, False),
    ],
)
async def test_rename_needs_birth_time_or_event(store, remote, before, after, same):
    assert await renamed(store, remote, seen("a", 5, **before), seen("b", 5, **after)) is same


async def test_file_removed_by_daemon_is_no_rename(store, remote):
    assert not await renamed(store, remote, seen("a", 5), seen("b", 5, moved_from="a"), removed=True)


async def test_file_replacing_removed_one_may_be_renamed(store, remote):
    await observe(store, remote, seen("a", 5))
    await store.mark_files_gone(FOLDER, ["a"], removed=True)
    await observe(store, remote, seen("a", 6))
    assert await renamed(store, remote, seen("a", 6), seen("b", 6))


async def test_moved_from_does_not_match_other_folder(store, remote):
    """An event only knows the paths of one folder."""
    await store.observe("/srv/other", [seen("a", 5, birth_ns=None)], [remote], is_gone=lambda *_: False)
    await observe(store, remote, seen("b", 5, birth_ns=None, moved_from="a"), is_gone=("a",))
    assert await store.paths("/srv/other") == ["a"]


async def test_other_file_with_equal_fingerprint_is_queued(store, remote):
    """The file was replaced between two scans, with the same inode (ext4) and mtime (camera)."""
    await observe(store, remote, seen("a", birth_ns=3))
    (job,) = await claim(store, remote)
    await finish(store, job)
    assert await diff(store, remote, seen("a", birth_ns=3), seen("a", birth_ns=None)) == []
    other = seen("a", birth_ns=4)
    assert await diff(store, remote, other) == [other]
    await observe(store, remote, other)
    assert (await only_job(store, "a")).state is State.QUEUED
    assert await diff(store, remote, other) == []


async def file_row(store, path: str):
    def ask(connection):
        return connection.execute(select(files).where(files.c.path == path)).one()

    return await store.database.read(ask)


async def test_observe_saves_closed_and_seen_at(store, remote, clock):
    await observe(store, remote, seen("a"))
    first = clock.now
    clock.now += 10
    closed = seen("a", closed=True)
    assert await diff(store, remote, closed) == [closed]
    assert await observe(store, remote, closed) == 0
    assert await diff(store, remote, seen("a")) == []
    await observe(store, remote, seen("a", birth_ns=None))
    row = await file_row(store, "a")
    assert (row.seen_at, row.closed, row.birth_ns) == (first, True, 7)
    await observe(store, remote, seen("a", size=5, birth_ns=None))
    row = await file_row(store, "a")
    assert (row.seen_at, row.closed, row.birth_ns) == (clock.now, False, None)


async def test_observe_queues_job_that_waited_for_writer(store, remote, clock):
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)
    await store.defer(job, due_at=clock.now + 3600, failures=0, detail=IN_USE)
    assert await diff(store, remote, seen("a")) == [seen("a")]
    await observe(store, remote, seen("a"))
    (again,) = await claim(store, remote)
    assert (again.version, again.failures) == (job.version, 0)
    await store.defer(again, due_at=clock.now + 3600, failures=1, detail="503")
    assert await diff(store, remote, seen("a")) == []


async def test_names_with_any_bytes_are_kept(store, remote):
    names = ["new\nline", "not utf-8 \udcff\udcfe", "\u0641\u0627\u0631\u0633\u06cc", "\U0001f431", "x" * 255]
    files = [seen(name, number) for number, name in enumerate(names)]
    await observe(store, remote, *files)
    assert sorted(await store.paths(FOLDER), key=os.fsencode) == await store.paths(FOLDER)
    assert set(await store.paths(FOLDER)) == set(names)
    assert {job.path for job in await claim(store, remote)} == set(names)
    assert await diff(store, remote, *files) == []
    for name in names:
        assert (await only_job(store, name)).path == name
        assert (await only_job(store, f"{FOLDER}/{name}")).path == name
    await store.mark_files_gone(FOLDER, names)
    assert await store.files_count(FOLDER) == 0


async def test_integers_beyond_63_bits_are_kept(store, remote):
    file = FoundFile(path="a", fingerprint=fingerprint(2**64 - 1, mtime_ns=10**20, size=2**40), birth_ns=2**70)
    await observe(store, remote, file)
    assert await diff(store, remote, file) == []
    assert (await claim(store, remote))[0].fingerprint == file.fingerprint
    moved = FoundFile(path="b", fingerprint=file.fingerprint, birth_ns=2**70)
    await observe(store, remote, moved, is_gone=("a",))
    assert await store.paths(FOLDER) == ["b"]
    before_1970 = FoundFile(path="b", fingerprint=fingerprint(0, mtime_ns=-1))
    await observe(store, remote, before_1970)
    assert await diff(store, remote, before_1970) == []


async def test_observe_more_files_than_one_statement_takes(store, remote):
    files = [seen(f"{number:05}", number, size=LARGE_FILE_BYTES if number % 2 else 1) for number in range(1, 2500)]
    assert await diff(store, remote, *files) == files
    assert await observe(store, remote, *files) == len(files)
    assert await diff(store, remote, *files) == []
    names = [file.path for file in files]
    assert await store.paths(FOLDER, limit=5000) == names
    paged: list[str] = []
    while page := await store.paths(FOLDER, after=paged[-1] if paged else None, limit=700):
        paged += page
    assert paged == names
    assert await store.mark_files_gone(FOLDER, names) == len(files)


async def test_diff_more_files_than_sqlite_parameters(store, remote):
    files = [seen(str(number)) for number in range(33_000)]
    assert await diff(store, remote, *files) == files


async def test_changed_file_resets_failures(store, remote, clock):
    await observe(store, remote, seen("a"))
    (job,) = await claim(store, remote)
    await store.defer(job, due_at=clock.now + 1000, failures=9, detail="503")
    await observe(store, remote, seen("a", size=5))
    clock.now += 1
    await observe(store, remote, seen("b"))
    assert [(job.path, job.failures) for job in await claim(store, remote)] == [("a", 0), ("b", 0)]


async def test_observe_same_path_twice_uses_the_last(store, remote):
    await observe(store, remote, seen("a", size=1), seen("a", size=2))
    assert (await only_job(store, "a")).size == 2


async def test_folders_do_not_share_paths(store, remote):
    await observe(store, remote, seen("a"))
    await store.observe("/srv/other", [seen("a", 77)], [remote], is_gone=lambda *_: True)
    await store.mark_files_gone("/srv/other", ["a"])
    assert await store.paths(FOLDER) == ["a"]
    assert await store.files_count("/srv/other") == 0
