"""The circuit breaker of a remote: one probe, not every job, asks a server that is down.

A closed breaker lets requests pass. An open breaker lets no request pass until ``probe_at``; then one probe is sent and
the breaker is half-open. After a successful probe one request at a time may follow, and the first success closes it.
"""

from collections.abc import Callable
from enum import StrEnum

from syncd.core.errors import Failure, Scope, Transient, Unauthorized
from syncd.core.retry import MAX_RETRY_AFTER, Policy, backoff

MAX_FAILED_JOBS = 5
"""Jobs that may fail without a success between them before the whole server counts as failing."""


class BreakerState(StrEnum):
    """The state of a circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Counts the failures of one server. The caller supplies the time (seconds, any epoch) and randomness."""

    def __init__(self, policy: Policy, random: Callable[[], float]) -> None:
        self.policy = policy
        self._random = random
        self.failures = 0
        self._failed_jobs: set[object] = set()
        self.position = BreakerState.CLOSED
        self.probe_at: float | None = None
        self.reason: Failure | None = None

    def failed(self, failure: Failure, now: float, *, whose: object = None) -> bool:
        """Record a failed request of job ``whose``; return whether the whole remote counts as failing.

        Without ``whose`` the request was a probe, and every transient failure concerns the whole remote.
        """
        if not self._concerns_remote(failure, whose):
            return False
        asked_for = now + _asked_for(failure)
        if self.position is BreakerState.OPEN:  # of a request sent before the breaker opened, only Retry-After is new
            self.probe_at = max(self.probe_at or now, asked_for)
            return True
        self.failures += 1
        self._failed_jobs.clear()
        self.position = BreakerState.OPEN
        self.probe_at = asked_for + backoff(self.failures, self.policy, self._random)
        self.reason = failure
        return True

    def _concerns_remote(self, failure: Failure, whose: object) -> bool:
        if isinstance(failure, Unauthorized):
            return True
        if not isinstance(failure, Transient):
            return False
        if whose is None or failure.scope is Scope.REMOTE:
            return True
        if failure.scope is Scope.JOB:
            self._failed_jobs.add(whose)
        return len(self._failed_jobs) >= MAX_FAILED_JOBS

    def probe(self) -> None:
        """Allow one request: the breaker becomes half-open."""
        self.position = BreakerState.HALF_OPEN
        self.probe_at = None

    def succeeded(self) -> bool:
        """Record a successful request; return whether that closed the breaker."""
        self._failed_jobs.clear()
        if self.position is not BreakerState.HALF_OPEN:
            return False
        self.reset()
        return True

    def reset(self) -> None:
        """Forget all failures: the configuration changed, or a user asked for an attempt now."""
        self.failures = 0
        self._failed_jobs.clear()
        self.position = BreakerState.CLOSED
        self.probe_at = self.reason = None


def _asked_for(failure: Failure) -> float:
    """Return the seconds of the server's Retry-After, within its bound."""
    asked = failure.retry_after if isinstance(failure, Transient) else None
    return min(asked or 0.0, MAX_RETRY_AFTER)
