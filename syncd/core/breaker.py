"""The breaker of a remote: a server that is down is asked by one probe, not by every job.

Closed, requests pass. Open, none does until ``probe_at``. Then one probe goes (half-open); where it passes, one
request at a time may follow, and the first that succeeds closes the breaker.
"""

from collections.abc import Callable
from enum import StrEnum

from syncd.core.errors import Failure, Scope, Transient, Unauthorized
from syncd.core.retry import MAX_RETRY_AFTER, Policy, backoff

TROUBLE_LIMIT = 5
"""So many files that fail, with no success between, are the server's own trouble."""


class BreakerState(StrEnum):
    """How the breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Counts what the server does; the caller brings the time (seconds, any epoch) and the randomness."""

    def __init__(self, policy: Policy, random: Callable[[], float]) -> None:
        self.policy = policy
        self._random = random
        self.failures = 0
        self._troubled: set[object] = set()
        self.position = BreakerState.CLOSED
        self.probe_at: float | None = None
        self.reason: Failure | None = None

    def failed(self, failure: Failure, now: float, *, whose: object = None) -> bool:
        """Take note of a failed request of job ``whose``; True if the whole remote is now taken as failing.

        Without ``whose`` it was a probe, which speaks for the remote whatever went wrong with it.
        """
        if not self._concerns_remote(failure, whose):
            return False
        asked_for = now + _asked_for(failure)
        if self.position is BreakerState.OPEN:  # of a request that was under way when it opened, only this may be news
            self.probe_at = max(self.probe_at or now, asked_for)
            return True
        self.failures += 1
        self._troubled.clear()
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
            self._troubled.add(whose)
        return len(self._troubled) >= TROUBLE_LIMIT

    def probe(self) -> None:
        """Let one request through."""
        self.position = BreakerState.HALF_OPEN
        self.probe_at = None

    def succeeded(self) -> bool:
        """Take note of a request that the server took; True if that closed the breaker."""
        self._troubled.clear()
        if self.position is not BreakerState.HALF_OPEN:
            return False
        self.reset()
        return True

    def reset(self) -> None:
        """Forget all failures: the configuration changed, or a person asked to try now."""
        self.failures = 0
        self._troubled.clear()
        self.position = BreakerState.CLOSED
        self.probe_at = self.reason = None


def _asked_for(failure: Failure) -> float:
    """Return the seconds for which the server wants to be left alone."""
    asked = failure.retry_after if isinstance(failure, Transient) else None
    return min(asked or 0.0, MAX_RETRY_AFTER)
