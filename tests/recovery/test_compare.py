"""The verdict on a copy from its bytes, for each kind of content key."""

import hashlib

import pytest

from syncd.recovery.fetch import FetchProgress
from syncd.recovery.verify import Verdict, compare
from syncd.store.copies import Copy

DATA = b"some bytes"


@pytest.mark.parametrize(
    ("sent", "sha256", "verdict"),
    [
        (DATA, hashlib.sha256(DATA).hexdigest(), Verdict.INTACT),
        (b"SOME BYTES", hashlib.sha256(DATA).hexdigest(), Verdict.DIFFERENT),
        (b"SOME BYTES", None, Verdict.INTACT),  # uploaded by an earlier version of syncd
    ],
)
async def test_compare_md5_collision_is_different(sent, sha256, verdict):
    copy = Copy(
        job_id=1, remote_id=1, folder="/f", path="a", present=True, key="md5:x", ref="f-1", size=10, sha256=sha256
    )

    async def fetch(begin):
        begin()(b"half")  # an interrupted download is discarded
        take = begin()
        assert take(sent[:3])
        assert take(sent[3:])
        return True

    found, _ = await compare(copy, "drive", fetch, FetchProgress(1, 10))
    assert found is verdict
