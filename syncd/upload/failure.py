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
from syncd.core.states import State
from syncd.store.records import Job
from syncd.upload.context import WorkerContext
from syncd.upload.endpoint import Endpoint

LEFT_OUT = "changed, and its folder's patterns leave it out now"
IN_USE_RETRY_SECONDS = 3600.0
"""Seconds after which a job is tried again whose file was open for writing, if the watch has not queued it before."""


async def record_failure(
    job: Job, failure: Failure, *, endpoint: Endpoint, context: WorkerContext, advanced: bool
) -> State | None:
    """Write down what follows from a failure; ``advanced`` says that this try has brought a chunk to the server.

    Returns the job's state, None if it is not the caller's any more.
    """
    store = context.store
    match failure:
        case Permanent():
            state = await store.refuse(job, str(failure))
        case Unwanted():
            state = await store.cancel_again(job, failure.sha256)
        case NotUploadable():
            state = await store.skip(job, str(failure))
        case FileGone():
            state = await store.mark_gone(job)
        case FileChanged() | FileInUse():
            state = await _look_again(job, failure, context)
        case Transient() | Unauthorized() if endpoint.down:
            state = await store.release(job, str(failure))
        case Transient() if advanced:  # a giant on a bad connection gets there, chunk by chunk
            state = await _retry(job, failure, failures=0, endpoint=endpoint, context=context)
        case _:
            state = await _retry(job, failure, failures=job.failures, endpoint=endpoint, context=context)
    if isinstance(failure, FileGone | FileChanged | FileInUse):
        context.doubt(job.folder, job.path)
    return state


async def _look_again(job: Job, failure: Failure, context: WorkerContext) -> State | None:
    """Have the job wait for the watch, which looks at a file that is not as it was."""
    if not context.takes(job.folder, job.path):  # the watch does not look at it any more
        return await context.store.skip(job, LEFT_OUT)
    pause = IN_USE_RETRY_SECONDS if isinstance(failure, FileInUse) else context.settle(job.folder)
    due_at = context.clock() + pause
    return await context.store.defer(job, due_at=due_at, failures=job.failures, detail=str(failure))


async def _retry(
    job: Job, failure: Failure, *, failures: int, endpoint: Endpoint, context: WorkerContext
) -> State | None:
    decision = retry.decide(
        failure, failures=failures, now=context.clock(), random=context.random, policy=endpoint.breaker.policy
    )
    if isinstance(decision, retry.GiveUp):
        return await context.store.refuse(job, decision.reason)
    return await context.store.defer(job, due_at=decision.at, failures=decision.failures, detail=str(failure))
