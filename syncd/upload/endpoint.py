"""The way to one server: its remote, its gate and its breaker. Every request of every upload goes through here."""

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
    """Outcome of a success. ``inconclusive`` if it may not have reached the server: it must not close a breaker."""

    inconclusive: bool = False


class Endpoint:
    """Holds what is known about how the server does; ``clock`` is monotonic, in seconds."""

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
        """So many times the server was asked whether a failure is its own."""
        self._trouble: Transient | Unauthorized | None = None

    @property
    def down(self) -> bool:
        """Say whether no request may go now: the server is away, or the probe that asks for it has no answer yet."""
        return self._probing or self.breaker.position is BreakerState.OPEN

    @asynccontextmanager
    async def request(self, whose: object) -> AsyncGenerator["Observation"]:
        """Hold a slot for one small request of the job ``whose``, and learn from how it goes."""
        async with self.limiter.slot(), self.observed(whose) as observation:
            yield observation

    @asynccontextmanager
    async def observed(self, whose: object, size: int = 0) -> AsyncGenerator["Observation"]:
        """Learn from how a request with a body of ``size`` bytes goes, for a caller who holds a slot."""
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
        """Ask the server for what has nothing to do with any file; True if that fails too, or it is down already.

        Failures that are met before the answer is there share it.
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
            # What the server asks for counts, whichever answer it was in.
            asks = isinstance(self._trouble, Transient) and self._trouble.retry_after is not None
            self.breaker.failed(self._trouble if asks else failure, self.clock())
            return True

    def learn(self, failure: Failure, whose: object) -> None:
        """Learn from a failure within a call that went well all the same."""
        self._failed(failure, whose)

    def _failed(self, failure: Failure, whose: object = None) -> None:
        now = self.clock()
        if isinstance(failure, Transient) and failure.overload:
            self.limiter.limit.overloaded(now)
        self.breaker.failed(failure, now, whose=whose)

    async def probe(self) -> None:
        """Ask the server whether it is back; from then on one request at a time, until one succeeds."""
        self.breaker.probe()
        self.limiter.restrict_to_one(True)
        self._probing = True
        try:
            await self.ask()
        finally:
            self._probing = False

    async def ask(self) -> None:
        """Ask the server for anything cheap; the breaker learns from a failure."""
        if failure := await self._check():
            self._failed(failure)

    async def _check(self) -> Transient | Unauthorized | None:
        """Return what is wrong with the server as a whole; any other failure is an answer, which is all that counts."""
        async with self._checking:  # the breaker's probe and a failure's may come at the same moment
            try:
                await self.remote.check()
            except (Transient, Unauthorized) as failure:
                return failure
            except Failure:
                pass
            return None

    def reset(self) -> None:
        """Forget past failures and try at once."""
        self.breaker.reset()
        self.limiter.restrict_to_one(False)
