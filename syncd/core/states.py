"""The states of a job and all transitions between them.

:mod:`syncd.store.transitions` changes a job's state only by this table, and the history records each transition.
"""

from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """The state of a job; each file has one job per remote."""

    QUEUED = "queued"
    UPLOADING = "uploading"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


class Outcome(StrEnum):
    """The way in which a done job's content reached the server."""

    UPLOADED = "uploaded"
    DUPLICATE = "duplicate"


class Cause(StrEnum):
    """The cause of a transition."""

    FOUND = "found"
    """A scan or an event showed the file for the first time."""
    CHANGED = "changed"
    """The file has new content, exists again, can be read again, or is no longer open for writing."""
    CLAIMED = "claimed"
    """A worker claimed the job."""
    RELEASED = "released"
    """The job returned to the queue because of a stop, a crash, or a server that is down."""
    DEFERRED = "deferred"
    """An attempt failed; the next attempt is due later."""
    UPLOADED = "uploaded"
    """The server confirmed the complete content."""
    DUPLICATE = "duplicate"
    """The server had the content already."""
    REFUSED = "refused"
    """The upload cannot succeed as it is; a user must act."""
    UNREADABLE = "unreadable"
    """The file exists but cannot be read; a user must act."""
    UNFIT = "unfit"
    """The file is empty, too large, or not a regular file."""
    GONE = "gone"
    """The file was gone before it was uploaded."""
    RETRIED = "retried"
    """A user asked for another attempt."""
    CANCELLED = "cancelled"
    """A user cancelled the upload."""
    MISSING = "missing"
    """The server's copy is missing or damaged."""


IN_USE = "open for writing by another program"
"""The detail of a job that waits for its file to be closed. The watch then queues the job again."""
FOLDER_MISSING = "its folder is missing or unreadable"
"""The detail of a job that waits for its folder. The watch queues the job again when it finds the file."""
WAITS_FOR_WATCH = (IN_USE, FOLDER_MISSING)
"""The details of the waiting jobs that the watch queues again when it reports their files."""


class InvalidTransitionError(Exception):
    """The table has no such transition."""


_Q, _U, _W, _D, _F, _S = State
_STEPS: dict[Cause, tuple[tuple[State | None, ...], State]] = {
    Cause.FOUND: ((None,), _Q),
    Cause.CHANGED: ((_Q, _W, _D, _F, _S), _Q),
    Cause.CLAIMED: ((_Q, _W), _U),
    Cause.RELEASED: ((_U,), _Q),
    Cause.DEFERRED: ((_U,), _W),
    Cause.UPLOADED: ((_U,), _D),
    Cause.DUPLICATE: ((_U,), _D),
    Cause.REFUSED: ((_U,), _F),
    Cause.UNREADABLE: ((_U,), _F),
    Cause.UNFIT: ((None, _Q, _U, _W, _D, _F, _S), _S),
    Cause.GONE: ((_Q, _U, _W, _F), _S),
    Cause.RETRIED: ((_W, _F, _S), _Q),
    Cause.CANCELLED: ((_Q, _U, _W, _F), _S),
    Cause.MISSING: ((_D,), _Q),
}
TABLE = MappingProxyType({(start, cause): end for cause, (starts, end) in _STEPS.items() for start in starts})
"""Maps (state before, cause) to the state after; the state before is None for a new job."""


def transition(state: State | None, cause: Cause) -> State:
    """Return the state after ``cause``; :class:`InvalidTransitionError` if the table has none."""
    try:
        return TABLE[state, cause]
    except KeyError:
        raise InvalidTransitionError(f"a job that is {state or 'new'} can't be {cause}") from None


def sources(cause: Cause) -> tuple[State, ...]:
    """Return the states in which ``cause`` may occur, without None for a new job."""
    return tuple(state for state in _STEPS[cause][0] if state is not None)
