"""The server aborts a connection whose client reads nothing, but not a slow reader's."""

import asyncio
import socket
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs

from syncd.control import connection
from syncd.control.connection import Connection
from syncd.control.events import Hub
from syncd.control.unix_server import ControlServer
from tests.control.fake import job
from tests.support.wait import wait_until

LARGE = 4 * 1024 * 1024
"""Bytes, more than the kernel buffers for a client."""


@pytest.fixture
async def server(daemon, tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "STALL_TIMEOUT_SECONDS", 0.5)
    server = ControlServer(daemon, tmp_path / "control.sock")
    await server.start()
    yield server
    await server.stop()


@contextmanager
def asking(server, request, times=1):
    """Send a request ``times`` times on one connection, and read nothing."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(server.path)
        client.sendall(f"{request} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * times)
        client.setblocking(False)
        yield client


def connections(server):
    return server._runner.server.connections


async def test_unread_event_stream_is_dropped_and_unsubscribed(server, daemon):
    daemon.hub = Hub(max_listeners=1)
    with capture_logs() as logged, asking(server, "GET /v1/events"):
        await wait_until(lambda: daemon.hub.wanted("log"))

        def dropped():
            daemon.hub.publish("log", {"event": "x" * 100_000})
            return not daemon.hub.wanted("log")

        await wait_until(dropped)
        await wait_until(lambda: not connections(server))
    (event,) = [event for event in logged if event["event"] == "control.dropped"]
    assert (event["path"], event["seconds"]) == ("/v1/events", 0.5)
    daemon.hub.subscribe()  # does not raise


async def test_unread_event_stream_buffers_little(server, daemon, monkeypatch):
    monkeypatch.setattr(connection, "STALL_TIMEOUT_SECONDS", 1000.0)
    monkeypatch.setattr("syncd.control.sse.WRITE_INTERVAL_SECONDS", 0)
    with asking(server, "GET /v1/events"):
        await wait_until(lambda: daemon.hub.wanted("log"))
        (handler,) = connections(server)
        for _ in range(2000):  # 20 MB
            daemon.hub.publish("log", {"event": "x" * 10_000})
            await asyncio.sleep(0)
        assert 0 < handler.transport.get_write_buffer_size() < 40_000


@pytest.mark.parametrize("size", [LARGE, 250_000])  # aiohttp writes the second one without waiting
async def test_unread_response_is_aborted(server, daemon, size):
    daemon.listed = [job(detail="x" * size)]
    with asking(server, "GET /v1/jobs"):
        await wait_until(lambda: connections(server))
        await wait_until(lambda: not connections(server))


async def test_pipelined_requests_without_reading_are_aborted(server):
    with asking(server, "GET /v1/status", times=2000):
        await wait_until(lambda: connections(server))
        await wait_until(lambda: not connections(server))


async def test_slow_reader_gets_complete_response(server, daemon):
    """The client needs longer than the limit, but reads something within each limit."""
    daemon.listed = [job(detail="x" * LARGE)]
    loop, raw = asyncio.get_running_loop(), b""
    with asking(server, "GET /v1/jobs") as client:
        begun = loop.time()
        while len(raw) < LARGE:
            more = await loop.sock_recv(client, 200_000)
            assert more, "it was cut off"
            raw += more
            if loop.time() - begun < 3 * connection.STALL_TIMEOUT_SECONDS:
                await asyncio.sleep(connection.STALL_TIMEOUT_SECONDS / 5)


async def test_idle_event_stream_is_kept(server, daemon):
    with asking(server, "GET /v1/events") as client:
        await wait_until(lambda: daemon.hub.wanted("log"))
        (handler,) = connections(server)
        assert isinstance(handler, Connection)
        daemon.hub.publish("log", {"event": "x" * 100_000})
        raw, loop = b"", asyncio.get_running_loop()
        while len(raw) < 100_000:
            raw += await loop.sock_recv(client, 65_536)
        await asyncio.sleep(3 * connection.STALL_TIMEOUT_SECONDS)  # no event, and no unsent data
        assert daemon.hub.wanted("log")
