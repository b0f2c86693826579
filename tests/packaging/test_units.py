"""The units of the system service: granted capabilities, and a strict sandbox."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import command_line

UNITS = Path(__file__).parents[2] / "packaging" / "systemd"
SYSTEM = ["syncd.service", "syncd@.service"]
RECEIVER = "syncd-receiver.service"


@pytest.mark.parametrize("name", SYSTEM)
def test_unit_grants_cap_lease_only(name):
    lines = (UNITS / name).read_text().splitlines()
    assert "CapabilityBoundingSet=CAP_LEASE" in lines
    assert "AmbientCapabilities=CAP_LEASE" in lines
    assert "PrivateUsers=no" in lines  # the kernel checks the capability in the initial user namespace


def test_receiver_unit_has_own_user_and_no_capability():
    settings = dict(line.split("=", 1) for line in (UNITS / RECEIVER).read_text().splitlines() if "=" in line)
    assert (settings["User"], settings["CapabilityBoundingSet"]) == ("syncd-receiver", "")
    assert f"u {settings['User']} " in (UNITS / "sysusers.conf").read_text()
    state = f"/var/lib/{settings['StateDirectory']}"
    assert f"d {state} 0700 {settings['User']} {settings['Group']} -" in (UNITS / "tmpfiles.conf").read_text()
    assert not state.startswith("/var/lib/syncd-")  # the state folder of an instance, which a purge deletes


def test_receiver_unit_has_sandbox_of_daemon():
    """Each restriction of the daemon's unit also applies to the receiver."""
    daemon, receiver = ((UNITS / name).read_text().splitlines() for name in ("syncd.service", RECEIVER))
    own = (
        "Ambient",
        "CapabilityBoundingSet",
        "OOMPolicy",
        "PrivateUsers",
        "ReadWritePaths",
        "SystemCallFilter=prlimit64",
    )
    start = daemon.index("NoNewPrivileges=yes") - 20
    sandbox = [line for line in daemon[start:] if "=" in line and line[0].isalpha() and not line.startswith(own)]
    assert "ProtectSystem=strict" in sandbox
    assert set(sandbox) - set(receiver) == set()


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_receiver_unit_starts_valid_command(tmp_path):
    """``syncd serve --check`` accepts the command of the unit with its options."""
    unit = tmp_path / RECEIVER
    unit.write_text((UNITS / RECEIVER).read_text().replace("/usr/bin/syncd", shutil.which("true") or ""))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    settings = dict(line.split("=", 1) for line in (UNITS / RECEIVER).read_text().splitlines() if "=" in line)
    options = settings["Environment"].strip('"').removeprefix("OPTIONS=")
    (tmp_path / "token").write_text("secret")
    words = settings["ExecStart"].replace("%S", str(tmp_path)).replace("%d", str(tmp_path)).replace("$OPTIONS", options)
    command = command_line(*words.split()[1:], "--check", "--port", "0")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "token: is required" in done.stdout) == (0, True), done.stderr


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("name", [*SYSTEM, RECEIVER])
def test_systemd_analyze_rates_exposure_ok(name):
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(UNITS / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Overall exposure level" not in done.stdout:
        pytest.skip("this systemd-analyze can't look at a file")
    assert float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)[1]) < 2.0


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_example_of_failure_unit_is_valid(tmp_path):
    unit = tmp_path / "syncd-failed@syncd.service"
    shutil.copy(UNITS / "syncd-failed@.service.example", unit)
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "syncd-failed" not in done.stderr
