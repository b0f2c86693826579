"""The event hub and stream: each listener gets the events; a slow one loses some of them.

A slow listener does not delay the others.
"""

import asyncio
import json
import os
import re

import aiohttp
import pytest

from syncd.control import sse
from syncd.control.client import RequestRefusedError
from syncd.control.events import BATCH_BYTES, Hub, TooManyListenersError
from syncd.control.unix_server import ControlServer
from tests.support.wait import wait_until

TIMEOUT_SECONDS = 20.0


def parse_events(raw):
    """Return the events in some bytes of a stream."""
    blocks = re.findall(rb"event: (\w+)\ndata: (.*)\n\n", raw)
    return [(kind.decode(), json.loads(data)) for kind, data in blocks]


class Listener:
    """A client of the event stream that reads only in its methods."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer
        self.raw = b""

    @classmethod
    async def connect(cls, path, query=""):
        reader, writer = await asyncio.open_unix_connection(path, limit=2**30)
        writer.write(f"GET /v1/events{query} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        made = cls(reader, writer)
        await made.read_until(lambda: b"retry: " in made.raw)
        return made

    async def read_until(self, condition):
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not condition():
                more = await self._reader.read(65_536)
                assert more, "the stream has ended"
                self.raw += more

    async def rest(self):
        return await asyncio.wait_for(self._reader.read(), TIMEOUT_SECONDS)

    @property
    def events(self):
        return parse_events(self.raw)

    def pause(self):
        self._writer.transport.pause_reading()

    def resume(self):
        self._writer.transport.resume_reading()

    async def close(self):
        self._writer.close()
        await self._writer.wait_closed()


# The hub without a server.


async def test_hub_sends_each_listener_its_kinds():
    hub = Hub()
    with hub.subscribe(["job"]) as some, hub.subscribe() as all_:
        hub.publish("log", {"event": "x\n\u2028"})
        hub.publish("job", {"id": 1})
        assert parse_events(await some.next_batch()) == [("job", {"id": 1})]
        assert parse_events(await all_.next_batch()) == [("log", {"event": "x\n\u2028"}), ("job", {"id": 1})]
    assert not hub.wanted("job")


async def test_full_queue_drops_oldest_and_counts_them():
    hub = Hub(max_pending_bytes=1000)
    with hub.subscribe() as slow:
        for number in range(100):
            hub.publish("job", {"id": number})
        (kind, lost), *kept = parse_events(await slow.next_batch())
        assert kind == "lost"
        assert [event["id"] for _, event in kept] == list(range(lost["count"], 100))
        assert 0 < len(kept) < 40
        hub.publish("job", {"id": 100})
        assert parse_events(await slow.next_batch()) == [("job", {"id": 100})]


async def test_event_larger_than_queue_is_lost():
    hub = Hub(max_pending_bytes=100)
    with hub.subscribe() as listener:
        hub.publish("log", {"event": "x" * 200})
        assert parse_events(await listener.next_batch()) == [("lost", {"count": 1})]


async def test_take_returns_bounded_batches():
    hub = Hub(max_pending_bytes=10 * BATCH_BYTES)
    with hub.subscribe() as listener:
        for number in range(5):
            hub.publish("log", {"event": "x" * (BATCH_BYTES // 2), "number": number})
        parts = [parse_events(await listener.next_batch()) for _ in range(3)]
    assert [len(part) for part in parts] == [2, 2, 1]


async def test_publish_without_listener_encodes_nothing():
    hub = Hub()
    hub.publish("job", {"id": object()})  # json would reject it
    with hub.subscribe(["log"]), hub.subscribe(["progress"]):
        hub.publish("job", {"id": object()})
        assert [hub.wanted(kind) for kind in ("log", "progress", "job")] == [True, True, False]


async def test_subscribe_over_limit_raises():
    hub = Hub(max_listeners=2)
    with hub.subscribe(), hub.subscribe(), pytest.raises(TooManyListenersError, match="2 clients listen already"):
        hub.subscribe()
    with hub.subscribe():
        assert hub.subscriptions_made == 3


async def test_wait_for_listener_returns_after_subscribe():
    hub = Hub()
    waiting = asyncio.create_task(hub.wait_for_listener())
    await asyncio.sleep(0)
    assert not waiting.done()
    listener = hub.subscribe()
    await waiting
    hub.unsubscribe(listener)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(hub.wait_for_listener(), 0.01)


async def test_closed_hub_delivers_remaining_events():
    hub = Hub()
    with hub.subscribe() as listener:
        hub.publish("job", {"id": 1})
        hub.close()
        assert parse_events(await listener.next_batch()) == [("job", {"id": 1})]
        assert await listener.next_batch() == b""


# Over the control socket.


async def test_stream_delivers_published_event(server, daemon):
    listener = await Listener.connect(server)
    daemon.hub.publish("job", {"id": 1, "path": "/srv/سلام"})
    await listener.read_until(lambda: listener.events)
    assert listener.events == [("job", {"id": 1, "path": "/srv/سلام"})]
    assert b"Content-Type: text/event-stream\r\n" in listener.raw
    await listener.close()


async def test_stream_only_selects_kinds(server, daemon):
    listener = await Listener.connect(server, "?only=job,progress")
    for kind in ("log", "progress", "daemon", "job"):
        daemon.hub.publish(kind, {})
    await listener.read_until(lambda: len(listener.events) == 2)
    assert [kind for kind, _ in listener.events] == ["progress", "job"]
    await listener.close()


async def test_stream_unknown_kind_is_rejected(ask):
    with pytest.raises(RequestRefusedError, match="only must be one of daemon, folder, remote, job, progress, log"):
        await ask("listen", "jobs")


async def test_stream_sends_heartbeat(server, monkeypatch):
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.02)
    listener = await Listener.connect(server)
    await listener.read_until(lambda: b"\n\n:\n\n:\n\n" in listener.raw)
    await listener.close()


async def test_stream_closed_client_is_unsubscribed_without_log(server, daemon, monkeypatch, caplog):
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.02)
    listener = await Listener.connect(server)
    assert daemon.hub.wanted("job")
    await listener.close()
    await wait_until(lambda: not daemon.hub.wanted("job"))
    assert caplog.records == []


async def test_stream_over_listener_limit_returns_503(server, daemon, ask):
    daemon.hub = Hub(max_listeners=1)
    listener = await Listener.connect(server)
    with pytest.raises(RequestRefusedError, match="1 clients listen already"):
        await ask("listen")
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(server))) as http,
        http.get("http://syncd/v1/events") as answer,
    ):
        assert (answer.status, set(await answer.json())) == (503, {"error"})
    await listener.close()


async def test_stream_slow_reader_loses_events_others_do_not(server, daemon):
    slow, quick = await Listener.connect(server), await Listener.connect(server)
    slow.pause()
    total, text = 400, "x" * 10_000
    for number in range(total):  # 4 MB, more than all buffers together
        daemon.hub.publish("log", {"number": number, "event": text})
        await asyncio.sleep(0)
        if number % 20 == 19:
            await quick.read_until(lambda: quick.events and quick.events[-1][1]["number"] == number)  # noqa: B023
    assert [event["number"] for kind, event in quick.events if kind == "log"] == list(range(total))
    assert not any(kind == "lost" for kind, _ in quick.events)

    daemon.hub.publish("job", {"id": "last"})
    slow.resume()
    await slow.read_until(lambda: slow.events and slow.events[-1] == ("job", {"id": "last"}))
    lost = sum(event["count"] for kind, event in slow.events if kind == "lost")
    kept = [event["number"] for kind, event in slow.events if kind == "log"]
    assert lost > 100
    assert lost + len(kept) == total
    assert kept == sorted(kept)
    (index,) = [position for position, (kind, _) in enumerate(slow.events) if kind == "lost"]
    assert slow.events[index + 1][1]["number"] - slow.events[index - 1][1]["number"] == lost + 1
    await slow.close()
    await quick.close()


async def test_stream_burst_is_sent_in_few_writes(server, daemon, monkeypatch):
    writes = []
    write = aiohttp.web.StreamResponse.write

    async def counted(self, data):
        writes.append(len(data))
        await write(self, data)

    monkeypatch.setattr(aiohttp.web.StreamResponse, "write", counted)
    listener = await Listener.connect(server)
    for number in range(500):
        daemon.hub.publish("job", {"id": number})
        await asyncio.sleep(0)
    await listener.read_until(lambda: len(listener.events) == 500)
    assert len(writes) < 50
    await listener.close()


async def test_server_stop_ends_open_streams(daemon, tmp_path):
    path = os.fspath(tmp_path / "control.sock")
    server = ControlServer(daemon, path)
    await server.start()
    listener = await Listener.connect(path)
    daemon.hub.publish("daemon", {"state": "stopping"})
    async with asyncio.timeout(0.8):
        await server.stop()
    assert parse_events(listener.raw + await listener.rest()) == [("daemon", {"state": "stopping"})]
    await listener.close()


async def test_client_listen_receives_events(ask, daemon):
    events = await ask("listen", "job", "log")
    with events:
        daemon.hub.publish("job", {"id": 1})
        daemon.hub.publish("progress", {})
        daemon.hub.publish("log", {"event": "é" * 20_000})
        got = []
        while len(got) < 2:
            got += await asyncio.to_thread(events.receive)
        assert got == [("job", {"id": 1}), ("log", {"event": "é" * 20_000})]
        daemon.hub.close()
        assert await asyncio.to_thread(events.receive) is None
