"""The dashboard of a complete daemon."""

import asyncio
import io
import socket
import stat

import aiohttp
import pytest
from yarl import URL

from syncd import logs
from syncd.control.client import ControlClient, RequestRefusedError
from syncd.dashboard.server import TOKEN_FILE
from tests.daemon.conftest import harness, receiver

__all__ = ["harness", "receiver"]


@pytest.fixture
def ctl(harness):
    """Return a function that calls a method of the synchronous client in a thread."""
    client = ControlClient(harness.folder / "state" / "control.sock", timeout=10)
    return lambda name: asyncio.to_thread(getattr(client, name))


async def test_login_url_from_socket_opens_dashboard(harness, ctl):
    logged = io.StringIO()
    logs.configure(level="debug", format="json", stream=logged)
    harness.settings["control"] = {"dashboard": "127.0.0.1:0"}
    await harness.start()
    login_url = URL(await ctl("dashboard"))
    token = (harness.folder / "state" / TOKEN_FILE).read_text().strip()
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(login_url) as response:
            assert response.status == 200
        (cookie,) = session.cookie_jar
        async with session.get(login_url.with_path("/v1/status")) as response:
            status = await response.json()
        assert status["dashboard"] == str(login_url.origin())
        async with session.get(login_url.with_path("/v1/log")) as response:
            assert "dashboard.listening" in [event["event"] for event in (await response.json())["events"]]
        async with session.get(login_url.with_path("/v1/events")) as stream:
            await harness.stop()  # an open page does not delay the shutdown
            await stream.read()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (harness.folder / "state").iterdir()} == {0o600}
    for secret in (token, cookie.value, login_url.query["ticket"]):
        assert secret not in logged.getvalue()


async def test_daemon_port_in_use_runs_without_dashboard(harness, ctl):
    with socket.create_server(("127.0.0.1", 0)) as other:
        harness.settings["control"] = {"dashboard": f"127.0.0.1:{other.getsockname()[1]}"}
        await harness.start()
        with pytest.raises(RequestRefusedError, match="Address already in use: stop the program that uses it"):
            await ctl("dashboard")
        assert (await ctl("status"))["dashboard"] is None


async def test_dashboard_off_has_no_login_url(harness, ctl):
    await harness.start()
    with pytest.raises(RequestRefusedError, match=r"the dashboard is off: set control\.dashboard in .*config\.yaml"):
        await ctl("dashboard")
    assert not (harness.folder / "state" / TOKEN_FILE).exists()
