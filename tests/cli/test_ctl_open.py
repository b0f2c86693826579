"""``syncd ctl open``: the ticket reaches the browser, and nobody else."""

import os
import stat
import subprocess
import sys
import time

import pytest

from syncd.cli.errors import ExitCode

ADDRESS = "http://127.0.0.1:8765/login?ticket=t1cket"


@pytest.fixture
def browser(tmp_path, monkeypatch):
    """A browser that notes what it was called with, and what it found there."""
    program = tmp_path / "browser"
    program.write_text(
        f'#!/bin/sh\necho "$0" "$@" > {tmp_path}/called.new\nmv {tmp_path}/called.new {tmp_path}/called\n'
    )
    program.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"{program} %s")
    return tmp_path / "called"


@pytest.mark.e2e
def test_the_browser_gets_the_ticket_from_a_file_that_is_ours_alone(ctl, browser, tmp_path):
    ended = ctl("open")
    assert ended.code == ExitCode.OK, ended
    deadline = time.monotonic() + 20
    while not browser.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    page = tmp_path / "open.html"
    assert f"file://{page}" in browser.read_text()
    assert "t1cket" not in browser.read_text() + ended.out + ended.err
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert f'content="0; url={ADDRESS}"' in page.read_text()


@pytest.mark.e2e
def test_the_page_of_the_last_time_is_replaced(ctl, browser, tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "open.html").symlink_to(tmp_path / "victim")
    assert ctl("open").code == ExitCode.OK
    assert (tmp_path / "victim").read_text() == "precious"
    assert [name for name in os.listdir(tmp_path) if "open.html" in name] == ["open.html"]


@pytest.mark.e2e
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_the_page_is_not_left_with_another_user(ctl, browser, tmp_path, monkeypatch):
    """As for a member of the group that may use the socket of the machine's daemon."""
    (tmp_path / "runtime").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    os.chown(tmp_path, 65_534, 65_534)
    assert ctl("open").code == ExitCode.OK
    assert not (tmp_path / "open.html").exists()
    page = tmp_path / "runtime" / "syncd" / "open.html"
    assert ADDRESS in page.read_text()
    assert stat.S_IMODE(page.parent.stat().st_mode) == 0o700


def test_the_address_alone(ctl, tmp_path):
    ended = ctl("open", "--print")
    assert (ended.code, ended.out) == (ExitCode.OK, f"{ADDRESS}\n")
    assert "once" in ended.err
    assert not (tmp_path / "open.html").exists()


@pytest.mark.e2e
def test_no_browser(daemon, tmp_path):
    """In a process of its own: Python looks for browsers once."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    ended = subprocess.run(
        [sys.executable, "-m", "syncd", "ctl", "--socket", daemon.socket, "open"],
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "PATH": str(tmp_path), "BROWSER": str(tmp_path / "none")},
    )
    assert ended.returncode == ExitCode.UNAVAILABLE
    assert ended.stderr.count("\n") == 1
    assert "syncd ctl open --print" in ended.stderr
    assert not (tmp_path / "open.html").exists()


@pytest.mark.parametrize("option", [(), ("--print",)])
def test_no_dashboard(ctl, daemon, option):
    daemon.dashboard_trouble = "the dashboard is off: set control.dashboard"
    ended = ctl("open", *option)
    assert (ended.code, ended.out) == (ExitCode.FAILED, "")
    assert ended.err == "syncd: the dashboard is off: set control.dashboard\n"


def test_no_daemon(syncd, tmp_path):
    assert syncd("ctl", "--socket", tmp_path / "none.sock", "open").code == ExitCode.NOT_RUNNING


def test_status_says_where_it_is(ctl):
    assert "Dashboard at http://127.0.0.1:8765: syncd ctl open" in ctl("status").out
