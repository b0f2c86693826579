"""Refuses a content that a user has cancelled, whatever name, version or state its file has now."""

import asyncio
import os
from collections.abc import Sequence

from syncd.core.errors import Unwanted
from syncd.core.model import Content
from syncd.platform.files import join_path
from syncd.store.records import CancelledJob, Job
from syncd.upload.job_queue import JobQueue


async def refuse_cancelled(store: JobQueue, job: Job, content: Content) -> None:
    """Raise :class:`Unwanted` if a user has cancelled this content of the job's file, also under a former name."""
    if content.sha256 is None:
        return
    alike = await store.cancelled_alike(job, content.sha256)
    if not alike:
        return
    if await asyncio.to_thread(_was_any, job, alike):
        raise Unwanted(content.sha256)


def _was_any(job: Job, alike: Sequence[CancelledJob]) -> bool:
    return any(_was(job, cancelled) for cancelled in alike)


def _was(job: Job, cancelled: CancelledJob) -> bool:
    """Return whether ``cancelled`` is this job, or its file is gone: a rename may show the new name first."""
    if cancelled.id == job.id or not cancelled.present:
        return True
    return cancelled.folder == job.folder and not os.path.lexists(join_path(cancelled.folder, cancelled.path))
