"""A changed ``expired_at`` or ``encrypt_password`` applies to later uploads.

A copy with other terms is not a duplicate.
"""

import pytest

from syncd.core.states import State
from tests.support.data import random_bytes
from tests.support.records import stored_content
from tests.support.wait import wait_until

MIB = 1024 * 1024


async def known(harness):
    """Return the terms of the stored contents, and whether they expire."""
    store, (remote_id,) = harness.daemon.runtime.store, harness.daemon.runtime.remote_ids.values()
    records = [await stored_content(store, remote_id, job["key"]) for job in await jobs(harness)]
    return {(record.terms, record.expires) for record in records}


async def jobs(harness):
    store = harness.daemon.runtime.store
    found = await store.jobs(list(harness.daemon.runtime.remote_ids.values()), state=State.DONE)
    return [{"key": job.key} for job in found]


@pytest.fixture
def drive(harness):
    drive = harness.multipart(direct="auto")
    harness.settings["remotes"] = {"drive": drive}
    return drive


@pytest.mark.parametrize("before", ["1d", "2100-01-01T00:00:00Z"])
async def test_terms_changed_same_bytes_are_stored_again(harness, drive, before):
    drive["expired_at"] = before
    await harness.start()
    (harness.inbox / "a.jpg").write_bytes(random_bytes(10_000))
    await harness.wait_for_counts(done=1)
    (job,) = await harness.show("a.jpg")
    assert {expires for _, expires in await known(harness)} == {True}
    del drive["expired_at"]
    await harness.reload()
    (harness.inbox / "b.jpg").write_bytes(random_bytes(10_000))
    await harness.wait_for_counts(done=2)
    (again,) = await harness.show("b.jpg")
    assert again["outcome"] == "uploaded"
    assert await known(harness) == {("", False)}
    (as_before,) = await harness.show("a.jpg")
    assert as_before["updated_at"] == job["updated_at"]
    (harness.inbox / "c.jpg").write_bytes(random_bytes(10_000))
    await harness.wait_for_counts(done=3)
    assert (await harness.show("c.jpg"))[0]["outcome"] == "duplicate"


async def test_terms_copy_not_replaced_keeps_recorded_terms(harness, drive):
    """*create* answers that the file exists, so its expiry cannot be changed by an upload."""
    drive |= {"direct": "never", "expired_at": "1d"}
    await harness.start()
    (harness.inbox / "a.jpg").write_bytes(random_bytes(10_000))
    await harness.wait_for_counts(done=1)
    stored = await known(harness)
    del drive["expired_at"]
    await harness.reload()
    (harness.inbox / "b.jpg").write_bytes(random_bytes(10_000))
    await harness.wait_for_counts(done=2)
    assert (await harness.show("b.jpg"))[0]["outcome"] == "duplicate"
    assert await known(harness) == stored
    assert {expires for _, expires in stored} == {True}


async def test_terms_changed_upload_starts_again(harness, drive):
    harness.settings["scheduler"]["bandwidth"] = "2MiB/s"
    drive |= {"direct": "never", "expired_at": "1d"}
    await harness.start()
    (harness.inbox / "giant.tif").write_bytes(random_bytes(4 * MIB))

    async def is_uploading():
        return (await harness.counters())["chunks_received"] > 4

    await wait_until(is_uploading)
    drive["expired_at"] = "2d"
    harness.settings["scheduler"]["bandwidth"] = "100MiB/s"
    await harness.reload()
    await harness.wait_for_counts(done=1)
    assert (await harness.counters())["chunks_received"] > 64 + 4
    assert await known(harness) == {("expired_at 172800.0 s", True)}
