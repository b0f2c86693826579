"""Tests the entries for systemd's journal, with a socket in place of the journal's."""

import array
import io
import json
import os
import socket
import struct

import pytest
import structlog

from syncd import logs
from syncd.logs import journald


@pytest.fixture
def journal(tmp_path, monkeypatch):
    """Listen in place of the journal."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.settimeout(5)
        monkeypatch.setattr(journald, "SOCKET", str(tmp_path / "socket"))
        yield listening


@pytest.fixture
def stream(tmp_path, monkeypatch):
    with (tmp_path / "stderr").open("w+") as stream:
        named = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{named.st_dev}:{named.st_ino}")
        yield stream


def written(stream):
    return (stream.seek(0), stream.read())[1]


def parsed(raw):
    """Parse an entry as the journal does."""
    fields = {}
    while raw:
        line, _, raw = raw.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", raw[:8])
            value, raw = raw[8 : 8 + length], raw[9 + length :]
        fields[name.decode()] = value.decode()
    return fields


def received(journal):
    raw, ancillary, _, _ = journal.recvmsg(1_000_000, socket.CMSG_SPACE(4))
    if not ancillary:
        return parsed(raw)
    assert raw == b""
    (descriptor,) = array.array("i", ancillary[0][2])
    with open(descriptor, "rb") as file:
        file.seek(0)
        return parsed(file.read())


def test_journal_entry_has_a_field_per_event_field(journal, stream):
    logs.configure(stream=stream)
    structlog.get_logger().warning("job.failed", job=7, path="a b.jpg", detail=None, parts=["x", 1])
    assert received(journal) == {
        "MESSAGE": 'job.failed job=7 path="a b.jpg" detail=null parts=["x", 1]',
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "syncd",
        "SYNCD_EVENT": "job.failed",
        "SYNCD_JOB": "7",
        "SYNCD_PATH": "a b.jpg",
        "SYNCD_PARTS": '["x", 1]',
    }
    assert written(stream) == ""


def test_journal_multiline_value_adds_no_field(journal, stream):
    logs.configure(stream=stream, level="debug")
    structlog.get_logger().error("x", path="a\nPRIORITY=0\n", exc_info=ValueError("why"), **{"odd key=\n": "v"})
    entry = received(journal)
    assert (entry["PRIORITY"], entry["SYNCD_PATH"], entry["SYNCD_ODD_KEY__"]) == ("3", "a\nPRIORITY=0\n", "v")
    assert entry["MESSAGE"].startswith('x path="a\\nPRIORITY=0\\n"')
    assert "ValueError: why\n" in entry["SYNCD_TRACEBACK"]
    assert "Traceback" not in entry["MESSAGE"]


def test_journal_entry_redacts_secrets(journal, stream):
    logs.configure(stream=stream, secrets=["hunter2"])
    structlog.get_logger().info("x", path="hunter2")
    assert "hunter2" not in str(received(journal))


def test_journal_large_entry_is_sent_complete(journal, stream):
    logs.configure(stream=stream)
    structlog.get_logger().info("x", path="ü" * 1_000_000)
    assert received(journal)["SYNCD_PATH"] == "ü" * 1_000_000
    assert written(stream) == ""


def test_journal_missing_socket_falls_back_to_json_stream(stream, monkeypatch):
    monkeypatch.setattr(journald, "SOCKET", "/no/such/socket")
    logs.configure(stream=stream)
    structlog.get_logger().info("x", path="y")
    assert json.loads(written(stream))["path"] == "y"


def test_journal_send_failure_falls_back_to_stream(journal, stream):
    logs.configure(stream=stream)
    journal.close()
    structlog.get_logger().info("x", path="y")
    assert json.loads(written(stream))["path"] == "y"


@pytest.mark.parametrize("chosen", ["json", "console"])
def test_explicit_format_bypasses_journal(journal, stream, chosen):
    logs.configure(stream=stream, format=chosen)
    structlog.get_logger().info("x", path="y")
    assert "y" in written(stream)


def test_other_stream_bypasses_journal(journal, stream, tmp_path):
    with (tmp_path / "other").open("w+") as other:
        logs.configure(stream=other)
        structlog.get_logger().info("x", path="y")
        assert "y" in written(other)
        logs.close()
    logs.configure(stream=io.StringIO())
    structlog.get_logger().info("x")
