"""The section of notifications: its values, its files and its secrets."""

import importlib.util
import json
from pathlib import Path

import pytest

from syncd.config.load import load
from syncd.config.model import Config
from tests.config.conftest import Problems, Write
from tests.config.permissions import set_permissions

BASE = """
folders: [{path: in, remote: a}]
remotes: {a: {type: image, url: "http://host"}}
"""
URL = "tgram://123456789:S3cretTokenOfTheBot/chat"


def notify(keys: str) -> str:
    return f"{BASE}notify: {{{keys}}}\n"


def secret_file(path: Path, text: str, mode: int = 0o600) -> None:
    path.write_text(text, encoding="utf-8")
    set_permissions(path, mode)


def loaded(write: Write, keys: str) -> Config:
    return load(write(notify(keys))).config


def urls(config: Config) -> list[str]:
    return [url.get_secret_value() for url in config.notify.urls]


def test_urls_come_from_key_and_file(write: Write, tmp_path: Path) -> None:
    secret_file(tmp_path / "more", f"# mine\n\n  {URL}  \njson://b\r\n")
    assert urls(loaded(write, "urls: json://a, urls_file: more")) == ["json://a", URL, "json://b"]
    assert urls(loaded(write, "urls_file: more")) == [URL, "json://b"]


def test_urls_expand_variables(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOPIC", "s3cret")
    path = write(notify('urls: ["ntfys://ntfy.sh/${TOPIC}"]'))
    set_permissions(path, 0o644)
    found = load(path)
    assert (urls(found.config), found.warnings) == (["ntfys://ntfy.sh/s3cret"], ())


def test_ping_url_comes_from_file(write: Write, tmp_path: Path) -> None:
    secret_file(tmp_path / "ping", "https://host/s3cret\n")
    ping = loaded(write, "ping: {url_file: ping}").notify.ping
    assert ping is not None
    assert (ping.url.get_secret_value(), ping.every) == ("https://host/s3cret", 300.0)


def test_settings_to_show_contain_no_url(write: Write, tmp_path: Path) -> None:
    secret_file(tmp_path / "ping", "https://host/s3cret\n")
    config = loaded(write, f'urls: ["{URL}"], ping: {{url_file: ping}}, daily_summary: "7:30", idle_after: 2d')
    shown = config.model_dump(mode="json", by_alias=True)["notify"]
    assert not [secret for secret in ("S3cret", "s3cret", "chat") if secret in json.dumps(shown)]
    assert shown["urls"] == [shown["ping"]["url"]] == ["••••"]
    assert (shown["daily_summary"], shown["idle_after"], shown["unavailable_after"]) == ("07:30", "2d", "15m")


def test_secrets_contain_urls_and_their_tokens(write: Write) -> None:
    config = loaded(write, f'urls: ["{URL}", "json://u:pa%2Fss@h/path"], ping: {{url: "https://h/9f8e7d6c-1234-4a5b"}}')
    assert config.secrets() >= {
        URL, "json://u:pa%2Fss@h/path", "pa%2Fss", "pa/ss", "https://h/9f8e7d6c-1234-4a5b", "9f8e7d6c-1234-4a5b"
    }  # fmt: skip
    assert not config.secrets() & {"h", "path", "u", "json"}


@pytest.mark.parametrize(
    ("keys", "content", "message"),
    [
        ("urls: [s3cret]", "", "urls[0]: must be an Apprise URL"),
        ("urls_file: file", "s3cret", "urls_file: must be an Apprise URL"),
        ("urls_file: file", "# nothing", "urls_file: must have at least one entry"),
        ("urls_file: nowhere", "", "nowhere cannot be read: No such file"),
        ("command: []", "", "command: must have at least one entry"),
        ("command: /bin/true", "", "command: must be a list"),
        ("unavailable_after: 0s", "", "unavailable_after: must be between"),
        ("idle_after: 1s", "", "idle_after: must be between"),
        ("daily_summary: noon", "", "daily_summary: must be a time of day"),
        ("min_interval: off", "", "min_interval:"),
        ("url: json://a", "", "notify.url: there is no such key — did you mean urls?"),
        ("ping: {every: 1m}", "", "ping.url: is missing — the address to request, or give url_file"),
        ("ping: {url: s3cret}", "", "ping.url: must be an address"),
        ('ping: {url: "http://h", url_file: file}', "http://h", "url_file: give only one of"),
        ("ping: {url_file: file}", "http://h\nhttp://i", "url_file: the file must have one address"),
        ("ping: {url_file: file}", "s3cret", "must be an address"),
    ],
)
def test_invalid_notify_is_refused(problems: Problems, tmp_path: Path, keys: str, content: str, message: str) -> None:
    secret_file(tmp_path / "file", content)
    found = problems(notify(keys))
    assert [line for line in found if message in line], found
    assert not [line for line in found if "s3cret" in line]


@pytest.mark.parametrize("value", ["off", "never", "no", "false"])
def test_times_can_be_off(write: Write, value: str) -> None:
    found = loaded(write, f"unavailable_after: {value}, idle_after: {value}, daily_summary: {value}").notify
    assert (found.unavailable_after, found.idle_after, found.daily_summary) == (None, None, None)


def test_urls_without_apprise_are_refused(problems: Problems, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "apprise" else found(name))
    (problem,) = problems(notify("urls: json://a"))
    assert "notify.urls: need the package apprise, which is not installed — pip install 'syncd[notify]'" in problem


def test_command_without_apprise_is_accepted(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "apprise" else found(name))
    assert loaded(write, "command: [notify-me, --now]").notify.command == ("notify-me", "--now")


@pytest.mark.parametrize(
    ("keys", "advice"),
    [(f'urls: "{URL}"', "urls_file"), (f'urls: ["{URL}"]', "urls_file"), ('ping: {url: "http://h/x"}', "url_file")],
)
def test_url_in_readable_file_is_warned_about(write: Write, keys: str, advice: str) -> None:
    path = write(notify(keys))
    set_permissions(path, 0o644)
    (warning,) = load(path).warnings
    assert warning.endswith(f"or move the secret out by {advice}")
    assert "S3cret" not in warning


def test_readable_url_file_is_warned_about(write: Write, tmp_path: Path) -> None:
    secret_file(tmp_path / "more", URL, 0o644)
    (warning,) = load(write(notify("urls_file: more"))).warnings
    assert "others on this machine can read" in warning
