"""Tests of the circuit breaker: when it opens, when it probes, and when it closes."""

import pytest

from syncd.core.breaker import MAX_FAILED_JOBS, Breaker, BreakerState
from syncd.core.errors import Permanent, Scope, Transient, Unauthorized
from syncd.core.retry import Policy

DOWN = Transient("refused", scope=Scope.REMOTE)
ERROR = Transient("500")


@pytest.fixture
def breaker():
    return Breaker(Policy(initial=1, maximum=60), lambda: 0.999)


def test_breaker_failed_probe_doubles_the_wait(breaker):
    waits, now = [], 0.0
    for _ in range(9):
        assert breaker.failed(DOWN, now)
        assert breaker.state is BreakerState.OPEN
        waits.append(breaker.probe_at - now)
        now = breaker.probe_at
        breaker.allow_probe()
        assert breaker.state is BreakerState.HALF_OPEN
    assert waits == pytest.approx([0.999 * bound for bound in (1, 2, 4, 8, 16, 32, 60, 60, 60)])


def test_breaker_failed_probe_opens_again(breaker):
    for job in range(MAX_FAILED_JOBS):
        breaker.failed(ERROR, 0, job_id=job)
    breaker.allow_probe()
    assert breaker.failed(ERROR, 1)
    assert breaker.state is BreakerState.OPEN
    breaker.allow_probe()
    assert not breaker.failed(ERROR, 2, job_id="a later job")


def test_breaker_earlier_requests_do_not_extend_the_wait(breaker):
    breaker.failed(DOWN, 0)
    probe_at = breaker.probe_at
    for _ in range(50):
        assert breaker.failed(DOWN, 0.5)
    assert breaker.probe_at == probe_at


def test_breaker_hastened_probe_ignores_retry_after(breaker):
    breaker.hasten_probe(1)
    assert (breaker.state, breaker.probe_at) == (BreakerState.CLOSED, None)
    breaker.failed(Transient("busy", scope=Scope.REMOTE, retry_after=600), 2)
    breaker.hasten_probe(3)
    assert (breaker.state, breaker.probe_at) == (BreakerState.OPEN, 3)


def test_breaker_closes_only_after_a_successful_probe(breaker):
    breaker.failed(DOWN, 0)
    assert not breaker.succeeded()  # a request from before the failure proves nothing
    assert breaker.state is BreakerState.OPEN
    breaker.allow_probe()
    assert breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED
    breaker.failed(DOWN, 10)
    assert breaker.probe_at == pytest.approx(10.999)  # the backoff starts again


def test_breaker_opens_after_failures_of_several_jobs(breaker):
    for _ in range(100):
        assert not breaker.failed(ERROR, 0, job_id="a")
    for job in range(MAX_FAILED_JOBS - 2):
        assert not breaker.failed(ERROR, 0, job_id=job)
    breaker.succeeded()
    for job in range(MAX_FAILED_JOBS - 1):
        assert not breaker.failed(ERROR, 0, job_id=job)
    assert breaker.failed(ERROR, 0, job_id="a")


def test_breaker_file_failures_never_open(breaker):
    page = Transient("an HTML page", scope=Scope.FILE)
    for job in range(MAX_FAILED_JOBS * 3):
        assert not breaker.failed(page, 0, job_id=job)
    assert breaker.state is BreakerState.CLOSED


def test_breaker_opens_for_rejected_token_not_for_rejected_file(breaker):
    assert not breaker.failed(Permanent("too large"), 0)
    assert breaker.failed(Unauthorized("token"), 0)


def test_breaker_waits_for_retry_after(breaker):
    breaker.failed(Transient("busy", scope=Scope.REMOTE, retry_after=120), 5)
    assert breaker.probe_at >= 125


def test_breaker_respects_the_longest_retry_after(breaker):
    breaker.failed(DOWN, 5)
    breaker.failed(Transient("busy", scope=Scope.REMOTE, retry_after=120), 5)  # in flight together with the other
    assert breaker.probe_at >= 125
    breaker.failed(Transient("busy", scope=Scope.REMOTE, retry_after=1), 6)
    assert breaker.probe_at >= 125
