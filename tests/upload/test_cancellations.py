"""Tests that a cancelled content is not uploaded after a rename or a new mtime."""

import hashlib
import os

import pytest

from syncd.core.states import Cause
from tests.upload.harness import UploadHarness, in_simulation

DATA = b"private"


async def cancelled(harness, name="a.jpg"):
    """Cancel a file before it is uploaded."""
    harness.worker.pause()
    await harness.add_file(name, DATA)
    job = await harness.job(name)
    await harness.store.cancel([job.id])
    (known,) = await harness.store.cancelled_unhashed()
    await harness.store.save_cancelled_content(known, hashlib.sha256(DATA).hexdigest())
    harness.worker.resume()
    return job


@in_simulation
async def test_cancelled_file_with_new_mtime_stays_cancelled(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        job = await cancelled(harness)
        os.utime(harness.inbox / "a.jpg", (1, 1))
        await harness.queue("a.jpg")
        await harness.wait_for_states(skipped=1)
        assert [step.cause for step in await harness.store.history(job.id)][-3:] == [
            Cause.CHANGED,
            Cause.CLAIMED,
            Cause.CANCELLED,
        ]
        assert not harness.remote.complete


@in_simulation
async def test_cancelled_file_with_new_content_is_uploaded(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        await cancelled(harness)
        await harness.add_file("a.jpg", b"public!")
        await harness.wait_for_states(done=1)


@pytest.mark.parametrize("first", ["new name", "old name"])
def test_cancelled_file_renamed_stays_cancelled(tmp_path, first):
    """The watch may check either name first."""

    @in_simulation
    async def test(tmp_path):
        async with UploadHarness(tmp_path) as harness:
            await cancelled(harness)
            (harness.inbox / "a.jpg").rename(harness.inbox / "b.jpg")
            if first == "old name":
                await harness.store.mark_files_gone(str(harness.inbox), ["a.jpg"])
            await harness.queue("b.jpg")
            await harness.wait_for_states(skipped=2)
            assert (await harness.job("b.jpg")).cause is Cause.CANCELLED
            assert not harness.remote.complete

    test(tmp_path)


@in_simulation
async def test_copy_of_cancelled_file_is_uploaded(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        await cancelled(harness)
        await harness.add_file("b.jpg", DATA)
        await harness.wait_for_states(skipped=1, done=1)


@in_simulation
async def test_cancelled_file_retried_is_uploaded(tmp_path):
    async with UploadHarness(tmp_path) as harness:
        job = await cancelled(harness)
        await harness.store.retry([job.id])
        await harness.wait_for_states(done=1)
