"""A server that is down is asked by one probe in each backoff period."""

import pytest

from syncd.core.breaker import MAX_FAILED_JOBS, Breaker, BreakerState
from syncd.core.errors import Permanent, Scope, Transient, Unauthorized
from syncd.core.retry import Policy

DOWN = Transient("refused", scope=Scope.REMOTE)
ODD = Transient("500")


@pytest.fixture
def breaker():
    return Breaker(Policy(initial=1, maximum=60), lambda: 0.999)


def test_a_failing_server_opens_it_and_each_failed_probe_doubles_the_wait(breaker):
    waits, now = [], 0.0
    for _ in range(9):
        assert breaker.failed(DOWN, now)
        assert breaker.state is BreakerState.OPEN
        waits.append(breaker.probe_at - now)
        now = breaker.probe_at
        breaker.allow_probe()
        assert breaker.state is BreakerState.HALF_OPEN
    assert waits == pytest.approx([0.999 * bound for bound in (1, 2, 4, 8, 16, 32, 60, 60, 60)])


def test_a_probe_whose_connection_breaks_opens_it_again(breaker):
    for job in range(MAX_FAILED_JOBS):
        breaker.failed(ODD, 0, whose=job)
    breaker.allow_probe()
    assert breaker.failed(ODD, 1)
    assert breaker.state is BreakerState.OPEN
    breaker.allow_probe()
    assert not breaker.failed(ODD, 2, whose="a job let through after it")


def test_requests_that_were_under_way_when_it_opened_do_not_lengthen_the_wait(breaker):
    breaker.failed(DOWN, 0)
    probe_at = breaker.probe_at
    for _ in range(50):
        assert breaker.failed(DOWN, 0.5)
    assert breaker.probe_at == probe_at


def test_only_a_success_after_the_probe_closes_it(breaker):
    breaker.failed(DOWN, 0)
    assert not breaker.succeeded()  # an old request that ended well proves nothing about now
    assert breaker.state is BreakerState.OPEN
    breaker.allow_probe()
    assert breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED
    breaker.failed(DOWN, 10)
    assert breaker.probe_at == pytest.approx(10.999)  # and it starts from the beginning


def test_one_file_in_trouble_is_not_the_server_but_many_with_no_success_between_are(breaker):
    for _ in range(100):
        assert not breaker.failed(ODD, 0, whose="a")
    for job in range(MAX_FAILED_JOBS - 2):
        assert not breaker.failed(ODD, 0, whose=job)
    breaker.succeeded()
    for job in range(MAX_FAILED_JOBS - 1):
        assert not breaker.failed(ODD, 0, whose=job)
    assert breaker.failed(ODD, 0, whose="a")


def test_trouble_with_the_files_alone_never_opens_it(breaker):
    page = Transient("an HTML page", scope=Scope.FILE)
    for job in range(MAX_FAILED_JOBS * 3):
        assert not breaker.failed(page, 0, whose=job)
    assert breaker.state is BreakerState.CLOSED


def test_a_refused_token_concerns_the_server_and_a_refused_file_does_not(breaker):
    assert not breaker.failed(Permanent("too large"), 0)
    assert breaker.failed(Unauthorized("token"), 0)


def test_retry_after_is_obeyed(breaker):
    breaker.failed(Transient("busy", scope=Scope.REMOTE, retry_after=120), 5)
    assert breaker.probe_at >= 125


def test_the_longest_time_that_any_of_the_answers_asks_for_counts(breaker):
    breaker.failed(DOWN, 5)
    breaker.failed(Transient("busy", scope=Scope.REMOTE, retry_after=120), 5)  # it was under way with the other
    assert breaker.probe_at >= 125
    breaker.failed(Transient("busy", scope=Scope.REMOTE, retry_after=1), 6)
    assert breaker.probe_at >= 125
