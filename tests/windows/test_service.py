"""The service under the service manager: installation, start, stop, removal and failures.

wine has no event log, does not restart a failed service, and ends all services with the last other process. The tests
of shutdown and event log therefore run the service in this process, without the manager.
"""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

if sys.platform != "win32":
    pytest.skip("needs Windows: make test-windows", allow_module_level=True)

import servicemanager
import win32api
import win32con
import win32event
import win32evtlogutil
import win32service
from win32serviceutil import ServiceFramework

from syncd.cli.service import windows_dispatch
from syncd.config import discovery, paths
from syncd.control.client import ControlClient
from syncd.control.service import JobQuery
from syncd.platform.systemd.install import CommandFailedError
from syncd.platform.windows import install, scm
from tests.support.data import POOL
from tests.support.wait import wait_until_sync

FOLDER = Path(paths.SYSTEM_CONFIG).parent
LOG = FOLDER / "syncd.log"
CONFIG = """\
folders:
  - {{path: '{inbox}', remote: drive, settle: 200ms}}
remotes:
  drive: {{type: multipart, url: '{url}', pool_id: {pool}, token: {token}}}
scheduler: {{bandwidth: 64KiB/s}}
control: {{dashboard: "off"}}
logging: {{file: '{log}', each_file: true}}
"""
DEAD = "http://127.0.0.1:9"


