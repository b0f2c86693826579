"""Loading a whole file: its values, and the problems of an invalid one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from syncd.config.errors import ConfigError
from syncd.config.load import find, load
from syncd.config.model import Address, Config, ImageRemote, MultipartRemote

Write = Callable[[str], Path]
Problems = Callable[[str], list[str]]

REMOTES = """\
remotes:
  drive: {type: image, url: "http://127.0.0.1:4444"}
"""
FOLDERS = """\
folders: [{path: inbox, remote: drive}]
"""

GUID = "123e4567-e89b-12d3-a456-426614174000"


def only_unix(*values: str) -> Any:
    return pytest.param(*values, marks=pytest.mark.unix)


@pytest.fixture
def config(write: Write) -> Callable[[str], Config]:
    return lambda text: load(write(text)).config


def test_load_minimal_file_has_defaults(config: Callable[[str], Config], tmp_path: Path) -> None:
    found = config(FOLDERS + REMOTES)
    folder, remote = found.folders[0], found.remotes["drive"]
    assert folder.path == str(tmp_path / "inbox")
    assert folder.remotes == ("drive",)
    assert {"*.jpg", "*.heic", "*.nef", "*.txt"} <= set(folder.include)
    assert (folder.settle, folder.rescan, folder.max_size) == (2.0, 600.0, 10 * 2**30)
    assert folder.after_upload.action == "keep"
    assert isinstance(remote, ImageRemote)
    assert (remote.chunk_size, remote.encoding, remote.verify, remote.timeout) == (49152, "auto", "conflict", 60.0)
    assert found.scheduler.concurrency is None
    assert found.scheduler.bandwidth.spans == ()
    assert (found.scheduler.retry.initial, found.scheduler.retry.max) == (1.0, 300.0)
    assert found.store == found.state_dir / "syncd.db"
    assert found.control.dashboard == Address(host="127.0.0.1", port=8765)
    assert found.logging.file is None


def test_load_full_file_has_every_value(config: Callable[[str], Config], tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    found = config(f"""\
        folders:
          - {{path: ~/in, remote: [drive, drive], include: ["*.JPG"], exclude: ["!a", "b/"], recursive: no,
             follow_symlinks: yes, watch: poll, settle: 200ms, rescan: 1h, max_size: 1GB, after_upload: {{move: done}}}}
        remotes:
          drive:
            {{type: multipart, url: "https://host:8/x/", prefix: /drive/files/upload/, token: t0ken, pool_id: {GUID},
             bundle_id: "{{{GUID.upper()}}}", expired_at: 30d, encrypt_password: pass-word, hash: md5, chunk_size: 1MiB,
             direct: never, timeout: 5s, ca_file: ca.pem, proxy: "http://u:p@proxy:1", headers: {{X-A: b}}}}
        scheduler: {{concurrency: 8, bandwidth: 2MiB/s, retry: {{initial: 2s, max: 1m}}}}
        state_dir: state
        store: sqlite:///jobs.db
        control: {{socket: s.sock, dashboard: "[::1]:8765"}}
        logging: {{level: DEBUG, format: json, file: {{path: x.log, max_size: 1MiB, keep: 2}}}}
    """)
    folder, remote = found.folders[0], found.remotes["drive"]
    assert folder.path == str(tmp_path / "home/in")
    assert (folder.remotes, folder.include, folder.exclude) == (("drive",), ("*.JPG",), ("!a", "b/"))
    assert (folder.recursive, folder.follow_symlinks, folder.watch) == (False, True, "poll")
    assert (folder.settle, folder.rescan, folder.max_size) == (0.2, 3600.0, 10**9)
    assert (folder.after_upload.action, folder.after_upload.directory) == ("move", str(tmp_path / "done"))
    assert isinstance(remote, MultipartRemote)
    assert (remote.url, remote.prefix) == ("https://host:8/x", "/drive/files/upload")
    assert (remote.pool_id, remote.bundle_id, remote.expired_at) == (GUID, GUID, timedelta(days=30))
    assert (remote.hash, remote.chunk_size, remote.direct, remote.timeout) == ("md5", 2**20, "never", 5.0)
    assert remote.ca_file == tmp_path / "ca.pem"
    assert remote.token is not None
    assert remote.token.get_secret_value() == "t0ken"
    assert found.secrets() == {"t0ken", "pass-word", "http://u:p@proxy:1", "u:p", "p", "b"}
    (span,) = found.scheduler.bandwidth.spans
    assert (span.start_minute, span.end_minute, span.limit) == (0, 1440, 2 * 2**20)
    assert (found.scheduler.concurrency, found.scheduler.retry.max) == (8, 60.0)
    assert (found.state_dir, found.store) == (tmp_path / "state", tmp_path / "jobs.db")
    assert found.control.socket == tmp_path / "s.sock"
    assert found.control.dashboard is not None
    assert (found.control.dashboard.host, found.control.dashboard.port) == ("::1", 8765)
    assert found.logging.file is not None
    assert (found.logging.level, found.logging.file.path, found.logging.file.keep) == ("debug", tmp_path / "x.log", 2)


@pytest.mark.parametrize("off", ["off", "'off'", "no", "false", "'false'", "Off"])
def test_load_off_with_and_without_quotes(config: Callable[[str], Config], off: str) -> None:
    found = config(
        f"folders: [{{path: in, remote: [drive, ascii]}}]\ncontrol: {{dashboard: {off}}}\n"
        f"remotes: {{drive: {{type: multipart, url: http://h, pool_id: {GUID}, direct: {off}}},"
        f" ascii: {{type: image, url: http://h, verify: {off}}}}}"
    )
    drive, ascii_ = found.remotes["drive"], found.remotes["ascii"]
    assert isinstance(drive, MultipartRemote)
    assert isinstance(ascii_, ImageRemote)
    assert (found.control.dashboard, drive.direct, ascii_.verify) == (None, "never", "never")


@pytest.mark.parametrize(
    ("word", "verify"),
    [("on", "always"), ("'Yes'", "always"), ("true", "always"), ("Always", "always"), ("conflict", "conflict")],
)
def test_load_verify_in_any_spelling(config: Callable[[str], Config], word: str, verify: str) -> None:
    drive = config(f"{FOLDERS}remotes: {{drive: {{type: image, url: http://h, verify: {word}}}}}").remotes["drive"]
    assert isinstance(drive, ImageRemote)
    assert drive.verify == verify


def test_load_timetable_is_split_at_midnight(config: Callable[[str], Config]) -> None:
    found = config(
        FOLDERS
        + REMOTES
        + """\
