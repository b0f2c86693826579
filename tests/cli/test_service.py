"""``syncd service``: its output and the conditions under which it fails."""

import os
import sys

import pytest

from syncd.cli.service import command as cli
from syncd.platform import user
from syncd.platform.systemd import install


@pytest.fixture
def _no_systemd(monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "SYSTEMD", str(tmp_path / "nothing"))


@pytest.fixture
def _systemd(monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "SYSTEMD", str(tmp_path))


@pytest.mark.usefixtures("_no_systemd")
@pytest.mark.parametrize("arguments", [("install",), ("uninstall",), ("status",)])
def test_service_without_systemd_is_unavailable(syncd, arguments):
    result = syncd("service", *arguments, "--user")
    assert result.code == 69
    assert "systemd is not running" in result.err


@pytest.mark.usefixtures("_systemd")
def test_install_system_requires_root(syncd, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    result = syncd("service", "install", "--system")
    assert (result.code, result.out) == (77, "")
    assert "use sudo or --user" in result.err


def test_install_dry_run_prints_steps_only(syncd, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(
        install, "run", lambda command: pytest.fail(str(command)) if "enable" in command else FAILED_PROCESS
    )
    result = syncd("service", "install", "--user", "--now", "--dry-run")
    assert result.code == 0
    assert f"{tmp_path}/config/systemd/user/syncd.service: would be written\n" in result.out
    assert "syncd.service: would be enabled\nsyncd.service: would be started\n" in result.out
    assert not (tmp_path / "config").exists()


@pytest.mark.parametrize("lingers", [True, False])
def test_install_user_advises_linger_if_needed(syncd, tmp_path, monkeypatch, lingers):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(install, "run", lambda _command: FAILED_PROCESS)
    monkeypatch.setattr("syncd.platform.posix.user.LINGER", tmp_path)
    if lingers:
        (tmp_path / user.own_name()).touch()
    result = syncd("service", "install", "--user", "--dry-run")
    assert ("loginctl enable-linger" in result.out) is not lingers


@pytest.mark.usefixtures("_systemd")
def test_install_now_without_config_is_refused(syncd, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    result = syncd("service", "install", "--user", "--now")
    assert (result.code, "write it with: syncd init" in result.err) == (78, True)


@pytest.mark.parametrize("prefix", ["/home/anna/.venv", "/root/venv", "/tmp/x"])
def test_install_hidden_program_is_refused(syncd, monkeypatch, prefix):
    monkeypatch.setattr(sys, "prefix", prefix)
    result = syncd("service", "install", "--system", "--dry-run")
    assert result.code == 69
    assert f"the machine's service cannot read {prefix}" in result.err


SHOWN = """\
LoadState=loaded
FragmentPath=/etc/systemd/system/syncd.service
UnitFileState=enabled
ActiveState={}
SubState={}
MainPID=4711
StatusText=watching 1 folder, idle
Result={}
"""


@pytest.mark.usefixtures("_systemd")
@pytest.mark.parametrize(
    ("shown", "code", "expected"),
    [
        (SHOWN.format("active", "running", "success"), 0, "active (running), pid 4711: watching 1 folder, idle\n"),
        (SHOWN.format("failed", "failed", "exit-code"), 3, "failed (failed), exit-code: see journalctl -u syncd"),
        (SHOWN.format("inactive", "dead", "success"), 3, "inactive (dead)\n"),
        ("LoadState=not-found\n", 3, "is not installed\n"),
    ],
)
def test_status_prints_unit_state(syncd, monkeypatch, shown, code, expected):
    monkeypatch.setattr(install, "run", lambda command: install.subprocess.CompletedProcess(command, 0, shown, ""))
    result = syncd("service", "status", "--user")
    assert (result.code, expected in result.out) == (code, True)


FAILED_PROCESS = install.subprocess.CompletedProcess([], 1, "", "")
