"""The tracker reports each condition once, and many conditions at once."""

import pytest

from syncd.control.problems import Severity
from syncd.notify.conditions import Condition
from syncd.notify.tracker import GATHER_SECONDS, RESTORED_GRACE_SECONDS, Tracker

INTERVAL = 300.0


class Driver:
    """Polls a tracker every second, with the conditions that are present."""

    def __init__(self, reported=()):
        self.now = 1000.0
        self.tracker = Tracker(dict.fromkeys(reported, "text"), now=self.now)
        self.present = {}

    def begin(self, *keys, hold=0.0):
        self.present |= {key: Condition(key=key, text=key, severity=Severity.WARNING, hold=hold) for key in keys}

    def end(self, *keys):
        self.present = {key: condition for key, condition in self.present.items() if key not in keys}

    def run(self, seconds):
        """Return the reports of this time, as (seconds from its start, started, ended)."""
        found = []
        for second in range(int(seconds) + 1):
            self.now += 1
            self.tracker.observe(self.present, self.now)
            if report := self.tracker.report(self.now, min_interval=INTERVAL):
                started = [condition.key for condition in report.started]
                found.append((second, started, list(report.ended)))
        return found


@pytest.fixture
def driver():
    return Driver()


def test_tracker_lasting_condition_reported_once(driver):
    driver.begin("a")
    assert driver.run(86_400) == [(GATHER_SECONDS, ["a"], [])]


def test_tracker_short_condition_not_reported(driver):
    driver.begin("a")
    assert driver.run(GATHER_SECONDS - 2) == []
    driver.end("a")
    assert driver.run(3600) == []


def test_tracker_condition_reported_after_hold(driver):
    driver.begin("a", hold=900)
    assert driver.run(2000) == [(900 + GATHER_SECONDS, ["a"], [])]


def test_tracker_shorter_than_hold_not_reported(driver):
    for _ in range(5):
        driver.begin("a", hold=900)
        assert driver.run(800) == []
        driver.end("a")
        assert driver.run(10) == []


def test_tracker_reports_end_of_reported_condition(driver):
    driver.begin("a")
    driver.run(INTERVAL * 2)
    driver.end("a")
    assert driver.run(3600) == [(GATHER_SECONDS, [], ["a"])]


def test_tracker_condition_returns_reported_again(driver):
    for _ in range(3):
        driver.begin("a")
        assert [started for _, started, _ in driver.run(3600)] == [["a"]]
        driver.end("a")
        assert [ended for _, _, ended in driver.run(3600)] == [["a"]]


def test_tracker_short_end_not_reported(driver):
    driver.begin("a")
    driver.run(3600)
    driver.end("a")
    assert driver.run(GATHER_SECONDS - 2) == []
    driver.begin("a")
    assert driver.run(3600) == []


def test_tracker_many_conditions_are_one_report(driver):
    driver.begin(*"abc")
    driver.run(10)
    driver.begin(*"def")
    assert driver.run(3600) == [(GATHER_SECONDS - 11, list("abcdef"), [])]


def test_tracker_reports_are_min_interval_apart(driver):
    """100 conditions that begin or end within ten minutes become a few reports."""
    reports = []
    for number in range(100):
        driver.begin(str(number))
        reports += driver.run(5)
    driver.end(*map(str, range(50)))
    reports += driver.run(3600)
    assert len(reports) <= 4
    assert [key for _, started, _ in reports for key in started] == [str(number) for number in range(100)]
    assert [key for _, _, ended in reports for key in ended] == [str(number) for number in range(50)]


def test_tracker_flapping_condition_bounded_by_interval(driver):
    reports = []
    for _ in range(30):
        driver.begin("a")
        reports += driver.run(35)
        driver.end("a")
        reports += driver.run(35)
    assert len(reports) <= 30 * 72 / INTERVAL + 1


def test_tracker_restored_condition_not_repeated():
    driver = Driver(reported=["a"])
    driver.begin("a")
    assert driver.run(3600) == []
    driver.end("a")
    assert driver.run(3600) == [(GATHER_SECONDS, [], ["text"])]


def test_tracker_restored_condition_ends_after_grace():
    """After a start, a remote is online until the first request fails."""
    driver = Driver(reported=["a"])
    assert driver.run(RESTORED_GRACE_SECONDS - 10) == []
    driver.begin("a")
    assert driver.run(3600) == []
    gone = Driver(reported=["a"])
    assert [ended for _, _, ended in gone.run(3600)] == [["text"]]


def test_tracker_report_names_continuing_conditions(driver):
    driver.begin("a")
    driver.run(3600)
    driver.begin("b")
    driver.run(GATHER_SECONDS - 1)
    driver.tracker.observe(driver.present, driver.now + 1)
    report = driver.tracker.report(driver.now + 1, min_interval=INTERVAL)
    assert [condition.key for condition in report.continuing] == ["a"]


def test_tracker_needs_attention_while_condition_lasts(driver):
    assert not driver.tracker.needs_attention(driver.now)
    driver.begin("a", hold=100)
    driver.run(100)
    assert not driver.tracker.needs_attention(driver.now)
    driver.run(GATHER_SECONDS)
    assert driver.tracker.needs_attention(driver.now)
    driver.end("a")
    driver.run(0)
    assert not driver.tracker.needs_attention(driver.now)
