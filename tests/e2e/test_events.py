"""The events of a real daemon during an upload."""

import json
import socket
from contextlib import closing

import pytest

pytestmark = pytest.mark.e2e


def ask(daemon, path):
    """Send a GET request to the control socket; return status and body."""
    with closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.settimeout(30)
        connection.connect(str(daemon.state / "control.sock"))
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        raw = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = raw.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def test_events_report_upload_from_queued_to_done(daemon):
    daemon.start()
    with daemon.client.listen("job", "log", "daemon") as events:
        (daemon.inbox / "a.jpg").write_bytes(b"x" * 3_000_000)
        seen = []

        while sum(kind == "job" and event["state"] == "done" for kind, event in seen) < 2:
            seen += events.receive()
        for remote in ("drive", "ascii"):
            states = [event["state"] for kind, event in seen if kind == "job" and event["remote"] == remote]
            assert states == ["queued", "uploading", "done"]
        logged = [event["event"] for kind, event in seen if kind == "log" and event["event"].startswith("job.")]
        assert sorted(logged) == sorted(f"job.{event['state']}" for kind, event in seen if kind == "job")

        assert ask(daemon, "/healthz") == (200, b'{"ok": true}')
        status, body = ask(daemon, "/metrics")
        assert status == 200
        assert b'syncd_jobs{remote="drive",state="done"} 1.0' in body
        assert b"syncd_sent_bytes_total" in body
        (kept,) = json.loads(ask(daemon, "/v1/log?event=daemon.started")[1])["events"]
        assert kept["pid"] == daemon.child.pid

        assert daemon.terminate() == 0
        while (more := events.receive()) is not None:
            seen.extend(more)
    assert [event["state"] for kind, event in seen if kind == "daemon"][-1] == "stopping"
