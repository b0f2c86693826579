"""Local files after their upload: deletion, moves, files kept, and the logged reasons."""

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
def manual_sweep(monkeypatch):
    """Disable the daemon's own sweeps; the test calls ``sweep()``."""

    async def never(self):
        await asyncio.Event().wait()

    monkeypatch.setattr(AfterUploadTask, "run", never)


@pytest.fixture
def answers(monkeypatch):
    """The response of all servers to "is the content stored?", and the list of the questions."""
    given = {"says": Confirmation(presence=Presence.YES, proof=Proof.BYTES), "asked": []}

    async def confirm(self, ref, content, *, thorough=False):
        given["asked"].append((ref, thorough))
        return given["says"]

    monkeypatch.setattr(MultipartRemote, "confirm", confirm)
    monkeypatch.setattr(ImageRemote, "confirm", confirm)
    return given


@contextmanager
def recorded_events(harness):
    """Collect the logged events."""
    events = []
    silence = logs.recent.listen(events.append)
    try:
        yield events
    finally:
        silence()


async def uploaded(harness, *names, after="delete", **folder):
    """Start a daemon and upload these files; return the task that removes them."""
    harness.settings["folders"][0] |= {"after_upload": after, **folder}
    await harness.start()
    for name in names:
        (harness.inbox / name).parent.mkdir(exist_ok=True)
        (harness.inbox / name).write_bytes(random_bytes(1000, name))
    await harness.wait_for_counts(done=len(names))
    return harness.daemon.after_upload


def left(harness):
    return sorted(str(path.relative_to(harness.inbox)) for path in harness.inbox.rglob("*") if path.is_file())


async def detail(harness):
    return (await harness.service.folders())[0]["detail"]


async def set_content(harness, column, value):
    """Set a column of all content records in the store."""
    await harness.daemon.runtime.store.database.write(
        lambda connection: connection.execute(update(contents), {column: value}) and None, lambda _: None
    )


async def test_after_upload_deletes_once_every_server_has_file(harness, manual_sweep):
    harness.settings["folders"][0]["remote"] = ["drive", "ascii"]
    ascii_url = harness.settings["remotes"]["ascii"]["url"]
    harness.settings["remotes"]["ascii"]["url"] = "http://127.0.0.1:1"  # refuses connections
    after = await uploaded(harness, "a.jpg")
    await after.sweep()
    assert left(harness) == ["a.jpg"]
    harness.settings["remotes"]["ascii"]["url"] = ascii_url
    await harness.reload()
    await harness.wait_for_counts(done=2)
    await after.sweep()
    assert left(harness) == []
    assert await detail(harness) is None


async def test_after_upload_daemon_deletes_after_upload(harness):
    await uploaded(harness, "a.jpg", "sub/b.jpg")
    await wait_until(lambda: left(harness) == [])


async def test_after_upload_move_keeps_relative_folders(harness, tmp_path):
    await uploaded(harness, "a.jpg", "sub/b.jpg", after={"move": str(tmp_path / "sent")})
    await wait_until(lambda: left(harness) == [])
    assert (tmp_path / "sent" / "sub" / "b.jpg").read_bytes() == random_bytes(1000, "sub/b.jpg")


# Files that the folder no longer selects.


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"exclude": ["a.jpg"]}, "leave it out"),
        ({"include": ["*.png"]}, "leave it out"),
        ({"recursive": False}, "leave it out"),
        ({"max_size": "999"}, "larger than max_size"),
    ],
)
async def test_after_upload_unselected_file_is_kept(harness, manual_sweep, change, why):
    """A reload that adds an exclude and sets delete does not delete the files it excludes."""
    name = "sub/a.jpg" if "recursive" in change else "a.jpg"
    after = await uploaded(harness, name, after="keep")
    harness.settings["folders"][0] |= {"after_upload": "delete", **change}
    await harness.reload()
    await after.sweep()
    assert left(harness) == [name]
    assert why in await detail(harness)


# Confirmations by the remotes.


async def test_after_upload_fresh_proof_is_reused(harness, manual_sweep, answers):
    after = await uploaded(harness, "a.jpg")
    await set_content(harness, "proof", Proof.HASH)
    await set_content(harness, "confirmed_at", 4e9)
    answers["asked"].clear()
    await after.sweep()
    assert len(answers["asked"]) == 1  # the time is in the future: the clock was changed
    assert left(harness) == []


