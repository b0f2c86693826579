"""The removal of local files after their upload: which are deleted or moved, which are kept, and the logged reasons."""

import asyncio
import hashlib
import os
import threading
from contextlib import contextmanager

import pytest
from sqlalchemy import update

from syncd import logs
from syncd.core.model import Confirmation, Presence, Proof
from syncd.daemon import deletion_check, kept_files
from syncd.daemon.after_upload import AfterUploadTask
from syncd.platform import removal
from syncd.remotes.image.client import ImageRemote
from syncd.remotes.multipart.client import MultipartRemote
from syncd.store.schema import contents
from tests.support.data import random_bytes
from tests.support.wait import wait_until


@pytest.fixture
def by_hand(monkeypatch):
    """Disable the daemon's own sweeps; the test calls ``sweep()``."""

    async def never(self):
        await asyncio.Event().wait()

    monkeypatch.setattr(AfterUploadTask, "run", never)


@pytest.fixture
def answers(monkeypatch):
    """What servers say to whether they still have a content; the questions are counted."""
    given = {"says": Confirmation(presence=Presence.YES, proof=Proof.BYTES), "asked": []}

    async def confirm(self, ref, content, *, thorough=False):
        given["asked"].append((ref, thorough))
        return given["says"]

    monkeypatch.setattr(MultipartRemote, "confirm", confirm)
    monkeypatch.setattr(ImageRemote, "confirm", confirm)
    return given


@contextmanager
def listening(site):
    """Collect what is logged."""
    events = []
    silence = logs.recent.listen(events.append)
    try:
        yield events
    finally:
        silence()


async def uploaded(site, *names, after="delete", **folder):
    """Start a daemon and have these files uploaded; return what removes them."""
    site.settings["folders"][0] |= {"after_upload": after, **folder}
    await site.start()
    for name in names:
        (site.inbox / name).parent.mkdir(exist_ok=True)
        (site.inbox / name).write_bytes(random_bytes(1000, name))
    await site.wait_for_counts(done=len(names))
    return site.daemon.after_upload


def left(site):
    return sorted(str(path.relative_to(site.inbox)) for path in site.inbox.rglob("*") if path.is_file())


async def detail(site):
    return (await site.service.folders())[0]["detail"]


async def set_content(site, column, value):
    """Change what the store keeps of all contents."""
    await site.daemon.runtime.store.database.write(
        lambda connection: connection.execute(update(contents), {column: value}) and None, lambda _: None
    )


async def test_a_file_is_deleted_once_every_server_has_it(site, by_hand):
    site.settings["folders"][0]["remote"] = ["drive", "ascii"]
    ascii_url = site.settings["remotes"]["ascii"]["url"]
    site.settings["remotes"]["ascii"]["url"] = "http://127.0.0.1:1"  # nobody is there
    after = await uploaded(site, "a.jpg")
    await after.sweep()
    assert left(site) == ["a.jpg"]
    site.settings["remotes"]["ascii"]["url"] = ascii_url
    await site.reload()
    await site.wait_for_counts(done=2)
    await after.sweep()
    assert left(site) == []
    assert await detail(site) is None


async def test_the_daemon_deletes_by_itself(site):
    await uploaded(site, "a.jpg", "sub/b.jpg")
    await wait_until(lambda: left(site) == [])


async def test_files_are_moved_with_their_folders(site, tmp_path):
    await uploaded(site, "a.jpg", "sub/b.jpg", after={"move": str(tmp_path / "sent")})
    await wait_until(lambda: left(site) == [])
    assert (tmp_path / "sent" / "sub" / "b.jpg").read_bytes() == random_bytes(1000, "sub/b.jpg")


# The folder still selects it.


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"exclude": ["a.jpg"]}, "leave it out"),
        ({"include": ["*.png"]}, "leave it out"),
        ({"recursive": False}, "leave it out"),
        ({"max_size": "999"}, "larger than max_size"),
    ],
)
async def test_what_the_folder_no_longer_selects_is_kept(site, by_hand, change, why):
    """Else a single reload that adds an exclude and sets delete would remove exactly the files that it excludes."""
    name = "sub/a.jpg" if "recursive" in change else "a.jpg"
    after = await uploaded(site, name, after="keep")
    site.settings["folders"][0] |= {"after_upload": "delete", **change}
    await site.reload()
    await after.sweep()
    assert left(site) == [name]
    assert why in await detail(site)


# Every remote has confirmed it.


