"""The identity of destinations: same or different, and the records that belong to each."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.config import destinations
from syncd.config.load import load
from tests.config.permissions import set_permissions

Write = Callable[[str], Path]
Problems = Callable[[str], list[str]]

GUID = "123e4567-e89b-12d3-a456-426614174000"
ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def remotes(*each: str, kind: str = "image") -> str:
    lines = [f"  r{number}: {{type: {kind}, {keys}}}\n" for number, keys in enumerate(each)]
    return "folders: [{path: in, remote: r0}]\nremotes:\n" + "".join(lines)


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("https://host.example", "https://host.example/"),
        ("https://host.example", "https://HOST.Example"),
        ("https://host.example", "https://host.example:443"),
        ("HTTP://host.example:80/x", "http://host.example/x//"),
        ("http://[::1]", "http://[::1]:80/"),
    ],
)
def test_same_address_in_two_spellings_is_one_destination(problems: Problems, url: str, other: str) -> None:
    (problem,) = problems(remotes(f'url: "{url}"', f'url: "{other}"'))
    assert problem.startswith("4: remotes.r1: r1 is the same destination as r0")
    assert "account" in problem.partition("—")[2]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("token: s3cret", "token: s3cret"),
        ("token: s3cret", "token_env: THE_TOKEN"),
        ("token_file: token", "token: s3cret"),
        ("account: anna, token: s3cret", "account: anna, token: another"),
        ("timeout: 5s", "timeout: 6s"),
        ("headers: {X-Key: s3cret}", "headers: {x-key: s3cret}"),
    ],
)
def test_same_account_under_two_names_is_refused(
    problems: Problems, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, second: str
) -> None:
    monkeypatch.setenv("THE_TOKEN", "s3cret")
    (tmp_path / "token").write_text("s3cret\n")
    set_permissions(tmp_path / "token", 0o600)
    at = "url: 'http://127.0.0.1'"
    (problem,) = problems(remotes(f"{at}, {first}", f"{at}, {second}"))
    assert "r1 is the same destination as r0" in problem
    assert "s3cret" not in problem


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("token: one", "token: two"),
        ("token: one", "timeout: 5s"),
        ("account: anna, token: same", "account: ben, token: same"),
        ("account: anna", "account: Anna"),
        ("headers: {X-Key: one}", "headers: {X-Key: two}"),
    ],
)
@pytest.mark.parametrize("kind", ["image", "multipart"])
def test_two_accounts_are_two_destinations(write: Write, kind: str, first: str, second: str) -> None:
    at = "url: 'http://127.0.0.1'"
    config = load(write(remotes(f"{at}, {first}", f"{at}, {second}", kind=kind))).config
    known = {destinations.identity(name, settings) for name, settings in config.remotes.items()}
    assert len(known) == 2


@pytest.mark.parametrize("second", ["prefix: /x", f"bundle_id: {GUID}", f"pool_id: {GUID}", f"pool_id: {ULID}"])
def test_other_prefix_or_pool_is_another_destination(write: Write, second: str) -> None:
    at = "url: 'http://127.0.0.1', account: anna"
    assert len(load(write(remotes(at, f"{at}, {second}", kind="multipart"))).config.remotes) == 2


def test_identity_of_multipart_contains_only_set_ids(write: Write) -> None:
    """The store has this text, so that it must not change."""
    at = "url: 'http://h', prefix: /x, account: anna"
    config = load(write(remotes(at, f"{at}, pool_id: {ULID}, bundle_id: {GUID}", kind="multipart"))).config
    assert [destinations.identity(name, settings) for name, settings in config.remotes.items()] == [
        '{"account":"anna","type":"multipart","url":"http://h/x"}',
        f'{{"account":"anna","bundle_id":"{GUID}","pool_id":"{ULID}","type":"multipart","url":"http://h/x"}}',
    ]


def test_identity_joins_url_and_prefix(problems: Problems) -> None:
    first, second = "url: 'http://h/a', prefix: /b", "url: 'http://h', prefix: /a/b"
    assert len(problems(remotes(first, second, kind="multipart"))) == 1


def test_identity_of_any_account_is_unique(write: Write) -> None:
    at = "url: 'http://127.0.0.1'"
    odd = [at, f"{at}, account: r0", f"""{at}, account: '","name":"r0'""", f"{at}, account: 'r0 '"]
    config = load(write(remotes(*odd))).config
    known = {destinations.identity(name, settings) for name, settings in config.remotes.items()}
    assert len(known) == len(odd)
    assert all(json.loads(text) for text in known)


@pytest.mark.parametrize(("given", "kept"), [(GUID.upper(), GUID), (ULID.lower(), ULID), (ULID, ULID)])
def test_pool_id_accepts_guid_and_ulid(write: Write, given: str, kept: str) -> None:
    config = load(write(remotes(f"url: 'http://127.0.0.1', pool_id: {given}", kind="multipart"))).config
    assert config.remotes["r0"].model_dump()["pool_id"] == kept


@pytest.mark.parametrize("given", ["pool", f"8{ULID[1:]}", f"{ULID[:-1]}U", f"{ULID}0", "''"])
def test_pool_id_in_other_form_is_refused(problems: Problems, given: str) -> None:
    (problem,) = problems(remotes(f"url: 'http://127.0.0.1', pool_id: {given}", kind="multipart"))
    assert "must be a GUID" in problem
    assert "or a ULID" in problem


def test_blank_account_is_refused(problems: Problems) -> None:
    (problem,) = problems(remotes("url: 'http://127.0.0.1', account: ' '"))
    assert problem.endswith("remotes.r0.account: is empty")


def test_dump_contains_account_and_former_url(write: Write) -> None:
    keys = "url: 'http://h', account: anna, token: s3cret, former_url: 'http://old/'"
    shown = load(write(remotes(keys))).config.model_dump(mode="json", by_alias=True)["remotes"]["r0"]
    assert (shown["account"], shown["former_url"], shown["token"]) == ("anna", ["http://old"], "••••")


def test_former_url_of_another_remote_is_refused(problems: Problems) -> None:
    """Its records would go to the wrong server."""
    (problem,) = problems(remotes("url: 'http://a', account: x", "url: 'http://b', account: x, former_url: 'http://a'"))
    assert problem.startswith("4: remotes.r1.former_url: http://a is where r0 has its records")


def test_former_identities_belong_to_one_name_or_account(write: Write) -> None:
    keys = "url: 'http://b', former_url: ['http://A:80/', 'http://b']"
    config = load(write(remotes(keys, f"{keys}, token: x", f"{keys}, account: x"))).config
    known = {
        each.identity
        for name, settings in config.remotes.items()
        for each in destinations.former(name, settings)
        if each.name is None
    }
    assert known == {
        '{"name":"r0","type":"image","url":"http://a"}',
        '{"name":"r1","type":"image","url":"http://a"}',
        '{"account":"x","type":"image","url":"http://a"}',
    }
