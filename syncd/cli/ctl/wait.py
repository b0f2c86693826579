"""``syncd ctl wait``: waits until every upload has ended.

If a problem needs a person first, it says which. The daemon's events replace polling. :mod:`syncd.control.problems`
decides what needs a person.
"""

import time

import click

from syncd.cli import formatting
from syncd.cli.ctl import attention
from syncd.cli.errors import CommandError, ExitCode
from syncd.config.units import parse_duration
from syncd.control.client import ControlClient
from syncd.control.problems import Severity, problems, stopped_until
from syncd.control.schemas import Status

KINDS = ("daemon", "folder", "remote", "progress")
"""The events that can end the wait, or show that it never ends."""


def parse_timeout(text: str) -> float:
    """Return the seconds of ``--timeout``. Raises :class:`click.BadParameter`."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(f"{formatting.clean(text)}: {error}", param_hint="--timeout") from None


def wait(client: ControlClient, seconds: float | None) -> str:
    """Wait until the daemon has settled, at most ``seconds``; return one line.

    Raises :class:`CommandError` if the time is over, if a person has to act first, or if an upload has failed.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        with client.listen(*KINDS) as stream:
            document = client.status()
            while not _has_ended(document):
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise _timed_out(document, seconds or 0.0)
                events = stream.receive(left)
                if events is None:
                    break  # the next request says whether the daemon has ended
                if any(_is_news(kind, event, document) for kind, event in events):
                    document = client.status()
            else:
                return _result(document)


def _is_news(kind: str, event: dict[str, object], document: Status) -> bool:
    """Return whether an event may end the wait.

    The counts in ``progress`` alone do not end it.
    """
    if kind != "progress":
        return True
    sync = event["sync"]
    return isinstance(sync, dict) and sync["settled"] != document["sync"]["settled"]


def _has_ended(document: Status) -> bool:
    """Return whether the daemon has settled.

    Raises :class:`CommandError` if a person has to act first.
    """
    if document["sync"]["settled"]:
        return True
    if document["state"] in ("stopped", "stopping"):
        until = stopped_until(document.get("stopped_until"))
        what = f"uploading is {document['state']}{until}, and {_left(document)}"
        raise CommandError(f"{what}; resume with: syncd ctl start", code=ExitCode.UNAVAILABLE)
    for problem in problems(document):
        if problem.severity is Severity.CRITICAL and not problem.unavailable:
            what = f"{problem.text}, and {_left(document)}"
            raise CommandError(f"{what}; see the fix with: syncd ctl status", code=ExitCode.UNAVAILABLE)
    return False


def _result(document: Status) -> str:
    found = [problem.text for problem in problems(document) if problem.key != "state"]
    if found:
        what = f"nothing is left to upload, but this needs attention: {'; '.join(found)}"
        raise CommandError(f"{what}; see the fix with: syncd ctl status", code=ExitCode.FAILED)
    return attention.headline({**document, "state": "running"})


def _timed_out(document: Status, seconds: float) -> CommandError:
    found = [problem.text for problem in problems(document)]
    what = "; ".join([f"after {formatting.duration(seconds)}, {_left(document)}", *found])
    return CommandError(f"{what}; see more with: syncd ctl status", code=ExitCode.TIMED_OUT)


def _left(document: Status) -> str:
    """Return a clause that describes the remaining work."""
    jobs = document["jobs"]
    if pending := sum(jobs[state] for state in ("queued", "uploading", "waiting")):
        return f"{formatting.count(pending, 'upload')} {'is' if pending == 1 else 'are'} not finished"
    if settling := document["sync"]["settling"]:
        return f"{formatting.count(settling, 'file')} {'is' if settling == 1 else 'are'} still being written"
    return "a scan has not ended"
