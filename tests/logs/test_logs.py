"""Tests the log: formats, redaction, rotation, reload, and the warnings of libraries."""

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
    """Return a new logger, as each module has one."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def open_descriptors() -> list[str]:
    return [fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]


def events(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_json_line_is_an_object_with_stable_first_keys(log: Any, out: io.StringIO) -> None:
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


def test_format_auto_on_terminal_is_console(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_format_explicit_overrides_terminal_detection(log: Any) -> None:
    out = Terminal()
    logs.configure(stream=out, format="json")
    log.info("one")
    assert events(out)[0]["event"] == "one"
    plain = io.StringIO()
    logs.configure(stream=plain, format="console")
    log.info("two", path="x")
    assert plain.getvalue().endswith(" info    two path=x\n")


@pytest.mark.parametrize("style", ["json", "console"])
def test_event_with_unsafe_values_is_one_line(log: Any, out: io.StringIO, style: str) -> None:
    logs.configure(stream=out, format=style)
    nasty = "a\nb\r\x1b[2J\u2028\u0085\u202e" + os.fsdecode(b"\xff.jpg") + "\ud800"
    log.info("found\n", path=nasty, nested={"k\n": [nasty]}, name=Path(nasty), raw=b"\xfe\n")
    text = out.getvalue()
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\u202e" in text
    assert "\\xff.jpg" in text
    text.encode("utf-8")
    if style == "json":
        assert json.loads(text)["path"].startswith("a\nb\r\x1b[2J\u2028\u0085\u202e")


def test_console_persian_and_emoji_names_stay_readable(log: Any, out: io.StringIO) -> None:
    logs.configure(stream=out, format="console")
    name = "می\u200cخواهم👩\u200d🚀.jpg"  # noqa: RUF001 - these letters are intended
    log.info("found", path=name)
    assert f"path={name}\n" in out.getvalue()


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("level", ["info", "debug"])
def test_secrets_in_any_field_are_redacted(log: Any, out: io.StringIO, tmp_path: Path, style: str, level: str) -> None:
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
    assert "nested" in text  # a single letter is not redacted


def test_configure_from_applies_level_file_and_secrets(log: Any, out: io.StringIO, tmp_path: Path) -> None:
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


def test_configure_again_keeps_redacting_earlier_secrets(log: Any, out: io.StringIO) -> None:
    logs.configure(stream=out, secrets=["old-token"])
    logs.configure(stream=out, secrets=["new-token"])
    log.info("asked", tokens=["old-token", "new-token"])
    assert events(out)[0]["tokens"] == [MASKED, MASKED]


def test_exception_traceback_is_logged_only_at_debug(log: Any, out: io.StringIO) -> None:
    logs.configure(stream=out)
    try:
        int("x")
    except ValueError as error:
        log.warning("oops", exc_info=True)
        log.warning("oops", exc_info=error)
        logs.configure(stream=out, level="debug")
        log.exception("oops")
    log.error("no exception is handled", exc_info=True)  # noqa: LOG014 - the test's subject
    first, second, third, fourth = events(out)
    assert (
        first["error"] == second["error"] == third["error"] == "ValueError: invalid literal for int() with base 10: 'x'"
    )
    assert "traceback" not in first
    assert third["traceback"].endswith("with base 10: 'x'\n")
    assert not {"error", "exc_info"} & set(fourth)


def test_configure_again_changes_level_of_cached_loggers(log: Any, out: io.StringIO) -> None:
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


def test_log_file_is_private_and_json(log: Any, tmp_path: Path) -> None:
    out, file = Terminal(), LogFile(path=tmp_path / "logs/syncd.log")
    logs.configure(stream=out, file=file)
    log.info("done", path="x")
    assert json.loads(file.path.read_text())["event"] == "done"
    assert "done" in out.getvalue()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_log_file_rotation_keeps_newest_lines(log: Any, tmp_path: Path, keep: int) -> None:
    file = LogFile(path=tmp_path / "syncd.log", max_size=1000, keep=keep)
    logs.configure(stream=io.StringIO(), file=file)
    for number in range(100):
        log.info("line", number=number)
    logs.configure(stream=io.StringIO(), file=file)  # a reload continues with the same file
    log.info("line", number=100)
    names = [file.path, *(Path(f"{file.path}.{number}") for number in range(1, keep + 1))]
    assert sorted(tmp_path.iterdir()) == sorted(names)
    assert all(name.stat().st_size <= 1000 for name in names)
    assert all(stat.S_IMODE(name.stat().st_mode) == 0o600 for name in names)
    lines = [json.loads(line)["number"] for name in reversed(names) for line in name.read_text().splitlines()]
    assert lines == list(range(lines[0], 101))
    assert lines[0] > 0


def test_log_file_rotation_failure_continues_in_same_file(log: Any, tmp_path: Path) -> None:
    file = LogFile(path=tmp_path / "syncd.log", max_size=300, keep=1)
    logs.configure(stream=io.StringIO(), file=file)
    (tmp_path / "syncd.log.1").mkdir()
    for number in range(20):
        log.info("line", number=number)
    assert len(file.path.read_text().splitlines()) == 20


@pytest.mark.unix  # Windows does not move an open file
def test_log_file_moved_or_deleted_is_reopened(log: Any, tmp_path: Path) -> None:
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


def test_log_file_truncated_is_not_rotated(log: Any, tmp_path: Path) -> None:
    file = LogFile(path=tmp_path / "syncd.log", max_size=1000, keep=1)
    logs.configure(stream=io.StringIO(), file=file)
    log.info("line", text="x" * 800)
    os.truncate(file.path, 0)
    log.info("line", text="x" * 800)
    assert os.listdir(tmp_path) == ["syncd.log"]


@pytest.mark.unix
def test_log_file_reopen_failure_keeps_open_file(log: Any, tmp_path: Path) -> None:
    file = LogFile(path=tmp_path / "logs" / "syncd.log")
    logs.configure(stream=io.StringIO(), file=file)
    file.path.rename(moved := tmp_path / "moved.log")
    file.path.parent.rmdir()
    file.path.parent.write_text("not a folder")
    log.info("kept")
    assert '"kept"' in moved.read_text()


def test_configure_unopenable_file_changes_nothing(log: Any, out: io.StringIO, tmp_path: Path) -> None:
    logs.configure(stream=out)
    with pytest.raises(OSError, match="directory"):
        logs.configure(stream=out, level="error", file=LogFile(path=tmp_path))
    log.info("still here")
    assert events(out)[0]["event"] == "still here"


@pytest.mark.parametrize("stream", [Broken(), None])
def test_broken_stream_raises_no_error(log: Any, stream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    logs.configure(stream=stream)
    log.info("into the void")
    closed = io.StringIO()
    closed.close()
    logs.configure(stream=closed)
    log.info("into the void")


def test_ascii_stream_gets_escaped_line(log: Any) -> None:
    raw = io.BytesIO()
    logs.configure(stream=io.TextIOWrapper(raw, encoding="ascii"))
    log.info("found", path="é")
    assert b"\\xe9" in raw.getvalue()


def test_library_warnings_and_errors_are_logged(out: io.StringIO) -> None:
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


def test_threads_write_complete_lines(log: Any, out: io.StringIO, tmp_path: Path) -> None:
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


def test_on_warning_survives_reload_and_gets_redacted_events(log: Any, out: io.StringIO) -> None:
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


def test_capture_logs_works_after_configure(log: Any, out: io.StringIO) -> None:
    logs.configure(stream=out)
    with structlog.testing.capture_logs() as captured:
        log.info("done", path="x")
    assert captured == [{"event": "done", "path": "x", "log_level": "info"}]
