"""``syncd run``, ``once`` and ``serve``: output, exit codes and signals."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from syncd.control.client import ControlClient, ControlError
from syncd.platform.lock import StateLock
from tests.support.processes import command_line
from tests.support.wait import wait_until_sync


def daemon_status(tmp_path):
    try:
        return ControlClient(tmp_path / "state" / "control.sock").status()
    except ControlError:
        return None


@pytest.mark.e2e
def test_once_uploads_and_prints_summary(syncd, config, receiver, tmp_path):
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


def test_once_unreachable_server_reports_files(syncd, config, tmp_path):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        path = config(f"http://127.0.0.1:{bound.getsockname()[1]}")
        (tmp_path / "inbox" / "a.jpg").write_bytes(b"\xff\xd8 one")
        result = syncd("once", "-c", path)
    assert result.code == 1
    assert "2 left for the next run" in result.out
    assert "remote drive is unreachable; find the cause with: syncd check" in result.out
    assert f"{tmp_path}/inbox/a.jpg to drive" in result.out


@pytest.mark.e2e
def test_once_on_terminal_shows_bars(config, receiver, tmp_path):
    path = config(receiver)
    (tmp_path / "inbox" / "a.jpg").write_bytes(b"\xff\xd8 one")
    ours, theirs = pty.openpty()
    command = command_line("once", "-c", path)
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, check=True)
    shown = os.read(ours, 65_536)
    os.close(ours)
    os.close(theirs)
    assert b"2 done, 0 to go" in shown
    assert b"job.done" not in shown
    assert result.stdout.startswith(b"2 uploaded")


@pytest.mark.parametrize("command", ["run", "once"])
def test_state_folder_in_use_is_busy(syncd, config, tmp_path, command):
    path = config("http://127.0.0.1:1")
    with StateLock(tmp_path / "state"):
        result = syncd(command, "-c", path)
    assert result.code == 75
    assert result.err.startswith(f"syncd: another syncd (pid {os.getpid()}) uses {tmp_path}/state: ")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("command", ["run", "once"])
def test_invalid_config_prints_every_problem(syncd, config, command):
    path = config("nonsense")
    result = syncd(command, "-c", path)
    assert result.code == 78
    assert [line.split(" ")[1] for line in result.err.splitlines()] == [f"{path}:4:", f"{path}:5:"]


@pytest.mark.parametrize("command", ["run", "once"])
def test_corrupt_job_store_is_data_error(syncd, config, tmp_path, command):
    path = config("http://127.0.0.1:1")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "syncd.db").write_bytes(b"precious " * 1000)
    result = syncd(command, "-c", path)
    assert result.code == 65
    assert "syncd.db" in result.err
    assert "Traceback" not in result.err


@pytest.mark.e2e
def test_run_answers_until_sigterm(process, config, receiver, tmp_path):
    started = process("run", "-c", config(receiver))
    status = wait_until_sync(lambda: daemon_status(tmp_path), "the daemon answers")
    assert status["pid"] == started.pid
    started.send_signal(signal.SIGTERM)
    assert started.wait(30) == 0
    assert daemon_status(tmp_path) is None


SIGTERM_IN_FINALIZER_SCRIPT = """
import os, signal, sys, time
from syncd.cli import run, state_folder

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000): pass  # an exception of the signal handler would be raised and ignored here

def load_config(path):
    Finalized()
    time.sleep(60)