def service(*words):
    return subprocess.run(
        [sys.executable, "-m", "syncd", "service", *words],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def configure(url=DEAD, token="secret"):
    """Write the service's configuration into its folder; return the inbox."""
    inbox = FOLDER / "inbox"
    inbox.mkdir(parents=True, exist_ok=True)
    paths.SYSTEM_CONFIG.write_text(CONFIG.format(inbox=inbox, url=url, pool=POOL, token=token, log=LOG))
    return inbox


def ctl(*words):
    command = [sys.executable, "-m", "syncd", "ctl", "-c", paths.SYSTEM_CONFIG, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout


def logged():
    return [json.loads(line)["event"] for line in LOG.read_text().splitlines()] if LOG.exists() else []


def control_client():
    return ControlClient(discovery.control_socket(paths.SYSTEM_CONFIG))


@pytest.fixture(autouse=True)
def _clean():
    yield
    for step in install.uninstall(purge=True):
        if step.due():
            step.act()


@pytest.fixture
def received(tmp_path):
    return tmp_path / "received"


@pytest.fixture
def receiver(received, tmp_path):
    with (tmp_path / "receiver").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "syncd", "serve", "--dir", received, "--port", "0", "--token", "secret"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    with process:
        yield process.stdout.readline().split()[0]
        process.kill()


@pytest.fixture
def handle():
    """Install the service and yield its handle."""
    scm.place()
    manager = win32service.OpenSCManager(None, None, win32service.SC_MANAGER_CONNECT)
    made = win32service.OpenService(manager, scm.NAME, win32service.SERVICE_ALL_ACCESS)
    yield made
    win32service.CloseServiceHandle(made)
    win32service.CloseServiceHandle(manager)


class PendingStates:
    """Records the checkpoints of the service while it is in a pending state."""

    def __init__(self, handle, pending):
        self.checkpoints, self.hints = [], set()

        def through():
            self.last = win32service.QueryServiceStatusEx(handle)
            if self.last["CurrentState"] == pending:
                self.checkpoints.append(self.last["CheckPoint"])
                self.hints.add(self.last["WaitHint"])
            return self.last["CurrentState"] != pending

        wait_until_sync(through, lambda: f"the service goes on: {self.last}", 60)


@pytest.fixture
def hosted(monkeypatch):
    """Create the service as pywin32 does, and record its reports to the SCM and event log."""
    reports = []

    def report(_, status, win32ExitCode=0, svcExitCode=0, **_rest):  # noqa: N803 - pywin32's names
        reports.append((status, win32ExitCode, svcExitCode))

    monkeypatch.setattr(ServiceFramework, "__init__", lambda *_: None)
    monkeypatch.setattr(ServiceFramework, "ReportServiceStatus", report)
    monkeypatch.setattr(servicemanager, "LogErrorMsg", lambda text: reports.append(("error", text)))
    monkeypatch.setattr(servicemanager, "LogWarningMsg", lambda text: reports.append(("warning", text)))
    monkeypatch.setattr(os, "_exit", lambda code: reports.append(("exit", code)))
    return windows_dispatch.Service(["syncd"]), reports


def test_account_sid_equals_that_of_windows():
    """The SID of TrustedInstaller is the same on every Windows, see `sc showsid`."""
    known = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
    assert install.account_sid("TrustedInstaller") == known


def test_install_and_uninstall_service():
    dry = service("install", "--dry-run")
    assert "service syncd: would be installed" in dry.stdout, dry.stderr
    assert scm.show() is None

    made = service("install")
    assert made.returncode == 0, made.stderr
    assert "service syncd: installed" in made.stdout
    again = service("install")
    assert again.stdout.count("nothing to do") == 4, again.stdout
    shown = service("status")
    assert (shown.returncode, shown.stdout) == (3, "service syncd: stopped\n")

    dry = service("uninstall", "--dry-run")
    assert "service syncd: would be removed" in dry.stdout
    gone = service("uninstall")
    assert gone.returncode == 0, gone.stderr
    assert scm.show() is None
    assert paths.SYSTEM_CONFIG.exists()
    assert service("uninstall", "--purge").returncode == 0
    assert not FOLDER.exists()


def test_install_updates_existing_service(handle):
    keep = win32service.SERVICE_NO_CHANGE
    old = r'"C:\Python310\python.exe" -m syncd service dispatch'
    manual = win32service.SERVICE_DEMAND_START
    win32service.ChangeServiceConfig(handle, keep, manual, keep, old, None, False, None, None, None, None)
    win32service.ChangeServiceConfig2(handle, win32service.SERVICE_CONFIG_DESCRIPTION, "Uploads.")
    win32evtlogutil.AddSourceToRegistry("syncd", r"C:\Python310\servicemanager.pyd")

    ended = service("install")
    assert "service syncd: updated" in ended.stdout, ended.stderr
    assert "event log source syncd: registered" in ended.stdout
    _, start, _, program, _, _, _, account, _ = win32service.QueryServiceConfig(handle)
    assert (start, program) == (win32service.SERVICE_AUTO_START, scm.PROGRAM)
    assert account == r"NT SERVICE\syncd"
    about = win32service.QueryServiceConfig2(handle, win32service.SERVICE_CONFIG_DESCRIPTION)
    assert about.startswith("Uploads the images")
    assert service("install").stdout.count("nothing to do") == 4


@pytest.mark.usefixtures("handle")
def test_current_accepts_settings_as_windows_reports_them(monkeypatch):
    """Simulate the settings as Windows reports them, because wine knows few of them."""
    settings = dict(scm._SETTINGS)
    actions = win32service.SERVICE_CONFIG_FAILURE_ACTIONS
    settings[actions] = {**settings[actions], "RebootMsg": None, "Command": None}
    monkeypatch.setattr(win32service, "QueryServiceConfig2", lambda _, level: settings[level])
    assert scm.current()
    settings[actions] = {**settings[actions], "ResetPeriod": 1}
    assert not scm.current()


def test_install_refuses_folder_of_other_user(monkeypatch):
    FOLDER.mkdir()
    folder, *_ = install.install(now=False)
    assert not folder.due()
    monkeypatch.setattr(install, "_trusted_owners", lambda: {"S-1-5-18"})
    with pytest.raises(CommandFailedError, match=r"belongs to S-1-5-.*: move it away"):
        folder.due()


def test_service_uploads_until_stopped(receiver, received):
    assert service("install").returncode == 0
    inbox = configure(receiver)
    started = service("install", "--now")
    assert (started.returncode, started.stdout.splitlines()[-1]) == (0, "service syncd: started"), started.stderr
    shown = service("status")
    assert shown.returncode == 0
    assert shown.stdout.startswith("service syncd: running, pid "), shown.stdout

    (inbox / "one.jpg").write_bytes(b"one" * 1000)
    wait_until_sync(
        lambda: [job["state"] for job in control_client().jobs(JobQuery(limit=9))["jobs"]] == ["done"], logged, 60
    )
    assert [path.read_bytes() for path in received.rglob("data")] == [b"one" * 1000]
    assert "1 done" in ctl("status")

    gone = service("uninstall")
    assert "service syncd: stopped\nservice syncd: removed\n" in gone.stdout, gone.stderr
    assert logged()[-2:] == ["daemon.stopping", "daemon.ended"]
    assert not list(FOLDER.rglob("*-wal"))


def test_service_reports_start_and_stop_pending(handle, receiver):
    inbox = configure(receiver)
    (inbox / "large.jpg").write_bytes(bytes(range(256)) * 40_000)
    win32service.StartService(handle, None)
    starting = PendingStates(handle, win32service.SERVICE_START_PENDING)
    assert control_client().status()["state"] == "running"
    assert starting.last["CurrentState"] == win32service.SERVICE_RUNNING
    assert starting.checkpoints == sorted(starting.checkpoints)
    assert 1000 * windows_dispatch.START_TIMEOUT_SECONDS in starting.hints
    status = win32service.ControlService(handle, win32service.SERVICE_CONTROL_INTERROGATE)
    assert status[1:3] == (
        win32service.SERVICE_RUNNING,
        win32service.SERVICE_ACCEPT_STOP | win32service.SERVICE_ACCEPT_SHUTDOWN,
    )

    wait_until_sync(lambda: "job.uploading" in logged(), logged)
    win32service.ControlService(handle, win32service.SERVICE_CONTROL_STOP)
    stopping = PendingStates(handle, win32service.SERVICE_STOP_PENDING)
    assert stopping.hints == {1000 * windows_dispatch.STOP_TIMEOUT_SECONDS}
    assert stopping.last["CurrentState"] == win32service.SERVICE_STOPPED
    assert stopping.last["Win32ExitCode"] == 0
    assert logged()[-1] == "daemon.ended"


def test_service_after_ctl_shutdown_has_not_failed(handle):
    configure()
    scm.start()
    control_client().shutdown()
    assert PendingStates(handle, win32service.SERVICE_RUNNING).last["CurrentState"] == win32service.SERVICE_STOP_PENDING
    assert PendingStates(handle, win32service.SERVICE_STOP_PENDING).last["Win32ExitCode"] == 0
    wait_until_sync(lambda: str(scm.show()) == "stopped", scm.show)


def test_uninstall_purge_removes_running_service():
    configure()
    scm.place()
    scm.start()
    process = win32api.OpenProcess(win32con.SYNCHRONIZE, False, scm.show().pid)
    gone = service("uninstall", "--purge")
    assert win32event.WaitForSingleObject(process, 0) == win32event.WAIT_OBJECT_0
    assert "service syncd: stopped\nservice syncd: removed\n" in gone.stdout, gone.stderr
    assert gone.returncode == 0
    assert scm.show() is None
    assert not FOLDER.exists()


def test_failed_start_points_to_event_log():
    configure("nonsense")
    ended = service("install", "--now")
    assert ended.returncode == 69
    assert "syncd: service syncd: stopped, it failed with 78: see the event log (Get-WinEvent" in ended.stderr
    shown = service("status")
    assert (shown.returncode, "failed with 78" in shown.stdout) == (3, True)
    assert "service syncd: removed" in service("uninstall").stdout


def test_start_problem_is_in_event_log(hosted):
    made, reports = hosted
    configure("nonsense")
    made.SvcRun()
    (level, text), stopped, ended = reports[-3:]
    assert level == "error"
    assert text.startswith(f"{paths.SYSTEM_CONFIG}:4: remotes.drive.url: ")
    assert len(text.splitlines()) == 1
    assert stopped == (win32service.SERVICE_STOPPED, 1066, scm.OWN_EXIT_CODE | 78)
    assert ended == ("exit", 78)


def test_internal_error_is_one_line_in_event_log(hosted, monkeypatch):
    made, reports = hosted
    monkeypatch.setattr("syncd.cli.state_folder.load_config", lambda _: 1 / 0)
    made.SvcRun()
    level, text = reports[-3]
    assert (level, text.partition(";")[0]) == ("error", "internal error: ZeroDivisionError: division by zero")
    assert len(text.splitlines()) == 1
    assert reports[-1] == ("exit", 70)


def test_machine_shutdown_ends_service_in_order(hosted, receiver):
    """The event log has problems for the user, such as a refused token, but no uploads."""
    made, reports = hosted
    inbox = configure(receiver, token="wrong")
    (inbox / "one.jpg").write_bytes(b"one")
    thread = threading.Thread(target=made.SvcRun, daemon=True)
    thread.start()
    wait_until_sync(lambda: "remote.unauthorized" in logged() and "job.queued" in logged(), logged, 60)
    made.ServiceCtrlHandlerEx(win32service.SERVICE_CONTROL_SHUTDOWN, 0, None)
    thread.join(60)
    assert not thread.is_alive()
    assert logged()[-1] == "daemon.ended"
    warnings = [entry for entry in reports if entry[0] == "warning"]
    assert [text.split()[0] for _, text in warnings] == ["remote.unauthorized"]
    pending, running, ending = (
        (state, 0, 0)
        for state in (
            win32service.SERVICE_START_PENDING,
            win32service.SERVICE_RUNNING,
            win32service.SERVICE_STOP_PENDING,
        )
    )
    assert {*reports} == {pending, running, ending, *warnings}


def test_dispatch_outside_scm_is_refused():
    ended = service("dispatch")
    assert ended.returncode == 2
    assert "syncd service install --now" in ended.stderr
