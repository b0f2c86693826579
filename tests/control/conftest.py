import asyncio

import pytest

from syncd.control.client import ControlClient
from syncd.control.unix_server import ControlServer
from tests.control.fake import FakeDaemon


@pytest.fixture
def daemon():
    return FakeDaemon()


@pytest.fixture
async def server(daemon, tmp_path):
    server = ControlServer(daemon, tmp_path / "run" / "control.sock")
    await server.start()
    yield tmp_path / "run" / "control.sock"
    await server.stop()


@pytest.fixture
def ask(server):
    """Call the synchronous client in a thread: ask("status")."""
    client = ControlClient(server, timeout=10)

    async def call(name, *args, **kwargs):
        return await asyncio.to_thread(getattr(client, name), *args, **kwargs)

    return call
