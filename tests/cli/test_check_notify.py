"""``syncd check --notify`` sends a test message to each target."""

import asyncio
import json
import sys
import threading
from contextlib import contextmanager

import pytest

from tests.notify.support import URL_SECRETS, json_url, notification_server

pytestmark = pytest.mark.e2e


@pytest.fixture
def server():
    """A server that receives notifications, in a separate thread."""
    with _in_thread(notification_server()) as server:
        yield server


@contextmanager
def _in_thread(context):
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def check(syncd, config, closed_port):
    """Run ``check --notify --json`` with these settings.

    Returns the findings about notifications by target.
    """

    def run(notify, *options):
        path = config(f"http://127.0.0.1:{closed_port}", extra=f"notify: {json.dumps(notify)}")
        path.chmod(0o600)
        found = json.loads(syncd("check", "-c", path, "--json", *options).out)["findings"]
        return {of["where"]: of for of in found if of["where"].startswith("notify")}

    return run


def test_check_notify_reports_each_target(check, server):
    url = json_url(server.url)
    command = [sys.executable, "-c", "raise SystemExit(4)", "s3cret"]
    found = check(
        {"urls": [url, json_url("http://127.0.0.1:9")], "command": command, "ping": {"url": server.url}}, "--notify"
    )
    (name,) = [where for where in found if "command" in where]
    assert {where: of["level"] for where, of in found.items()} == {
        "notify url 1 (json)": "ok",
        "notify url 2 (json)": "error",
        name: "error",
        "notify ping": "ok",
    }
    assert found[name]["what"] == "not delivered: ended with code 4"
    (request,) = server.requests
    assert request["title"].endswith(": test message")
    assert not [secret for secret in (*URL_SECRETS, "s3cret") if secret in str(found)]


def test_check_without_option_sends_nothing(check, server):
    assert check({"urls": [json_url(server.url)]}) == {}
    assert server.paths == []


def test_check_notify_without_target_warns(check):
    (finding,) = check({}, "--notify").values()
    assert (finding["level"], finding["what"]) == ("warn", "nobody is notified: there is no target")
