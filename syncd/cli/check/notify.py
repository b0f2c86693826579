"""Tests the notifications.

Sends a test message to each target, and a request to the dead man's switch.
"""

import socket
import time
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

from syncd.cli import formatting
from syncd.cli.check.result import Finding
from syncd.config.notify import Notify
from syncd.notify.delivery import DeliveryError
from syncd.notify.message import trial_message
from syncd.notify.ping import Ping
from syncd.notify.targets import make_targets


async def check_notify(settings: Notify) -> AsyncGenerator[Finding]:
    """Yield the result for each target."""
    targets = make_targets(settings)
    if not targets and settings.ping is None:
        advice = "set notify.urls or notify.command in the configuration"
        yield Finding(level="warn", where="notify", what="nobody is notified: there is no target", advice=advice)
    message = trial_message(socket.gethostname())
    for target in targets:
        yield await _result(target.name, "delivered", target.send(message))
    if settings.ping is not None:
        ping = Ping(url=settings.ping.url)
        yield await _result(ping.name, "answered", ping.send(well=True))


async def _result(name: str, success: str, sending: Coroutine[Any, Any, None]) -> Finding:
    started = time.monotonic()
    try:
        await sending
    except DeliveryError as error:
        return Finding(
            level="error",
            where=f"notify {name}",
            what=f"not delivered: {formatting.clean(error)}",
            advice="check the target's value in the section notify of the configuration",
        )
    seconds = formatting.duration(time.monotonic() - started)
    return Finding(level="ok", where=f"notify {name}", what=f"{success} in {seconds}")
