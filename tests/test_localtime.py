"""Local time follows the machine's time zone, in the console's log and in the timetable."""

import asyncio
import shutil
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from syncd import localtime
from syncd.core.bandwidth import Span
from syncd.logs.format import render_console
from syncd.upload.throttle import MAX_PAUSE_SECONDS, BandwidthLimiter
from tests.simulation.event_loop import simulated

pytestmark = pytest.mark.unix

BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
"""The rules of central Europe, which need no database of time zones."""
SPRING = datetime(2027, 3, 28, 1, 0, tzinfo=UTC)
"""When the clocks go from 02:00 to 03:00."""
AUTUMN = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)
"""When the clocks go from 03:00 to 02:00."""
ZONES = Path("/usr/share/zoneinfo")


@pytest.fixture
def zone(monkeypatch):
    """Change the machine's time zone without notifying the C library."""
    monkeypatch.setenv("TZ", "UTC0")
    time.tzset()
    yield lambda name: monkeypatch.setenv("TZ", name)
    monkeypatch.undo()
    time.tzset()


def line(moment):
    return render_console(colours=False)({"timestamp": moment, "level": "info", "event": "x"})[:16]


def test_console_log_uses_current_time_zone(zone):
    noon = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    assert line(noon) == "2026-07-01 12:00"
    zone("XYZ-5:30")
    assert line(noon) == "2026-07-01 17:30"
    zone("XYZ+13")
    assert line(noon) == "2026-06-30 23:00"


def test_localtime_now_uses_current_time_zone(zone):
    assert localtime.now().utcoffset() == timedelta(0)
    zone("XYZ-5:30")
    assert localtime.now().utcoffset() == timedelta(hours=5.5)
    assert abs(localtime.now() - datetime.now(UTC)) < timedelta(minutes=1)


ANOTHER_FILE = """
    import subprocess, sys
    from datetime import UTC, datetime
    from syncd.logs.format import render_console

    for zone in sys.argv[1:]:
        subprocess.run(["mount", "--bind", zone, "/etc/localtime"], check=True)
        noon = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
        print(render_console(colours=False)({"timestamp": noon, "level": "info", "event": "x"})[:16])
"""


@pytest.mark.e2e
def test_localtime_replaced_file_changes_time_zone(tmp_path):
    """Replace the file as ``timedatectl set-timezone`` does, while the process runs."""
    if (
        not ZONES.is_dir()
        or subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs leave to mount, and the database of time zones")
    zones = [shutil.copy(ZONES / name, tmp_path / name.replace("/", "-")) for name in ("Asia/Tehran", "Asia/Tokyo")]
    shell = ["env", "-u", "TZ", "unshare", "--mount", "--propagation", "private"]
    command = [*shell, sys.executable, "-c", textwrap.dedent(ANOTHER_FILE), *zones]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.stdout.splitlines(), ended.stderr) == (["2026-07-01 15:30", "2026-07-01 21:00"], "")


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        (SPRING, "2027-03-28 01:59", "2027-03-28 03:00"),
        (AUTUMN, "2026-10-25 02:59", "2026-10-25 02:00"),
    ],
)
def test_console_log_follows_daylight_saving_change(zone, change, before, after):
    zone(BERLIN)
    assert [line(change - timedelta(minutes=1)), line(change)] == [before, after]


def closed_minutes(change, *, start, end):
    """Return the minutes in which a span without bandwidth applies around ``change``.

    They range from one hour before it to two hours after it.
    """
    elapsed = timedelta()
    timetable = [Span(start=start, end=end, limit=0.0)]

    async def run():
        return BandwidthLimiter(timetable, clock=lambda: 0.0, local_time=lambda: localtime.at(change + elapsed))

    bandwidth_limiter = simulated(run())
    closed = []
    for minute in range(-60, 120):
        elapsed = timedelta(minutes=minute)
        if bandwidth_limiter._limit() == 0:
            closed.append(minute)
    return closed


@pytest.mark.parametrize(
    ("change", "start", "end", "closed"),
    [
        (SPRING, "01:30", "03:30", range(-30, 30)),  # one hour shorter
        (SPRING, "02:15", "02:45", range(0)),  # this local time is skipped
        (SPRING, "02:30", "04:00", range(60)),  # starts after the skipped hour
        (AUTUMN, "01:30", "03:30", range(-60, 90)),  # an hour longer; started before the change
        (AUTUMN, "02:15", "02:45", [*range(-45, -15), *range(15, 45)]),  # this local time occurs twice
        (AUTUMN, "03:00", "04:00", range(60, 120)),
    ],
)
def test_timetable_follows_daylight_saving_change(zone, change, start, end, closed):
    zone(BERLIN)
    minutes = [int(text[:2]) * 60 + int(text[3:]) for text in (start, end)]
    assert closed_minutes(change, start=minutes[0], end=minutes[1]) == list(closed)


def test_limiter_daylight_saving_change_ends_wait(zone):
    zone(BERLIN)

    async def run():
        clock = asyncio.get_running_loop().time
        began = clock()
        before = SPRING - timedelta(minutes=10)
        bandwidth_limiter = BandwidthLimiter(
            [Span(start=60, end=3 * 60, limit=0.0)],
            clock=clock,
            local_time=lambda: localtime.at(before + timedelta(seconds=clock() - began)),
        )
        await bandwidth_limiter.acquire(1000)
        return clock() - began

    assert 600 <= simulated(run()) <= 600 + MAX_PAUSE_SECONDS