scheduler:
  bandwidth:
    - {from: 22:00, to: 06:00, limit: unlimited}
    - {from: "8:00", to: 18:00, limit: 500kB/s}
    - {from: 00:00, to: 24:00, limit: off}
"""
    )
    spans = [(span.start_minute, span.end_minute, span.limit) for span in found.scheduler.bandwidth.spans]
    assert spans == [(1320, 1440, None), (0, 360, None), (480, 1080, 500_000.0), (0, 1440, 0.0)]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2030-01-31", datetime(2030, 1, 31, tzinfo=UTC)),
        ("2030-01-31T12:00:00Z", datetime(2030, 1, 31, 12, tzinfo=UTC)),
        ("2030-01-31T12:00:00+02:00", datetime(2030, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_load_expired_at_as_date(config: Callable[[str], Config], text: str, moment: datetime) -> None:
    remote = config(
        FOLDERS + f"remotes: {{drive: {{type: multipart, url: http://h, pool_id: {GUID}, expired_at: {text!r}}}}}"
    ).remotes["drive"]
    assert isinstance(remote, MultipartRemote)
    assert remote.expired_at == moment


def test_load_key_without_value_counts_as_absent(config: Callable[[str], Config]) -> None:
    found = config(FOLDERS + REMOTES + "control:\nscheduler:\n  retry:\n    max:\nlogging: {file: null}\n")
    assert found.scheduler.retry.max == 300.0


def test_load_names_all_problems(problems: Problems) -> None:
    assert problems("""\
        folders:
          - path: inbox
            remote: driv
            settel: 3s
            include: ["*.jpg", "#x"]
          - remote: drive
            recursive: maybe
            unheard:
        remotes:
          drive:
            type: multipart
            url: ftp://host
            timeout: 60
            chunk_size: 7MiB
          bad name: {type: image, url: "http://127.0.0.1"}
          other: {type: imag}
          third: x
        scheduler:
          bandwidth: [{from: 22:00, to: 6, limit: fast}]
          concurrency: 0
          retry: {initial: 10s, max: 1s}
        state_dir: ${SYNCD_TEST_UNSET}
        logging: {level: loud}
    """) == [
        "3: folders[0].remote: there is no remote driv — did you mean drive?",
        "4: folders[0].settel: there is no such key — did you mean settle?",
        r"5: folders[0].include[1]: is a pattern that matches nothing — write \# for a name that begins with #",
        "6: folders[1].path: is missing — the folder to watch",
        "7: folders[1].recursive: must be true or false",
        (
            "8: folders[1].unheard: there is no such key — known here: path, include, exclude, follow_symlinks, "
            "watch, settle, rescan, max_size, after_upload"
        ),
        "12: remotes.drive.url: must be an address such as https://host or http://host:port",
        "13: remotes.drive.timeout: write a duration such as 200ms, 30s, 5m, 1h or 30d",
        "14: remotes.drive.chunk_size: must be between 1KiB and 6MiB",
        "15: remotes.bad name: a remote's name has up to 32 letters a-z, digits, - and _",
        "16: remotes.other: type must be 'image', 'multipart'",
        "17: remotes.third: must contain keys and values, each as `key: value`",
        "19: scheduler.bandwidth[0].to: must be a time of day between 00:00 and 24:00",
        "19: scheduler.bandwidth[0].limit: write a rate such as 500KiB/s or 2MiB/s",
        "20: scheduler.concurrency: must be at least 1",
        "21: scheduler.retry: max must not be shorter than initial",
        "22: state_dir: the environment has no variable SYNCD_TEST_UNSET — set it, or write $${ for the text ${",
        "23: logging.level: must be 'debug', 'info', 'warning' or 'error'",
    ]


def test_load_omits_consequences_of_a_problem(problems: Problems) -> None:
    (problem,) = problems(FOLDERS + "remotes: {drive: {type: image, url: '${SYNCD_TEST_UNSET}'}}\n")
    assert "the environment has no variable" in problem


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("bandwidth: off", "pause with syncd ctl stop"),
        ("bandwidth: {from: 1}", "a list of {from, to, limit}"),
        ("bandwidth: 2MiB", "write a rate"),
        ("concurrency: 257", "at most 256"),
        ("concurrency: many", "whole number"),
        ("concurrency: [1]", "whole number"),
        ("retry: 5", "must contain keys and values"),
    ],
)
def test_load_invalid_scheduler_is_refused(problems: Problems, line: str, message: str) -> None:
    (problem,) = problems(f"{FOLDERS}{REMOTES}scheduler:\n  {line}\n")
    assert message in problem
    assert problem.startswith("5: scheduler.")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("url: http://user:pw@h", "must not contain a user or password"),
        ("url: http://h?x=1", "must not contain a ?"),
        ("url: 'http://h h'", "must be an address"),
        ("url: http://h:99999", "must be an address"),
        ("url: http://h, token: 'sec ret'", "contains a space"),
        ('url: http://h, token: "sec\\nret"', "contains a line break"),
        ("url: http://h, token: secret€", "cannot be sent in a header"),
        ("url: http://h, token: ''", "is empty"),
        ("url: http://h, token: [secret]", "must be a single value"),
        ('url: http://h, headers: {X: "sec\\rret"}', "contains a line break"),
        ("url: http://h, headers: {'a b': secret}", "is not a header's name"),
        ("url: http://h, headers: {Content-Length: secret}", "is a header that syncd sets itself"),
        ("url: http://h, headers: secret", "must be a list of names and values"),
        ("url: http://h, proxy: 'socks5://u:secret@h'", "must be an address"),
        ("url: http://h, ca_file: nowhere.pem", "there is no file"),
        ("url: http://h, chunk_size: 2MiB", "between 1 and 1MiB"),
        ("url: http://h, encoding: base32", "must be 'auto'"),
        ("url: http://h, prefix: /x", "there is no such key"),
    ],
)
def test_load_invalid_remote_is_refused(problems: Problems, keys: str, message: str) -> None:
    (problem,) = problems(f"{FOLDERS}remotes:\n  drive: {{type: image, {keys}}}\n")
    assert message in problem
    assert problem.startswith("3: remotes.drive.")
    assert "sec" not in problem.replace("seconds", "")
    assert "pw" not in problem


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("store: postgresql://h/db", "only SQLite is supported so far"),
        ("store: sqlite://h/db", "only SQLite is supported so far"),
        ("control: {dashboard: nowhere}", "must be host:port"),
        ("control: {dashboard: ':8765'}", "must be host:port"),
        ("control: {dashboard: '127.0.0.1:٨٧٦٥'}", "must be host:port"),
        ("control: {dashboard: 'localhost:65536'}", "at most 65535"),
        ("control: {dashboard: on}", "must be host:port"),
        ("control: {dashboard: 0.0.0.0:8765}", "must be a local address"),
        ("control: {dashboard: '[::]:8765'}", "must be a local address"),
        ("control: {dashboard: 192.168.1.5:8765}", "must be a local address"),
        ("control: {dashboard: example.org:8765}", "must be a local address"),
        only_unix(f"control: {{socket: /{'x' * 107}}}", "set control.socket to a shorter path"),
        only_unix(f"state_dir: /{'x' * 100}", "set control.socket to a shorter path"),
        only_unix("state_dir: ~no-such-user/x", "write the path in full"),
        ("state_dir: [x]", "must be a single value"),
        ("logging: {file: {keep: 2}}", "logging.file.path: is missing"),
        ("dashboard: x", "there is no such key"),
    ],
)
def test_load_other_invalid_key_is_refused(problems: Problems, line: str, message: str) -> None:
    (problem,) = problems(f"{FOLDERS}{REMOTES}{line}\n")
    assert message in problem


def test_dump_masks_every_secret(write: Write) -> None:
    found = load(
        write(f"""\
        folders: [{{path: in, remote: drive}}]
        remotes:
          drive: {{type: multipart, url: http://127.0.0.1, pool_id: {GUID}, token: s3cret, encrypt_password: s3cret,
                  proxy: "http://u:s3cret@h", headers: {{X: s3cret}}}}
    """)
    )
    shown: list[Any] = [repr(found), str(found), found.config.model_dump(), found.config.model_dump_json()]
    assert "s3cret" not in str(shown)


@pytest.mark.unix
def test_load_variable_adds_no_structure(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "x, remote: y}\n- z")
    found = load(write("folders: [{path: '${WHERE}', remote: drive}]\n" + REMOTES))
    assert found.config.folders[0].path.endswith("/x, remote: y}\n- z")


@pytest.mark.unix
def test_find_searches_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncd.config.paths.SYSTEM_CONFIG", tmp_path / "etc.yaml")
    with pytest.raises(ConfigError, match=r"home/\.config/syncd/config\.yaml nor .*etc\.yaml.*syncd init"):
        find(None)
    (tmp_path / "etc.yaml").touch()
    assert find(None) == tmp_path / "etc.yaml"
    user = tmp_path / "home/.config/syncd/config.yaml"
    user.parent.mkdir(parents=True)
    user.touch()
    assert find(None) == user
    monkeypatch.setenv("SYNCD_CONFIG", "by-environment.yaml")
    assert find(None) == Path("by-environment.yaml")
    assert find("by-option.yaml") == Path("by-option.yaml")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_load_dashboard_accepts_loopback(config: Callable[[str], Config], host: str) -> None:
    found = config(FOLDERS + REMOTES + f"control: {{dashboard: '{host}:0'}}\n")
    assert found.control.dashboard == Address(host="127.0.0.1", port=0)


@pytest.mark.parametrize("scheme", ["http://", "HTTP://", ""])
def test_secrets_include_proxy_of_environment(
    config: Callable[[str], Config], monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("https_proxy", f"{scheme}us%20er:pa%2Fss@proxy:1")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:1")
    found = config(FOLDERS + REMOTES)
    assert found.secrets() == {f"{scheme}us%20er:pa%2Fss@proxy:1", "pa%2Fss", "pa/ss", "us er:pa/ss"}
