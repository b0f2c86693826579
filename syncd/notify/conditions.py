"""Finds the conditions to report to a person, in a status document.

:mod:`syncd.control.problems` finds the problems of the moment. This module leaves out what a user has chosen, adds the
absence of uploads, and says how long each condition must last.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from syncd.config.notify import Notify
from syncd.config.units import format_duration
from syncd.control.problems import Severity, problems
from syncd.control.schemas import Status

_CHOSEN = "state"
"""The key of the problem that uploading is paused, which a user has chosen, or that the daemon is ending."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """A condition that lasts until its ``key`` is no longer found.

    ``text`` is safe to print. ``hold`` is the number of seconds that it must last before a person is told.
    """

    key: str
    text: str
    severity: Severity
    hold: float = 0.0


def find_conditions(document: Status, settings: Notify, *, idle_seconds: float) -> Mapping[str, Condition]:
    """Return the present conditions by key, the most severe first.

    ``idle_seconds`` is the time since the last upload ended.
    """
    return {condition.key: condition for condition in _conditions(document, settings, idle_seconds)}


def _conditions(document: Status, settings: Notify, idle_seconds: float) -> Iterator[Condition]:
    for problem in problems(document):
        hold = settings.unavailable_after if problem.unavailable else 0.0
        if problem.key != _CHOSEN and hold is not None:
            yield Condition(key=problem.key, text=problem.text, severity=problem.severity, hold=hold)
    if settings.idle_after is not None and idle_seconds >= settings.idle_after:
        text = f"no upload has ended for {format_duration(settings.idle_after)}"
        yield Condition(key="idle", text=text, severity=Severity.WARNING)
