"""Tests the buffer of log events: its bound, filters, listeners and redaction."""

import io

import structlog

from syncd import logs
from syncd.logs.buffer import RingBuffer

log = structlog.get_logger()


def begin(**settings):
    logs.close()
    logs.configure(level="debug", format="json", stream=io.StringIO(), **settings)


def names(**query):
    return [event["event"] for event in logs.recent_events(**{"limit": 100, **query})]


def test_ring_buffer_full_keeps_latest_events():
    ring = RingBuffer(size=3)
    for number in range(5):
        ring.add({"event": number, "level": "info"})
    assert [event["event"] for event in ring.events()] == [2, 3, 4]


def test_ring_buffer_keeps_warnings_in_order_among_many_events():
    ring = RingBuffer(size=2, warnings=3)
    for number in range(40_000):
        level = {5: "warning", 7: "error", 39_998: "critical"}.get(number, "info")
        ring.add({"event": number, "level": level})
    assert [event["event"] for event in ring.events()] == [5, 7, 39_997, 39_998, 39_999]
    ring.add({"event": "last", "level": "warning"})
    assert [event["event"] for event in ring.events()] == [7, 39_997, 39_998, 39_999, "last"]
    ring.clear()
    assert ring.events() == []


def test_recent_events_are_redacted_json_objects():
    begin(secrets=["open-sesame"])
    log.info("remote.offline", reason="bad token open-sesame", path=b"\xff.jpg")
    (event,) = logs.recent_events(limit=1)
    assert event["reason"] == "bad token ***"
    assert event["path"] == "\\xff.jpg"
    assert event["timestamp"].endswith("Z")


def test_recent_events_filter_by_level_name_and_text():
    begin()
    log.debug("job.queued", path="a.jpg")
    log.info("job.done", path="B.jpg")
    log.warning("job.failed", path="b.jpg")
    log.error("store.blocked", reason="no space")
    assert names() == ["job.queued", "job.done", "job.failed", "store.blocked"]
    assert names(limit=2) == ["job.failed", "store.blocked"]
    assert names(level="warning") == ["job.failed", "store.blocked"]
    assert names(event="job.") == ["job.queued", "job.done", "job.failed"]
    assert names(text="b.JPG") == ["job.done", "job.failed"]
    assert names(text="b.jpg", level="warning", event="job.f") == ["job.failed"]


def test_recent_events_exclude_disabled_levels():
    logs.close()
    logs.configure(level="warning", format="json", stream=io.StringIO())
    log.info("job.done")
    assert names() == []


def test_ring_buffer_calls_listener_until_removed():
    begin()
    received = []
    leave = logs.recent.listen(received.append)
    log.info("job.done")
    leave()
    log.info("job.failed")
    assert [event["event"] for event in received] == ["job.done"]


def test_close_clears_recent_events():
    begin()
    log.info("job.done")
    logs.close()
    assert logs.recent.events() == []
