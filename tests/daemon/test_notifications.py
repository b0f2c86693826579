"""Notifications of a running daemon, through the real Apprise and a real program."""

import asyncio
import io
import sys
import time

import pytest

from syncd import logs
from syncd.core.retry import Policy
from syncd.notify import notifier, outbox, tracker
from tests.notify.support import URL_SECRETS, json_url, notification_server
from tests.support.data import random_bytes
from tests.support.wait import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(notifier, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(tracker, "GATHER_SECONDS", 0.05)
    monkeypatch.setattr(outbox, "RETRY", Policy(initial=0.01, maximum=0.02))


@pytest.fixture
async def server():
    async with notification_server() as server:
        yield server


@pytest.fixture
def notified(harness, server):
    """A harness that is not started yet, with a URL of the server and quick settings."""
    harness.settings["notify"] = {"urls": [json_url(server.url)], "unavailable_after": "1s", "min_interval": "1s"}
    return harness


def hide_inbox(harness):
    harness.inbox.rename(harness.folder / "away")


def show_inbox(harness):
    (harness.folder / "away").rename(harness.inbox)


async def test_missing_folder_is_reported_and_resolved(notified, server):
    await notified.start()
    hide_inbox(notified)
    await wait_until(lambda: len(server.requests) == 1)
    show_inbox(notified)
    await wait_until(lambda: len(server.requests) == 2)
    first, second = server.requests
    missing = f"folder {notified.inbox} is missing"
    assert first["title"].endswith(f" needs attention: {missing}")
    assert second["title"].endswith(f": resolved: {missing}")
    assert (first["type"], second["type"]) == ("failure", "success")


async def test_hanging_targets_delay_no_upload_and_no_shutdown(notified, server, tmp_path):
    """The server accepts the request and never answers; the program never ends."""
    server.hanging = asyncio.Event()
    started = tmp_path / "started"
    code = f"import time; open({str(started)!r}, 'w').close(); time.sleep(600)"
    notified.settings["notify"]["command"] = [sys.executable, "-c", code]
    notified.settings["notify"]["ping"] = {"url": server.url + "/ping"}
    other = notified.folder / "other"
    notified.settings["folders"].append({"path": "other", "remote": "drive", "settle": "50ms"})
    pauses = []
    watching = asyncio.create_task(_watch_event_loop(pauses))
    await notified.start()
    await wait_until(lambda: started.exists() and any("t0ken" in path for path in server.paths))
    other.mkdir()
    for number in range(10):
        (notified.inbox / f"{number}.jpg").write_bytes(random_bytes(1000, number))
    await notified.wait_for_counts(done=10)
    assert len(server.paths) == 2  # the ping and the message still wait for their answers
    async with asyncio.timeout(30):  # half the time that a delivery may take
        await notified.stop()
    watching.cancel()
    assert max(pauses) < 30  # everything that uploads runs in the event loop


async def test_failing_target_is_retried_until_delivered(notified, server):
    server.status = 503
    await notified.start()
    hide_inbox(notified)
    await wait_until(lambda: len(server.paths) >= 3, timeout=60)
    server.status = 200
    await wait_until(lambda: _events("notify.sent"))
    assert len({request["title"] for request in server.requests}) == 1


async def test_secrets_are_in_no_log_status_or_store(notified, server):
    """No secret appears, even if each delivery fails, or in the dashboard's settings."""
    stream = io.StringIO()
    server.status = 500
    notified.settings["logging"] = {"level": "debug", "file": "syncd.log"}
    notified.settings["notify"]["ping"] = {"url": f"{server.url}/{URL_SECRETS[1]}"}
    await notified.start()
    logs.configure(level="debug", format="json", stream=stream, secrets=notified.daemon.loaded.config.secrets())
    hide_inbox(notified)
    await wait_until(lambda: _events("notify.failed") and _events("notify.ping_failed"))
    shown = [
        str(await notified.service.status()),
        str(await notified.service.settings()),
        str(logs.recent_events(limit=10_000, level="debug")),
        stream.getvalue(),
    ]
    await notified.stop()
    shown += [file.read_bytes().decode("latin-1") for file in (notified.folder / "state").iterdir() if file.is_file()]
    assert "notify.failed" in stream.getvalue()
    for secret in (*URL_SECRETS, json_url(server.url)):
        assert not [text for text in shown if secret in text]


async def test_reload_adds_and_removes_notifications(harness, server):
    await harness.start()
    harness.path.chmod(0o600)
    hide_inbox(harness)
    harness.settings["notify"] = {"urls": json_url(server.url), "unavailable_after": "1s"}
    assert await harness.reload() == ["notify"]
    await wait_until(lambda: len(server.requests) == 1)
    assert await harness.reload() == []
    del harness.settings["notify"]
    assert await harness.reload() == ["notify"]
    await wait_until(lambda: not [task for task in asyncio.all_tasks() if task.get_name().startswith("notify url")])


async def test_restart_does_not_repeat_notification(notified, server):
    await notified.start()
    hide_inbox(notified)
    await wait_until(lambda: _events("notify.sent"))
    await wait_until(lambda: _saved(notified))
    await notified.stop()
    await notified.start()
    await wait_until(lambda: _knows_folder_is_missing(notified))
    await asyncio.sleep(1.5)  # longer than unavailable_after
    assert len(server.requests) == 1


async def test_last_upload_of_earlier_run_counts(notified, server):
    """A daemon that restarts every day still reports a long time without an upload."""
    await notified.start()
    (notified.inbox / "a.jpg").write_bytes(random_bytes(1000))
    await notified.wait_for_counts(done=1)
    uploaded_at = time.time()
    await notified.stop()
    await notified.start()
    found = await wait_until(lambda: notified.daemon.notifications.results)
    await wait_until(lambda: found.last_upload <= uploaded_at)


async def _watch_event_loop(pauses):
    """Record how long the event loop takes for each step."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(0.01)
        pauses.append(time.monotonic() - before)


def _events(name):
    return [event for event in logs.recent_events(limit=10_000, event=name) if event["event"] == name]


async def _saved(harness):
    return await harness.daemon.runtime.store.get_setting("notified")


async def _knows_folder_is_missing(harness):
    return (await harness.service.status())["folders"][0]["state"] == "offline"
