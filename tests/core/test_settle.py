"""When a file is quiet: a story of events and looks, and the moment at which it may be taken."""

import pytest

from syncd.core.model import Fingerprint
from syncd.core.settle import GRACE, TICK, Hint, Settling, racy_for

QUIET = 2.0
CLOSED = Hint(closed=True, close_event=True, same_file=True)


def fingerprint(size: int) -> Fingerprint:
    return Fingerprint(inode=1, size=size, mtime_ns=1)


def test_a_closed_file_needs_one_look_after_a_moment():
    settling = Settling(since=10.0, hint=CLOSED)
    assert settling.next_check(QUIET) == 10.0 + GRACE
    assert settling.after_check(fingerprint(5), 10.0 + GRACE).due(QUIET) == 10.0 + GRACE


def test_an_open_file_needs_two_equal_looks_a_quiet_time_apart():
    settling = Settling(since=10.0)
    first = settling.next_check(QUIET)
    assert first == 10.0 + GRACE
    settling = settling.after_check(fingerprint(5), first)
    assert settling.due(QUIET) == settling.next_check(QUIET) == 12.0
    assert settling.after_check(fingerprint(5), 12.0).due(QUIET) == 12.0


def test_a_change_between_looks_starts_anew():
    settling = Settling(since=10.0).after_check(fingerprint(5), 10.1).after_check(fingerprint(6), 12.0)
    assert settling.due(QUIET) == settling.next_check(QUIET) == 14.0


def test_a_close_after_a_look_makes_the_earlier_look_worthless():
    settling = Settling(since=10.0).after_check(fingerprint(0), 10.1).after_event(CLOSED, 11.0)
    assert settling.after_check(fingerprint(6), 11.1).due(QUIET) == 11.0 + GRACE


def test_a_change_after_the_close_is_another_write():
    settling = Settling(since=10.0, hint=CLOSED).after_check(fingerprint(5), 10.05).after_check(fingerprint(6), 10.1)
    assert settling.due(QUIET) == 12.1


def test_a_later_event_moves_the_moment():
    settling = Settling(since=10.0, hint=CLOSED).after_event(Hint(), 10.05)
    assert settling.next_check(QUIET) == 10.05 + GRACE
    assert settling.after_check(fingerprint(5), 10.2).due(QUIET) == 12.05


def test_a_quiet_time_shorter_than_the_grace_counts():
    assert Settling(since=10.0, hint=CLOSED).due(0.01) == 10.01
    assert Settling(since=10.0).next_check(0.0) == 10.0


def test_a_file_that_is_held_back_is_looked_at_when_that_is_over_or_at_an_event():
    settling = Settling(since=10.0, fingerprint=fingerprint(5), not_before=17.0)
    assert settling.due(QUIET) == settling.next_check(QUIET) == 17.0
    assert settling.after_event(CLOSED, 13.0).next_check(QUIET) == 13.0 + GRACE


def test_a_close_that_was_told_is_forgotten_at_a_change():
    settling = Settling(since=10.0, hint=CLOSED).after_check(fingerprint(5), 10.1)
    assert settling.hint.close_event
    assert not settling.after_check(fingerprint(6), 10.2).hint.close_event
    assert not settling.after_event(Hint(), 10.2).hint.close_event


def test_a_renamed_file_stays_renamed_until_another_takes_its_place():
    settling = Settling(since=10.0, hint=Hint(closed=True, moved_from="a"))
    assert settling.after_event(CLOSED, 11.0).hint.moved_from == "a"
    assert settling.after_check(fingerprint(5), 11.0).after_check(fingerprint(6), 12.0).hint.moved_from == "a"
    assert settling.after_event(Hint(), 11.0).hint.moved_from is None


@pytest.mark.parametrize(
    ("mtime", "granularity"), [(1_000_000, 2.0), (1_000_001, 1.0), (1_000_000.5, 0.0), (1_000_001.00000001, 0.0)]
)
def test_the_time_in_which_a_change_may_not_show(mtime, granularity):
    mtime_ns = int(mtime) * 10**9 + round(mtime % 1 * 10**9)
    assert racy_for(mtime_ns, mtime) == pytest.approx(granularity + TICK)
    assert racy_for(mtime_ns, mtime + granularity) == pytest.approx(TICK)
    assert racy_for(mtime_ns, mtime + granularity + 2 * TICK) == 0
    assert racy_for(mtime_ns, mtime + 1e6) == 0


def test_an_mtime_to_come_is_not_waited_for():
    assert racy_for(1_000_000 * 10**9, 999_999.9) == 0


def test_hint_of_rename_keeps_its_origin_if_the_source_has_none():
    hint = Hint(moved_from="before.jpg")
    assert hint.trace_back(None) == hint
    assert hint.trace_back(Hint(closed=True)) == hint
    assert hint.trace_back(Hint(moved_from="first.jpg")).moved_from == "first.jpg"