async def test_a_fresh_proof_is_not_asked_for_again(site, by_hand, answers):
    after = await uploaded(site, "a.jpg")
    await set_content(site, "proof", Proof.HASH)
    await set_content(site, "confirmed_at", 4e9)
    answers["asked"].clear()
    await after.sweep()
    assert len(answers["asked"]) == 1  # of a time to come: somebody has set the clock
    assert left(site) == []


@pytest.mark.parametrize(
    ("column", "value"), [("proof", Proof.NONE), ("confirmed_at", 1.0), ("expires", True), ("confirmed_at", 4e9)]
)
async def test_what_is_not_proven_now_is_asked_for(site, by_hand, answers, column, value):
    after = await uploaded(site, "a.jpg")
    await set_content(site, "proof", Proof.HASH)
    await set_content(site, column, value)
    for presence in (Presence.UNKNOWN, Presence.NO):
        answers["says"] = Confirmation(presence=presence, reason="it has moved")
        after._kept._attempts.clear()
        await after.sweep()
        assert left(site) == ["a.jpg"]
        assert "drive does not confirm it: it has moved" in await detail(site)
    answers["says"] = Confirmation(presence=Presence.YES, proof=Proof.SIZE)
    after._kept._attempts.clear()
    await after.sweep()
    assert all(thorough for _, thorough in answers["asked"])
    assert left(site) == []


async def test_what_is_stored_under_earlier_terms_is_kept(site, by_hand, answers):
    """Else the server would drop the only copy when the earlier expiry has come."""
    site.settings["remotes"]["drive"]["expired_at"] = "1d"
    after = await uploaded(site, "a.jpg", after="keep")
    del site.settings["remotes"]["drive"]["expired_at"]
    site.settings["folders"][0]["after_upload"] = "delete"
    await site.reload()
    await after.sweep()
    assert left(site) == ["a.jpg"]
    assert "under an earlier expired_at" in await detail(site)


async def test_a_yes_with_too_weak_a_proof_is_none(site, by_hand, answers, monkeypatch):
    monkeypatch.setattr(MultipartRemote, "required_proof", Proof.BYTES)
    after = await uploaded(site, "a.jpg")
    answers["says"] = Confirmation(presence=Presence.YES, proof=Proof.HASH)
    await after.sweep()
    assert left(site) == ["a.jpg"]


async def test_a_server_that_is_down_is_not_asked_file_by_file(site, by_hand, answers):
    after = await uploaded(site, *(f"{number}.jpg" for number in range(5)))
    await set_content(site, "proof", Proof.NONE)
    answers["asked"].clear()
    worker = site.daemon.runtime.scheduler.workers["drive"]
    worker.endpoint._probing = True
    await after.sweep()
    worker.endpoint._probing = False
    assert answers["asked"] == []
    assert len(left(site)) == 5
    assert "5 uploaded but kept here" in await detail(site)


async def test_what_was_forgotten_is_kept(site, by_hand):
    after = await uploaded(site, "a.jpg")
    (job,) = await site.jobs()
    runtime = site.daemon.runtime
    record = await runtime.store.job(job["id"])
    await runtime.store.forget_content(runtime.remote_ids["drive"], record.key)
    await after.sweep()
    assert left(site) == ["a.jpg"]
    assert "not known to have it" in await detail(site)


async def test_what_an_earlier_version_has_uploaded_is_compared_by_its_key(site, by_hand):
    after = await uploaded(site, "a.jpg", "b.jpg")
    await set_content(site, "sha256", None)
    found = os.stat(site.inbox / "a.jpg")
    (site.inbox / "a.jpg").write_bytes(random_bytes(1000, "other"))
    os.utime(site.inbox / "a.jpg", ns=(found.st_atime_ns, found.st_mtime_ns))
    await after.sweep()
    assert left(site) == ["a.jpg"]


# Its bytes are those that were confirmed.


async def test_other_bytes_behind_the_same_stamp_are_uploaded_and_not_deleted(site, by_hand):
    """As after a memory map, or where a time stamp has two seconds: nothing else would ever notice."""
    after = await uploaded(site, "a.jpg")
    path, new = site.inbox / "a.jpg", random_bytes(1000, "other")
    found = path.stat()
    with path.open("r+b") as file:
        file.write(new)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    await after.sweep()
    assert path.read_bytes() == new
    await wait_until(lambda: has(site, new))
    await site.wait_for_counts(done=1)
    await after.sweep()
    assert left(site) == []


async def has(site, data):
    status, body = await site.received(f"/api/files/{hashlib.sha256(data).hexdigest()}")
    return status == 200 and body == data


