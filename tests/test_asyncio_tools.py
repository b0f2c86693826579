"""Periodic checks wake the process together, and none of them runs twice in a row."""

import asyncio

import pytest

from syncd.asyncio_tools import until_next


@pytest.mark.parametrize(
    ("now", "seconds"),
    [(100.0, 2.0), (100.5, 1.5), (101.75, 0.25), (101.999, 2.001), (101.85, 2.15)],
)
async def test_until_next_reaches_multiple_of_interval(monkeypatch, now, seconds):
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    assert until_next(2.0) == pytest.approx(seconds)


async def test_until_next_different_starts_end_together(monkeypatch):
    ends = set()
    for now in (100.0, 100.3, 101.1, 101.7):
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda now=now: now)
        ends.add(round(now + until_next(2.0), 6))
    assert ends == {102.0}