@pytest.mark.parametrize(
    ("column", "value"), [("proof", Proof.NONE), ("confirmed_at", 1.0), ("expires", True), ("confirmed_at", 4e9)]
)
async def test_after_upload_old_proof_is_confirmed_first(harness, manual_sweep, answers, column, value):
    after = await uploaded(harness, "a.jpg")
    await set_content(harness, "proof", Proof.HASH)
    await set_content(harness, column, value)
    for presence in (Presence.UNKNOWN, Presence.NO):
        answers["says"] = Confirmation(presence=presence, reason="it has moved")
        after._kept._attempts.clear()
        await after.sweep()
        assert left(harness) == ["a.jpg"]
        assert "drive does not confirm it: it has moved" in await detail(harness)
    answers["says"] = Confirmation(presence=Presence.YES, proof=Proof.SIZE)
    after._kept._attempts.clear()
    await after.sweep()
    assert all(thorough for _, thorough in answers["asked"])
    assert left(harness) == []


async def test_after_upload_copy_of_earlier_terms_is_kept(harness, manual_sweep, answers):
    """The server will delete the copy at the earlier expiry."""
    harness.settings["remotes"]["drive"]["expired_at"] = "1d"
    after = await uploaded(harness, "a.jpg", after="keep")
    del harness.settings["remotes"]["drive"]["expired_at"]
    harness.settings["folders"][0]["after_upload"] = "delete"
    await harness.reload()
    await after.sweep()
    assert left(harness) == ["a.jpg"]
    assert "under an earlier expired_at" in await detail(harness)


async def test_after_upload_weak_proof_keeps_file(harness, manual_sweep, answers, monkeypatch):
    monkeypatch.setattr(MultipartRemote, "required_proof", Proof.BYTES)
    after = await uploaded(harness, "a.jpg")
    answers["says"] = Confirmation(presence=Presence.YES, proof=Proof.HASH)
    await after.sweep()
    assert left(harness) == ["a.jpg"]


async def test_after_upload_server_down_is_not_asked_per_file(harness, manual_sweep, answers):
    after = await uploaded(harness, *(f"{number}.jpg" for number in range(5)))
    await set_content(harness, "proof", Proof.NONE)
    answers["asked"].clear()
    worker = harness.daemon.runtime.scheduler.workers["drive"]
    worker.endpoint._probing = True
    await after.sweep()
    worker.endpoint._probing = False
    assert answers["asked"] == []
    assert len(left(harness)) == 5
    assert "5 uploaded but kept here" in await detail(harness)


async def test_after_upload_forgotten_content_is_kept(harness, manual_sweep):
    after = await uploaded(harness, "a.jpg")
    (job,) = await harness.jobs()
    runtime = harness.daemon.runtime
    record = await runtime.store.job(job["id"])
    await runtime.store.forget_content(runtime.remote_ids["drive"], record.key)
    await after.sweep()
    assert left(harness) == ["a.jpg"]
    assert "not known to have it" in await detail(harness)


async def test_after_upload_record_without_sha256_compares_key(harness, manual_sweep):
    after = await uploaded(harness, "a.jpg", "b.jpg")
    await set_content(harness, "sha256", None)
    found = os.stat(harness.inbox / "a.jpg")
    (harness.inbox / "a.jpg").write_bytes(random_bytes(1000, "other"))
    os.utime(harness.inbox / "a.jpg", ns=(found.st_atime_ns, found.st_mtime_ns))
    await after.sweep()
    assert left(harness) == ["a.jpg"]


# The file has the confirmed bytes.


async def test_after_upload_same_fingerprint_other_bytes_is_uploaded(harness, manual_sweep):
    """New bytes with the same size and mtime are found by the digest before the deletion.

    This happens after writes through a memory map, or with time stamps of two seconds.
    """
    after = await uploaded(harness, "a.jpg")
    path, new = harness.inbox / "a.jpg", random_bytes(1000, "other")
    found = path.stat()
    with path.open("r+b") as file:
        file.write(new)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    await after.sweep()
    assert path.read_bytes() == new
    await wait_until(lambda: has(harness, new))
    await harness.wait_for_counts(done=1)
    await after.sweep()
    assert left(harness) == []


async def has(harness, data):
    status, body = await harness.received(f"/api/files/{hashlib.sha256(data).hexdigest()}")
    return status == 200 and body == data


async def test_after_upload_changed_file_is_uploaded_then_moved(harness, tmp_path, manual_sweep):
    """The sweep can find the changed file before the watch reports it."""
    after = await uploaded(harness, "a.jpg", after={"move": str(tmp_path / "sent")}, settle="300ms")
    (harness.inbox / "a.jpg").write_bytes(b"after!")
    await after.sweep()
    assert left(harness) == ["a.jpg"]
    await wait_until(lambda: has(harness, b"after!"))
    await harness.wait_for_counts(done=1)
    await after.sweep()
    assert (tmp_path / "sent" / "a.jpg").read_bytes() == b"after!"


