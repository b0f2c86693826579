"""Verify, asked of the running daemon: over the ways that the uploads take, and within their bounds."""

from collections.abc import AsyncIterator, Callable, Sequence

from syncd.control import service as api
from syncd.core.states import State
from syncd.core.text import printable
from syncd.daemon.runtime import Runtime
from syncd.paths import full
from syncd.recovery.fetch import FetchProgress, for_each
from syncd.recovery.verify import BAD, compare
from syncd.remotes.base import Taker
from syncd.store.copies import Copy
from syncd.store.job_store import JobRecord

AT_ONCE = 2
"""Copies that are fetched at a time for one question, so that uploads have room beside them."""


async def verify_jobs(runtime: Runtime, records: Sequence[JobRecord], *, repair: bool) -> api.Verified:
    """Compare the servers' copies of these jobs, in the order given; ``repair`` queues again what is bad."""
    copies = {copy.job_id: copy for copy in await runtime.store.copies([record.id for record in records])}
    findings: dict[int, api.Finding] = {}

    async def look(record: JobRecord) -> None:
        verdict, detail = await _verdict(runtime, record, copies.get(record.id))
        findings[record.id] = {
            "id": record.id,
            "path": printable(full(record.folder, record.path)),
            "remote": record.remote,
            "verdict": verdict,
            "detail": detail,
        }

    await for_each(_each(records), look, at_once=AT_ONCE)
    results = [findings[record.id] for record in records]
    bad = [finding["id"] for finding in results if finding["verdict"] in BAD] if repair else []
    return {"results": results, "queued": len(await runtime.store.repair(bad)) if bad else 0}


async def _each(records: Sequence[JobRecord]) -> AsyncIterator[JobRecord]:
    for record in records:
        yield record


async def _verdict(runtime: Runtime, record: JobRecord, copy: Copy | None) -> tuple[str, str | None]:
    if record.state is not State.DONE or copy is None:
        return "unknown", f"not uploaded: it is {record.state}"
    worker = runtime.scheduler.workers.get(record.remote)
    if worker is None or worker.remote_id != record.remote_id:
        return "unknown", "its remote is no longer in the configuration"
    line = worker.endpoint

    async def fetch(begin: Callable[[], Taker]) -> bool:
        async with line.request(record.id) as lesson:
            lesson.inconclusive = True  # how long an answer takes says nothing of how much can be sent
            return await line.remote.fetch(copy.ref, copy.key, begin()) == copy.key

    verdict, detail = await compare(copy, worker.name, fetch, FetchProgress(1, copy.size))
    return verdict.value, detail
