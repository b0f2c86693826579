"""Decides when a failed job is tried again: exponential backoff with full jitter.

:mod:`~syncd.upload.upload` calls :func:`decide` and records the decision. A failure of the whole remote, such as 429,
does not count against a job: the job is queued again, and the circuit breaker (:mod:`~syncd.core.breaker`) waits for
Retry-After and allows one probe. Some failures of one job, such as 423, have a Retry-After too: :func:`decide` adds it
to the backoff. :mod:`~syncd.remotes.response_failures` reads the header.

The jitter follows "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: a random wait between zero and the
exponential bound spreads many clients, or many jobs, best.
"""

from collections.abc import Callable
from dataclasses import dataclass

from syncd.core.errors import Failure, FileLocked, SessionLost, Transient

MAX_TRIES = 12
"""Attempts before a job is given up while the server accepts other files; about half an hour by default."""
MAX_LOST = 4
"""Attempts before a job is given up if the server loses the upload; each attempt sends the whole file."""
MAX_RETRY_AFTER = 3600.0
"""Seconds; a longer Retry-After is reduced to this time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """The bounds of the backoff, in seconds."""

    initial: float = 1.0
    maximum: float = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """Try the job again at ``at``, in seconds since the epoch.

    ``failures`` is the number of failures so far, including the latest one.
    """

    at: float
    failures: int


@dataclass(frozen=True, kw_only=True, slots=True)
class GiveUp:
    """Give up the job: a user must act."""

    reason: str


def backoff(failures: int, policy: Policy, random: Callable[[], float]) -> float:
    """Return the seconds to wait after failure number ``failures``, which is 1 or more.

    ``random`` returns a number from 0 to 1, without 1.
    """
    bound = min(policy.maximum, policy.initial * 2.0 ** min(failures - 1, 60))
    return random() * bound


def decide(
    failure: Failure, *, failures: int, now: float, random: Callable[[], float], policy: Policy
) -> Retry | GiveUp:
    """Return what follows a failed attempt. ``failures`` counts the failures before this one.

    A locked file is never given up: no event reports that the lock has ended.
    """
    failures += 1
    most = MAX_LOST if isinstance(failure, SessionLost) else MAX_TRIES
    if failures >= most and not isinstance(failure, FileLocked):
        return GiveUp(reason=f"{failure} (tried {failures} times)")
    delay = backoff(failures, policy, random)
    if isinstance(failure, Transient) and failure.retry_after is not None:
        delay += min(failure.retry_after, MAX_RETRY_AFTER)
    return Retry(at=now + delay, failures=failures)
