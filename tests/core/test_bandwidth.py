"""Tests of the token bucket and of the timetable of limits."""

from hypothesis import given
from hypothesis import strategies as st

from syncd.core.bandwidth import BURST, Span, TokenBucket, limit_at


@given(sizes=st.lists(st.integers(1, 5_000), min_size=1, max_size=200), rate=st.floats(100, 10_000))
def test_token_bucket_never_exceeds_rate_and_burst(sizes, rate):
    bucket, now, sent = TokenBucket(rate, 0.0), 0.0, 0
    for size in sizes:
        now += bucket.draw(size, now)
        sent += size
        assert sent <= rate * (now + BURST) + 1


@given(sizes=st.lists(st.integers(1, 5_000), min_size=20, max_size=200))
def test_token_bucket_uses_the_full_rate(sizes):
    bucket, now = TokenBucket(1000.0, 0.0), 0.0
    for size in sizes:
        now += bucket.draw(size, now)
    assert now <= sum(sizes) / 1000.0 + 1e-6


def test_token_bucket_unlimited_and_zero_rate():
    assert TokenBucket(None, 0).draw(10**9, 0) == 0
    assert TokenBucket(0, 0).draw(1, 0) == float("inf")


def test_token_bucket_changed_rate_applies_to_next_draw():
    bucket = TokenBucket(100, 0)
    bucket.draw(100, 0)
    bucket.set_rate(1000, 1.0)
    assert bucket.draw(1000, 1.0) == 1.0


def test_limit_at_span_past_midnight_covers_both_days():
    night = Span(start=22 * 60, end=6 * 60, limit=None)
    noon = Span(start=12 * 60, end=13 * 60, limit=0.0)
    day = Span(start=0, end=24 * 60, limit=1e6)
    table = (night, noon, day)
    assert [limit_at(table, hour * 60) for hour in (23, 5, 6, 12, 13)] == [None, None, 1e6, 0.0, 1e6]
    assert limit_at((noon,), 0) is None
