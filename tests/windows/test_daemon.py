"""The daemon and the receiver as processes on Windows: uploads and the control pipe."""

import sys
from pathlib import Path

import pytest

if sys.platform != "win32":
    pytest.skip("needs Windows: make test-windows", allow_module_level=True)

import win32con
import win32file
import win32security

from syncd.platform.files import join_path
from tests.support.wait import wait_until_sync
from tests.windows.harness import syncd


def test_daemon_uploads_and_answers_ctl(harness):
    harness.start()
    (harness.inbox / "new").mkdir()
    (harness.inbox / "one.jpg").write_bytes(b"one" * 1000)
    (harness.inbox / "large.jpg").write_bytes(bytes(range(256)) * 20_000)
    assert harness.arrived("one.jpg", "large.jpg")
    status = harness.ctl("status")
    assert status.returncode == 0
    assert "2 done" in status.stdout, status.stdout


def test_daemon_uploads_device_and_foreign_names(harness):
    harness.start()
    names = ("aux.jpg", "NUL.png", "Ж猫.jpg")
    for number, name in enumerate(names):
        Path(join_path(str(harness.inbox), name)).write_bytes(b"content %d" % number)
    assert harness.arrived(*names)


def test_daemon_waits_for_exclusive_writer(harness):
    harness.start()
    full = str(harness.inbox / "busy.jpg")
    handle = win32file.CreateFile(full, win32con.GENERIC_WRITE, 0, None, win32con.CREATE_NEW, 0, None)
    win32file.WriteFile(handle, b"content")
    wait_until_sync(lambda: "file.in_use" in (harness.base / "log").read_text(), "it says so")
    assert harness.states() == {}
    handle.Close()
    assert harness.arrived("busy.jpg")


def test_pipe_acl_excludes_other_users(harness):
    harness.start()
    handle = win32file.CreateFile(
        str(harness.pipe()), win32con.GENERIC_READ | win32con.READ_CONTROL, 0, None, win32con.OPEN_EXISTING, 0, None
    )
    owners = win32security.GetSecurityInfo(
        handle, win32security.SE_KERNEL_OBJECT, win32security.DACL_SECURITY_INFORMATION
    ).GetSecurityDescriptorDacl()
    who = {win32security.ConvertSidToStringSid(owners.GetAce(at)[2]) for at in range(owners.GetAceCount())}
    handle.Close()
    me, _ = win32security.GetTokenInformation(
        win32security.OpenProcessToken(-1, win32con.TOKEN_QUERY), win32security.TokenUser
    )
    assert who == {"S-1-5-18", "S-1-5-32-544", win32security.ConvertSidToStringSid(me)}


def test_second_daemon_names_pid_of_first(harness):
    harness.start()
    log = harness.base / "second"
    with syncd(log, "run", "-c", harness.config) as second:
        assert second.wait(60) == 75
    assert f"another syncd (pid {harness.daemon.pid})" in log.read_text()


def test_daemon_resumes_after_kill(harness):
    harness.start()
    harness.daemon.kill()
    harness.daemon.wait()
    harness.daemon.stdout.close()
    (harness.inbox / "meanwhile.jpg").write_bytes(b"meanwhile")
    harness.start()
    assert harness.arrived("meanwhile.jpg")
