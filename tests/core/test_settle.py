"""When a file is quiet: a story of events and looks, and the moment at which it may be taken."""

from syncd.core.model import Stamp
from syncd.core.settle import GRACE, Settling

QUIET = 2.0


def stamp(size: int) -> Stamp:
    return Stamp(inode=1, size=size, mtime_ns=1)


def test_a_closed_file_needs_one_look_after_a_moment():
    settling = Settling(since=10.0, closed=True)
    assert settling.look_at(QUIET) == 10.0 + GRACE
    assert settling.seen(stamp(5), 10.0 + GRACE).due(QUIET) == 10.0 + GRACE


def test_an_open_file_needs_two_equal_looks_a_quiet_time_apart():
    settling = Settling(since=10.0)
    first = settling.look_at(QUIET)
    assert first == 10.0 + GRACE
    settling = settling.seen(stamp(5), first)
    assert settling.due(QUIET) == settling.look_at(QUIET) == 12.0
    assert settling.seen(stamp(5), 12.0).due(QUIET) == 12.0


def test_a_change_between_looks_starts_anew():
    settling = Settling(since=10.0).seen(stamp(5), 10.1).seen(stamp(6), 12.0)
    assert settling.due(QUIET) == settling.look_at(QUIET) == 14.0


def test_a_close_after_a_look_makes_the_earlier_look_worthless():
    settling = Settling(since=10.0).seen(stamp(0), 10.1).noticed(closed=True, now=11.0)
    assert settling.seen(stamp(6), 11.1).due(QUIET) == 11.0 + GRACE


def test_a_change_after_the_close_is_another_write():
    settling = Settling(since=10.0, closed=True).seen(stamp(5), 10.05).seen(stamp(6), 10.1)
    assert settling.due(QUIET) == 12.1


def test_a_later_event_moves_the_moment():
    settling = Settling(since=10.0, closed=True).noticed(closed=False, now=10.05)
    assert settling.look_at(QUIET) == 10.05 + GRACE
    assert settling.seen(stamp(5), 10.2).due(QUIET) == 12.05


def test_a_quiet_time_shorter_than_the_grace_counts():
    assert Settling(since=10.0, closed=True).due(0.01) == 10.01
    assert Settling(since=10.0).look_at(0.0) == 10.0
