"""What ``syncd check`` says of stand-ins for real servers: nothing that their answers do not show."""

import re

import pytest

from syncd.cli.check.server import check_server
from tests.remotes.dialects_multipart import DIALECTS, Drive, DysonFS
from tests.remotes.helpers import TOKEN, multipart_settings, serving


async def findings(server, **values):
    async with serving(server.app) as url:
        settings = multipart_settings(url, chunk_size=4096, **values)
        found = check_server("drive", settings, bandwidth=None, sandbox=None)
        return {finding.where.partition(" ")[0]: finding async for finding in found}


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_token_is_accepted_where_one_is_asked_for(dialect):
    found = await findings(DIALECTS[dialect](), token=TOKEN)
    assert found["remote"].what.endswith(" ms and accepts the token")
    assert {finding.level for finding in found.values()} == {"ok"}
    refused = await findings(DIALECTS[dialect](), token="another-one")
    assert list(refused) == ["remote"]
    assert refused["remote"].level == "error"
    assert "401" in refused["remote"].what


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_no_word_on_a_token_that_nobody_asked_for(dialect):
    server = DIALECTS[dialect]()
    server.asks_for_token = False
    found = await findings(server, token="another-one")
    assert found["remote"].level == "ok"
    assert "accepts the token" not in found["remote"].what
    assert "it does not require a token" in found["remote"].what


@pytest.mark.parametrize(
    ("server", "said"), [(Drive, "not measured: .* took a chunk .* no other chunk was sent"), (DysonFS, "iB/s upload")]
)
async def test_the_speed_does_not_contradict_the_token(server, said):
    found = await findings(server(), token=TOKEN)
    assert found["speed"].level == "ok"
    assert not found["speed"].advice
    assert re.search(said, found["speed"].what)
