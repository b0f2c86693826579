"""Delivers messages to the targets of a configuration.

A target is a URL of Apprise, or a program of the user.

An Apprise URL contains tokens. It goes to the child process over its standard input, because every user can read the
arguments of a process. :mod:`syncd.notify.apprise_process` runs in the child. The user's program is run without a
shell. It gets the message in its environment and, as text, on its standard input.
"""

import json
import os
import sys
from dataclasses import dataclass

from pydantic import SecretStr

from syncd.config.notify import Notify, scheme
from syncd.control.problems import Severity
from syncd.core.text import terminal_safe
from syncd.notify.delivery import DeliveryError, Target, run_child
from syncd.notify.message import Event, Message

_ARGUMENTS = ("-P", "-m", "syncd.notify.apprise_process")
_TYPES = {Severity.OK: "info", Severity.WARNING: "warning", Severity.CRITICAL: "failure", Severity.UNKNOWN: "warning"}
_MAX_REASON_CHARACTERS = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class AppriseTarget:
    """One URL; ``number`` is its position in the configuration, from 1 on."""

    url: SecretStr
    number: int

    @property
    def name(self) -> str:
        """The number and the scheme of the URL."""
        return f"url {self.number} ({scheme(self.url)})"

    async def send(self, message: Message) -> None:
        """Deliver a message; raise DeliveryError."""
        request = {
            "url": self.url.get_secret_value(),
            "title": message.title,
            "body": message.body,
            "type": "success" if message.event is Event.RECOVERED else _TYPES[message.severity],
        }
        _, output = await run_child((sys.executable, *_ARGUMENTS), json.dumps(request).encode(), read_output=True)
        try:
            reason = json.loads(output)["error"]
        except (ValueError, KeyError, TypeError):
            raise DeliveryError("Apprise has crashed") from None
        if reason is not None:
            raise DeliveryError(terminal_safe(str(reason))[:_MAX_REASON_CHARACTERS])


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandTarget:
    """A program and its ``arguments``, the first of which is the program."""

    arguments: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the program. Its arguments can contain secrets."""
        return f"command {os.path.basename(self.arguments[0])}"

    async def send(self, message: Message) -> None:
        """Run the program; raise DeliveryError unless its exit code is 0."""
        environment = {
            **os.environ,
            "SYNCD_NOTIFY_EVENT": message.event,
            "SYNCD_NOTIFY_SEVERITY": message.severity.name.lower(),
            "SYNCD_NOTIFY_TITLE": message.title,
            "SYNCD_NOTIFY_BODY": message.body,
        }
        text = f"{message.title}\n\n{message.body}\n"
        code, _ = await run_child(self.arguments, text.encode("utf-8", "backslashreplace"), environment=environment)
        if code:
            raise DeliveryError(f"ended with code {code}")


def make_targets(settings: Notify) -> list[Target]:
    """Return a target for each URL, and one for the command."""
    targets: list[Target] = [AppriseTarget(url=url, number=number) for number, url in enumerate(settings.urls, 1)]
    if settings.command:
        targets.append(CommandTarget(arguments=settings.command))
    return targets
