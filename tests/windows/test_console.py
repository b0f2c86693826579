"""Ctrl-C in the console that the daemon runs in."""

import signal
import sys

import pytest

if sys.platform != "win32":
    pytest.skip("needs Windows: make test-windows", allow_module_level=True)

import win32api
import win32console

from tests.support.wait import wait_until_sync


@pytest.mark.skipif(not win32console.GetConsoleProcessList(), reason="there is no console")
def test_ctrl_c_shuts_daemon_down(harness):
    harness.start()
    met = []
    before = signal.signal(signal.SIGINT, lambda number, _: met.append(number))  # every process of the console gets it
    try:
        win32api.GenerateConsoleCtrlEvent(signal.CTRL_C_EVENT, 0)
        assert harness.daemon.wait(30) == 0, (harness.base / "log").read_text()
        wait_until_sync(lambda: met, "it came here too")
    finally:
        signal.signal(signal.SIGINT, before)
    assert '"daemon.ended"' in (harness.base / "log").read_text().splitlines()[-1]
