"""The documented guarantees with real processes: daemon, receiver and ``kill -9``."""

import os
import random
import shutil
import threading
import time

import pytest

from tests.support.data import random_bytes
from tests.support.processes import ReceiverProcess
from tests.support.wait import wait_until_sync

pytestmark = pytest.mark.e2e

MIB = 1024 * 1024


def _sizes():
    """Return 300 sizes: mostly small files, boundary sizes, and some large files."""
    rng = random.Random(7)
    odd = [1, 2, 3, 4095, 4096, 4097, 36 * 1024, MIB - 1, MIB, MIB + 1, 5 * MIB, 5 * MIB + 1, 21 * MIB, 60 * MIB]
    return odd + [rng.randrange(1, 120_000) for _ in range(300 - 4 - len(odd))]


class FileCreator(threading.Thread):
    """A thread that creates files in a folder in all ways that programs use."""

    def __init__(self, inbox, elsewhere):
        super().__init__()
        self.inbox, self.elsewhere = inbox, elsewhere
        self.dropped = {}

    def run(self):
        writers = [self.write, self.rename_into_place, self.copy, self.write_slowly, self.into_new_folder, self.as_text]
        for number, size in enumerate(_sizes()):
            writer = writers[number % len(writers)] if size < 3 * MIB else self.copy
            path, data = writer(number, size)
            self.dropped[str(path)] = data

    def write(self, number, size):
        data, path = random_bytes(size, number), self.inbox / f"photo {number} گل 🌷.jpg"
        path.write_bytes(data)
        return path, data

    def rename_into_place(self, number, size):
        data, path = random_bytes(size, number), self.inbox / f"renamed-{number}.png"
        part = self.inbox / f"renamed-{number}.png.part"
        part.write_bytes(data)
        part.rename(path)
        return path, data

    def copy(self, number, size):
        data, source, path = (
            random_bytes(size, number),
            self.elsewhere / str(number),
            self.inbox / f"copied-{number}.webp",
        )
        source.write_bytes(data)
        shutil.copy2(source, path)
        return path, data

    def write_slowly(self, number, size):
        data, path = random_bytes(size, number), self.inbox / f"slow-{number}.jpeg"
        with path.open("wb") as file:
            for start in range(0, size, max(1, size // 3)):
                file.write(data[start : start + max(1, size // 3)])
                file.flush()
                time.sleep(0.003)  # the writer's pace, not the test's
        return path, data

    def into_new_folder(self, number, size):
        folder = self.inbox / f"album {number}" / "deeper"
        folder.mkdir(parents=True)
        data, path = random_bytes(size, number), folder / f"{number}.JPG"
        path.write_bytes(data)
        return path, data

    def as_text(self, number, size):
        data, path = (b"%06d  .oO@#  " % number * (size // 12 + 1))[:size], self.inbox / f"ascii-{number}.txt"
        path.write_bytes(data)
        return path, data


def test_upload_every_file_arrives_complete_and_once(tmp_path, daemon, receiver):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    daemon.start()
    creator = FileCreator(daemon.inbox, elsewhere)
    creator.start()
    for name in ("empty-0.jpg", "empty-1.png", "empty-2.txt"):
        (daemon.inbox / name).touch()
    odd_name = os.path.join(os.fsencode(daemon.inbox), b"not utf-8 \xff and\nnewline.jpg")
    with open(odd_name, "wb") as file:
        file.write(random_bytes(5000, "odd"))
    (daemon.inbox / "left out.doc").write_bytes(b"not an image")
    os.mkfifo(daemon.inbox / "pipe.jpg")
    creator.join()
    creator.dropped[os.fsdecode(odd_name)] = random_bytes(5000, "odd")

    files = len(creator.dropped)
    assert files + 3 == 300
    daemon.wait_for_counts(done=2 * files, skipped=2 * 4, queued=0, uploading=0, waiting=0)

    jobs = {(job["path"], job["remote"]): job for job in daemon.jobs("done")}
    for path, data in creator.dropped.items():
        for remote in ("drive", "ascii"):
            shown = path if path in {job_path for job_path, _ in jobs} else _escaped(path)
            assert receiver.content(jobs[shown, remote]) == data, path
    counters = receiver.counters()
    assert counters["chunks_repeated"] == 0
    assert counters["images"] == counters["files"] == files
    assert {job["detail"] for job in daemon.jobs("skipped")} == {"empty", "not a regular file"}

    _renames_and_copies_cost_no_chunk(daemon, receiver, creator.dropped)
    _a_change_uploads_the_new_content(daemon, receiver, creator.dropped)
    assert daemon.terminate() == 0


def _escaped(path):
    return path.replace("\udcff", r"\xff").replace("\n", r"\n")


def _renames_and_copies_cost_no_chunk(daemon, receiver, dropped):
    before = receiver.counters()
    giant = max(dropped, key=lambda path: len(dropped[path]))
    moved, copied = daemon.inbox / "moved.webp", daemon.inbox / "copied.webp"
    shutil.copy(giant, copied)
    os.rename(giant, moved)
    album = next(path for path in dropped if "/album " in path)
    folder = os.path.dirname(os.path.dirname(album))
    os.rename(folder, f"{folder} renamed")
    for path in (moved, copied, album.replace(folder, f"{folder} renamed")):
        for job in daemon.wait_for_states(path, {"done"}):
            assert receiver.content(job) == dropped[giant if "webp" in str(path) else album]
    after = receiver.counters()
    for kind in ("chunks_received", "chunks_repeated", "images", "files"):
        assert after[kind] == before[kind]


def _a_change_uploads_the_new_content(daemon, receiver, dropped):
    path = next(path for path in dropped if "renamed-" in path and len(dropped[path]) < MIB)
    before = {job["ref"] for job in daemon.client.show(path)}
    data = random_bytes(70_000, "changed")
    with open(path, "wb") as file:
        file.write(data)

    def changed():
        jobs = daemon.client.show(path)
        return jobs if not before & {job["ref"] for job in jobs} and all(j["state"] == "done" for j in jobs) else None

    for job in wait_until_sync(changed, "the new content is there"):
        assert receiver.content(job) == data


def test_daemon_killed_resends_only_unacknowledged_chunks(daemon, receiver):
    data = random_bytes(60 * MIB, "giant")
    daemon.settings["scheduler"] = {"bandwidth": "24MiB/s", "concurrency": 4}
    daemon.start()
    (daemon.inbox / "giant.tif").write_bytes(data)
    wait_until_sync(lambda: receiver.chunk_requests() > 60, "some chunks are there")
    daemon.kill()
    acknowledged = daemon.acknowledged_chunks()
    assert acknowledged["drive"] > 5
    assert acknowledged["ascii"] > 5
    before = receiver.chunk_requests()

    daemon.start()
    daemon.wait_for_counts(done=2)
    expected = 60 + -(-60 * MIB * 4 // 3 // (256 * 1024))  # chunks of both remotes
    sent_again = receiver.chunk_requests() - before
    # The multipart server lists the chunks it has, so chunks without an acknowledgement are not sent again either.
    assert expected - before <= sent_again <= expected - sum(acknowledged.values())
    for job in daemon.jobs("done"):
        assert receiver.content(job) == data
    assert daemon.terminate() == 0


def test_upload_file_rewritten_during_upload_is_consistent(daemon, receiver):
    daemon.settings["scheduler"] = {"bandwidth": "30MiB/s"}
    daemon.start()
    path = daemon.inbox / "busy.tif"
    states = [random_bytes(30 * MIB, number) for number in range(3)]
    with path.open("wb") as file:
        file.write(states[0])
    for state in states[1:]:
        sent = receiver.counters()["bytes"]
        wait_until_sync(lambda sent=sent: receiver.counters()["bytes"] > sent + 5 * MIB, "the upload is under way")
        with path.open("r+b") as file:  # in place, without a temporary file
            for start in range(0, len(state), MIB):
                file.write(state[start : start + MIB])
                file.flush()

    def last_state_arrived():
        jobs = daemon.client.show(str(path))
        return all(job["state"] == "done" and receiver.content(job) == states[-1] for job in jobs)

    wait_until_sync(last_state_arrived, "the last state is there")
    # Every other file on the server must be an earlier state of this file.
    _assert_only_known_states(receiver, states)
    assert daemon.terminate() == 0


def _assert_only_known_states(receiver, states):
    counters = receiver.counters()
    complete = [path for path in receiver.folder.rglob("*") if path.is_file() and path.stat().st_size == 30 * MIB]
    assert counters["files"] >= 1
    assert all(path.read_bytes() in states for path in complete if "unfinished" not in str(path))


def test_pause_survives_restart_and_resume_uploads_all(daemon, receiver):
    daemon.settings["scheduler"] = {"bandwidth": "10MiB/s"}
    daemon.start()
    first = {daemon.inbox / f"first-{number}.jpg": random_bytes(2 * MIB, number) for number in range(8)}
    for path, data in first.items():
        path.write_bytes(data)
    wait_until_sync(lambda: receiver.counters()["bytes"] > 3 * MIB, "uploading is under way")
    daemon.client.stop()
    assert daemon.client.status()["state"] == "stopped"
    later = {daemon.inbox / f"later-{number}.jpg": random_bytes(50_000, -number) for number in range(1, 11)}
    for path, data in later.items():
        path.write_bytes(data)
    wait_until_sync(lambda: sum(daemon.client.status()["jobs"].values()) == 2 * 18, "all are queued")
    quiet = receiver.counters()["requests"]
    assert daemon.terminate() == 0

    daemon.settings["scheduler"] = {}
    daemon.start()
    status = daemon.client.status()
    assert status["state"] == "stopped"
    assert status["jobs"]["uploading"] == 0
    assert receiver.counters()["requests"] <= quiet + 2  # the requests of the start
    daemon.client.start()
    daemon.wait_for_counts(done=2 * 18)
    for job in daemon.jobs("done"):
        data = next(data for path, data in {**first, **later}.items() if str(path) == job["path"])
        assert receiver.content(job) == data
    assert daemon.terminate() == 0


def test_receiver_killed_loses_nothing(daemon, receiver):
    daemon.settings["scheduler"] = {"bandwidth": "40MiB/s", "retry": {"initial": "100ms", "max": "500ms"}}
    daemon.start()
    dropped = {daemon.inbox / f"{number}.jpg": random_bytes(3 * MIB, number) for number in range(20)}
    for path, data in dropped.items():
        path.write_bytes(data)
    for _ in range(3):
        before = receiver.counters()["bytes"]
        wait_until_sync(lambda before=before: receiver.counters()["bytes"] > before + 5 * MIB, "uploading is under way")
        receiver.kill()
        wait_until_sync(
            lambda: {remote["state"] for remote in daemon.client.status()["remotes"]} == {"offline"}, "it is missed"
        )
        receiver.start()
    daemon.wait_for_counts(done=40)
    for job in daemon.jobs("done"):
        assert receiver.content(job) == next(data for path, data in dropped.items() if str(path) == job["path"])
    assert daemon.client.status()["jobs"]["failed"] == 0
    assert daemon.terminate() == 0


def test_token_rejected_then_renewed_uploads(tmp_path, daemon):
    (tmp_path / "token").write_text("right-token\n")
    (tmp_path / "token").chmod(0o600)
    with ReceiverProcess(tmp_path / "guarded", "--token-file", tmp_path / "token") as guarded:
        for remote in daemon.settings["remotes"].values():
            remote["url"] = guarded.url
            remote["token"] = "wrong-token"
        daemon.settings["scheduler"] = {"retry": {"initial": "50ms", "max": "200ms"}}
        daemon.start()
        (daemon.inbox / "a.jpg").write_bytes(random_bytes(1000, 1))

        def unauthorized():
            return {remote["state"] for remote in daemon.client.status()["remotes"]} == {"unauthorized"}

        wait_until_sync(unauthorized, "the token is refused")
        for remote in daemon.settings["remotes"].values():
            del remote["token"]
            remote["token_file"] = str(tmp_path / "token")
        daemon.write_settings()
        assert daemon.client.reload()
        daemon.wait_for_counts(done=2)
        assert "right-token" not in daemon.log.read_text()
        assert "wrong-token" not in daemon.log.read_text()
        assert daemon.terminate() == 0
