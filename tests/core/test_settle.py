"""Tests of when a file has settled, after sequences of events and checks."""

import pytest

from syncd.core.model import Fingerprint
from syncd.core.settle import GRACE, TICK, Hint, Settling, racy_for

QUIET = 2.0
CLOSED = Hint(closed=True, close_event=True, same_file=True)


def fingerprint(size: int) -> Fingerprint:
    return Fingerprint(inode=1, size=size, mtime_ns=1)


def test_settling_closed_file_is_due_after_grace():
    settling = Settling(since=10.0, hint=CLOSED)
    assert settling.next_check(QUIET) == 10.0 + GRACE
    assert settling.after_check(fingerprint(5), 10.0 + GRACE).due(QUIET) == 10.0 + GRACE


def test_settling_open_file_needs_two_equal_checks():
    settling = Settling(since=10.0)
    first = settling.next_check(QUIET)
    assert first == 10.0 + GRACE
    settling = settling.after_check(fingerprint(5), first)
    assert settling.due(QUIET) == settling.next_check(QUIET) == 12.0
    assert settling.after_check(fingerprint(5), 12.0).due(QUIET) == 12.0


def test_settling_change_restarts_quiet_time():
    settling = Settling(since=10.0).after_check(fingerprint(5), 10.1).after_check(fingerprint(6), 12.0)
    assert settling.due(QUIET) == settling.next_check(QUIET) == 14.0


def test_settling_close_event_discards_earlier_check():
    settling = Settling(since=10.0).after_check(fingerprint(0), 10.1).after_event(CLOSED, 11.0)
    assert settling.after_check(fingerprint(6), 11.1).due(QUIET) == 11.0 + GRACE


def test_settling_change_after_close_waits_quiet_time():
    settling = Settling(since=10.0, hint=CLOSED).after_check(fingerprint(5), 10.05).after_check(fingerprint(6), 10.1)
    assert settling.due(QUIET) == 12.1


def test_settling_later_event_postpones_check():
    settling = Settling(since=10.0, hint=CLOSED).after_event(Hint(), 10.05)
    assert settling.next_check(QUIET) == 10.05 + GRACE
    assert settling.after_check(fingerprint(5), 10.2).due(QUIET) == 12.05


def test_settling_quiet_time_below_grace_applies():
    assert Settling(since=10.0, hint=CLOSED).due(0.01) == 10.01
    assert Settling(since=10.0).next_check(0.0) == 10.0


def test_settling_not_before_holds_until_an_event():
    settling = Settling(since=10.0, fingerprint=fingerprint(5), not_before=17.0)
    assert settling.due(QUIET) == settling.next_check(QUIET) == 17.0
    assert settling.after_event(CLOSED, 13.0).next_check(QUIET) == 13.0 + GRACE


def test_settling_change_discards_close_event():
    settling = Settling(since=10.0, hint=CLOSED).after_check(fingerprint(5), 10.1)
    assert settling.hint.close_event
    assert not settling.after_check(fingerprint(6), 10.2).hint.close_event
    assert not settling.after_event(Hint(), 10.2).hint.close_event


def test_settling_keeps_rename_until_file_is_replaced():
    settling = Settling(since=10.0, hint=Hint(closed=True, moved_from="a"))
    assert settling.after_event(CLOSED, 11.0).hint.moved_from == "a"
    assert settling.after_check(fingerprint(5), 11.0).after_check(fingerprint(6), 12.0).hint.moved_from == "a"
    assert settling.after_event(Hint(), 11.0).hint.moved_from is None


@pytest.mark.parametrize(
    ("mtime", "granularity"), [(1_000_000, 2.0), (1_000_001, 1.0), (1_000_000.5, 0.01), (1_000_000.505, 0.0)]
)
def test_racy_for_depends_on_mtime_granularity(mtime, granularity):
    mtime_ns = int(mtime) * 10**9 + round(mtime % 1 * 10**9)
    assert racy_for(mtime_ns, mtime) == pytest.approx(granularity + TICK)
    assert racy_for(mtime_ns, mtime + granularity) == pytest.approx(TICK)
    assert racy_for(mtime_ns, mtime + granularity + 2 * TICK) == 0
    assert racy_for(mtime_ns, mtime + 1e6) == 0
    assert racy_for(mtime_ns, mtime, 0.008) == pytest.approx(granularity + 0.008)


def test_racy_for_future_mtime_is_zero():
    assert racy_for(1_000_000 * 10**9, 999_999.9) == 0


def test_merged_hints_keep_no_rename_of_an_earlier_file():
    renamed, created, closed = Hint(moved_from="a"), Hint(), Hint(closed=True, same_file=True)
    assert closed.merge(renamed).moved_from == "a"
    assert closed.merge(created).merge(renamed).moved_from is None
    assert closed.merge(closed).merge(renamed).moved_from == "a"


def test_hint_of_rename_keeps_its_origin_if_the_source_has_none():
    hint = Hint(moved_from="before.jpg")
    assert hint.trace_back(None) == hint
    assert hint.trace_back(Hint(closed=True)) == hint
    assert hint.trace_back(Hint(moved_from="first.jpg")).moved_from == "first.jpg"
