"""What follows a failed try."""

from hypothesis import given
from hypothesis import strategies as st

from syncd.core.errors import FileUnreadable, SessionLost, Transient
from syncd.core.retry import MAX_LOST, MAX_TRIES, GiveUp, Policy, Retry, backoff, decide

POLICY = Policy(initial=1, maximum=300)


@given(failures=st.integers(1, 10_000), random=st.floats(0, 1, exclude_max=True))
def test_backoff_is_full_jitter_below_a_doubling_bound(failures, random):
    bound = min(300, 2 ** min(failures - 1, 60))
    assert 0 <= backoff(failures, POLICY, lambda: random) < bound
    assert backoff(failures, POLICY, lambda: random) == random * bound


def _decide(failure, failures, random=0.5):
    return decide(failure, failures=failures, now=1000.0, random=lambda: random, policy=POLICY)


def test_each_failure_counts_and_waits_longer():
    assert _decide(Transient("no"), 0) == Retry(at=1000.5, failures=1)
    assert _decide(Transient("no"), 3) == Retry(at=1004.0, failures=4)


def test_retry_after_is_a_floor_and_is_not_believed_without_end():
    assert _decide(Transient("no", retry_after=30), 0).at == 1030.5
    assert _decide(Transient("no", retry_after=10**9), 0).at == 1000.5 + 3600


def test_a_file_that_fails_again_and_again_is_left_to_a_person():
    assert isinstance(_decide(Transient("no"), MAX_TRIES - 2), Retry)
    assert _decide(Transient("no"), MAX_TRIES - 1) == GiveUp(reason=f"no (tried {MAX_TRIES} times)")


def test_an_upload_that_the_server_loses_is_not_sent_for_ever():
    assert isinstance(_decide(SessionLost("lost"), MAX_LOST - 1), GiveUp)


def test_a_file_that_cannot_be_read_is_tried_for_ever():
    assert isinstance(_decide(FileUnreadable("no permission"), 10_000), Retry)