state_folder.load_config = load_config
run.command([])
"""


@pytest.mark.e2e
def test_run_sigterm_in_finalizer_ends_start():
    result = subprocess.run(
        [sys.executable, "-c", SIGTERM_IN_FINALIZER_SCRIPT], capture_output=True, text=True, timeout=30, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.e2e
def test_run_socket_in_use_is_busy(process, syncd, config, receiver, tmp_path):
    path = config(receiver, extra="control: {socket: shared.sock, dashboard: off}")
    process("run", "-c", path)
    wait_until_sync((tmp_path / "shared.sock").exists, "the socket exists")
    other = tmp_path / "other.yaml"
    other.write_text(path.read_text().replace("state_dir: state", "state_dir: other"))
    result = syncd("run", "-c", other)
    assert result.code == 75
    assert "another daemon answers" in result.err


@pytest.mark.e2e
def test_serve_prints_address_and_ends_cleanly(process, tmp_path):
    started = process("serve", "--dir", tmp_path / "r", "--port", "0")
    url, text = started.stdout.readline().rstrip().split(" ", 1)
    assert text == f"stores in {tmp_path}/r"
    with pytest.raises(urllib.error.HTTPError, match="404") as missing:
        urllib.request.urlopen(f"{url}/image/{'0' * 64}")
    missing.value.close()
    started.send_signal(signal.SIGINT)
    assert started.wait(30) == 0


@pytest.mark.e2e
def test_serve_token_file_requires_token(process, tmp_path):
    (tmp_path / "token").write_text("t0ken\n")
    started = process("serve", "--dir", tmp_path / "r", "--port", "0", "--token-file", tmp_path / "token")
    url = started.stdout.readline().split()[0]
    for token, status in (("wrong", "401"), ("t0ken", "404")):
        request = urllib.request.Request(f"{url}/image/{'0' * 64}", headers={"Authorization": f"Bearer {token}"})
        with pytest.raises(urllib.error.HTTPError, match=status) as answer:
            urllib.request.urlopen(request)
        answer.value.close()


@pytest.mark.e2e
def test_serve_allow_host_accepts_only_given_names(process, tmp_path):
    started = process("serve", "--dir", tmp_path / "r", "--port", "0", "--allow-host", "nas", "--allow-host", "::7")
    url = started.stdout.readline().split()[0]
    for host, status in (("nas", 404), ("[::7]:80", 404), ("localhost", 404), ("evil.test", 403)):
        request = urllib.request.Request(f"{url}/image/{'0' * 64}", headers={"Host": host})
        with pytest.raises(urllib.error.HTTPError) as answer:
            urllib.request.urlopen(request)
        assert answer.value.status == status
        answer.value.close()


def register_image(url, size):
    body = json.dumps({"sha256": f"{size:064x}", "size": size, "chunk_size": size}).encode()
    request = urllib.request.Request(f"{url}/image", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)["message"]


@pytest.mark.e2e
def test_serve_enforces_quota_and_reserve(process, tmp_path):
    for _ in range(2):  # files stored before a restart count too
        started = process("serve", "--dir", tmp_path / "r", "--port", "0", "--quota", "2KiB", "--reserve", "0")
        url = started.stdout.readline().split()[0]
        assert register_image(url, 2000)[0] in (201, 409)
        status, message = register_image(url, 100)
        assert (status, "quota of 2048 bytes (--quota)" in message) == (507, True)
        started.terminate()
        started.wait(30)
    started = process("serve", "--dir", tmp_path / "r", "--port", "0", "--reserve", "1000TiB")
    status, message = register_image(started.stdout.readline().split()[0], 100)
    assert (status, "bytes of disk space (--reserve)" in message) == (507, True)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--quota", "much"], "write a size such as"),
        (["--quota", "0"], "omit --quota for no limit"),
        (["--reserve", "5%"], "write a size such as"),
    ],
)
def test_serve_invalid_size_is_usage_error(syncd, tmp_path, arguments, expected):
    result = syncd("serve", "--dir", tmp_path / "r", *arguments)
    assert (result.code, expected in result.err) == (2, True)


@pytest.mark.parametrize("name", ["http://nas", "nas:4444", "", "a b", "[::1]:80"])
def test_serve_invalid_allow_host_is_usage_error(syncd, tmp_path, name):
    result = syncd("serve", "--dir", tmp_path / "r", "--allow-host", name)
    assert (result.code, "without http:// and port" in result.err) == (2, True)


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["--token", "t0ken"], "the process list shows --token"), (["--host", "0.0.0.0"], "anyone who can reach")],
)
def test_serve_insecure_option_warns(process, tmp_path, arguments, expected):
    started = process("serve", "--dir", tmp_path / "r", "--port", "0", *arguments)
    started.stdout.readline()
    started.terminate()
    warning = started.communicate(timeout=30)[1].splitlines()[0]
    assert expected in warning
    assert "t0ken" not in warning


@pytest.mark.e2e
def test_serve_unusable_option_names_reason(syncd, process, receiver, tmp_path):
    port = receiver.rpartition(":")[2]
    result = syncd("serve", "--dir", tmp_path / "other", "--port", port)
    assert (result.code, "the address is in use" in result.err) == (69, True)
    result = syncd("serve", "--dir", tmp_path / "received", "--port", "0")
    assert result.code == 75
    assert "another --dir" in result.err
    result = syncd("serve", "--token-file", tmp_path / "none")
    assert (result.code, "No such file or directory; give a readable file" in result.err) == (78, True)
