"""The service, as far as wine's service manager goes: it has no accounts of services, and starts nothing again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform != "win32":
    pytest.skip("needs Windows: make test-windows", allow_module_level=True)

from syncd.config import paths
from syncd.host import windows_service
from tests.e2e.processes import until


def service(*words):
    return subprocess.run(
        [sys.executable, "-m", "syncd", "service", *words],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def nothing_there():
    yield
    service("uninstall", "--purge")


def test_the_account_has_the_number_that_windows_gives_it():
    """As `sc showsid` shows it: that of TrustedInstaller is the same on every Windows."""
    known = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
    assert windows_service.account("TrustedInstaller") == known


@pytest.mark.usefixtures("nothing_there")
def test_installed_started_stopped_and_removed():
    dry = service("install", "--dry-run")
    assert "service syncd: would be installed" in dry.stdout, dry.stderr
    assert windows_service.show() is None

    made = service("install")
    assert made.returncode == 0, made.stderr
    assert "service syncd: installed" in made.stdout
    assert paths.SYSTEM_CONFIG.exists()
    again = service("install")
    assert "service syncd: nothing to do" in again.stdout
    assert service("status").returncode == 3

    started = service("install", "--now")
    assert started.returncode == 0, started.stderr
    until(lambda: windows_service.show().state == "running", windows_service.show, 60)
    log = Path(paths.SYSTEM_CONFIG.parent / "syncd.log")
    until(lambda: log.exists() and "daemon.started" in log.read_text(), "the daemon works", 60)
    told = service("status")
    assert (told.returncode, told.stdout[:23]) == (0, "service syncd: running,")
    ctl = subprocess.run(
        [sys.executable, "-m", "syncd", "ctl", "-c", str(paths.SYSTEM_CONFIG), "status"],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert ctl.returncode == 0, ctl.stderr

    gone = service("uninstall")
    assert gone.returncode == 0, gone.stderr
    assert "service syncd: stopped" in gone.stdout
    assert windows_service.show() is None
    assert "daemon.ended" in log.read_text()
    assert os.path.exists(paths.SYSTEM_CONFIG)
    assert service("uninstall", "--purge").returncode == 0
    assert not os.path.exists(paths.SYSTEM_CONFIG.parent)