async def test_after_upload_open_file_is_kept_and_logged_once(harness, manual_sweep):
    after = await uploaded(harness, "a.jpg", "b.jpg", "c.jpg")
    with (
        recorded_events(harness) as events,
        (harness.inbox / "a.jpg").open("r+b"),
        (harness.inbox / "b.jpg").open("r+b"),
    ):
        for _ in range(3):
            await after.sweep()
            after._kept._attempts.clear()
        assert left(harness) == ["a.jpg", "b.jpg"]
        shown = await detail(harness)
    assert "2: open for writing by another program" in shown
    kept = [event for event in events if event["event"] == "file.kept"]
    assert [(event["count"], event["reason"]) for event in kept] == [(2, "open for writing by another program")]
    after._kept._attempts.clear()
    await after.sweep()
    assert left(harness) == []
    assert await detail(harness) is None


async def test_after_upload_undeletable_file_is_retried_with_backoff(harness, manual_sweep, monkeypatch):
    after = await uploaded(harness, "a.jpg")
    tried = []

    def refuse(folder, path, *_, **__):
        tried.append(path)
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(removal, "remove", refuse)
        for _ in range(3):
            await after.sweep()
    assert tried == ["a.jpg"]
    assert "1: Permission denied" in await detail(harness)
    now = kept_files.time.monotonic
    monkeypatch.setattr(kept_files.time, "monotonic", lambda: now() + kept_files.FIRST_RETRY_SECONDS)
    await after.sweep()
    assert left(harness) == []


# Changes of the configuration.


async def test_after_upload_reload_to_keep_deletes_nothing(harness, manual_sweep, monkeypatch):
    """During a sweep, only the removal in progress is completed."""
    after = await uploaded(harness, *(f"{number:03}.jpg" for number in range(60)))
    begun, go_on = threading.Event(), threading.Event()
    real = removal.remove

    def slowly(*about, **options):
        begun.set()
        go_on.wait(20)
        real(*about, **options)

    monkeypatch.setattr(removal, "remove", slowly)
    sweeping = asyncio.create_task(after.sweep())
    await wait_until(begun.is_set)
    harness.settings["folders"][0]["after_upload"] = "keep"
    reloading = asyncio.create_task(harness.reload())
    await wait_until(lambda: after._suspensions)
    assert not reloading.done()
    go_on.set()
    await reloading
    count = len(left(harness))
    assert count >= 59  # the removal in progress was completed or undone
    await sweeping
    await after.sweep()
    assert len(left(harness)) == count
    await wait_until(lambda: recorded(harness, count))


async def recorded(harness, files):
    return (await harness.service.folders())[0]["files"] == files


async def test_after_upload_suspension_cancels_confirmations(harness, manual_sweep, monkeypatch):
    """A shutdown closes the clients, so it must not wait for a confirmation."""
    after = await uploaded(harness, "a.jpg")
    await set_content(harness, "proof", Proof.NONE)
    asked = asyncio.Event()

    async def confirm(self, *about, **options):
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(MultipartRemote, "confirm", confirm)
    sweeping = asyncio.create_task(after.sweep())
    await asked.wait()
    await harness.stop()
    await sweeping
    assert left(harness) == ["a.jpg"]


@pytest.mark.parametrize("how", ["stop", "end"])
async def test_after_upload_paused_daemon_deletes_nothing(harness, manual_sweep, monkeypatch, how):
    after = await uploaded(harness, *(f"{number:03}.jpg" for number in range(20)))
    begun, go_on = threading.Event(), threading.Event()
    real = removal.remove

    def slowly(*about, **options):
        begun.set()
        go_on.wait(20)
        real(*about, **options)

    monkeypatch.setattr(removal, "remove", slowly)
    sweeping = asyncio.create_task(after.sweep())
    await wait_until(begun.is_set)
    ending = asyncio.create_task(harness.service.stop(now=False) if how == "stop" else harness.stop())
    await wait_until(lambda: after._suspensions)
    assert not ending.done()
    go_on.set()
    await ending
    count = len(left(harness))
    assert count >= 19
    await asyncio.gather(sweeping, return_exceptions=True)
    if how == "stop":
        await after.sweep()
        assert len(left(harness)) == count
        await harness.service.start()
        await after.sweep()
        assert left(harness) == []
    else:
        assert len(left(harness)) == count


