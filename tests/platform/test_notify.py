import os
import socket
import time

import pytest

from syncd.platform.systemd import notify


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path, monkeypatch):
    name = str(tmp_path / "notify") if request.param == "path" else f"\0syncd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name)
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name.replace("\0", "@"))
        yield listening


def test_notify_sends_each_message(manager):
    notify.ready("watching 2 folders\nREADY=0")
    assert manager.recv(1000) == b"READY=1\nSTATUS=watching 2 folders READY=0"
    notify.status("idle")
    assert manager.recv(1000) == b"STATUS=idle"
    notify.watchdog()
    assert manager.recv(1000) == b"WATCHDOG=1"
    notify.stopping()
    assert manager.recv(1000) == b"STOPPING=1"


def test_reloading_sends_monotonic_time(manager):
    before = time.monotonic_ns() // 1000
    notify.reloading()
    first, timestamp = manager.recv(1000).decode().splitlines()
    assert first == "RELOADING=1"
    assert before <= int(timestamp.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


@pytest.mark.parametrize("address", ["", "nonsense", "/no/such/socket", "@nobody", "/" + "long" * 100, "@nul\udcff"])
def test_notify_with_bad_address_does_not_raise(monkeypatch, address):
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify.ready("\udcff")


@pytest.mark.parametrize(
    ("usec", "pid", "interval"),
    [
        ("30000000", "", 30.0),
        pytest.param("500000", str(os.getpid()), 0.5, id="of this process"),
        ("500000", "1", None),
        ("", "", None),
        ("soon", "", None),
        ("0", "", None),
    ],
)
def test_watchdog_interval_by_environment(monkeypatch, usec, pid, interval):
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", pid)
    assert notify.watchdog_interval() == interval
