"""Writes the messages that a person receives."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from syncd.control.problems import Severity
from syncd.core.text import count
from syncd.notify.tracker import Report

_MAX_LINES = 20
"""The most lines of a list; a count replaces the others."""


class Event(StrEnum):
    """The reason for a message."""

    ATTENTION = "attention"
    RECOVERED = "recovered"
    SUMMARY = "summary"
    TEST = "test"


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """A message for a person. ``severity`` is that of the most severe condition in it."""

    event: Event
    title: str
    body: str
    severity: Severity = Severity.OK


def report_message(report: Report, host: str) -> Message:
    """Return the message for a report of the daemon on ``host``."""
    headings = {
        "Needs attention": [condition.text for condition in report.started],
        "Resolved": report.ended,
        "Still needs attention": [condition.text for condition in report.continuing],
    }
    body = "\n\n".join(f"{heading}:\n{_listed(lines)}" for heading, lines in headings.items() if lines)
    severity = max((condition.severity for condition in (*report.started, *report.continuing)), default=Severity.OK)
    if report.started:
        title = f"syncd on {host} needs attention: {_first(condition.text for condition in report.started)}"
        return Message(event=Event.ATTENTION, title=title, body=body, severity=severity)
    title = f"syncd on {host}: resolved: {_first(report.ended)}"
    return Message(event=Event.RECOVERED, title=title, body=body, severity=severity)


def trial_message(host: str) -> Message:
    """Return the message of ``syncd check --notify``."""
    title = f"syncd on {host}: test message"
    return Message(event=Event.TEST, title=title, body="Notifications of syncd arrive here.")


def _first(texts: Iterable[str]) -> str:
    first, *others = texts
    return f"{first} and {count(len(others), 'other')}" if others else first


def _listed(texts: Iterable[str]) -> str:
    return "\n".join(_lines(list(texts)))


def _lines(texts: list[str]) -> Iterator[str]:
    yield from (f"- {text}" for text in texts[:_MAX_LINES])
    if len(texts) > _MAX_LINES:
        yield f"- and {len(texts) - _MAX_LINES:,} more"
