"""Both formats, masking, rotation, reload, and libraries that log by the standard library."""

import io
import json
import logging
import os
import stat
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import structlog

from syncd import logs
from syncd.config.model import Config
from syncd.core.redact import MASKED

SECRET = "tok/\"s3'cret\\"


@dataclass(frozen=True, kw_only=True)
class LogFile:
    path: Path
    max_size: int = 10_000
    keep: int = 2


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError


@pytest.fixture(autouse=True)
def _closed_afterwards() -> Iterator[None]:
    yield
    logs.close()
    structlog.reset_defaults()


@pytest.fixture
def log() -> structlog.typing.FilteringBoundLogger:
    """A logger of its own, as each module has."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def open_descriptors() -> list[str]:
    return [fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]


def events(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_json_is_one_object_a_line_with_stable_keys_first(log: Any, out: io.StringIO) -> None:
    logs.configure(stream=out)
    log.info("upload_done", path="/srv/عکس.jpg", bytes=3, parts=(1, None, True), ratio=float("nan"))
    line = out.getvalue()
    (event,) = events(out)
    assert list(event)[:3] == ["timestamp", "level", "event"]
    moment = datetime.strptime(event.pop("timestamp"), "%Y-%m-%dT%H:%M:%S.%f%z")
    assert moment.utcoffset() == timedelta(0)
    assert event == {
        "level": "info", "event": "upload_done", "path": "/srv/عکس.jpg", "bytes": 3,
        "parts": [1, None, True], "ratio": "nan",
    }  # fmt: skip
    assert "عکس" in line
    assert line.split('"')[3][-5] == "."  # milliseconds, Z


def test_console_is_for_a_terminal(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    logs.configure(stream=out)
    log.warning("upload_failed", path="a b.jpg", tries=2)
    assert '\x1b[33mwarning \x1b[0mupload_failed path="a b.jpg" tries=2\n' in out.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    logs.configure(stream=out)
    log.warning("again")
    assert out.getvalue().endswith(" warning again\n")


def test_the_format_can_be_chosen(log: Any) -> None:
    out = Terminal()
    logs.configure(stream=out, format="json")
    log.info("one")
    assert events(out)[0]["event"] == "one"
    plain = io.StringIO()
    logs.configure(stream=plain, format="console")
    log.info("two", path="x")
    assert plain.getvalue().endswith(" info    two path=x\n")


@pytest.mark.parametrize("style", ["json", "console"])
def test_one_line_an_event_whatever_the_values(log: Any, out: io.StringIO, style: str) -> None:
    logs.configure(stream=out, format=style)
    nasty = "a\nb\r\x1b[2J\u2028\u0085\u202e" + os.fsdecode(b"\xff.jpg") + "\ud800"
    log.info("found\n", path=nasty, nested={"k\n": [nasty]}, name=Path(nasty), raw=b"\xfe\n")
    text = out.getvalue()
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text
    assert "\\xff.jpg" in text
    text.encode("utf-8")
    if style == "json":
        assert json.loads(text)["path"].startswith("a\nb\r\x1b[2J\u2028\u0085")


def test_persian_and_emoji_names_are_readable_on_a_terminal(log: Any, out: io.StringIO) -> None:
    logs.configure(stream=out, format="console")
    name = "می\u200cخواهم👩\u200d🚀.jpg"  # noqa: RUF001 — these letters are meant
    log.info("found", path=name)
    assert f"path={name}\n" in out.getvalue()


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("level", ["info", "debug"])
def test_secrets_are_masked_everywhere(log: Any, out: io.StringIO, tmp_path: Path, style: str, level: str) -> None:
    file = LogFile(path=tmp_path / "syncd.log")
    logs.configure(stream=out, format=style, level=level, secrets=[SECRET, "", "a"], file=file)
    try:
        int(SECRET)
    except ValueError:
        log.exception("oops", error_of=ValueError(SECRET))
    log.info(SECRET, nested={"deep": [{"token": f"Bearer {SECRET}"}], SECRET: ("x", SECRET)}, path=Path(SECRET))
    log.info(
        "asked", url=f"http://h/?token={quote(SECRET)}&again={quote(SECRET, safe='')}", other=LogFile(path=Path(SECRET))
    )
    logging.getLogger("aiohttp").error("with %s", SECRET)
    text = out.getvalue() + file.path.read_text()
    assert "s3" not in text
    assert text.count(MASKED) >= 12
    assert "nested" in text  # a secret of one letter is none


def test_a_configuration_says_how_to_log_and_what_to_mask(log: Any, out: io.StringIO, tmp_path: Path) -> None:
    config = Config.model_validate(
        {
            "folders": [{"path": "in", "remote": "drive"}],
            "remotes": {"drive": {"type": "image", "url": "http://127.0.0.1", "token": "s3cret-token"}},
            "logging": {"level": "warning", "file": "syncd.log"},
        },
        context={"base": tmp_path},
    )
    logs.configure_from(config, stream=out)
    log.info("not this")
    log.warning("asked", token="s3cret-token")
    assert [event["token"] for event in events(out)] == [MASKED]
    assert (tmp_path / "syncd.log").read_text() == out.getvalue()


def test_secrets_of_an_earlier_configuration_stay_masked(log: Any, out: io.StringIO) -> None:
    logs.configure(stream=out, secrets=["old-token"])
    logs.configure(stream=out, secrets=["new-token"])
    log.info("asked", tokens=["old-token", "new-token"])
    assert events(out)[0]["tokens"] == [MASKED, MASKED]


def test_an_exception_is_one_field_and_its_traceback_only_for_debugging(log: Any, out: io.StringIO) -> None:
    logs.configure(stream=out)
    try:
        int("x")
    except ValueError as error:
        log.warning("oops", exc_info=True)
        log.warning("oops", exc_info=error)
        logs.configure(stream=out, level="debug")
        log.exception("oops")
    log.error("nothing is on its way", exc_info=True)  # noqa: LOG014 — that is the case
    first, second, third, fourth = events(out)
    assert (
        first["error"] == second["error"] == third["error"] == "ValueError: invalid literal for int() with base 10: 'x'"
    )
    assert "traceback" not in first
    assert third["traceback"].endswith("with base 10: 'x'\n")
    assert not {"error", "exc_info"} & set(fourth)


def test_a_reload_reaches_loggers_that_are_in_use(log: Any, out: io.StringIO) -> None:
    bound = log.bind(job=7)
    logs.configure(stream=out, level="warning")
    bound = log.bind(job=7)
    log.info("no")
    bound.info("no")
    logs.configure(stream=out, level="debug")
    log.debug("yes")
    bound.debug("yes")
    other = io.StringIO()
    logs.configure(stream=other, level="error")
    log.warning("no")
    bound.error("yes")
    assert [event["event"] for event in events(out)] == ["yes", "yes"]
    assert [(event["event"], event["job"]) for event in events(other)] == [("yes", 7)]


def test_the_file_is_private_and_gets_json_beside_a_console(log: Any, tmp_path: Path) -> None:
    out, file = Terminal(), LogFile(path=tmp_path / "logs/syncd.log")
    logs.configure(stream=out, file=file)
    log.info("done", path="x")
    assert json.loads(file.path.read_text())["event"] == "done"
    assert "done" in out.getvalue()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_rotation_keeps_the_newest(log: Any, tmp_path: Path, keep: int) -> None:
    file = LogFile(path=tmp_path / "syncd.log", max_size=1000, keep=keep)
    logs.configure(stream=io.StringIO(), file=file)
    for number in range(100):
        log.info("line", number=number)
    logs.configure(stream=io.StringIO(), file=file)  # a reload goes on with the same file
    log.info("line", number=100)
    names = [file.path, *(Path(f"{file.path}.{number}") for number in range(1, keep + 1))]
    assert sorted(tmp_path.iterdir()) == sorted(names)
    assert all(name.stat().st_size <= 1000 for name in names)
    assert all(stat.S_IMODE(name.stat().st_mode) == 0o600 for name in names)
    lines = [json.loads(line)["number"] for name in reversed(names) for line in name.read_text().splitlines()]
    assert lines == list(range(lines[0], 101))
    assert lines[0] > 0


def test_a_file_that_can_not_be_put_aside_goes_on(log: Any, tmp_path: Path) -> None:
    file = LogFile(path=tmp_path / "syncd.log", max_size=300, keep=1)
    logs.configure(stream=io.StringIO(), file=file)
    (tmp_path / "syncd.log.1").mkdir()
    for number in range(20):
        log.info("line", number=number)
    assert len(file.path.read_text().splitlines()) == 20


@pytest.mark.unix  # elsewhere an open file stays where it is
def test_a_file_that_was_moved_or_deleted_is_opened_anew_without_a_signal(log: Any, tmp_path: Path) -> None:
    file = LogFile(path=tmp_path / "logs" / "syncd.log")
    logs.configure(stream=io.StringIO(), file=file)
    log.info("first")
    file.path.rename(moved := tmp_path / "moved.log")
    log.info("second")
    assert '"first"' in moved.read_text()
    assert '"second"' not in moved.read_text()
    assert '"second"' in file.path.read_text()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    file.path.unlink()
    file.path.parent.rmdir()
    log.info("third")
    file.path.rename(moved)
    file.path.write_text("of another program\n")
    log.info("fourth")
    assert '"third"' in moved.read_text()
    assert file.path.read_text().startswith("of another program\n{")
    assert not any(os.path.samestat(os.stat(f"/proc/self/fd/{fd}"), moved.stat()) for fd in open_descriptors())


def test_a_truncated_file_counts_with_the_size_that_it_has(log: Any, tmp_path: Path) -> None:
    file = LogFile(path=tmp_path / "syncd.log", max_size=1000, keep=1)
    logs.configure(stream=io.StringIO(), file=file)
    log.info("line", text="x" * 800)
    os.truncate(file.path, 0)
    log.info("line", text="x" * 800)
    assert os.listdir(tmp_path) == ["syncd.log"]


@pytest.mark.unix
def test_lines_go_on_to_the_open_file_where_no_new_one_can_be_made(log: Any, tmp_path: Path) -> None:
    file = LogFile(path=tmp_path / "logs" / "syncd.log")
    logs.configure(stream=io.StringIO(), file=file)
    file.path.rename(moved := tmp_path / "moved.log")
    file.path.parent.rmdir()
    file.path.parent.write_text("not a folder")
    log.info("kept")
    assert '"kept"' in moved.read_text()


def test_a_file_that_can_not_be_opened_changes_nothing(log: Any, out: io.StringIO, tmp_path: Path) -> None:
    logs.configure(stream=out)
    with pytest.raises(OSError, match="directory"):
        logs.configure(stream=out, level="error", file=LogFile(path=tmp_path))
    log.info("still here")
    assert events(out)[0]["event"] == "still here"


@pytest.mark.parametrize("stream", [Broken(), None])
def test_a_broken_stream_is_nobodys_problem(log: Any, stream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    logs.configure(stream=stream)
    log.info("into the void")
    closed = io.StringIO()
    closed.close()
    logs.configure(stream=closed)
    log.info("into the void")


def test_a_stream_that_knows_only_ascii_gets_the_line_escaped(log: Any) -> None:
    raw = io.BytesIO()
    logs.configure(stream=io.TextIOWrapper(raw, encoding="ascii"))
    log.info("found", path="é")
    assert b"\\xe9" in raw.getvalue()


def test_libraries_come_out_of_the_same_door_from_warnings_on(out: io.StringIO) -> None:
    logs.configure(stream=out, level="debug")
    library = logging.getLogger("aiohttp.server")
    library.setLevel(logging.INFO)
    library.info("not this")
    library.setLevel(logging.NOTSET)
    library.warning("%d of %s", 1, "two")
    library.error("failed", exc_info=ValueError("why"))
    logs._bridge.emit(logging.LogRecord("x", logging.WARNING, "x.py", 1, "%d", ("not a number",), None))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old ways", stacklevel=1)
    first, second, third, fourth = events(out)
    assert (first["event"], first["logger"], first["message"]) == (logs.LIBRARY_EVENT, "aiohttp.server", "1 of two")
    assert (first["level"], second["level"]) == ("warning", "error")
    assert second["error"] == "ValueError: why"
    assert third["message"] == "%d"
    assert "old ways" in fourth["message"]


def test_threads_do_not_mix_their_lines(log: Any, out: io.StringIO, tmp_path: Path) -> None:
    file = LogFile(path=tmp_path / "syncd.log", max_size=5000, keep=50)
    logs.configure(stream=out, file=file)

    def chatter(thread: int) -> None:
        for number in range(100):
            log.info("line", thread=thread, number=number)

    threads = [threading.Thread(target=chatter, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wanted = {(thread, number) for thread in range(4) for number in range(100)}
    assert {(event["thread"], event["number"]) for event in events(out)} == wanted
    stored = [json.loads(line) for name in tmp_path.iterdir() for line in name.read_text().splitlines()]
    assert {(event["thread"], event["number"]) for event in stored} == wanted


def test_warnings_and_errors_alert_over_a_reload_and_without_secrets(log: Any, out: io.StringIO) -> None:
    alerts: list[Any] = []
    logs.configure(stream=out, secrets=["hunter2"])
    logs.on_warning(alerts.append)
    logs.configure(stream=out, level="error")
    for level in ("info", "warning", "error"):
        getattr(log, level)(level, detail="is hunter2")
    logs.configure(stream=out)
    log.warning("again")
    logs.close()
    log.error("late")
    assert [(event["event"], event.get("detail")) for event in alerts] == [("error", "is ***"), ("again", None)]


def test_events_can_be_captured_in_tests_once_configured(log: Any, out: io.StringIO) -> None:
    logs.configure(stream=out)
    with structlog.testing.capture_logs() as captured:
        log.info("done", path="x")
    assert captured == [{"event": "done", "path": "x", "log_level": "info"}]
