"""The fixtures of the remotes' tests: remotes, a receiver, a server that misbehaves, and answers without a server."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from aioresponses import aioresponses
from aioresponses.core import RequestCall

from syncd.receiver.app import make_app
from syncd.receiver.settings import Settings as ReceiverSettings
from syncd.remotes.base import Remote
from syncd.remotes.factory import make_remote
from syncd.remotes.http import Http
from tests.remotes.helpers import (
    NOW,
    TOKEN,
    Handle,
    Meter,
    MockedResponse,
    Rogue,
    image_settings,
    multipart_settings,
    serving,
)


@pytest.fixture
async def remote_to() -> AsyncIterator[Callable[..., Any]]:
    """Makes remotes of either kind, and closes them."""
    made: list[Remote] = []

    def make(kind: str, url: str, *, throttle: Meter | None = None, **values: Any) -> Any:
        settings = image_settings(url, **values) if kind == "image" else multipart_settings(url, **values)
        throttle = throttle or Meter()
        made.append(make_remote("drive", settings, throttle=throttle, clock=lambda: NOW, user_agent="syncd/test"))
        return made[-1]

    yield make
    for remote in made:
        await remote.close()


@pytest.fixture
async def http_to() -> AsyncIterator[Callable[..., Http]]:
    """Makes the door to a server, and closes it."""
    made: list[Http] = []

    def make(url: str, *, throttle: Meter | None = None, **values: Any) -> Http:
        settings = image_settings(url, **values)
        made.append(Http(settings, throttle=throttle or Meter(), clock=lambda: NOW, user_agent="syncd/test"))
        return made[-1]

    yield make
    for http in made:
        await http.close()


@pytest.fixture
async def receiver(tmp_path) -> AsyncIterator[str]:
    """The address of a running receiver that asks for the token."""
    app = make_app(ReceiverSettings(folder=str(tmp_path / "received"), token=TOKEN, fsync=False))
    async with serving(app) as url:
        yield url


@pytest.fixture
def unused_tcp_port() -> Iterator[int]:
    """Give a port that refuses connections; it is held, so that no other process can come to listen there."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
async def rogue() -> AsyncIterator[Callable[..., Awaitable[Rogue]]]:
    """Starts servers that misbehave at the level of bytes."""
    servers: list[asyncio.Server] = []
    tasks: set[asyncio.Task[None]] = set()

    async def start(handle: Handle, *, receive_buffer: int | None = None) -> Rogue:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            it.connections += 1
            try:
                with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                    await handle(it, reader, writer)
            finally:
                writer.close()
                with suppress(ConnectionError, asyncio.CancelledError):
                    await writer.wait_closed()

        listener = socket.create_server(("127.0.0.1", 0))
        if receive_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        server = await asyncio.start_server(accept, sock=listener)
        servers.append(server)
        it = Rogue(port=server.sockets[0].getsockname()[1])
        return it

    yield start
    for server in servers:
        server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for server in servers:
        await server.wait_closed()


class _Answers(aioresponses):
    """Keeps the request as it is, where aioresponses copies it deeply: the body, its timer, the event loop."""

    def _build_request_call(self, method: str, *args: Any, **kwargs: Any) -> RequestCall:
        return RequestCall(args, kwargs)


@pytest.fixture
def answers() -> Iterator[Callable[..., None]]:
    """Says what the next requests are answered, without a server."""
    with _Answers() as mocked:

        def answer(method: str, url: str, **values: Any) -> None:
            mocked.add(url, method=method, response_class=MockedResponse, **values)

        yield answer
