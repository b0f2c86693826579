"""The control socket of a real daemon, and the commands' output without it."""

import os
import signal
import subprocess
import sys

import pytest

from tests.support.wait import wait_until_sync

pytestmark = pytest.mark.e2e


def command(daemon, *arguments):
    """Run a command; return its exit code and its output."""
    command_line = [sys.executable, "-m", "syncd", *arguments[:1], "-c", daemon.config, *arguments[1:]]
    ended = subprocess.run(command_line, capture_output=True, text=True, check=False, timeout=60)
    return ended.returncode, ended.stdout + ended.stderr


def test_control_socket_removed_is_restored(daemon):
    daemon.start()
    pid, path = daemon.child.pid, daemon.state / "control.sock"
    os.kill(pid, signal.SIGSTOP)  # so that the daemon does not recreate it before the commands run
    path.unlink()
    code, output = command(daemon, "ctl", "status")
    assert code == 69
    assert f"syncd runs (pid {pid}), but nothing listens at {path}" in output
    code, output = command(daemon, "check")
    assert f"syncd runs (pid {pid}), but nothing listens at {path}" in output
    assert "is not running" not in output
    code, output = command(daemon, "run")
    assert code == 75
    assert f"another syncd (pid {pid})" in output
    assert f"end process {pid}" in output

    os.kill(pid, signal.SIGCONT)
    wait_until_sync(lambda: command(daemon, "ctl", "status")[0] == 0, daemon.log.read_text)
    (event,) = daemon.events("control.socket_recreated")
    assert event["path"] == str(path)
    assert command(daemon, "ctl", "shutdown") == (0, "ended\n")
    assert daemon.child.wait(10) == 0
    assert command(daemon, "ctl", "status")[0] == 3
