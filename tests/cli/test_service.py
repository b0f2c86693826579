"""What `syncd service` says, and where it refuses."""

import os
import sys

import pytest

from syncd.cli.service import command as cli
from syncd.platform import user
from syncd.platform.systemd import install

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def _no_systemd(monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "SYSTEMD", str(tmp_path / "nothing"))


@pytest.fixture
def _systemd(monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "SYSTEMD", str(tmp_path))


@pytest.mark.usefixtures("_no_systemd")
@pytest.mark.parametrize("words", [("install",), ("uninstall",), ("status",)])
def test_without_systemd(syncd, words):
    ended = syncd("service", *words, "--user")
    assert ended.code == 69
    assert "systemd is not running" in ended.err


@pytest.mark.usefixtures("_systemd")
def test_the_machines_service_is_roots(syncd, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    ended = syncd("service", "install", "--system")
    assert (ended.code, ended.out) == (77, "")
    assert "use sudo or --user" in ended.err


def test_a_dry_run_says_it_all_and_does_nothing(syncd, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(install, "run", lambda command: pytest.fail(str(command)) if "enable" in command else DONE_NOT)
    ended = syncd("service", "install", "--user", "--now", "--dry-run")
    assert ended.code == 0
    assert f"{tmp_path}/config/systemd/user/syncd.service: would be written\n" in ended.out
    assert "syncd.service: would be enabled\nsyncd.service: would be started\n" in ended.out
    assert not (tmp_path / "config").exists()


@pytest.mark.parametrize("lingers", [True, False])
def test_yours_says_how_it_outlasts_your_session(syncd, tmp_path, monkeypatch, lingers):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(install, "run", lambda _command: DONE_NOT)
    monkeypatch.setattr("syncd.platform.posix.user.LINGER", tmp_path)
    if lingers:
        (tmp_path / user.own_name()).touch()
    ended = syncd("service", "install", "--user", "--dry-run")
    assert ("loginctl enable-linger" in ended.out) is not lingers


@pytest.mark.usefixtures("_systemd")
def test_yours_is_not_started_without_a_configuration(syncd, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    ended = syncd("service", "install", "--user", "--now")
    assert (ended.code, "write it with: syncd init" in ended.err) == (78, True)


@pytest.mark.parametrize("prefix", ["/home/anna/.venv", "/root/venv", "/tmp/x"])
def test_a_program_that_the_service_would_not_see_is_refused(syncd, monkeypatch, prefix):
    monkeypatch.setattr(sys, "prefix", prefix)
    ended = syncd("service", "install", "--system", "--dry-run")
    assert ended.code == 69
    assert f"the machine's service cannot read {prefix}" in ended.err


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
    ("shown", "code", "said"),
    [
        (SHOWN.format("active", "running", "success"), 0, "active (running), pid 4711: watching 1 folder, idle\n"),
        (SHOWN.format("failed", "failed", "exit-code"), 3, "failed (failed), exit-code: see journalctl -u syncd"),
        (SHOWN.format("inactive", "dead", "success"), 3, "inactive (dead)\n"),
        ("LoadState=not-found\n", 3, "is not installed\n"),
    ],
)
def test_status(syncd, monkeypatch, shown, code, said):
    monkeypatch.setattr(install, "run", lambda command: install.subprocess.CompletedProcess(command, 0, shown, ""))
    ended = syncd("service", "status", "--user")
    assert (ended.code, said in ended.out) == (code, True)


DONE_NOT = install.subprocess.CompletedProcess([], 1, "", "")
