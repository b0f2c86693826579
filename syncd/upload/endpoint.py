"""One server with its remote, concurrency limiter and circuit breaker; every request of an upload passes here."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from syncd.core.breaker import Breaker, BreakerState
from syncd.core.errors import Failure, Scope, Transient, Unauthorized
from syncd.remotes.base import Remote
from syncd.upload.limiter import ConcurrencyLimiter


@dataclass(kw_only=True, slots=True)
class Observation:
    """A successful request. Set ``inconclusive`` if it may not have reached the server: it closes no breaker."""

    inconclusive: bool = False


class Endpoint:
    """Makes requests and learns from their results. ``clock`` is monotonic, in seconds."""

    def __init__(
        self, remote: Remote, limiter: ConcurrencyLimiter, breaker: Breaker, *, clock: Callable[[], float]
    ) -> None:
        self.remote = remote
        self.limiter = limiter
        self.breaker = breaker
        self.clock = clock
        self._probing = False
        self._checking = asyncio.Lock()
        self._confirming = asyncio.Lock()
        self._confirmed = 0
        """How often the server was checked to see whether a failure concerns the whole server."""
        self._trouble: Transient | Unauthorized | None = None

    @property
    def down(self) -> bool:
        """Whether no request may be sent: the server is down, or its probe has no response yet."""
        return self._probing or self.breaker.position is BreakerState.OPEN

    @asynccontextmanager
    async def request(self, whose: object) -> AsyncGenerator["Observation"]:
        """Hold a slot for one small request of the job ``whose``, and learn from its result."""
        async with self.limiter.slot(), self.observed(whose) as observation:
            yield observation

    @asynccontextmanager
    async def observed(self, whose: object, size: int = 0) -> AsyncGenerator["Observation"]:
        """Learn from the result of a request with a body of ``size`` bytes. The caller holds a slot."""
        if self.down:
            raise Transient(str(self.breaker.reason), scope=Scope.REMOTE)
        observation = Observation()
        try:
            yield observation
        except Transient as failure:
            if failure.if_reachable and not await self._concerns_server(failure):
                failure = failure.reduced()
            self._failed(failure, whose)
            raise failure from None
        except Failure as failure:
            self._failed(failure, whose)
            raise
        if observation.inconclusive:
            return
        self.limiter.limit.finished(size=size, in_flight=self.limiter.in_flight, now=self.clock())
        if self.breaker.succeeded():
            self.limiter.restrict_to_one(False)

    async def _concerns_server(self, failure: Transient) -> bool:
        """Send a request that concerns no file; return whether that fails too, or the server is down already.

        Failures that occur before its response arrives share the result.
        """
        asked_before = self._confirmed
        async with self._confirming:
            if self.down:
                return True
            if self._confirmed == asked_before:
                self._trouble = await self._check()
                self._confirmed += 1
            if self._trouble is None:
                return False
            # A Retry-After counts, whichever response had it.
            asks = isinstance(self._trouble, Transient) and self._trouble.retry_after is not None
            self.breaker.failed(self._trouble if asks else failure, self.clock())
            return True

    def learn(self, failure: Failure, whose: object) -> None:
        """Learn from a failed request inside a call that succeeded nevertheless."""
        self._failed(failure, whose)

    def _failed(self, failure: Failure, whose: object = None) -> None:
        now = self.clock()
        if isinstance(failure, Transient) and failure.overload:
            self.limiter.limit.overloaded(now)
        self.breaker.failed(failure, now, whose=whose)

    async def probe(self) -> None:
        """Check whether the server is back, and allow one request at a time until a request succeeds."""
        self.breaker.probe()
        self.limiter.restrict_to_one(True)
        self._probing = True
        try:
            await self.ask()
        finally:
            self._probing = False

    async def ask(self) -> None:
        """Send a cheap request; the breaker learns from a failure."""
        if failure := await self._check():
            self._failed(failure)

    async def _check(self) -> Transient | Unauthorized | None:
        """Return a failure of the whole server, or None. Any other failure shows that the server responds."""
        async with self._checking:  # the breaker's probe and the check of a failure may coincide
            try:
                await self.remote.check()
            except (Transient, Unauthorized) as failure:
                return failure
            except Failure:
                pass
            return None

    def reset(self) -> None:
        """Forget past failures and allow requests at once."""
        self.breaker.reset()
        self.limiter.restrict_to_one(False)