async def test_a_file_that_changed_is_uploaded_again_and_then_moved(site, tmp_path, by_hand):
    """The sweep may come upon the changed file before the watch does."""
    after = await uploaded(site, "a.jpg", after={"move": str(tmp_path / "sent")}, settle="300ms")
    (site.inbox / "a.jpg").write_bytes(b"after!")
    await after.sweep()
    assert left(site) == ["a.jpg"]
    await wait_until(lambda: has(site, b"after!"))
    await site.wait_for_counts(done=1)
    await after.sweep()
    assert (tmp_path / "sent" / "a.jpg").read_bytes() == b"after!"


async def test_a_file_that_somebody_writes_to_is_kept_and_that_is_told_once(site, by_hand):
    after = await uploaded(site, "a.jpg", "b.jpg", "c.jpg")
    with listening(site) as events, (site.inbox / "a.jpg").open("r+b"), (site.inbox / "b.jpg").open("r+b"):
        for _ in range(3):
            await after.sweep()
            after._kept._attempts.clear()
        assert left(site) == ["a.jpg", "b.jpg"]
        shown = await detail(site)
    assert "2: open for writing by another program" in shown
    kept = [event for event in events if event["event"] == "file.kept"]
    assert [(event["count"], event["reason"]) for event in kept] == [(2, "open for writing by another program")]
    after._kept._attempts.clear()
    await after.sweep()
    assert left(site) == []
    assert await detail(site) is None


async def test_a_file_that_can_not_go_is_tried_again_later_and_not_at_each_sweep(site, by_hand, monkeypatch):
    after = await uploaded(site, "a.jpg")
    tried = []

    def refuse(folder, path, *_, **__):
        tried.append(path)
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(removal, "remove", refuse)
        for _ in range(3):
            await after.sweep()
    assert tried == ["a.jpg"]
    assert "1: Permission denied" in await detail(site)
    now = kept_files.time.monotonic
    monkeypatch.setattr(kept_files.time, "monotonic", lambda: now() + kept_files.FIRST_RETRY_SECONDS)
    await after.sweep()
    assert left(site) == []


# The configuration that is in force.


async def test_nothing_is_deleted_after_a_reload_has_said_keep(site, by_hand, monkeypatch):
    """Nor in the midst of it: the file in progress is finished first."""
    after = await uploaded(site, *(f"{number:03}.jpg" for number in range(60)))
    begun, go_on = threading.Event(), threading.Event()
    real = removal.remove

    def slowly(*about, **options):
        begun.set()
        go_on.wait(20)
        real(*about, **options)

    monkeypatch.setattr(removal, "remove", slowly)
    sweeping = asyncio.create_task(after.sweep())
    await wait_until(begun.is_set)
    site.settings["folders"][0]["after_upload"] = "keep"
    reloading = asyncio.create_task(site.reload())
    await wait_until(lambda: after._suspensions)
    assert not reloading.done()
    go_on.set()
    await reloading
    count = len(left(site))
    assert count >= 59  # the one in progress was finished, or put back
    await sweeping
    await after.sweep()
    assert len(left(site)) == count
    await wait_until(lambda: recorded(site, count))


async def recorded(site, files):
    return (await site.service.folders())[0]["files"] == files


async def test_a_question_to_a_server_does_not_outlive_its_client(site, by_hand, monkeypatch):
    """A reload closes the clients of servers that go, the end closes all."""
    after = await uploaded(site, "a.jpg")
    await set_content(site, "proof", Proof.NONE)
    asked = asyncio.Event()

    async def confirm(self, *about, **options):
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(MultipartRemote, "confirm", confirm)
    sweeping = asyncio.create_task(after.sweep())
    await asked.wait()
    await site.stop()
    await sweeping
    assert left(site) == ["a.jpg"]


@pytest.mark.parametrize("how", ["stop", "end"])
async def test_nothing_is_deleted_after_a_stop(site, by_hand, monkeypatch, how):
    after = await uploaded(site, *(f"{number:03}.jpg" for number in range(20)))
    begun, go_on = threading.Event(), threading.Event()
    real = removal.remove

    def slowly(*about, **options):
        begun.set()
        go_on.wait(20)
        real(*about, **options)

    monkeypatch.setattr(removal, "remove", slowly)
    sweeping = asyncio.create_task(after.sweep())
    await wait_until(begun.is_set)
    ending = asyncio.create_task(site.service.stop(now=False) if how == "stop" else site.stop())
    await wait_until(lambda: after._suspensions)
    assert not ending.done()
    go_on.set()
    await ending
    count = len(left(site))
    assert count >= 19
    await asyncio.gather(sweeping, return_exceptions=True)
    if how == "stop":
        await after.sweep()
        assert len(left(site)) == count
        await site.service.start()
        await after.sweep()
        assert left(site) == []
    else:
        assert len(left(site)) == count


