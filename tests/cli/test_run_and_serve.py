"""``run``, ``once`` and ``serve`` as processes: what they print, how they end."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from syncd.control.client import ControlClient, ControlError
from syncd.platform.lock import StateLock


def wait_for(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
    return value


def status_of(tmp_path):
    try:
        return ControlClient(tmp_path / "state" / "control.sock").status()
    except ControlError:
        return None


@pytest.mark.e2e
def test_once_uploads_and_says_so(syncd, config, receiver, tmp_path):
    path = config(receiver)
    (tmp_path / "inbox" / "a.jpg").write_bytes(b"\xff\xd8 one")
    first = syncd("once", "-c", path)
    assert (first.code, first.out.split(";")[0]) == (0, "2 uploaded")
    events = [json.loads(line)["event"] for line in first.err.splitlines()]
    assert events.count("job.done") == 2
    again = syncd("once", "-c", path, "--json")
    assert again.code == 0
    document = json.loads(again.out)
    assert (document["ok"], document["uploaded"], document["failed"], document["left"]) == (True, 0, 0, 0)


def test_once_tells_what_did_not_arrive(syncd, config, tmp_path):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        path = config(f"http://127.0.0.1:{bound.getsockname()[1]}")
        (tmp_path / "inbox" / "a.jpg").write_bytes(b"\xff\xd8 one")
        ended = syncd("once", "-c", path)
    assert ended.code == 1
    assert "2 left for the next run" in ended.out
    assert "remote drive is unreachable; find out why with: syncd check" in ended.out
    assert f"{tmp_path}/inbox/a.jpg to drive" in ended.out


@pytest.mark.e2e
def test_once_shows_bars_on_a_terminal(config, receiver, tmp_path):
    path = config(receiver)
    (tmp_path / "inbox" / "a.jpg").write_bytes(b"\xff\xd8 one")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "syncd", "once", "-c", path]
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, check=True)
    shown = os.read(ours, 65_536)
    os.close(ours)
    os.close(theirs)
    assert b"2 done, 0 to go" in shown
    assert b"job.done" not in shown
    assert ended.stdout.startswith(b"2 uploaded")


@pytest.mark.parametrize("command", ["run", "once"])
def test_a_state_folder_in_use(syncd, config, tmp_path, command):
    path = config("http://127.0.0.1:1")
    with StateLock(tmp_path / "state"):
        ended = syncd(command, "-c", path)
    assert ended.code == 75
    assert ended.err.startswith(f"syncd: another syncd (pid {os.getpid()}) uses {tmp_path}/state: ")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("command", ["run", "once"])
def test_a_configuration_that_can_not_be_used(syncd, config, command):
    path = config("nonsense")
    ended = syncd(command, "-c", path)
    assert ended.code == 78
    assert [line.split(" ")[1] for line in ended.err.splitlines()] == [f"{path}:4:", f"{path}:5:"]


@pytest.mark.parametrize("command", ["run", "once"])
def test_a_job_store_that_can_not_be_used(syncd, config, tmp_path, command):
    path = config("http://127.0.0.1:1")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "syncd.db").write_bytes(b"precious " * 1000)
    ended = syncd(command, "-c", path)
    assert ended.code == 65
    assert "syncd.db" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.e2e
def test_run_answers_until_it_is_ended(process, config, receiver, tmp_path):
    started = process("run", "-c", config(receiver))
    status = wait_for(lambda: status_of(tmp_path))
    assert status["pid"] == started.pid
    started.send_signal(signal.SIGTERM)
    assert started.wait(30) == 0
    assert status_of(tmp_path) is None


_ENDED_IN_A_CALLBACK = """
import os, signal, sys, time
from syncd.cli import run, session

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000): pass  # an exception of the handler would be raised, and lost, here

def load_config(path):
    Finalized()
    time.sleep(60)

