"""Retries of a job: exponential backoff with full jitter.

A failure of the whole remote, such as 429 or 503, is not a retry of a job: it opens the circuit breaker
(:mod:`~syncd.core.breaker`), which waits for Retry-After and sends one probe.

Source of the jitter: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. A random wait between zero
and the exponential bound spreads many clients, or many jobs, best.
"""

from collections.abc import Callable
from dataclasses import dataclass

from syncd.core.errors import Failure, FileUnreadable, SessionLost, Transient

MAX_TRIES = 12
"""So many failures of one file, while others succeed, are the file's own; with the default policy that is
about half an hour."""
MAX_LOST = 4
"""So many times may the server lose an upload; each costs sending it again."""
MAX_RETRY_AFTER = 3600.0
"""A longer Retry-After of a server is reduced to this time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """The bounds of the backoff, in seconds."""

    initial: float = 1.0
    maximum: float = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """Try again at ``at`` (seconds since the epoch); the try before counts as number ``failures``."""

    at: float
    failures: int


@dataclass(frozen=True, kw_only=True, slots=True)
class GiveUp:
    """Give the job up: a user must act."""

    reason: str


def backoff(failures: int, policy: Policy, random: Callable[[], float]) -> float:
    """Return the seconds to wait after failure number ``failures`` (1 or more); ``random`` gives [0, 1)."""
    bound = min(policy.maximum, policy.initial * 2.0 ** min(failures - 1, 60))
    return random() * bound


def decide(
    failure: Failure, *, failures: int, now: float, random: Callable[[], float], policy: Policy
) -> Retry | GiveUp:
    """Say what follows a failed try; ``failures`` counts the failures before this one.

    A file that can't be read is tried for ever: nobody tells us when its permissions change.
    """
    failures += 1
    most = MAX_LOST if isinstance(failure, SessionLost) else MAX_TRIES
    if failures >= most and not isinstance(failure, FileUnreadable):
        return GiveUp(reason=f"{failure} (tried {failures} times)")
    delay = backoff(failures, policy, random)
    if isinstance(failure, Transient) and failure.retry_after is not None:
        delay += min(failure.retry_after, MAX_RETRY_AFTER)
    return Retry(at=now + delay, failures=failures)
