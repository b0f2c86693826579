"""``syncd verify`` with real receivers: findings, repairs and exit codes."""

import hashlib
import os
import pty
import shutil
import subprocess
import sys

import pytest

from syncd.platform.lock import StateLock
from tests.support.data import random_bytes
from tests.support.processes import DaemonProcess, ReceiverProcess, command_line
from tests.support.wait import wait_until_sync

pytestmark = pytest.mark.e2e

ART = b"  .oO@#  \n" * 50


def test_verify_all_intact(harness):
    harness.write("a.jpg", random_bytes(300_000, 1))
    harness.write("sub/copy.jpg", random_bytes(300_000, 1))
    harness.write("art.txt", ART)
    harness.upload()
    done = harness.syncd("verify", "--json")
    assert done.code == 0
    assert done.json | {"seconds": 0} == {
        "ok": True,
        "intact": 6,
        "missing": 0,
        "different": 0,
        "unreachable": 0,
        "queued": 0,
        "problems": [],
        "down": {},
        "fetched": 2 * (300_000 + len(ART)),
        "seconds": 0,
    }
    done = harness.syncd("verify")
    assert (done.code, done.out.split(";")[0], done.err) == (0, "6 intact", "")


@pytest.mark.parametrize("remote", ["drive", "ascii"])
@pytest.mark.parametrize("harm", ["damage", "remove"])
@pytest.mark.parametrize("data", [random_bytes(100_000, 2), ART], ids=["image", "text"])
def test_verify_bad_copy_is_found_and_repaired(harness, remote, harm, data):
    harness.write("bad.jpg", data)
    harness.write("good.jpg", random_bytes(50_000, 3))
    harness.upload()
    getattr(harness, harm)(remote, data)
    done = harness.syncd("verify", "--json")
    state = "different" if harm == "damage" else "missing"
    assert (done.code, done.json["ok"], done.json["intact"], done.json[state]) == (1, False, 3, 1)
    (problem,) = done.json["problems"]
    assert (problem["path"], problem["remote"], problem["state"]) == ("bad.jpg", remote, state)

    mended = harness.syncd("verify", "--repair")
    assert mended.code == 1
    assert f"{harness.inbox}/bad.jpg on {remote} {state}: the server" in mended.out
    assert "1 job queued again" in mended.out
    assert harness.sql("SELECT cause, from_state, to_state FROM history ORDER BY id DESC")[0] == (
        "missing",
        "done",
        "queued",
    )
    assert harness.upload().out.startswith("1 uploaded")
    assert harness.syncd("verify").code == 0


def test_verify_bad_content_repairs_all_its_files(harness):
    data = random_bytes(20_000, 4)
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        harness.write(name, data)
    harness.upload()
    harness.remove("drive", data)
    done = harness.syncd("verify", "--json", "--repair")
    assert [problem["path"] for problem in done.json["problems"]] == ["a.jpg", "b.jpg", "c.jpg"]
    assert done.json["queued"] == 3
    harness.upload()
    assert harness.syncd("verify").code == 0


def test_verify_invalid_base64_is_different(harness):
    data = random_bytes(9_000, 5)
    harness.write("a.jpg", data)
    harness.upload()
    path = harness.stored("ascii", data) / "data"
    text = path.read_bytes()
    for bad in (b"!" + text[1:], text[:100] + b"=" + text[101:], text[:-1] + b"\n"):
        path.write_bytes(bad)
        done = harness.syncd("verify", "--json")
        assert (done.code, done.json["different"]) == (1, 1)


def test_verify_repair_of_missing_file_is_refused(harness):
    data = random_bytes(5_000, 6)
    harness.write("a.jpg", data)
    harness.upload()
    (harness.inbox / "a.jpg").unlink()
    harness.write("b.jpg", random_bytes(6_000, 7))  # another size, so that it does not count as the renamed file
    harness.upload()
    harness.remove("drive", data)
    done = harness.syncd("verify", "--repair")
    assert done.code == 1
    assert "missing: the server no longer has it; cannot be uploaded again" in done.out
    assert "queued again" not in done.out
    assert harness.syncd("verify").code == 1


def test_verify_sample_has_requested_size(harness):
    for number in range(20):
        harness.write(f"{number}.jpg", random_bytes(100 + number, number))
    harness.upload()
    assert harness.syncd("verify", "--sample", "25%", "--json").json["intact"] == 10
    assert harness.syncd("verify", "--sample", "0.1%", "--json").json["intact"] == 1
    for share in ("0%", "101%", "some"):
        done = harness.syncd("verify", "--sample", share)
        assert (done.code, f"{share}: give a percentage" in done.err) == (2, True)


def test_verify_sample_may_contain_every_content(harness):
    harness.write("a.jpg", random_bytes(100, 1))
    harness.write("b.jpg", random_bytes(100, 2))
    del harness.settings["remotes"]["ascii"]
    harness.settings["folders"][0]["remote"] = "drive"
    harness.upload()
    harness.remove("drive", random_bytes(100, 1))
    codes = [harness.syncd("verify", "--sample", "50%").code]
    while len(set(codes)) < 2 and len(codes) < 40:
        codes.append(harness.syncd("verify", "--sample", "50%").code)
    assert set(codes) == {0, 1}


