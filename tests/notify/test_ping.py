"""Requests to a dead man's switch."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from syncd.notify import ping as ping_module
from syncd.notify.delivery import DeliveryError
from syncd.notify.ping import Ping, Pinger
from tests.support.wait import wait_until


def ping(server, path="/s3cret-check"):
    return Ping(url=SecretStr(server.url + path))


@asynccontextmanager
async def running(pinger):
    task = asyncio.create_task(pinger.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(("path", "fail"), [("/a", "/a/fail"), ("/a/", "/a/fail"), ("/a?b=c", "/a/fail?b=c")])
async def test_ping_reports_health_and_failure(server, path, fail):
    await ping(server, path).send(well=True)
    await ping(server, path).send(well=False)
    assert server.paths == [path, fail]


async def test_ping_error_contains_no_secret(server):
    server.status = 404
    with pytest.raises(DeliveryError, match=r"^127.0.0.1 answered 404$"):
        await ping(server).send(well=True)
    with pytest.raises(DeliveryError, match="refused") as error:
        await Ping(url=SecretStr("http://user:s3cret@127.0.0.1:9/s3cret")).send(well=True)
    assert "s3cret" not in str(error.value)


async def test_ping_unanswered_request_fails(server, monkeypatch):
    monkeypatch.setattr(ping_module, "_TIMEOUT_SECONDS", 0.2)
    server.hanging = asyncio.Event()
    with pytest.raises(DeliveryError):
        await ping(server).send(well=True)


async def test_pinger_change_is_sent_at_once(server):
    pinger = Pinger(ping(server, "/a"), every=3600)
    async with running(pinger):
        pinger.update(well=True)
        await wait_until(lambda: server.paths == ["/a"])
        pinger.update(well=True)
        pinger.update(well=False)
        await wait_until(lambda: server.paths == ["/a", "/a/fail"])
        pinger.update(well=True)
        await wait_until(lambda: server.paths == ["/a", "/a/fail", "/a"])


async def test_pinger_stops_without_updates(server):
    """If the daemon no longer learns its own state, the requests must stay away."""
    pinger = Pinger(ping(server, "/a"), every=0.01)
    async with running(pinger):
        pinger.update(well=True)
        await wait_until(lambda: server.paths == ["/a"])
        await asyncio.sleep(0.2)
        assert server.paths == ["/a"]
        await wait_until(lambda: pinger.update(well=True) or len(server.paths) > 1)


async def test_pinger_failed_request_is_repeated_soon(server, monkeypatch):
    monkeypatch.setattr(ping_module, "_RETRY_SECONDS", 0.01)
    server.status = 500
    pinger = Pinger(ping(server, "/a"), every=3600)
    async with running(pinger):
        pinger.update(well=True)
        await wait_until(lambda: pinger.update(well=True) or len(server.paths) > 1)