async def test_a_reload_to_delete_says_how_many_files_it_affects_and_begins_at_once(site):
    await uploaded(site, "a.jpg", "b.jpg", after="keep")
    site.settings["folders"][0]["after_upload"] = "delete"
    messages = await site.reload()
    assert any(
        "after_upload is delete now, which affects 2 files that are uploaded already" in told for told in messages
    )
    async with asyncio.timeout(kept_files.FIRST_RETRY_SECONDS / 2):  # it does not wait for the next sweep
        await wait_until(lambda: left(site) == [])


async def test_a_sweep_may_fall_into_the_moment_in_which_a_remote_is_not_there(site, by_hand):
    after = await uploaded(site, "a.jpg")
    runtime = site.daemon.runtime
    away = runtime.remote_ids.pop("drive")
    await after.sweep()
    runtime.remote_ids["drive"] = away
    assert left(site) == ["a.jpg"]
    await after.sweep()
    assert left(site) == []


async def test_a_target_is_made_when_the_configuration_is_loaded_and_never_later(site, tmp_path, by_hand):
    after = await uploaded(site, "a.jpg", after={"move": str(tmp_path / "disk" / "sent")})
    os.rename(tmp_path / "disk", tmp_path / "unmounted")
    await after.sweep()
    assert left(site) == ["a.jpg"]
    assert not (tmp_path / "disk").exists()
    assert "is its file system mounted?" in await detail(site)
    os.rename(tmp_path / "unmounted", tmp_path / "disk")
    after._kept._attempts.clear()
    await after.sweep()
    assert os.listdir(tmp_path / "disk" / "sent") == ["a.jpg"]


# After a crash.


async def test_what_was_confirmed_before_a_crash_is_removed_after_it(site, monkeypatch):
    async def never(self):
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(AfterUploadTask, "run", never)
        await uploaded(site, "a.jpg")
        await site.stop()
    assert left(site) == ["a.jpg"]
    await site.start()
    await wait_until(lambda: left(site) == [])


async def test_a_removal_that_was_interrupted_is_undone_and_done_again(site, by_hand):
    after = await uploaded(site, "a.jpg")
    store = site.daemon.runtime.store
    hidden = removal.hidden_name()
    await store.begin_removals(str(site.inbox), [("a.jpg", hidden), ("gone.jpg", removal.hidden_name())])
    os.rename(site.inbox / "a.jpg", site.inbox / hidden)
    await after.recover()
    assert left(site) == ["a.jpg"]
    assert await store.pending_removals() == []
    await wait_until(lambda: known(site, "a.jpg"))
    await site.wait_for_counts(done=1)
    await after.sweep()
    assert left(site) == []


async def known(site, name):
    return (await site.show(name))[0]["present"]


async def test_one_whose_folder_is_away_is_kept_in_mind(site, by_hand, tmp_path):
    after = await uploaded(site, "a.jpg")
    store = site.daemon.runtime.store
    hidden = removal.hidden_name()
    await store.begin_removals(str(site.inbox), [("a.jpg", hidden)])
    os.rename(site.inbox / "a.jpg", site.inbox / hidden)
    os.rename(site.inbox, tmp_path / "away")
    await after.recover()
    assert len(await store.pending_removals()) == 1
    os.rename(tmp_path / "away", site.inbox)
    with listening(site) as events:
        await after.sweep()
    assert [event["name"] for event in events if event["event"] == "file.removal_undone"] == ["a.jpg"]
    assert await store.pending_removals() == []
    assert list(site.inbox.iterdir()) == []  # it was uploaded, so it is deleted at once


@pytest.mark.parametrize("task", ["run", "heartbeat"])
async def test_a_side_task_that_dies_ends_the_daemon(site, monkeypatch, task):
    """Rather than that it only seems to work."""

    async def die(self):
        raise ZeroDivisionError

    if task == "run":
        monkeypatch.setattr(AfterUploadTask, "run", die)
    else:
        monkeypatch.setattr("syncd.daemon.daemon.Daemon._heartbeat", die)
    with pytest.raises(ZeroDivisionError):
        await site.run_to_the_end()


def test_the_limits_are_those_that_the_documentation_names():
    assert (
        deletion_check.CONFIRMATION_MAX_AGE_SECONDS,
        deletion_check.QUIET_CLOSED_SECONDS,
        deletion_check.QUIET_SECONDS,
    ) == (3600, 60, 300)
