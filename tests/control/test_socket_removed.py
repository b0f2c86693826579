"""A socket whose path is removed or taken while the daemon listens."""

import asyncio
import os
import shutil
import socket
import stat

import pytest
from structlog.testing import capture_logs

from syncd.control import unix_server as module
from syncd.control.client import ControlClient
from syncd.control.unix_server import ControlServer
from tests.control.fake import FakeDaemon
from tests.control.test_events import Listener
from tests.support.wait import wait_until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a socket to a group")


@pytest.fixture(autouse=True)
def short_interval(monkeypatch):
    monkeypatch.setattr(module, "PATH_CHECK_SECONDS", 0.02)


@pytest.fixture
async def path(daemon, tmp_path):
    path = tmp_path / "run" / "control.sock"
    server = ControlServer(daemon, path)
    await server.start()
    yield path
    await server.stop()


async def answers(path):
    return (await asyncio.to_thread(ControlClient(path, timeout=5).status))["pid"] == 4711


def named(logged, name):
    return [event for event in logged if event["event"] == name]


async def test_removed_socket_is_recreated(path):
    with capture_logs() as logged:
        path.unlink()
        await wait_until(path.is_socket)
        assert await answers(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert named(logged, "control.socket_recreated") == [
        {"event": "control.socket_recreated", "log_level": "warning", "path": str(path)}
    ]


async def test_removed_folder_is_recreated(path):
    shutil.rmtree(path.parent)
    await wait_until(path.is_socket)
    assert await answers(path)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@as_root
async def test_recreated_socket_has_group_access(daemon, tmp_path):
    path = tmp_path / "run" / "control.sock"
    server = ControlServer(daemon, path, group=54321)
    await server.start()
    try:
        shutil.rmtree(path.parent)
        await wait_until(lambda: path.exists() and stat.S_IMODE(path.stat().st_mode) == 0o660)
        assert (path.stat().st_gid, path.parent.stat().st_gid) == (54321, 54321)
        assert await answers(path)
    finally:
        await server.stop()


async def test_open_request_survives_recreation(path, daemon, monkeypatch):
    begun, finish = asyncio.Event(), asyncio.Event()

    async def start():
        begun.set()
        await finish.wait()

    monkeypatch.setattr(daemon, "start", start)
    listener = await Listener.connect(path)
    asking = asyncio.create_task(asyncio.to_thread(ControlClient(path).start))
    await begun.wait()
    path.unlink()
    await wait_until(path.is_socket)
    assert await answers(path)
    finish.set()
    await asking
    daemon.hub.publish("job", {"id": 1})
    await listener.read_until(lambda: listener.events == [("job", {"id": 1})])
    await listener.close()


async def test_socket_of_other_process_is_kept(path):
    other = FakeDaemon()
    theirs = ControlServer(other, path)
    with capture_logs() as logged:
        path.rename(path.with_suffix(".aside"))
        await theirs.start()
        await wait_until(lambda: named(logged, "control.socket_failed"))
        inode = path.stat().st_ino
        await asyncio.sleep(10 * module.PATH_CHECK_SECONDS)
        assert path.stat().st_ino == inode
        (event,) = named(logged, "control.socket_failed")
        assert "another daemon answers" in event["reason"]
        await theirs.stop()
        await wait_until(path.is_socket)
    assert await answers(path)


def test_bound_socket_accepts_connections_at_once(tmp_path):
    """Otherwise a daemon that binds again would take it for the socket of a dead process."""
    with module._bound_socket(str(tmp_path / "control.sock"), None), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "control.sock"))


async def test_other_file_at_path_is_kept(path):
    with capture_logs() as logged:
        path.unlink()
        path.write_text("precious")
        await wait_until(lambda: named(logged, "control.socket_failed"))
        await asyncio.sleep(10 * module.PATH_CHECK_SECONDS)
    assert len(named(logged, "control.socket_failed")) == 1
    assert path.read_text() == "precious"
    path.unlink()
    await wait_until(path.is_socket)


async def test_failed_recreation_is_logged_once_and_retried(path):
    with capture_logs() as logged:
        shutil.rmtree(path.parent)
        path.parent.write_text("in the way")
        await wait_until(lambda: named(logged, "control.socket_failed"))
    (event,) = named(logged, "control.socket_failed")
    assert event["reason"] == (f"{path.parent}: File exists: restore the folder, or restart the daemon")
    path.parent.unlink()
    await wait_until(path.is_socket)
    assert await answers(path)


async def test_stale_socket_at_path_is_replaced(path):
    path.unlink()
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    await wait_until(path.is_socket)
    async with asyncio.timeout(20):
        while True:
            try:
                assert await answers(path)
            except Exception:  # noqa: BLE001 - not yet
                await asyncio.sleep(0.01)
            else:
                break


async def test_stopped_server_recreates_nothing(daemon, tmp_path):
    server = ControlServer(daemon, tmp_path / "control.sock")
    await server.start()
    (tmp_path / "control.sock").unlink()
    await server.stop()
    await asyncio.sleep(10 * module.PATH_CHECK_SECONDS)
    assert not (tmp_path / "control.sock").exists()
