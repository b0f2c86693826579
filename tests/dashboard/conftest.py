from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from yarl import URL

from syncd.dashboard.server import TOKEN_FILE, DashboardServer
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
    dashboard: DashboardServer
    token: str
    cookie: dict[str, str]

    def ask(self, method, path, **options):
        url = URL(self.dashboard.url + path, encoded=True)
        return self.session.request(method, url, allow_redirects=False, **options)

    async def status(self, method, path, **headers):
        async with self.ask(method, path, headers={**self.cookie, **headers}) as answer:
            return answer.status


@asynccontextmanager
async def opened(daemon, folder, **options):
    dashboard = DashboardServer(daemon, **{"host": "127.0.0.1", "port": 0, "state_dir": str(folder)} | options)
    await dashboard.start()
    try:
        yield dashboard
    finally:
        await dashboard.stop()


@pytest.fixture
def daemon():
    return FakeDaemon()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def dashboard(daemon, tmp_path, clock):
    async with opened(daemon, tmp_path, clock=clock) as dashboard:
        yield dashboard


@pytest.fixture
async def stranger(dashboard, tmp_path):
    """Nobody has let this one in."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Visitor(session, dashboard, (tmp_path / TOKEN_FILE).read_text().strip(), {})


@pytest.fixture
async def guest(stranger):
    """This one has used a ticket, and has the cookie."""
    async with stranger.session.get(stranger.dashboard.login_url()) as answer:
        (cookie,) = answer.cookies.values()
    return Visitor(stranger.session, stranger.dashboard, stranger.token, {"Cookie": f"{cookie.key}={cookie.value}"})
