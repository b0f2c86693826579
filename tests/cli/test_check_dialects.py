"""``syncd check`` of simulated servers of the multipart API."""

import re

import pytest

from syncd.cli.check.server import check_server
from tests.remotes.dialects_multipart import DIALECTS, Drive, DysonFS
from tests.remotes.helpers import TOKEN, multipart_settings, serve_app


async def check_app(server, **values):
    async with serve_app(server.app) as url:
        settings = multipart_settings(url, chunk_size=4096, **values)
        findings = check_server("drive", settings, bandwidth=None, sandbox=None)
        return {finding.where.partition(" ")[0]: finding async for finding in findings}


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_check_required_token_accepted_or_rejected(dialect):
    findings = await check_app(DIALECTS[dialect](), token=TOKEN)
    assert findings["remote"].what.endswith(" ms and accepts the token")
    assert {finding.level for finding in findings.values()} == {"ok"}
    rejected = await check_app(DIALECTS[dialect](), token="another-one")
    assert list(rejected) == ["remote"]
    assert rejected["remote"].level == "error"
    assert "401" in rejected["remote"].what


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_check_token_not_required_reports_untested(dialect):
    server = DIALECTS[dialect]()
    server.asks_for_token = False
    findings = await check_app(server, token="another-one")
    assert findings["remote"].level == "ok"
    assert "accepts the token" not in findings["remote"].what
    assert "it does not require a token" in findings["remote"].what


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (
            Drive,
            "not measured: .* accepted a chunk of an unknown upload and may have stored it; no other chunk was sent",
        ),
        (DysonFS, "iB/s upload"),
    ],
)
async def test_check_speed_is_ok_for_accepted_token(server, expected):
    findings = await check_app(server(), token=TOKEN)
    assert findings["speed"].level == "ok"
    assert not findings["speed"].advice
    assert re.search(expected, findings["speed"].what)
