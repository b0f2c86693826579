"""The conditions in a status document."""

from syncd.control.problems import Severity
from syncd.notify.conditions import find_conditions
from tests.notify.support import folder, remote, settings, status


def found(document, idle_seconds=0.0, **values):
    return find_conditions(document, settings(**values), idle_seconds=idle_seconds)


def test_conditions_healthy_daemon_none():
    assert found(status(remotes=[remote(state="online")], folders=[folder(state="watching")])) == {}


def test_conditions_failed_uploads_hold_at_once():
    (condition,) = found(status(jobs={"failed": 2})).values()
    assert (condition.text, condition.hold) == ("2 failed uploads", 0.0)


def test_conditions_failed_count_keeps_key():
    assert found(status(jobs={"failed": 2})).keys() == found(status(jobs={"failed": 3})).keys()


def test_conditions_unavailable_hold_for_setting():
    document = status(remotes=[remote()], folders=[folder()])
    holds = {condition.text: condition.hold for condition in found(document, unavailable_after="20m").values()}
    assert holds == {"remote drive is offline": 1200.0, "folder /in is missing": 1200.0}


def test_conditions_unavailable_off_omits_them():
    document = status(remotes=[remote(), remote("a", "unauthorized")], folders=[folder()])
    texts = [condition.text for condition in found(document, unavailable_after="off").values()]
    assert texts == ["remote a rejects the token"]


def test_conditions_paused_daemon_none():
    assert found(status(state="stopped")) == {}
    assert found(status(state="stopping")) == {}


def test_conditions_blocked_store_first():
    document = status(jobs={"failed": 1}, store_blocked="the disk is full")
    first, _ = found(document).values()
    assert (first.text, first.severity) == ("the job store cannot be written: the disk is full", Severity.CRITICAL)


def test_conditions_idle_longer_than_setting():
    assert found(status(), 1e9) == {}
    assert found(status(), 7199, idle_after="2h") == {}
    (condition,) = found(status(), 7200, idle_after="2h").values()
    assert condition.text == "no upload has ended for 2h"


def test_conditions_each_remote_and_folder_once():
    document = status(remotes=[remote("a"), remote("b")], folders=[folder("/a"), folder("/b", "watching", "x")])
    assert len(found(document)) == 4
