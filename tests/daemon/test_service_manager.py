"""The messages to systemd: ready, reloading, stopping, the status line and the watchdog."""

import asyncio
import socket

import pytest

from tests.support.data import random_bytes
from tests.support.wait import wait_until


class Manager:
    """Receives messages as systemd does; ``messages`` has each one as a mapping."""

    def __init__(self, listening):
        self._listening = listening
        self.messages = []

    def receive(self):
        """Receive all pending messages; return these and the earlier ones."""
        while True:
            try:
                raw = self._listening.recv(4096)
            except BlockingIOError:
                return self.messages
            self.messages.append(dict(line.split("=", 1) for line in raw.decode().splitlines()))

    async def wait_until(self, *kinds):
        """Wait for messages of these kinds in this order, and return the last one.

        Status and watchdog messages are ignored.
        """

        def received():
            return [message for message in self.receive() if set(message) - {"STATUS", "WATCHDOG"}]

        await wait_until(lambda: len(received()) >= len(kinds), f"{kinds} came: {self.messages}")
        seen = received()
        assert all(kind in message for kind, message in zip(kinds, seen, strict=True)), seen
        self.messages.clear()
        return seen[-1]


@pytest.fixture
def manager(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield Manager(listening)


async def test_service_manager_gets_start_reload_and_end(harness, manager):
    await harness.start()
    assert (await manager.wait_until("READY"))["STATUS"] == "watching 1 folder, idle"
    (harness.folder / "more").mkdir()
    harness.settings["folders"] += [{"path": "more", "remote": "drive"}]
    await harness.reload()
    assert (await manager.wait_until("RELOADING", "READY"))["STATUS"].startswith("watching 2 folders")
    await harness.stop()
    await manager.wait_until("STOPPING")


async def test_status_line_describes_work(harness, manager, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "60000")
    harness.settings["scheduler"]["bandwidth"] = "100KiB/s"
    await harness.start()
    (harness.inbox / "a.tif").write_bytes(random_bytes(1024 * 1024))

    def status_has(words):
        return lambda: any(words in message.get("STATUS", "") for message in manager.receive())

    await wait_until(status_has("uploading 1"))
    await harness.service.stop(now=True)
    await wait_until(status_has("stopped by syncd ctl stop"))


async def test_watchdog_is_fed_only_while_store_works(harness, manager, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "60000")
    await harness.start()

    def fed():
        return any("WATCHDOG" in message for message in manager.receive())

    await wait_until(fed)
    store, alive = harness.daemon.runtime.store, False
    monkeypatch.setattr(type(store), "alive", property(lambda _store: alive))
    await asyncio.sleep(0)
    manager.receive()
    manager.messages.clear()
    await wait_until(lambda: sum("STATUS" in message for message in manager.receive()) >= 5)
    assert not fed()
    alive = True
    await wait_until(fed)
