import asyncio

import aiohttp
import pytest

from tests.daemon.harness import DaemonHarness, running_receiver


@pytest.fixture
async def receiver(tmp_path):
    """The address of a receiver in this process."""
    async with running_receiver(tmp_path / "received") as url:
        yield url


@pytest.fixture
async def harness(tmp_path, receiver):
    """A daemon in this process for the folder ``inbox``, to the receiver; not started yet."""
    harness = DaemonHarness(tmp_path, receiver)
    yield harness
    async with asyncio.timeout(20):
        await harness.stop()


@pytest.fixture
async def http(harness):
    """A session with the control socket of the daemon."""
    socket = aiohttp.UnixConnector(str(harness.folder / "state" / "control.sock"))
    async with aiohttp.ClientSession("http://syncd", connector=socket) as session:
        yield session


@pytest.fixture
async def stopped(harness):
    """A harness whose daemon is paused: it watches and queues, but uploads nothing."""
    await harness.start()
    await harness.service.stop(now=False)
    return harness
