"""Verifies copies inside the running daemon, within the limits of the uploads.

``syncd verify`` without a daemon is :mod:`syncd.recovery.verify`; both share its ``compare``.
"""

from collections.abc import AsyncIterator, Callable, Sequence

from syncd.asyncio_tools import for_each
from syncd.control import schemas
from syncd.core.states import State
from syncd.core.text import printable
from syncd.daemon.runtime import Runtime
from syncd.paths import full
from syncd.recovery.fetch import FetchProgress
from syncd.recovery.verify import REPAIRABLE, compare
from syncd.remotes.base import WriteCallback
from syncd.store.copies import Copy
from syncd.store.records import JobRecord

MAX_DOWNLOADS = 2
"""Concurrent downloads per request, so that uploads keep most of the bandwidth."""


async def verify_jobs(runtime: Runtime, records: Sequence[JobRecord], *, repair: bool) -> schemas.VerifyResults:
    """Compare the servers' copies of these jobs; return findings in the same order.

    ``repair`` queues the jobs again whose copy is missing or different.
    """
    copies = {copy.job_id: copy for copy in await runtime.store.copies_of([record.id for record in records])}
    findings: dict[int, schemas.VerifyResult] = {}

    async def verify(record: JobRecord) -> None:
        verdict, detail = await _compare_job(runtime, record, copies.get(record.id))
        findings[record.id] = {
            "id": record.id,
            "path": printable(full(record.folder, record.path)),
            "remote": record.remote,
            "verdict": verdict,
            "detail": detail,
        }

    await for_each(_each(records), verify, limit=MAX_DOWNLOADS)
    results = [findings[record.id] for record in records]
    bad = [finding["id"] for finding in results if finding["verdict"] in REPAIRABLE] if repair else []
    return {"results": results, "queued": len(await runtime.store.repair(bad)) if bad else 0}


async def _each(records: Sequence[JobRecord]) -> AsyncIterator[JobRecord]:
    for record in records:
        yield record


async def _compare_job(runtime: Runtime, record: JobRecord, copy: Copy | None) -> tuple[str, str | None]:
    """Return the verdict on a job's copy, and its reason."""
    if record.state is not State.DONE or copy is None:
        return "unknown", f"not uploaded: it is {record.state}"
    worker = runtime.scheduler.workers.get(record.remote)
    if worker is None or worker.remote_id != record.remote_id:
        return "unknown", "its remote is no longer in the configuration"
    endpoint = worker.endpoint

    async def fetch(make_sink: Callable[[], WriteCallback]) -> bool:
        async with endpoint.request(record.id) as observation:
            observation.inconclusive = True  # the duration of a download says nothing about upload capacity
            return await endpoint.remote.fetch(copy.ref, copy.key, make_sink()) == copy.key

    verdict, detail = await compare(copy, worker.name, fetch, FetchProgress(1, copy.size))
    return verdict.value, detail
