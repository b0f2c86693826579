"""The circuit breaker of a remote: a server that is down gets one probe at a time, no job.

A closed breaker allows requests. An open breaker allows none until ``probe_at``; then the worker sends one probe, and
the breaker is half-open. A half-open breaker allows one request at a time, and the first success closes it.

:mod:`~syncd.remotes.response_failures` gives a response such as 429 its scope and Retry-After;
:mod:`~syncd.upload.endpoint` passes the failure here, and after an overload it reduces the limit of requests in flight.
While the breaker is open, :mod:`~syncd.upload.upload` releases each job whose request fails: the job is queued again,
and the failure does not count against it.
"""

from collections.abc import Callable
from enum import StrEnum

from syncd.core.errors import Failure, Scope, Transient, Unauthorized
from syncd.core.retry import MAX_RETRY_AFTER, Policy, backoff

MAX_FAILED_JOBS = 5
"""When this many jobs have failed without a success between them, the whole server counts as failing."""


class BreakerState(StrEnum):
    """The state of a circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Counts the failures of one server, and decides when the next request may be sent.

    The caller supplies the time, in seconds of any epoch. ``random`` returns a number from 0 to 1, without 1.
    """

    def __init__(self, policy: Policy, random: Callable[[], float]) -> None:
        self.policy = policy
        self._random = random
        self.failures = 0
        self._failed_jobs: set[object] = set()
        self.state = BreakerState.CLOSED
        self.probe_at: float | None = None
        self.reason: Failure | None = None

    def failed(self, failure: Failure, now: float, *, job_id: object = None) -> bool:
        """Record a failed request of job ``job_id``.

        Return True if the failure concerns the whole remote; the breaker is open afterwards. Pass no job for a probe:
        then every transient failure concerns the remote.
        """
        if not self._concerns_remote(failure, job_id):
            return False
        earliest = now + _retry_after(failure)
        if self.state is BreakerState.OPEN:  # a request from before the breaker opened: only its Retry-After counts
            self.probe_at = max(self.probe_at or now, earliest)
            return True
        self.failures += 1
        self._failed_jobs.clear()
        self.state = BreakerState.OPEN
        self.probe_at = earliest + backoff(self.failures, self.policy, self._random)
        self.reason = failure
        return True

    def _concerns_remote(self, failure: Failure, job_id: object) -> bool:
        if isinstance(failure, Unauthorized):
            return True
        if not isinstance(failure, Transient):
            return False
        if job_id is None or failure.scope is Scope.REMOTE:
            return True
        if failure.scope is Scope.JOB:
            self._failed_jobs.add(job_id)
        return len(self._failed_jobs) >= MAX_FAILED_JOBS

    def hasten_probe(self, now: float) -> None:
        """Allow the next probe of an open breaker now, even before the end of Retry-After."""
        if self.state is BreakerState.OPEN:
            self.probe_at = now

    def allow_probe(self) -> None:
        """Become half-open: the caller sends one probe."""
        self.state = BreakerState.HALF_OPEN
        self.probe_at = None

    def succeeded(self) -> bool:
        """Record a successful request; return whether that closed the breaker."""
        self._failed_jobs.clear()
        if self.state is not BreakerState.HALF_OPEN:
            return False
        self.reset()
        return True

    def reset(self) -> None:
        """Forget all failures and close, for example because a user asked for an attempt now."""
        self.failures = 0
        self._failed_jobs.clear()
        self.state = BreakerState.CLOSED
        self.probe_at = self.reason = None


def _retry_after(failure: Failure) -> float:
    """Return the server's Retry-After in seconds, at most ``MAX_RETRY_AFTER``; 0 without one."""
    asked = failure.retry_after if isinstance(failure, Transient) else None
    return min(asked or 0.0, MAX_RETRY_AFTER)
