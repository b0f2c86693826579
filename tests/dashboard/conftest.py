from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from yarl import URL

from syncd.dashboard.server import TOKEN_FILE, Door
from tests.control.fake import FakeDaemon


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@dataclass
class Visitor:
    """Somebody with nothing but an HTTP client; cookies are kept by hand."""

    session: aiohttp.ClientSession
    door: Door
    token: str
    cookie: dict[str, str]

    def ask(self, method, path, **options):
        url = URL(self.door.url + path, encoded=True)
        return self.session.request(method, url, allow_redirects=False, **options)

    async def status(self, method, path, **headers):
        async with self.ask(method, path, headers={**self.cookie, **headers}) as answer:
            return answer.status


@asynccontextmanager
async def opened(daemon, folder, **options):
    door = Door(daemon, **{"host": "127.0.0.1", "port": 0, "state_dir": str(folder)} | options)
    await door.start()
    try:
        yield door
    finally:
        await door.stop()


@pytest.fixture
def daemon():
    return FakeDaemon()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def door(daemon, tmp_path, clock):
    async with opened(daemon, tmp_path, clock=clock) as door:
        yield door


@pytest.fixture
async def stranger(door, tmp_path):
    """Nobody has let this one in."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Visitor(session, door, (tmp_path / TOKEN_FILE).read_text().strip(), {})


@pytest.fixture
async def guest(stranger):
    """This one has used a ticket, and has the cookie."""
    async with stranger.session.get(stranger.door.invite()) as answer:
        (cookie,) = answer.cookies.values()
    return Visitor(stranger.session, stranger.door, stranger.token, {"Cookie": f"{cookie.key}={cookie.value}"})
