"""Pages of recorded files for the comparison with a scan.

``test_stateful`` compares them with ``diff``.
"""

import os

from syncd.core.states import IN_USE
from syncd.store.recorded_files import recorded_page
from tests.store.support import FOLDER, claim, observe, query_plans, seen


async def page(store, remotes, after: bytes = b"", limit: int = 100):
    return await store.recorded_page(FOLDER, remotes, after=after, limit=limit)


async def test_pages_are_in_order_of_bytes(store, remote):
    names = ["a", "a/b", "a.jpg", "not utf-8 \udcff", "\U0001f431", "\uffff", 'quo"te\n']
    await observe(store, remote, *(seen(name, 2**64 + n, mtime_ns=2**70) for n, name in enumerate(names)))
    await store.observe("/srv/other", [seen("other")], [remote], is_gone=lambda *_: False)
    expected = sorted(map(os.fsencode, names))
    found, after = [], b""
    while part := await page(store, [remote], after, 2):
        assert len(part) <= 2
        found += part
        after = found[-1]
    assert found == expected
    stamps = await page(store, [remote])
    assert stamps == {os.fsencode(name): (2**64 + n, 100, 2**70) for n, name in enumerate(names)}


async def test_page_has_no_absent_files(store, remote):
    await observe(store, remote, seen("a"), seen("b"))
    await store.mark_files_gone(FOLDER, ["a"])
    assert list(await page(store, [remote])) == [b"b"]


async def test_file_of_unfinished_jobs_has_no_stamp(store, remote):
    other = (await store.register_remote("other", "other")).id
    await observe(store, remote, seen("fit"), seen("unfit", unfit="empty"), seen("used"))
    jobs = {job.path: job for job in await claim(store, remote)}
    await store.defer(jobs["used"], due_at=1e9, failures=0, detail=IN_USE)
    assert [path for path, stamp in (await page(store, [remote])).items() if stamp is None] == [b"unfit", b"used"]
    assert set((await page(store, [remote, other])).values()) == {None}  # the other remote has no job
    assert (await page(store, [other]))[b"fit"] is None
    assert (await page(store, []))[b"unfit"] is not None


async def test_page_reads_only_its_range(store, remote):
    await observe(store, remote, seen("a"))

    def plan(connection):
        return query_plans(connection, lambda at: recorded_page(at, FOLDER, [remote], after=b"", limit=2))

    plans = " ".join(await store.database.read(plan))
    assert "files_present" in plans
    assert "SCAN files" not in plans
    assert "SCAN jobs" not in plans
