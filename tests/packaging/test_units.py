"""The units of the system service: granted capabilities, and a strict sandbox."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "packaging" / "systemd"
SYSTEM = ["syncd.service", "syncd@.service"]


@pytest.mark.parametrize("name", SYSTEM)
def test_unit_grants_cap_lease_only(name):
    lines = (UNITS / name).read_text().splitlines()
    assert "CapabilityBoundingSet=CAP_LEASE" in lines
    assert "AmbientCapabilities=CAP_LEASE" in lines
    assert "PrivateUsers=no" in lines  # the kernel checks the capability in the initial user namespace


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("name", SYSTEM)
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
