"""Fixtures of the command line tests: commands, a fake daemon, a receiver."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager

import pytest

from syncd.cli import main
from syncd.control.unix_server import ControlServer
from tests.control.fake import FakeDaemon
from tests.support.data import POOL
from tests.support.processes import CommandResult, command_line


@pytest.fixture
def syncd(monkeypatch, capsys):
    """Run a command in this process: syncd("ctl", "status") → code, out, err."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["syncd", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_info:
            main()
        streams = capsys.readouterr()
        return CommandResult(exit_info.value.code, streams.out, streams.err)

    return run


@pytest.fixture
def process():
    """Start a command as a process, which the end of the test kills."""
    with ExitStack() as stack:

        def start(*arguments, **options):
            options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
            started = stack.enter_context(subprocess.Popen(command_line(*arguments), **options))
            stack.callback(started.kill)
            return started

        yield start


@pytest.fixture(autouse=True)
def isolated_environment(monkeypatch, tmp_path):
    """Hide the environment and the home folder of the user who runs the tests."""
    for name in ("SYNCD_CONFIG", "SYNCD_DEBUG", "SYNCD_SERVE_TOKEN", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / "config"))
    monkeypatch.setenv("COLUMNS", "80")


@contextmanager
def control_server(daemon, path):
    """Serve the control API of ``daemon`` at a socket, from a separate thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = ControlServer(daemon, path)

    def call(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result(10)

    try:
        call(server.start())
        yield
    finally:
        call(server.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def daemon(tmp_path):
    fake = FakeDaemon()
    fake.socket = os.fspath(tmp_path / "control.sock")
    with control_server(fake, fake.socket):
        yield fake


@pytest.fixture
def ctl(syncd, daemon):
    """Run a ctl command against the fake daemon."""
    return lambda *arguments: syncd("ctl", "--socket", daemon.socket, *arguments)


@pytest.fixture
def receiver(process, tmp_path):
    """The URL of a real ``syncd serve``."""
    started = process("serve", "--dir", tmp_path / "received", "--port", "0")
    return started.stdout.readline().split()[0]


@pytest.fixture
def config(tmp_path):
    """Write a configuration for one folder, ``inbox``, to both services at an address."""

    def write(url, *, extra=""):
        (tmp_path / "inbox").mkdir(exist_ok=True)
        path = tmp_path / "config.yaml"
        path.write_text(
            f"""
folders: [{{path: inbox, remote: [drive, ascii]}}]
remotes:
  drive: {{type: multipart, url: "{url}", pool_id: {POOL}}}
  ascii: {{type: image, url: "{url}"}}
state_dir: state
{"" if "control:" in extra else "control: {dashboard: off}"}
scheduler: {{retry: {{initial: 10ms, max: 20ms}}}}
{"" if "logging:" in extra else "logging: {each_file: true}"}
{extra}
"""
        )
        return path

    return write


LOCK_SCRIPT = """
import sys
from syncd.platform.lock import StateLock
with StateLock(sys.argv[1]):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def lock_holder(tmp_path):
    """A process without a control socket that locks the folder ``state``."""
    command = [sys.executable, "-c", LOCK_SCRIPT, tmp_path / "state"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


@pytest.fixture
def closed_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]  # bound, but not listening
