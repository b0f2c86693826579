"""At 40 columns no line is wider, except for one word such as a path.

Such a word cannot be broken.
"""

import re

import pytest

from syncd.cli import COMMANDS, narrow
from syncd.cli.ctl.command import command as ctl_command
from syncd.cli.narrow import cells, fold
from tests.control.fake import STATUS, job
from tests.support.terminal import TerminalCommand

LONG = "/srv/photos/a-very-long-folder-name/with-a-long-file-name.jpg"
LOG = {
    "timestamp": "2026-01-02T03:04:05.000Z",
    "level": "warning",
    "event": "job.waiting",
    "path": LONG,
    "reason": "the server answered 503 and asked for a break of a minute",
}


@pytest.fixture
def narrow_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")


@pytest.fixture
def busy(daemon):
    """A daemon whose answers have long texts."""
    folder, remote = STATUS["folders"][0], STATUS["remotes"][0]
    long = "the server does not answer, and this text is long enough for three lines of a phone"
    daemon.status_document = {
        **STATUS,
        "folders": [folder, {**folder, "path": LONG, "remotes": ["drive", "ascii", "archive"], "detail": long}],
        "remotes": [remote, {**remote, "name": "archive", "state": "offline", "detail": long}],
        "jobs": {**STATUS["jobs"], "failed": 12, "skipped": 1234},
    }
    daemon.listed = [
        job(),
        job(123456, LONG, state="waiting", due_in_seconds=70.0),
        job(3, "/srv/写真写真 写真写真写真写真写真 写真写真写真.jpg"),
    ]
    daemon.logged = [LOG]
    return daemon


def assert_narrow(text):
    for line in text.splitlines():
        assert cells(line) <= 40 or len(line.split()) == 1, line


def commands():
    yield ["--help"]
    for name in COMMANDS:
        yield [name, "--help"]
    for name in ctl_command.commands:
        yield ["ctl", name, "--help"]


@pytest.mark.parametrize("arguments", list(commands()), ids=" ".join)
def test_help_fits_into_40_columns(syncd, narrow_terminal, arguments):
    result = syncd(*arguments)
    assert result.code == 0
    assert_narrow(result.out)


def test_help_of_narrow_terminal_has_same_words(syncd, monkeypatch):
    pages = []
    for columns in ("40", "100"):
        monkeypatch.setenv("COLUMNS", columns)
        pages.append(re.sub(r"\s+", "", syncd("ctl", "jobs", "--help").out))
    assert pages[0] == pages[1]


@pytest.mark.parametrize("arguments", [["status"], ["jobs"], ["logs"], ["show", "17"]], ids=" ".join)
def test_ctl_fits_into_40_columns(ctl, busy, monkeypatch, arguments):
    wide = ctl(*arguments).out
    monkeypatch.setenv("COLUMNS", "40")
    result = ctl(*arguments)
    assert result.code == 0
    assert_narrow(result.out)
    assert LONG in result.out or arguments[0] == "show"
    if arguments[0] != "jobs":  # its columns are stacked
        assert result.out.split() == wide.split()


def test_jobs_are_stacked_in_40_columns(ctl, busy, narrow_terminal):
    assert ctl("jobs", "--limit", "3").out.splitlines()[:6] == [
        "17 failed → drive, 1.2 MiB",
        "  /srv/inbox/a b.jpg",
        "  too large for the server (413)",
        "123456 waiting → drive, 1.2 MiB",
        f"  {LONG}",
        "  too large for the server (413), next",
    ]


def test_check_fits_into_40_columns(syncd, config, closed_port, narrow_terminal):
    result = syncd("check", "-c", config(f"http://127.0.0.1:{closed_port}"))
    assert result.code == 1
    assert_narrow(result.out)


@pytest.mark.e2e
def test_ctl_fits_into_terminal_of_40_columns(busy):
    for arguments in (["status"], ["jobs"], ["logs"], ["jobs", "--help"]):
        with TerminalCommand("ctl", "--socket", busy.socket, *arguments, columns=40) as command:
            assert command.end() == 0
            assert_narrow(command.text)


def test_output_without_terminal_is_not_folded(ctl, busy, monkeypatch):
    monkeypatch.delenv("COLUMNS")
    assert max(map(len, ctl("status").out.splitlines())) > 80


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("", [""]),
        ("a b", ["a b"]),
        ("    aaaa bbbb cccc", ["   aaaa bbbb", "     cccc"]),
        ("aaaaaaaaaaaaaaaaaa b", ["aaaaaaaaaaaaaaaaaa", "  b"]),
        ("写真写真 写真写真", ["写真写真", "  写真写真"]),
    ],
)
def test_fold_breaks_between_words(monkeypatch, line, parts):
    monkeypatch.setattr(narrow, "columns", lambda: 12)
    assert list(fold(line)) == parts


def test_cells_count_wide_and_combining_characters():
    assert cells("a\x1b[31mb\x1b[0m") == 2
    assert cells("写真") == 4
    assert cells("e\u0301") == 1
