"""What the store keeps of the conditions that content is stored under: enough to notice a change, and no password."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from syncd.remotes.factory import make_remote
from tests.remotes.helpers import NOW, Meter, image_settings, multipart_settings

URL = "http://127.0.0.1:1"


async def terms(url=URL, name="drive", **values):
    settings = multipart_settings(url, **values)
    remote = make_remote(name, settings, throttle=Meter(), clock=lambda: NOW, user_agent="syncd/test")
    try:
        return remote.terms, remote.expires
    finally:
        await remote.close()


async def test_without_conditions_there_are_no_terms():
    assert await terms() == ("", False)
    remote = make_remote("ascii", image_settings(URL), throttle=Meter(), clock=lambda: NOW, user_agent="syncd/test")
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
async def test_a_change_of_any_condition_is_a_change_of_the_terms(values, others):
    assert (await terms(**values))[0] != (await terms(**others))[0]
    assert await terms(**values) == await terms(**values)


async def test_what_is_no_condition_changes_nothing():
    """Above all the address: the records of a server that has moved are still good."""
    kept = await terms(encrypt_password="one", expired_at=timedelta(days=1))
    assert kept == await terms("http://127.0.0.1:2", encrypt_password="one", expired_at=timedelta(hours=24), hash="md5")
    assert (await terms(expired_at=datetime(2030, 1, 1, tzinfo=UTC)))[0] == (
        await terms(expired_at=datetime(2030, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))))
    )[0]


async def test_what_expires_says_so():
    assert (await terms(expired_at=timedelta(days=1)))[1]
    assert not (await terms(encrypt_password="one"))[1]


async def test_a_password_can_not_be_found_by_trying():
    """Two bytes of a slow hash with a salt of its own: of all passwords one in 65,536 looks the same."""
    told, _ = await terms(encrypt_password="correct horse")
    assert "correct" not in told
    assert len(told.removeprefix("encrypt_password ")) == 4
    others = {(await terms(name=name, encrypt_password="correct horse"))[0] for name in ("a", "b", "c")}
    assert len(others | {told}) > 1


@pytest.mark.parametrize("password", ["\udcff", "пароль", "x" * 10_000])
async def test_any_password_has_a_fingerprint(password):
    assert (await terms(encrypt_password=password))[0]
