"""Delivers the messages of one target in order, and tries again after a failure.

Each target has a separate outbox, so that a target that fails or hangs delays no other. The outbox tries a message
until it is delivered: the message can report a problem, such as a lost network, that also prevents the delivery.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable

import structlog

from syncd.core.retry import Policy, backoff
from syncd.notify.delivery import DeliveryError, Target
from syncd.notify.message import Message

log = structlog.get_logger()

MAX_MESSAGES = 20
"""Messages that can wait; a further one replaces the oldest."""
RETRY = Policy(initial=20.0, maximum=3600.0)
"""The bounds of the random wait after a failed delivery."""


class Outbox:
    """The messages that wait for ``target``.

    The outbox calls ``delivered`` with each message that has arrived.
    """

    def __init__(self, target: Target, *, delivered: Callable[[Message], None]) -> None:
        self._target = target
        self._delivered = delivered
        self._waiting: deque[Message] = deque()
        self._added = asyncio.Event()

    def put(self, message: Message) -> None:
        """Deliver a message soon."""
        if len(self._waiting) >= MAX_MESSAGES:
            dropped = self._waiting.popleft()
            log.warning("notify.dropped", target=self._target.name, notification=dropped.event.value)
        self._waiting.append(message)
        self._added.set()

    async def run(self) -> None:
        """Deliver messages until cancelled."""
        failures = 0
        while True:
            while not self._waiting:
                self._added.clear()
                await self._added.wait()
            message = self._waiting[0]
            if await self._attempt(message, failures + 1):
                failures = 0
                if self._waiting and self._waiting[0] is message:  # a new message has not replaced it
                    self._waiting.popleft()
                self._delivered(message)
            else:
                failures += 1
                await asyncio.sleep(backoff(failures, RETRY, random.random))

    async def _attempt(self, message: Message, number: int) -> bool:
        """Try to deliver a message; return whether it has arrived."""
        try:
            await self._target.send(message)
        except DeliveryError as error:
            log.warning("notify.failed", target=self._target.name, reason=str(error), attempts=number)
            return False
        except Exception:
            log.exception("notify.crashed", target=self._target.name)
            return False
        log.info("notify.sent", target=self._target.name, notification=message.event.value)
        return True
