"""Delivers one message with Apprise.

:mod:`syncd.notify.targets` runs this program. It reads a JSON object with ``url``, ``title``, ``body`` and ``type``,
and writes one with ``error``: null, or the reason. Apprise's own log can quote each part of the URL, so all of them are
removed from the reason.
"""

import json
import logging
import re
import sys

from apprise import Apprise, AppriseAsset, NotifyFormat, PersistentStoreMode

from syncd.core.redact import Redactor

_NOT_UNDERSTOOD = "Apprise does not understand this URL: see the list of services in its documentation"


def deliver(url: str, title: str, body: str, kind: str) -> str | None:
    """Deliver a message; return None or the reason for the failure.

    The reason contains no part of the URL.
    """
    problems = _Problems()
    logging.getLogger("apprise").addHandler(problems)
    # The memory mode writes no file: a service may keep a session otherwise.
    service = Apprise(asset=AppriseAsset(app_id="syncd", app_desc="syncd", storage_mode=PersistentStoreMode.MEMORY))
    if not service.add(url):
        return _NOT_UNDERSTOOD
    try:
        delivered = service.notify(body, title=title, notify_type=kind, body_format=NotifyFormat.TEXT)
    except Exception as error:  # noqa: BLE001 - a plug-in can raise anything
        return f"Apprise failed: {type(error).__name__}"
    if delivered:
        return None
    return _without_parts(problems.last or "the service has not accepted the message", url)


class _Problems(logging.Handler):
    """Keeps the last warning or error of Apprise."""

    def __init__(self) -> None:
        super().__init__(level=logging.WARNING)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()


def _without_parts(text: str, url: str) -> str:
    """Return the text without any part of the URL, whatever it is."""
    rest = url.partition("://")[2]
    return Redactor([url, rest, *re.split(r"[/:@?&=#,]", rest)])(text)


def main() -> None:
    """Deliver the message in the standard input."""
    request = json.load(sys.stdin)
    error = deliver(request["url"], request["title"], request["body"], request["type"])
    json.dump({"error": error}, sys.stdout)


if __name__ == "__main__":
    main()
