import asyncio

import pytest

from tests.daemon.harness import DaemonHarness, running_receiver


@pytest.fixture
async def receiver(tmp_path):
    """The address of a receiver in this process."""
    async with running_receiver(tmp_path / "received") as url:
        yield url


@pytest.fixture
async def site(tmp_path, receiver):
    """A daemon in this process for the folder ``inbox``, to the receiver; not started yet."""
    made = DaemonHarness(tmp_path, receiver)
    yield made
    async with asyncio.timeout(20):
        await made.stop()
