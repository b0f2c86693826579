import time
from datetime import UTC, datetime, timedelta

import click
import pytest

from syncd import localtime
from syncd.cli.ctl import pause_end
from syncd.control import problems
from tests.control.fake import STATUS


@pytest.fixture(params=["Europe/Berlin", "America/New_York", "UTC"])
def zone(request, monkeypatch):
    set_zone(monkeypatch, request.param)
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def berlin(monkeypatch):
    set_zone(monkeypatch, "Europe/Berlin")
    yield
    monkeypatch.undo()
    time.tzset()


def set_zone(monkeypatch, name):
    monkeypatch.setenv("TZ", name)
    time.tzset()


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_until_is_next_local_time_every_day_of_year(zone):
    for day in range(365):
        now = utc("2026-01-01 09:30") + timedelta(days=day)
        end = pause_end.next_occurrence("7:00", now)
        local = end.astimezone()
        assert (local.hour, local.minute) == (7, 0)
        assert timedelta() < end - now <= timedelta(hours=25)


@pytest.mark.parametrize(
    ("now", "text", "end"),
    [
        ("2026-07-01 12:00", "22:15", "2026-07-01 20:15"),
        ("2026-07-01 12:00", "14:00", "2026-07-02 12:00"),  # it is 14:00 now
        ("2026-03-28 22:00", "07:00", "2026-03-29 05:00"),  # the night has 23 hours
        ("2026-03-28 22:00", "02:30", "2026-03-29 01:30"),  # clocks skip it: they show 03:30
        ("2026-10-24 20:00", "07:00", "2026-10-25 06:00"),  # the night has 25 hours
        ("2026-10-24 20:00", "02:30", "2026-10-25 00:30"),  # it comes twice
        ("2026-10-25 00:45", "02:30", "2026-10-25 01:30"),
        ("2026-07-01 12:00", "2026-12-24 18:00", "2026-12-24 17:00"),
    ],
)
def test_until_is_exact_when_clocks_change(berlin, now, text, end):
    assert pause_end.next_occurrence(text, utc(now)) == utc(end)


def test_for_counts_real_time_when_clocks_change(berlin):
    now = utc("2026-10-24 23:00").astimezone()
    assert pause_end.after("4h", now) == utc("2026-10-25 03:00")


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("--for", "2", "2: write a duration such as 200ms, 30s, 5m, 1h or 30d"),
        ("--for", "soon", "soon: write a duration such as 200ms, 30s, 5m, 1h or 30d"),
        ("--for", "0s", "0s: too short; write at least 1s"),
        ("--for", "-1h", "-1h: write a duration such as 200ms, 30s, 5m, 1h or 30d"),
        ("--for", "9" * 12 + "d", "too long; leave --for out to stop until syncd ctl start"),
        ("--until", "25:00", '25:00: write a time such as 07:00 or "2026-12-01 07:00"'),
        ("--until", "7", '7: write a time such as 07:00 or "2026-12-01 07:00"'),
        ("--until", "\u202e07:00", r'\u202e07:00: write a time such as 07:00 or "2026-12-01 07:00"'),
        ("--until", "2026-02-30 07:00", 'write a time such as 07:00 or "2026-12-01 07:00"'),
        ("--until", "2020-01-01 07:00", "2020-01-01 07:00 has passed; write a time in the future"),
    ],
)
def test_stop_bad_end_is_one_line_with_fix(ctl, daemon, option, text, message):
    result = ctl("stop", option, text)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert f"{message}" in result.err
    assert daemon.asked == []


def test_stop_for_and_until_exclude_each_other(ctl, daemon):
    result = ctl("stop", "--for", "2h", "--until", "07:00")
    assert (result.code, daemon.asked) == (2, [])
    assert result.err.startswith("syncd: --for cannot be combined with --until")


def test_stop_for_sends_end_and_prints_it(ctl, daemon):
    before = datetime.now(UTC)
    result = ctl("stop", "--now", "--for", "2h")
    ((call, now, until),) = daemon.asked
    assert (result.code, call, now) == (0, "stop", True)
    assert timedelta(hours=2) <= until - before < timedelta(hours=2, minutes=1)
    end = localtime.minute(until, before)
    assert result.out == f"stopped until {end}; new files are queued; resume earlier with: syncd ctl start\n"


def test_status_prints_end_of_pause(ctl, daemon, berlin):
    daemon.status_document = {**STATUS, "state": "stopped", "stopped_until": "2040-07-01T05:00:00+00:00"}
    out = ctl("status").out
    assert out.startswith("needs attention: uploading is stopped until 2040-07-01 07:00\n")
    assert "  uploading is stopped until 2040-07-01 07:00; resume with: syncd ctl start\n" in out


def test_stopped_until_today_is_only_time(berlin):
    now = utc("2026-07-01 12:00")
    assert problems.stopped_until("2026-07-01T20:00:00+00:00", now) == " until 22:00"
    assert problems.stopped_until("2026-07-01T22:00:00+00:00", now) == " until 2026-07-02 00:00"
    assert problems.stopped_until("soon\n", now) == r" until soon\n"
    assert problems.stopped_until(None) == ""


def test_until_rejects_end_of_calendar():
    with pytest.raises(click.BadParameter):
        pause_end.next_occurrence("9999-12-31 23:59", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
