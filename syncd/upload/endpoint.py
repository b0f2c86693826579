"""One server with its concurrency limiter and circuit breaker.

Every request of an upload passes through :class:`Endpoint`, which reports the result to both.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from syncd.core.breaker import Breaker, BreakerState
from syncd.core.errors import Failure, Scope, Transient, Unauthorized
from syncd.core.look_ups import BacklogLookUps
from syncd.remotes.base import Remote
from syncd.upload.limiter import ConcurrencyLimiter


@dataclass(kw_only=True, slots=True)
class Observation:
    """The result of a successful request."""

    inconclusive: bool = False
    """Set by the caller if the request may not have reached the server: it does not close the breaker then."""


class Endpoint:
    """Permits requests to one server and learns from their results.

    ``clock`` is monotonic, in seconds. A request that checks a content, without a job, passes the key of the content as
    ``job_id``.
    """

    def __init__(
        self, remote: Remote, limiter: ConcurrencyLimiter, breaker: Breaker, *, clock: Callable[[], float]
    ) -> None:
        self.remote = remote
        self.limiter = limiter
        self.breaker = breaker
        self.clock = clock
        self.look_ups = BacklogLookUps()
        self.last_success: float | None = None
        """When a request last succeeded, by ``clock``."""
        self._probing = False
        self._check_lock = asyncio.Lock()
        self._scope_lock = asyncio.Lock()
        self._scope_checks = 0
        """How many times a request was sent to see whether a failure concerns the whole server."""
        self._server_failure: Transient | Unauthorized | None = None

    @property
    def down(self) -> bool:
        """True while no request may be sent: the server is down, or a probe is in flight."""
        return self._probing or self.breaker.state is BreakerState.OPEN

    @asynccontextmanager
    async def request(self, job_id: object, *, first: bool = False) -> AsyncGenerator["Observation"]:
        """Hold a slot for one small request of job ``job_id``, and learn from its result.

        ``first`` is as for :meth:`ConcurrencyLimiter.acquire`.
        """
        async with self.limiter.slot(first=first), self.observed(job_id) as observation:
            yield observation

    @asynccontextmanager
    async def observed(self, job_id: object, size: int = 0) -> AsyncGenerator["Observation"]:
        """Learn from the result of one request of job ``job_id``.

        The caller holds a slot. ``size`` is the length of the body in bytes. Raises :class:`Transient` without sending
        anything while the server is down.
        """
        if self.down:
            raise Transient(str(self.breaker.reason), scope=Scope.REMOTE)
        observation = Observation()
        began = self.clock()
        try:
            yield observation
        except Transient as failure:
            if failure.if_reachable and not await self._concerns_server(failure):
                failure = failure.reduced()
            self._failed(failure, job_id, began)
            raise failure from None
        except Failure as failure:
            self._failed(failure, job_id, began)
            raise
        self.last_success = self.clock()
        if observation.inconclusive:
            return
        self.limiter.limit.finished(size=size, began=began, in_flight=self.limiter.in_flight, now=self.clock())
        if self.breaker.succeeded():
            self.limiter.restrict_to_one(False)

    async def _concerns_server(self, failure: Transient) -> bool:
        """Return whether a request that concerns no file fails too.

        One check serves all failures that occur while it runs. If the server is down already, nothing is sent, and the
        result is True.
        """
        checks_before = self._scope_checks
        async with self._scope_lock:
            if self.down:
                return True
            if self._scope_checks == checks_before:
                self._server_failure = await self._check()
                self._scope_checks += 1
            if self._server_failure is None:
                return False
            asked = self._server_failure
            has_retry_after = isinstance(asked, Transient) and asked.retry_after is not None
            self.breaker.failed(asked if has_retry_after else failure, self.clock())
            return True

    def learn(self, failure: Failure, job_id: object) -> None:
        """Learn from a request that failed inside a call that succeeded."""
        self._failed(failure, job_id, self.clock())

    def _failed(self, failure: Failure, job_id: object, began: float) -> None:
        now = self.clock()
        if isinstance(failure, Transient) and failure.overload:
            self.limiter.limit.overloaded(began=began, now=now)
        self.breaker.failed(failure, now, job_id=job_id)

    async def probe(self) -> None:
        """Check whether the server is up; allow one request at a time until one succeeds."""
        self.breaker.allow_probe()
        self.limiter.restrict_to_one(True)
        self._probing = True
        try:
            await self.ask()
        finally:
            self._probing = False

    async def ask(self) -> None:
        """Send a cheap request; the breaker learns from a failure.

        The concurrency limit learns nothing, because it does not bound this request.
        """
        if failure := await self._check():
            self.breaker.failed(failure, self.clock())

    async def _check(self) -> Transient | Unauthorized | None:
        """Send a cheap request; return its failure if that concerns the whole server, or None.

        Any other failure shows that the server responds.
        """
        async with self._check_lock:  # the breaker's probe and the check of a failure may coincide
            try:
                await self.remote.check()
            except (Transient, Unauthorized) as failure:
                return failure
            except Failure:
                pass
            self.last_success = self.clock()
            return None

    def reset(self) -> None:
        """Forget past failures and allow requests at once."""
        self.breaker.reset()
        self.limiter.restrict_to_one(False)
