"""The text of a report."""

from syncd.control.problems import Severity
from syncd.notify.conditions import Condition
from syncd.notify.message import Event, report_message
from syncd.notify.tracker import Report


def condition(text, severity=Severity.WARNING):
    return Condition(key=text, text=text, severity=severity)


def test_report_message_lists_all_parts():
    report = Report(
        started=(condition("a"), condition("b", Severity.CRITICAL)), ended=("c",), continuing=(condition("d"),)
    )
    message = report_message(report, "nas")
    assert message.title == "syncd on nas needs attention: a and 1 other"
    assert (message.event, message.severity) == (Event.ATTENTION, Severity.CRITICAL)
    assert message.body == "Needs attention:\n- a\n- b\n\nResolved:\n- c\n\nStill needs attention:\n- d"


def test_report_message_only_ended_is_recovery():
    message = report_message(Report(started=(), ended=("a",), continuing=()), "nas")
    assert (message.event, message.severity) == (Event.RECOVERED, Severity.OK)
    assert (message.title, message.body) == ("syncd on nas: resolved: a", "Resolved:\n- a")


def test_report_message_long_list_is_cut():
    report = Report(started=tuple(condition(str(n)) for n in range(1000)), ended=(), continuing=())
    lines = report_message(report, "nas").body.splitlines()
    assert (len(lines), lines[-1]) == (22, "- and 980 more")