async def test_after_upload_reload_to_delete_reports_count(harness):
    await uploaded(harness, "a.jpg", "b.jpg", after="keep")
    harness.settings["folders"][0]["after_upload"] = "delete"
    messages = await harness.reload()
    assert any(
        "after_upload is delete now, which affects 2 files that are uploaded already" in message for message in messages
    )
    async with asyncio.timeout(kept_files.FIRST_RETRY_SECONDS / 2):  # it does not wait for the next sweep
        await wait_until(lambda: left(harness) == [])


async def test_after_upload_sweep_during_remote_reload_is_safe(harness, manual_sweep):
    after = await uploaded(harness, "a.jpg")
    runtime = harness.daemon.runtime
    away = runtime.remote_ids.pop("drive")
    await after.sweep()
    runtime.remote_ids["drive"] = away
    assert left(harness) == ["a.jpg"]
    await after.sweep()
    assert left(harness) == []


async def test_after_upload_target_is_created_only_on_load(harness, tmp_path, manual_sweep):
    after = await uploaded(harness, "a.jpg", after={"move": str(tmp_path / "disk" / "sent")})
    os.rename(tmp_path / "disk", tmp_path / "unmounted")
    await after.sweep()
    assert left(harness) == ["a.jpg"]
    assert not (tmp_path / "disk").exists()
    assert "is its file system mounted?" in await detail(harness)
    os.rename(tmp_path / "unmounted", tmp_path / "disk")
    after._kept._attempts.clear()
    await after.sweep()
    assert os.listdir(tmp_path / "disk" / "sent") == ["a.jpg"]


# After a crash.


async def test_after_upload_confirmed_file_is_removed_after_crash(harness, monkeypatch):
    async def never(self):
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(AfterUploadTask, "run", never)
        await uploaded(harness, "a.jpg")
        await harness.stop()
    assert left(harness) == ["a.jpg"]
    await harness.start()
    await wait_until(lambda: left(harness) == [])


async def test_after_upload_interrupted_removal_is_undone_and_redone(harness, manual_sweep):
    after = await uploaded(harness, "a.jpg")
    store = harness.daemon.runtime.store
    hidden = removal.hidden_name()
    await store.begin_removals(str(harness.inbox), [("a.jpg", hidden), ("gone.jpg", removal.hidden_name())])
    os.rename(harness.inbox / "a.jpg", harness.inbox / hidden)
    await after.recover()
    assert left(harness) == ["a.jpg"]
    assert await store.pending_removals() == []
    await wait_until(lambda: known(harness, "a.jpg"))
    await harness.wait_for_counts(done=1)
    await after.sweep()
    assert left(harness) == []


async def known(harness, name):
    return (await harness.show(name))[0]["present"]


async def test_after_upload_recovery_waits_for_offline_folder(harness, manual_sweep, tmp_path):
    after = await uploaded(harness, "a.jpg")
    store = harness.daemon.runtime.store
    hidden = removal.hidden_name()
    await store.begin_removals(str(harness.inbox), [("a.jpg", hidden)])
    os.rename(harness.inbox / "a.jpg", harness.inbox / hidden)
    os.rename(harness.inbox, tmp_path / "away")
    await after.recover()
    assert len(await store.pending_removals()) == 1
    os.rename(tmp_path / "away", harness.inbox)
    with recorded_events(harness) as events:
        await after.sweep()
    assert [event["name"] for event in events if event["event"] == "file.removal_undone"] == ["a.jpg"]
    assert await store.pending_removals() == []
    assert list(harness.inbox.iterdir()) == []  # the sweep deletes it again, because it was uploaded


@pytest.mark.parametrize("task", ["run", "heartbeat"])
async def test_after_upload_task_failure_ends_daemon(harness, monkeypatch, task):
    """The daemon must not continue without one of its tasks."""

    async def die(self):
        raise ZeroDivisionError

    if task == "run":
        monkeypatch.setattr(AfterUploadTask, "run", die)
    else:
        monkeypatch.setattr("syncd.daemon.daemon.Daemon._heartbeat", die)
    with pytest.raises(ZeroDivisionError):
        await harness.run_to_the_end()


def test_after_upload_limits_match_documentation():
    assert (
        deletion_check.CONFIRMATION_MAX_AGE_SECONDS,
        deletion_check.QUIET_CLOSED_SECONDS,
        deletion_check.QUIET_SECONDS,
    ) == (3600, 60, 300)
