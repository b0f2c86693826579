"""What each answer of a server proves, for uploads and for the question whether a file is still there."""

from typing import Any

import pytest

from syncd.core.errors import Failure, SessionLost
from syncd.core.model import Presence, Proof
from tests.remote.confirmations import QUESTIONS, READS, UPLOADS, Double, Question, Upload
from tests.remote.helpers import Memory, content_of, serving, upload

DATA = b"ascii art " * 1000


@pytest.fixture
def make(remote_to: Any) -> Any:
    def to_double(url: str, row: Upload | Question) -> Any:
        direct = {"direct": "auto" if "direct" in row.answers else "never"}
        fixed = direct if row.api == "multipart" else {"encoding": "text"}
        return remote_to(row.api, url, **{"chunk_size": 100_000, **fixed, **row.settings})

    return to_double


def digest_of(make: Any, row: Upload | Question) -> str:
    return content_of(make("http://127.0.0.1:1", row), DATA).key.rpartition(":")[2]


@pytest.mark.parametrize("read", READS, ids=str)
@pytest.mark.parametrize("row", UPLOADS, ids=str)
async def test_what_an_upload_proves(make, row, read):
    asked = {} if row.api == "image" else {"read": READS[read]}
    server = Double(DATA, digest_of(make, row), {**asked, **row.answers})
    worth: Proof | type[Failure] = row.worth
    if worth is Proof.NONE and row.named:
        worth = {Presence.YES: Proof.SIZE, Presence.NO: SessionLost, Presence.UNKNOWN: Proof.NONE}[read]
    async with serving(server.app) as url:
        remote = make(url, row)
        if isinstance(worth, Proof):
            stored = await upload(remote, Memory(DATA))
            assert stored.proof is worth
            assert bool(stored.ref) is (row.named or row.api == "image")
        else:
            with pytest.raises(worth, match=(row.words or None) if worth is row.worth else None):
                await upload(remote, Memory(DATA))
        await remote.close()


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("row", QUESTIONS, ids=str)
async def test_whether_it_is_still_there(make, row, thorough):
    means = row.thorough if thorough else row.means
    async with serving(Double(DATA, digest_of(make, row), row.answers).app) as url:
        remote = make(url, row)
        content = content_of(remote, DATA)
        if isinstance(means, Presence):
            found = await remote.confirm("f-1:text", content, thorough=thorough)
            assert found.presence is means
            assert (found.reason == "") is (means is Presence.YES)
            if means is Presence.YES:
                assert found.proof >= (remote.required_proof if thorough else Proof.SIZE)
        else:
            with pytest.raises(means):
                await remote.confirm("f-1:text", content, thorough=thorough)
        await remote.close()
