"""The service: put in place by wine's service manager, and run without it: under it pywin32 does not get that far."""

import os
import subprocess
import sys
import threading

import pytest

if sys.platform != "win32":
    pytest.skip("needs Windows: make test-windows", allow_module_level=True)

import win32service
from win32serviceutil import ServiceFramework

from syncd.cli.service_windows import Service
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
def test_installed_and_removed():
    dry = service("install", "--dry-run")
    assert "service syncd: would be installed" in dry.stdout, dry.stderr
    assert windows_service.show() is None

    made = service("install")
    assert made.returncode == 0, made.stderr
    assert "service syncd: installed" in made.stdout
    again = service("install")
    assert "service syncd: nothing to do" in again.stdout
    told = service("status")
    assert (told.returncode, told.stdout[:22]) == (3, "service syncd: stopped")

    gone = service("uninstall")
    assert gone.returncode == 0, gone.stderr
    assert windows_service.show() is None
    assert os.path.exists(paths.SYSTEM_CONFIG)
    assert service("uninstall", "--purge").returncode == 0
    assert not os.path.exists(paths.SYSTEM_CONFIG.parent)


@pytest.mark.usefixtures("nothing_there")
def test_the_service_runs_the_daemon_until_it_is_told_to_stop(monkeypatch):
    """As pywin32 calls it, in a thread beside the main one; without the service manager."""
    reported = []
    monkeypatch.setattr(ServiceFramework, "__init__", lambda *_: None)
    monkeypatch.setattr(Service, "ReportServiceStatus", lambda _, status, **__: reported.append(status))
    assert service("install").returncode == 0
    made = Service(["syncd"])
    thread = threading.Thread(target=made.SvcDoRun)
    thread.start()
    log = paths.SYSTEM_CONFIG.parent / "syncd.log"
    until(lambda: log.exists() and "daemon.started" in log.read_text(), "the daemon works", 60)
    made.SvcStop()
    thread.join(60)
    assert not thread.is_alive()
    assert "daemon.ended" in log.read_text()
    assert reported == [win32service.SERVICE_STOP_PENDING]
