"""``syncd restore`` from real receivers: restored files, and files left untouched."""

import fcntl
import hashlib
import os
import resource
import shutil
import signal
import subprocess

import pytest

from tests.recovery.harness import TIME
from tests.support.data import random_bytes
from tests.support.processes import ReceiverProcess, command_line
from tests.support.wait import wait_until_sync

pytestmark = pytest.mark.e2e

ODD = b"not utf-8 \xff and\nnewline.jpg"
FILES = {
    b"a.jpg": random_bytes(300_000, 1),
    b"one.png": b"\xff",
    b"art.txt": b"  .oO@#  \n" * 50,
    ODD: random_bytes(5_001, 2),
    b"deep/er/" + ODD: random_bytes(5_002, 3),
    "deep/گل 🌷.jpg".encode(): random_bytes(300_000, 1),
    b"n" * 251 + b".jpg": random_bytes(10, 4),
}


def times(files):
    return {name: (data, TIME + number * 10**9) for number, (name, data) in enumerate(files.items())}


@pytest.fixture
def filled(harness):
    for name, (data, at) in times(FILES).items():
        harness.write(name, data, at)
    harness.upload()
    return harness


@pytest.mark.parametrize("remote", ["drive", "ascii", ["ascii", "drive"]])
def test_restore_bytes_names_and_times(harness, remote):
    harness.settings["folders"][0]["remote"] = remote
    for name, (data, at) in times(FILES).items():
        harness.write(name, data, at)
    harness.upload()
    shutil.rmtree(harness.inbox)
    back = harness.folder / "new" / "back"
    done = harness.syncd("restore", "--to", back, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json | {"seconds": 0} == {
        "ok": True,
        "restored": len(FILES),
        "there": 0,
        "failed": 0,
        "unreachable": 0,
        "not_uploaded": 0,
        "problems": [],
        "fetched": sum(map(len, FILES.values())),
        "seconds": 0,
    }
    assert harness.tree(back) == times(FILES)
    hidden = f".syncd-{hashlib.sha256(b'a.jpg').hexdigest()[:24]}.part"
    os.link(back / "a.jpg", back / hidden)  # the state after a kill between two steps
    again = harness.syncd("restore", "--to", back)
    assert (again.code, again.out) == (0, f"{len(FILES)} already present\n")
    assert harness.tree(back) == times(FILES)


def test_restore_file_deleted_after_upload(harness):
    harness.settings["folders"][0]["after_upload"] = "delete"
    harness.write("a.jpg", random_bytes(1_000, 1))
    harness.upload()
    assert harness.tree(harness.inbox) == {}
    assert harness.syncd("restore", "--to", harness.inbox).code == 0
    assert harness.tree(harness.inbox) == {b"a.jpg": (random_bytes(1_000, 1), TIME)}


def test_restore_several_folders_are_kept_apart(harness):
    (harness.folder / "x" / "inbox").mkdir(parents=True)
    (harness.folder / "x" / "inbox" / "a.jpg").write_bytes(random_bytes(100, 2))
    harness.settings["folders"].append({"path": "x/inbox", "remote": "drive"})
    harness.write("a.jpg", random_bytes(100, 1))
    harness.upload()
    back = harness.folder / "back"
    harness.syncd("restore", "--to", back)
    assert {name: data for name, (data, _) in harness.tree(back).items()} == {
        b"inbox/a.jpg": random_bytes(100, 1),
        b"inbox-2/a.jpg": random_bytes(100, 2),
    }


def test_restore_selects_paths(filled):
    back = filled.folder / "back"
    named = ["deep/گل 🌷.jpg", "deep", "one.png", "deep/er"]  # some of them inside others
    done = filled.syncd("restore", "--to", back, "--json", *(filled.inbox / name for name in named))
    assert (done.code, done.json["restored"], done.json["there"]) == (0, 3, 0)
    assert set(filled.tree(back)) == {name for name in FILES if name.startswith((b"deep/", b"one"))}


def test_restore_overwrites_nothing(filled):
    back, outside = filled.folder / "back", filled.folder / "outside"
    (back / "one.png").mkdir(parents=True)
    other = bytes(len(FILES[b"a.jpg"]))  # the same length as the uploaded file
    (back / "a.jpg").write_bytes(other)
    outside.write_bytes(FILES[b"art.txt"])
    (back / "art.txt").symlink_to(outside)
    done = filled.syncd("restore", "--to", back, "--json")
    assert (done.code, done.json["restored"], done.json["failed"]) == (1, len(FILES) - 3, 3)
    assert [problem["path"] for problem in done.json["problems"]] == ["a.jpg", "art.txt", "one.png"]
    assert {problem["detail"] for problem in done.json["problems"]} == {
        "another file is there, and it is left as it is"
    }
    assert (back / "a.jpg").read_bytes() == other
    assert (back / "art.txt").is_symlink()
    assert (back / "one.png").is_dir()
    assert not list(back.rglob("*.part"))


def test_restore_interrupted_is_resumed(harness, tmp_path):
    with ReceiverProcess(tmp_path / "own") as receiver:
        harness.settings["remotes"]["drive"]["url"] = receiver.url
        harness.settings["folders"][0]["remote"] = "drive"
        files = {f"{number}.jpg".encode(): random_bytes(4_000_000, number) for number in range(25)}
        for name, data in files.items():
            harness.write(name, data)
        harness.upload()
        back = harness.folder / "back"
        running = subprocess.Popen(
            command_line("restore", "--to", back, "-c", harness.config), stdout=subprocess.DEVNULL
        )
        wait_until_sync(
            lambda: back.exists() and any(name.suffix == ".jpg" for name in back.iterdir()), "one file is there"
        )
        receiver.child.send_signal(signal.SIGSTOP)  # so that some files are incomplete
        wait_until_sync(lambda: list(back.glob(".*.part")), "another one is on its way")
        running.kill()
        assert running.wait(10) == -signal.SIGKILL
        receiver.child.send_signal(signal.SIGCONT)
        there = len(list(back.glob("*.jpg")))
        assert 0 < there < len(files)
        done = harness.syncd("restore", "--to", back, "--json")
    assert (done.code, done.json["there"], done.json["restored"]) == (0, there, len(files) - there)
    assert {name: data for name, (data, _) in harness.tree(back).items()} == files


@pytest.mark.parametrize("name", [b"../evil.jpg", b"sub/../../evil.jpg", b"/evil.jpg", b"..", b"sub//evil.jpg", b"."])
def test_restore_recorded_name_cannot_leave_target(harness, name):
    harness.write("a.jpg", random_bytes(100, 1))
    harness.upload()
    harness.sql("UPDATE files SET path = ?", name)
    back = harness.folder / "nest" / "back"
    done = harness.syncd("restore", "--to", back, "--json")
    assert done.code == 1
    assert [problem["detail"] for problem in done.json["problems"]] == [
        "its recorded name would lead out of the folder"
    ]
    assert harness.tree(harness.folder / "nest") == {}


def test_restore_linked_folder_is_not_followed(filled):
    back, outside = filled.folder / "back", filled.folder / "outside"
    back.mkdir()
    outside.mkdir()
    (back / "deep").symlink_to(outside)
    done = filled.syncd("restore", "--to", back, "--json")
    assert (done.code, done.json["failed"], done.json["restored"]) == (1, 2, len(FILES) - 2)
    assert "symbolic link" in done.json["problems"][0]["detail"]
    assert filled.tree(outside) == {}


def test_restore_uses_first_server_with_intact_copy(filled):
    filled.damage("drive", FILES[b"a.jpg"])
    filled.remove("drive", FILES[ODD])
    filled.remove("ascii", FILES[b"one.png"])
    back = filled.folder / "back"
    assert filled.syncd("restore", "--to", back).code == 0
    assert filled.tree(back) == times(FILES)


def test_restore_without_intact_copy_reports_and_leaves_none(filled):
    for remote in ("drive", "ascii"):
        filled.damage(remote, FILES[b"one.png"])
        filled.remove(remote, FILES[b"art.txt"])
    back = filled.folder / "back"
    done = filled.syncd("restore", "--to", back, "--json")
    assert (done.code, done.json["failed"]) == (1, 2)
    assert {problem["path"]: problem["detail"] for problem in done.json["problems"]} == {
        "one.png": "the copy on drive is not the file that was uploaded; the copy on ascii is not the file that was"
        " uploaded",
        "art.txt": "the server no longer has it",
    }
    assert set(filled.tree(back)) == set(FILES) - {b"one.png", b"art.txt"}


def test_restore_counts_files_never_uploaded(harness):
    harness.write("a.jpg", random_bytes(100, 1))
    harness.upload()
    harness.write("b.jpg", random_bytes(100, 2))
    harness.sql("UPDATE files SET version = version + 1")  # as after a change of the file
    done = harness.syncd("restore", "--to", harness.folder / "back")
    assert (done.code, done.out) == (
        0,
        "nothing was uploaded yet\n1 file not restored: the last version seen was never uploaded\n",
    )


def test_restore_server_down_is_reported(harness, tmp_path):
    with ReceiverProcess(tmp_path / "own") as receiver:
        for remote in ("drive", "ascii"):
            harness.settings["remotes"][remote]["url"] = receiver.url
        harness.write("a.jpg", random_bytes(100, 1))
        harness.write("b.jpg", random_bytes(100, 2))
        harness.upload()
        back = harness.folder / "back"
        assert harness.syncd("restore", "--to", back, harness.inbox / "a.jpg").code == 0
        receiver.kill()
        done = harness.syncd("restore", "--to", back)
        assert done.code == 69
        assert done.out.startswith("1 already present, 1 unreachable\n")
        assert "b.jpg unreachable: can't connect to" in done.out
        receiver.start()
        assert harness.syncd("restore", "--to", back).code == 0


def test_restore_second_process_is_refused(filled):
    back = filled.folder / "back"
    back.mkdir()
    fd = os.open(back, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    done = filled.syncd("restore", "--to", back)
    os.close(fd)
    assert (done.code, filled.tree(back)) == (75, {})
    assert done.err == f"syncd: {back}: another syncd restores into this folder; wait for it, or choose another --to\n"


def test_restore_unwritable_file_is_reported(filled):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    back = filled.folder / "back"
    filled.write_settings()
    command = command_line("restore", "--to", back, "-c", filled.config)
    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"{filled.inbox}/a.jpg failed: cannot write it: File too large" in done.stdout
    assert set(filled.tree(back)) == {name for name, data in FILES.items() if len(data) < 100_000}


def test_restore_full_disk_ends(filled):
    small = filled.folder / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs to mount a small disk")
    try:
        done = filled.syncd("restore", "--to", small / "back")
        assert (done.code, done.err) == (69, f"syncd: {small}/back: No space left on device\n")
    finally:
        subprocess.run(["umount", small], check=True)


def test_restore_target_not_a_folder_is_refused(filled):
    (filled.folder / "back").write_bytes(b"")
    done = filled.syncd("restore", "--to", filled.folder / "back")
    assert done.code == 69
    assert f"{filled.folder}/back: File exists" in done.err