session.load_config = load_config
run.command([])
"""


@pytest.mark.e2e
def test_a_signal_that_meets_a_callback_of_the_interpreter_ends_the_start_too():
    ended = subprocess.run(
        [sys.executable, "-c", _ENDED_IN_A_CALLBACK], capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.e2e
def test_run_does_not_take_the_socket_of_another(process, syncd, config, receiver, tmp_path):
    path = config(receiver, extra="control: {socket: shared.sock, dashboard: off}")
    process("run", "-c", path)
    wait_for((tmp_path / "shared.sock").exists)
    other = tmp_path / "other.yaml"
    other.write_text(path.read_text().replace("state_dir: state", "state_dir: other"))
    ended = syncd("run", "-c", other)
    assert ended.code == 75
    assert "another daemon answers" in ended.err


@pytest.mark.e2e
def test_serve_says_where_and_ends_cleanly(process, tmp_path):
    started = process("serve", "--dir", tmp_path / "r", "--port", "0")
    url, words = started.stdout.readline().rstrip().split(" ", 1)
    assert words == f"stores in {tmp_path}/r"
    with pytest.raises(urllib.error.HTTPError, match="404") as missing:
        urllib.request.urlopen(f"{url}/image/{'0' * 64}")
    missing.value.close()
    started.send_signal(signal.SIGINT)
    assert started.wait(30) == 0


@pytest.mark.e2e
def test_serve_asks_for_the_token_of_a_file(process, tmp_path):
    (tmp_path / "token").write_text("t0ken\n")
    started = process("serve", "--dir", tmp_path / "r", "--port", "0", "--token-file", tmp_path / "token")
    url = started.stdout.readline().split()[0]
    for token, status in (("wrong", "401"), ("t0ken", "404")):
        request = urllib.request.Request(f"{url}/image/{'0' * 64}", headers={"Authorization": f"Bearer {token}"})
        with pytest.raises(urllib.error.HTTPError, match=status) as answer:
            urllib.request.urlopen(request)
        answer.value.close()


@pytest.mark.e2e
def test_serve_goes_by_the_names_that_it_is_given(process, tmp_path):
    started = process("serve", "--dir", tmp_path / "r", "--port", "0", "--allow-host", "nas", "--allow-host", "::7")
    url = started.stdout.readline().split()[0]
    for host, status in (("nas", 404), ("[::7]:80", 404), ("localhost", 404), ("evil.test", 403)):
        request = urllib.request.Request(f"{url}/image/{'0' * 64}", headers={"Host": host})
        with pytest.raises(urllib.error.HTTPError) as answer:
            urllib.request.urlopen(request)
        assert answer.value.status == status
        answer.value.close()


def register(url, size):
    body = json.dumps({"sha256": f"{size:064x}", "size": size, "chunk_size": size}).encode()
    request = urllib.request.Request(f"{url}/image", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)["message"]


@pytest.mark.e2e
def test_serve_keeps_to_its_quota_and_leaves_its_reserve(process, tmp_path):
    for _ in range(2):  # what is there counts after a restart too
        started = process("serve", "--dir", tmp_path / "r", "--port", "0", "--quota", "2KiB", "--reserve", "0")
        url = started.stdout.readline().split()[0]
        assert register(url, 2000)[0] in (201, 409)
        status, message = register(url, 100)
        assert (status, "quota of 2048 bytes (--quota)" in message) == (507, True)
        started.terminate()
        started.wait(30)
    started = process("serve", "--dir", tmp_path / "r", "--port", "0", "--reserve", "1000TiB")
    status, message = register(started.stdout.readline().split()[0], 100)
    assert (status, "bytes of disk space (--reserve)" in message) == (507, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--quota", "much"], "write a size such as"),
        (["--quota", "0"], "leave it out"),
        (["--reserve", "5%"], "write a size such as"),
    ],
)
def test_serve_says_how_a_size_is_written(syncd, tmp_path, arguments, words):
    ended = syncd("serve", "--dir", tmp_path / "r", *arguments)
    assert (ended.code, words in ended.err) == (2, True)


@pytest.mark.parametrize("name", ["http://nas", "nas:4444", "", "a b", "[::1]:80"])
def test_a_name_to_go_by_is_a_name_alone(syncd, tmp_path, name):
    ended = syncd("serve", "--dir", tmp_path / "r", "--allow-host", name)
    assert (ended.code, "without http:// and port" in ended.err) == (2, True)


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--token", "t0ken"], "the process list shows --token"), (["--host", "0.0.0.0"], "anyone who can reach")],
)
def test_serve_warns(process, tmp_path, arguments, words):
    started = process("serve", "--dir", tmp_path / "r", "--port", "0", *arguments)
    started.stdout.readline()
    started.terminate()
    warning = started.communicate(timeout=30)[1].splitlines()[0]
    assert words in warning
    assert "t0ken" not in warning


@pytest.mark.e2e
def test_serve_says_why_it_can_not(syncd, process, receiver, tmp_path):
    port = receiver.rpartition(":")[2]
    ended = syncd("serve", "--dir", tmp_path / "other", "--port", port)
    assert (ended.code, "the address is in use" in ended.err) == (69, True)
    ended = syncd("serve", "--dir", tmp_path / "received", "--port", "0")
    assert ended.code == 75
    assert "another --dir" in ended.err
    ended = syncd("serve", "--token-file", tmp_path / "none")
    assert (ended.code, "No such file" in ended.err) == (78, True)
