"""Refuses a content that a user has cancelled, even after the file was renamed.

:mod:`~syncd.store.cancellations` records the cancelled contents; :mod:`~syncd.upload.upload` checks each file after it
was hashed.
"""

import asyncio
import os
from collections.abc import Sequence

from syncd.core.errors import Unwanted
from syncd.core.model import Content
from syncd.platform.files import join_path
from syncd.store.records import CancelledJob, Job
from syncd.upload.job_queue import JobQueue


async def refuse_cancelled(store: JobQueue, job: Job, content: Content) -> None:
    """Raise :class:`Unwanted` if a user has cancelled this content for the same file.

    A renamed file is the same file.
    """
    if content.sha256 is None:
        return
    alike = await store.cancelled_alike(job, content.sha256)
    if not alike:
        return
    if await asyncio.to_thread(_any_same_file, job, alike):
        raise Unwanted(content.sha256)


def _any_same_file(job: Job, alike: Sequence[CancelledJob]) -> bool:
    return any(_is_same_file(job, cancelled) for cancelled in alike)


def _is_same_file(job: Job, cancelled: CancelledJob) -> bool:
    """Return whether ``cancelled`` is this job, or its file may be this job's after a rename.

    The disk is checked too: the store may learn of the new name before it learns that the old one is gone.
    """
    if cancelled.id == job.id or not cancelled.present:
        return True
    return cancelled.folder == job.folder and not os.path.lexists(join_path(cancelled.folder, cancelled.path))
