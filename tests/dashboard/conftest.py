from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from yarl import URL

from syncd.dashboard.server import TOKEN_FILE, DashboardServer
from tests.control.fake import FakeDaemon
from tests.support.clock import ManualClock


@dataclass
class DashboardClient:
    """An HTTP client of the dashboard, with its cookie as a header."""

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
async def running_dashboard(daemon, folder, **options):
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
    return ManualClock()


@pytest.fixture
async def dashboard(daemon, tmp_path, clock):
    async with running_dashboard(daemon, tmp_path, clock=clock) as dashboard:
        yield dashboard


@pytest.fixture
async def anonymous_client(dashboard, tmp_path):
    """A client without cookie or token."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield DashboardClient(session, dashboard, (tmp_path / TOKEN_FILE).read_text().strip(), {})


@pytest.fixture
async def logged_in_client(anonymous_client):
    """A client that has used a ticket, and has the cookie."""
    async with anonymous_client.session.get(anonymous_client.dashboard.login_url()) as answer:
        (cookie,) = answer.cookies.values()
    return DashboardClient(
        anonymous_client.session,
        anonymous_client.dashboard,
        anonymous_client.token,
        {"Cookie": f"{cookie.key}={cookie.value}"},
    )
