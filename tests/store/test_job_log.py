"""The levels of the lines about files: those of a backlog are at debug."""

import io
import json

import pytest

from syncd import logs
from syncd.core.states import Cause, transition
from syncd.store import job_log
from syncd.store.job_log import LISTING_SECONDS, MAX_LISTED, JobLog
from syncd.store.records import Change
from tests.support.clock import ManualClock


@pytest.fixture
def out():
    return io.StringIO()


@pytest.fixture(autouse=True)
def _debug(out):
    logs.configure(level="debug", format="json", stream=out)


@pytest.fixture
def made(clock):
    return JobLog(each_file=False, clock=clock)


@pytest.fixture
def clock():
    return ManualClock(100.0)


def run(made, *causes, job=1, backlog=False):
    """Log these transitions of one job, from its creation on."""
    before = None
    for cause in causes:
        after = transition(before, cause)
        made.on_change(
            Change(
                job_id=job,
                folder="/srv",
                path=f"{job}.jpg",
                remote="drive",
                cause=cause,
                before=before,
                after=after,
                detail=None,
                outcome=None,
                size=1,
                at=0.0,
                backlog=backlog,
            )
        )
        before = after


def lines(out):
    return [(line["event"], line["level"]) for line in map(json.loads, out.getvalue().splitlines())]


UPLOADED = (Cause.FOUND, Cause.CLAIMED, Cause.UPLOADED)


@pytest.mark.parametrize(("backlog", "level"), [(False, "info"), (True, "debug")])
def test_level_of_an_upload(made, out, backlog, level):
    run(made, *UPLOADED, backlog=backlog)
    assert lines(out) == [("job.queued", level), ("job.uploading", level), ("job.done", level)]
    assert made.unlisted == backlog


def test_each_file_lists_backlog(made, out):
    made.each_file = True
    run(made, *UPLOADED, backlog=True)
    assert {level for _, level in lines(out)} == {"info"}
    assert made.unlisted == 0


def test_problems_of_backlog_have_own_lines(made, out):
    run(made, Cause.FOUND, Cause.CLAIMED, Cause.DEFERRED, Cause.CLAIMED, Cause.REFUSED, backlog=True)
    run(made, Cause.UNFIT, job=2, backlog=True)
    problems = [line for line in lines(out) if line[1] != "debug"]
    assert problems == [("job.waiting", "info"), ("job.failed", "warning"), ("job.skipped", "info")]


def test_retried_job_of_backlog_has_own_lines(made, out):
    """The store takes a job that a user retries out of the backlog."""
    run(made, Cause.FOUND, Cause.CLAIMED, Cause.REFUSED, Cause.RETRIED, Cause.CLAIMED, Cause.UPLOADED)
    assert lines(out)[3:] == [("job.queued", "info"), ("job.uploading", "info"), ("job.done", "info")]


def test_many_new_files_have_a_limit(made, out, clock):
    for job in range(MAX_LISTED + 20):
        run(made, *UPLOADED, job=job)
    assert sum(level == "info" for _, level in lines(out)) == 3 * MAX_LISTED
    assert made.unlisted == 20
    clock.now += LISTING_SECONDS
    run(made, *UPLOADED, job=1000)
    assert lines(out)[-1] == ("job.done", "info")


def test_listed_job_keeps_its_lines(made, out, clock):
    """The lines of one file are all at one level, however long its upload takes."""
    run(made, Cause.FOUND)
    clock.now += 10 * LISTING_SECONDS
    for job in range(2, MAX_LISTED + 20):
        run(made, *UPLOADED, job=job)
    before = len(lines(out))
    run(made, *UPLOADED, job=1)
    assert {level for _, level in lines(out)[before + 1 :]} == {"info"}


def test_debug_lines_are_not_built_at_info(made, out, monkeypatch):
    monkeypatch.setattr(job_log, "printable", lambda text: pytest.fail("built a line that nobody reads"))
    logs.configure(level="info", format="json", stream=out)
    run(made, *UPLOADED, backlog=True)
    assert lines(out) == []
