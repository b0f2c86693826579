"""``syncd ctl open``: only the browser gets the login ticket."""

import os
import stat
import subprocess

import pytest

from syncd.cli.errors import ExitCode
from tests.support.processes import command_line
from tests.support.wait import wait_until_sync

ADDRESS = "http://127.0.0.1:8765/login?ticket=t1cket"


@pytest.fixture
def browser(tmp_path, monkeypatch):
    """A browser that writes its command line to a file; return the file."""
    program = tmp_path / "browser"
    program.write_text(
        f'#!/bin/sh\necho "$0" "$@" > {tmp_path}/called.new\nmv {tmp_path}/called.new {tmp_path}/called\n'
    )
    program.chmod(0o700)
    monkeypatch.setenv("BROWSER", f"{program} %s")
    return tmp_path / "called"


@pytest.mark.e2e
def test_open_passes_ticket_in_private_file(ctl, browser, tmp_path):
    result = ctl("open")
    assert result.code == ExitCode.OK, result
    wait_until_sync(browser.exists, "the browser is called")
    page = tmp_path / "open.html"
    assert f"file://{page}" in browser.read_text()
    assert "t1cket" not in browser.read_text() + result.out + result.err
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert f'content="0; url={ADDRESS}"' in page.read_text()


@pytest.mark.e2e
def test_open_replaces_earlier_page(ctl, browser, tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "open.html").symlink_to(tmp_path / "victim")
    assert ctl("open").code == ExitCode.OK
    assert (tmp_path / "victim").read_text() == "precious"
    assert [name for name in os.listdir(tmp_path) if "open.html" in name] == ["open.html"]


@pytest.mark.e2e
@pytest.mark.skipif(os.geteuid() != 0, reason="requires root, to change the owner of a folder")
def test_open_foreign_socket_folder_uses_runtime_folder(ctl, browser, tmp_path, monkeypatch):
    """A member of the socket's group does not own the socket's folder."""
    (tmp_path / "runtime").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    os.chown(tmp_path, 65_534, 65_534)
    assert ctl("open").code == ExitCode.OK
    assert not (tmp_path / "open.html").exists()
    page = tmp_path / "runtime" / "syncd" / "open.html"
    assert ADDRESS in page.read_text()
    assert stat.S_IMODE(page.parent.stat().st_mode) == 0o700


def test_open_print_prints_address(ctl, tmp_path):
    result = ctl("open", "--print")
    assert (result.code, result.out) == (ExitCode.OK, f"{ADDRESS}\n")
    assert "once" in result.err
    assert not (tmp_path / "open.html").exists()


@pytest.mark.e2e
def test_open_without_browser_is_unavailable(daemon, tmp_path):
    """Runs in a separate process, because Python searches for browsers only once."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    result = subprocess.run(
        command_line("ctl", "--socket", daemon.socket, "open"),
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "PATH": str(tmp_path), "BROWSER": str(tmp_path / "none")},
    )
    assert result.returncode == ExitCode.UNAVAILABLE
    assert result.stderr.count("\n") == 1
    assert "syncd ctl open --print" in result.stderr
    assert not (tmp_path / "open.html").exists()


@pytest.mark.parametrize("option", [(), ("--print",)])
def test_open_without_dashboard_fails(ctl, daemon, option):
    daemon.dashboard_trouble = "the dashboard is off: set control.dashboard"
    result = ctl("open", *option)
    assert (result.code, result.out) == (ExitCode.FAILED, "")
    assert result.err == "syncd: the dashboard is off: set control.dashboard\n"


def test_open_without_daemon_is_not_running(syncd, tmp_path):
    assert syncd("ctl", "--socket", tmp_path / "none.sock", "open").code == ExitCode.NOT_RUNNING


def test_status_prints_dashboard_address(ctl):
    assert "Dashboard at http://127.0.0.1:8765: syncd ctl open" in ctl("status").out