def test_verify_selects_paths(harness):
    harness.write("a.jpg", random_bytes(1_000, 1))
    harness.write("sub/b.jpg", random_bytes(1_000, 2))
    harness.write("sub/c.jpg", random_bytes(1_000, 3))
    harness.write("sub2/d.jpg", random_bytes(1_000, 4))
    harness.upload()

    def intact(*paths):
        return harness.syncd("verify", "--json", *(harness.inbox / path for path in paths)).json["intact"]

    assert intact("a.jpg") == 2
    assert intact("sub") == 4
    assert intact("sub", "sub/b.jpg", "sub") == 4
    assert intact(".") == 8
    assert intact("none") == 0
    done = harness.syncd("verify", harness.folder)
    assert (done.code, done.err) == (1, f"syncd: {harness.folder} is in none of the watched folders\n")


def test_verify_server_down_is_unreachable(harness, tmp_path):
    harness.write("a.jpg", random_bytes(1_000, 1))
    with ReceiverProcess(tmp_path / "other") as other:
        harness.settings["remotes"]["ascii"]["url"] = other.url
        harness.upload()
    done = harness.syncd("verify", "--json")
    assert (done.code, done.json["intact"], done.json["unreachable"]) == (69, 1, 1)
    assert "refused" in done.json["down"]["ascii"]
    harness.remove("drive", random_bytes(1_000, 1))
    done = harness.syncd("verify", "--repair")
    assert done.code == 1
    assert "remote ascii is unreachable: can't connect" in done.out
    assert "1 job queued again" in done.out


def test_verify_rejected_token_is_not_retried(harness, tmp_path):
    with ReceiverProcess(tmp_path / "closed", "--token-file", _file(tmp_path / "token", "s3cret")) as closed:
        harness.settings["remotes"]["drive"] |= {"url": closed.url, "token_file": str(tmp_path / "token")}
        for number in range(30):
            harness.write(f"{number}.jpg", random_bytes(100, number))
        harness.upload()
        (tmp_path / "token").write_text("another")
        done = harness.syncd("verify", "--json")
    assert (done.code, done.json["intact"], done.json["unreachable"]) == (69, 30, 30)
    assert "401" in done.json["down"]["drive"]
    assert len(done.json["problems"]) < 30


def _file(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_verify_works_while_daemon_runs(tmp_path, receiver):
    daemon = DaemonProcess(tmp_path, receiver.url)
    daemon.start()
    try:
        (daemon.inbox / "a.jpg").write_bytes(random_bytes(1_000, 1))
        daemon.wait_for_counts(done=2)
        command = [sys.executable, "-m", "syncd", "verify", "-c", str(daemon.config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout.split(";")[0]) == (0, "2 intact")
        receiver_copy = _stored(receiver, random_bytes(1_000, 1))
        shutil.rmtree(receiver_copy)
        done = subprocess.run([*command, "--repair"], capture_output=True, text=True, check=False)
        assert (done.returncode, "1 job queued again" in done.stdout) == (1, True), done
        wait_until_sync(receiver_copy.exists, lambda: "it is uploaded again")
        daemon.wait_for_counts(done=2)
        done = subprocess.run([*command, "--repair"], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout.split(";")[0]) == (0, "2 intact")
        assert daemon.terminate() == 0
    finally:
        daemon.kill()


def _stored(receiver, data):
    return receiver.folder / "files" / "finished" / hashlib.sha256(data).hexdigest()


def test_verify_repair_with_locked_state_folder(harness):
    harness.upload()
    with StateLock(harness.folder / "state"):
        done = harness.syncd("verify", "--repair")
    assert (done.code, done.out) == (75, "")
    assert "another syncd" in done.err


def test_verify_writes_nothing(harness):
    harness.write("a.jpg", random_bytes(1_000, 1))
    harness.settings["logging"] = {"file": "log"}
    harness.upload()
    (harness.folder / "log").unlink()
    state = harness.sql("SELECT * FROM jobs")
    harness.remove("drive", random_bytes(1_000, 1))
    assert harness.syncd("verify").code == 1
    assert not (harness.folder / "log").exists()
    assert harness.sql("SELECT * FROM jobs") == state


def test_verify_before_first_upload(harness):
    done = harness.syncd("verify")
    assert done.code == 65
    assert "no record of uploads on this machine: copy a backup of the job store there" in done.err
    harness.upload()
    done = harness.syncd("verify")
    assert (done.code, done.out) == (0, "nothing was uploaded yet\n")


@pytest.mark.parametrize(("revision", "advice"), [("0000", "update syncd"), (None, "its version table is empty")])
def test_verify_store_of_other_version_is_unchanged(harness, revision, advice):
    harness.upload()
    if revision:
        harness.sql("UPDATE alembic_version SET version_num = ?", revision)
    else:
        harness.sql("DELETE FROM alembic_version")
    done = harness.syncd("verify")
    assert (done.code, advice in done.err) == (65, True)


def test_verify_progress_on_terminal(harness):
    harness.write("a.jpg", random_bytes(1_000, 1))
    harness.upload()
    harness.write_settings()
    ours, theirs = pty.openpty()
    done = subprocess.run(
        command_line("verify", "-c", harness.config), stdout=subprocess.PIPE, stderr=theirs, check=True
    )
    shown = os.read(ours, 65_536)
    os.close(ours)
    os.close(theirs)
    assert b"2 done, 0 to go" in shown
    assert b"100%" in shown
    assert done.stdout.startswith(b"2 intact")
