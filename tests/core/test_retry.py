"""Tests of the decision after a failed attempt."""

from hypothesis import given
from hypothesis import strategies as st

from syncd.core.errors import FileLocked, SessionLost, Transient
from syncd.core.retry import MAX_LOST, MAX_TRIES, GiveUp, Policy, Retry, backoff, decide

POLICY = Policy(initial=1, maximum=300)


@given(failures=st.integers(1, 10_000), random=st.floats(0, 1, exclude_max=True))
def test_backoff_has_full_jitter_below_doubling_bound(failures, random):
    bound = min(300, 2 ** min(failures - 1, 60))
    assert 0 <= backoff(failures, POLICY, lambda: random) < bound
    assert backoff(failures, POLICY, lambda: random) == random * bound


def _decide(failure, failures, random=0.5):
    return decide(failure, failures=failures, now=1000.0, random=lambda: random, policy=POLICY)


def test_decide_each_failure_doubles_the_delay():
    assert _decide(Transient("no"), 0) == Retry(at=1000.5, failures=1)
    assert _decide(Transient("no"), 3) == Retry(at=1004.0, failures=4)


def test_decide_adds_retry_after_up_to_an_hour():
    assert _decide(Transient("no", retry_after=30), 0).at == 1030.5
    assert _decide(Transient("no", retry_after=10**9), 0).at == 1000.5 + 3600


def test_decide_gives_up_after_max_tries():
    assert isinstance(_decide(Transient("no"), MAX_TRIES - 2), Retry)
    assert _decide(Transient("no"), MAX_TRIES - 1) == GiveUp(reason=f"no (tried {MAX_TRIES} times)")


def test_decide_lost_session_gives_up_after_max_lost():
    assert isinstance(_decide(SessionLost("lost"), MAX_LOST - 1), GiveUp)


def test_decide_locked_file_never_gives_up():
    assert isinstance(_decide(FileLocked("locked"), 10_000), Retry)
