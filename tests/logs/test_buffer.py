"""The last log events are at hand for people who look on: as they went out, never unmasked, never too many."""

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


def test_it_keeps_the_last_ones():
    ring = RingBuffer(size=3)
    for number in range(5):
        ring.add({"event": number})
    assert [event["event"] for event in ring.events()] == [2, 3, 4]


def test_what_is_kept_is_masked_and_fit_for_json():
    begin(secrets=["open-sesame"])
    log.info("remote.offline", reason="bad token open-sesame", path=b"\xff.jpg")
    (event,) = logs.recent_events(limit=1)
    assert event["reason"] == "bad token ***"
    assert event["path"] == "\\xff.jpg"
    assert event["timestamp"].endswith("Z")


def test_it_can_be_asked_for_what_matters():
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


def test_what_is_filtered_out_is_not_kept():
    logs.close()
    logs.configure(level="warning", format="json", stream=io.StringIO())
    log.info("job.done")
    assert names() == []


def test_listeners_hear_each_event_until_they_leave():
    begin()
    heard = []
    leave = logs.recent.listen(heard.append)
    log.info("job.done")
    leave()
    log.info("job.failed")
    assert [event["event"] for event in heard] == ["job.done"]


def test_it_forgets_at_the_end():
    begin()
    log.info("job.done")
    logs.close()
    assert logs.recent.events() == []
