"""A content that a person has cancelled is not uploaded, under whatever name or stamp."""

import hashlib
import os

import pytest

from syncd.core.states import Cause
from tests.upload.fakes import Bench
from tests.upload.test_worker import in_simulation

DATA = b"private"


async def cancelled(bench, name="a.jpg"):
    """Cancel a file before it is uploaded."""
    bench.worker.pause()
    await bench.drop(name, DATA)
    job = await bench.job(name)
    await bench.store.cancel([job.id])
    (known,) = await bench.store.cancelled_unhashed()
    await bench.store.save_cancelled_content(known, hashlib.sha256(DATA).hexdigest())
    bench.worker.resume()
    return job


@in_simulation
async def test_a_touched_file_stays_cancelled(tmp_path):
    async with Bench(tmp_path) as bench:
        job = await cancelled(bench)
        os.utime(bench.inbox / "a.jpg", (1, 1))
        await bench.queue("a.jpg")
        await bench.settle(skipped=1)
        assert [step.cause for step in await bench.store.history(job.id)][-3:] == [
            Cause.CHANGED,
            Cause.CLAIMED,
            Cause.CANCELLED,
        ]
        assert not bench.remote.whole


@in_simulation
async def test_another_content_is_uploaded(tmp_path):
    async with Bench(tmp_path) as bench:
        await cancelled(bench)
        await bench.drop("a.jpg", b"public!")
        await bench.settle(done=1)


@pytest.mark.parametrize("first", ["new name", "old name"])
def test_a_file_with_another_name_stays_cancelled(tmp_path, first):
    """Whichever of the two names the watch looks at first."""

    @in_simulation
    async def test(tmp_path):
        async with Bench(tmp_path) as bench:
            await cancelled(bench)
            (bench.inbox / "a.jpg").rename(bench.inbox / "b.jpg")
            if first == "old name":
                await bench.store.mark_files_gone(str(bench.inbox), ["a.jpg"])
            await bench.queue("b.jpg")
            await bench.settle(skipped=2)
            assert (await bench.job("b.jpg")).cause is Cause.CANCELLED
            assert not bench.remote.whole

    test(tmp_path)


@in_simulation
async def test_a_copy_of_a_cancelled_file_is_a_file_of_its_own(tmp_path):
    async with Bench(tmp_path) as bench:
        await cancelled(bench)
        await bench.drop("b.jpg", DATA)
        await bench.settle(skipped=1, done=1)


@in_simulation
async def test_a_person_tries_it_again(tmp_path):
    async with Bench(tmp_path) as bench:
        job = await cancelled(bench)
        await bench.store.retry([job.id])
        await bench.settle(done=1)
