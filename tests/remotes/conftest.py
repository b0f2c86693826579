"""Fixtures for tests of the remotes: clients, servers, and mocked responses."""

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
    CountingThrottle,
    FakeResponse,
    Handle,
    ScriptedServer,
    image_settings,
    multipart_settings,
    serve_app,
)


@pytest.fixture
async def make_client() -> AsyncIterator[Callable[..., Any]]:
    """Create clients of either API, and close them after the test."""
    made: list[Remote] = []

    def make(kind: str, url: str, *, throttle: CountingThrottle | None = None, **values: Any) -> Any:
        settings = image_settings(url, **values) if kind == "image" else multipart_settings(url, **values)
        throttle = throttle or CountingThrottle()
        made.append(make_remote("drive", settings, throttle=throttle, clock=lambda: NOW, user_agent="syncd/test"))
        return made[-1]

    yield make
    for remote in made:
        await remote.close()


@pytest.fixture
async def make_http() -> AsyncIterator[Callable[..., Http]]:
    """Create HTTP clients, and close them after the test."""
    made: list[Http] = []

    def make(url: str, *, throttle: CountingThrottle | None = None, **values: Any) -> Http:
        settings = image_settings(url, **values)
        made.append(Http(settings, throttle=throttle or CountingThrottle(), clock=lambda: NOW, user_agent="syncd/test"))
        return made[-1]

    yield make
    for http in made:
        await http.close()


@pytest.fixture
async def receiver(tmp_path) -> AsyncIterator[str]:
    """The URL of a running receiver that requires the token."""
    app = make_app(ReceiverSettings(folder=str(tmp_path / "received"), token=TOKEN, fsync=False))
    async with serve_app(app) as url:
        yield url


@pytest.fixture
def unused_tcp_port() -> Iterator[int]:
    """A port that refuses connections.

    The socket stays bound, so that no other process can listen there.
    """
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
async def start_server() -> AsyncIterator[Callable[..., Awaitable[ScriptedServer]]]:
    """Start servers whose handler reads and writes bytes, and close them after the test."""
    servers: list[asyncio.Server] = []
    tasks: set[asyncio.Task[None]] = set()

    async def start(handle: Handle, *, receive_buffer: int | None = None) -> ScriptedServer:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            server.connections += 1
            try:
                with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                    await handle(server, reader, writer)
            finally:
                writer.close()
                with suppress(ConnectionError, asyncio.CancelledError):
                    await writer.wait_closed()

        listener = socket.create_server(("127.0.0.1", 0))
        if receive_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        server = ScriptedServer(port=listener.getsockname()[1])
        servers.append(await asyncio.start_server(accept, sock=listener))
        return server

    yield start
    for listening in servers:
        listening.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for listening in servers:
        await listening.wait_closed()


class _MockedResponses(aioresponses):
    """Stores each request without a deep copy.

    The copy would include the body, its timer and the event loop.
    """

    def _build_request_call(self, method: str, *args: Any, **kwargs: Any) -> RequestCall:
        return RequestCall(args, kwargs)


@pytest.fixture
def mock_response() -> Iterator[Callable[..., None]]:
    """Set the response to the next request for a URL, without a server."""
    with _MockedResponses() as mocked:

        def answer(method: str, url: str, **values: Any) -> None:
            mocked.add(url, method=method, response_class=FakeResponse, **values)

        yield answer
