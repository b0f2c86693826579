"""Test the terms: they change with each condition, and reveal no password."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from syncd.remotes.factory import make_remote
from tests.remotes.helpers import NOW, CountingThrottle, image_settings, multipart_settings

URL = "http://127.0.0.1:1"


async def terms(url=URL, name="drive", **values):
    settings = multipart_settings(url, **values)
    remote = make_remote(name, settings, throttle=CountingThrottle(), clock=lambda: NOW, user_agent="syncd/test")
    try:
        return remote.terms, remote.expires
    finally:
        await remote.close()


async def test_terms_without_conditions_are_empty():
    assert await terms() == ("", False)
    remote = make_remote(
        "ascii", image_settings(URL), throttle=CountingThrottle(), clock=lambda: NOW, user_agent="syncd/test"
    )
    assert (remote.terms, remote.expires) == ("", False)
    await remote.close()


@pytest.mark.parametrize(
    ("values", "others"),
    [
        ({"expired_at": timedelta(days=30)}, {"expired_at": timedelta(days=31)}),
        ({"expired_at": timedelta(days=30)}, {}),
        ({"expired_at": datetime(2030, 1, 1, tzinfo=UTC)}, {"expired_at": datetime(2030, 1, 2, tzinfo=UTC)}),
        ({"encrypt_password": "one"}, {"encrypt_password": "two"}),
        ({"encrypt_password": "one"}, {}),
        ({"encrypt_password": "one"}, {"encrypt_password": "one", "expired_at": timedelta(days=30)}),
    ],
)
async def test_terms_change_with_each_condition(values, others):
    assert (await terms(**values))[0] != (await terms(**others))[0]
    assert await terms(**values) == await terms(**values)


async def test_terms_ignore_other_settings():
    """The address is one of them: the records of a server that has moved stay valid."""
    kept = await terms(encrypt_password="one", expired_at=timedelta(days=1))
    assert kept == await terms("http://127.0.0.1:2", encrypt_password="one", expired_at=timedelta(hours=24), hash="md5")
    assert (await terms(expired_at=datetime(2030, 1, 1, tzinfo=UTC)))[0] == (
        await terms(expired_at=datetime(2030, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))))
    )[0]


async def test_expires_with_expiry():
    assert (await terms(expired_at=timedelta(days=1)))[1]
    assert not (await terms(encrypt_password="one"))[1]


async def test_terms_do_not_reveal_password():
    """The terms have two bytes of a slow, salted hash, which one in 65,536 passwords shares."""
    value, _ = await terms(encrypt_password="correct horse")
    assert "correct" not in value
    assert len(value.removeprefix("encrypt_password ")) == 4
    others = {(await terms(name=name, encrypt_password="correct horse"))[0] for name in ("a", "b", "c")}
    assert len(others | {value}) > 1


@pytest.mark.parametrize("password", ["\udcff", "пароль", "x" * 10_000])
async def test_terms_accept_any_password(password):
    assert (await terms(encrypt_password=password))[0]
