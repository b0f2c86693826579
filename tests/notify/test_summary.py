"""The daily summary: when it is due, and what it says."""

from datetime import UTC, datetime

import pytest

from syncd.control.problems import Severity
from syncd.core.states import Outcome, State
from syncd.notify.summary import Results, summary_date, summary_message
from tests.notify.support import remote, status


@pytest.mark.parametrize(
    ("now", "date"),
    [("2026-03-02 07:59", "2026-03-01"), ("2026-03-02 08:00", "2026-03-02"), ("2026-03-02 23:59", "2026-03-02")],
)
def test_summary_date_is_that_of_latest_due(now, date):
    assert summary_date(8 * 60, datetime.fromisoformat(now)) == date


def test_summary_date_midnight_is_same_day():
    assert summary_date(0, datetime.fromisoformat("2026-03-02 00:00")) == "2026-03-02"


def test_results_count_each_kind():
    results = Results(since=0.0, last_upload=0.0)
    results.add(State.DONE, Outcome.UPLOADED, 1500, 10.0)
    results.add(State.DONE, Outcome.DUPLICATE, 1500, 20.0)
    results.add(State.FAILED, None, 1, 30.0)
    results.add(State.WAITING, None, 1, 40.0)
    assert (results.uploaded, results.duplicates, results.failed, results.bytes) == (1, 1, 1, 1500)
    assert results.last_upload == 20.0
    results.restart(50.0)
    assert (results.uploaded, results.since, results.last_upload) == (0, 50.0, 20.0)


def test_summary_message_lists_results_and_problems():
    results = Results(since=0.0, last_upload=0.0, uploaded=2, bytes=3_400_000, failed=1)
    document = status(jobs={"queued": 4}, remotes=[remote()])
    message = summary_message(document, results, "nas", since=datetime(2026, 3, 1, 8, 0, tzinfo=UTC))
    assert message.title == "syncd on nas: 2 uploads completed, 4 uploads to do, 1 problem"
    assert message.severity is Severity.CRITICAL
    assert message.body.splitlines() == [
        "Since 2026-03-01 08:00:",
        "- 2 uploads completed (3.4 MB)",
        "- 0 uploads not needed, because the server had the file",
        "- 1 upload failed",
        "",
        "Now: 4 uploads to do",
        "- remote drive is offline",
    ]
