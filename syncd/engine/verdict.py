"""What becomes of a job whose upload has failed, written down in the store."""

from syncd.core import retry
from syncd.core.errors import (
    Failure,
    FileChanged,
    FileGone,
    FileInUse,
    NotUploadable,
    Permanent,
    Transient,
    Unauthorized,
    Unwanted,
)
from syncd.engine.line import Line
from syncd.engine.surroundings import Surroundings
from syncd.store.records import Job

IN_USE_PAUSE = 3600.0
"""Seconds after which a job is tried again whose file was open for writing, if the watch has not queued it before."""


async def conclude(job: Job, failure: Failure, *, line: Line, around: Surroundings, advanced: bool) -> None:
    """Write down what follows from a failure; ``advanced`` says that this try has brought a chunk to the server."""
    store = around.store
    match failure:
        case Permanent():
            await store.refuse(job, str(failure))
        case Unwanted():
            await store.cancel_again(job, failure.sha256)
        case NotUploadable():
            await store.skip(job, str(failure))
        case FileGone():
            await store.vanish(job)
            around.doubt(job.folder, job.path)
        case FileChanged():
            due_at = around.clock() + around.settle(job.folder)
            await store.defer(job, due_at=due_at, attempts=job.attempts, detail=str(failure))
            around.doubt(job.folder, job.path)
        case FileInUse():
            due_at = around.clock() + IN_USE_PAUSE
            await store.defer(job, due_at=due_at, attempts=job.attempts, detail=str(failure))
            around.doubt(job.folder, job.path)
        case Transient() | Unauthorized() if line.down:
            await store.release(job, str(failure))
        case Transient() if advanced:  # a giant on a bad line gets there, chunk by chunk
            await _retry(job, failure, attempts=0, line=line, around=around)
        case _:
            await _retry(job, failure, attempts=job.attempts, line=line, around=around)


async def _retry(job: Job, failure: Failure, *, attempts: int, line: Line, around: Surroundings) -> None:
    decision = retry.decide(
        failure, attempts=attempts, now=around.clock(), random=around.random, policy=line.breaker.policy
    )
    if isinstance(decision, retry.GiveUp):
        await around.store.refuse(job, decision.reason)
    else:
        await around.store.defer(job, due_at=decision.at, attempts=decision.attempts, detail=str(failure))
