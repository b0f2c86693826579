"""The values that the store hands out. All times are seconds since the epoch, all sizes bytes."""

from collections.abc import Mapping
from dataclasses import dataclass

from syncd.core.model import Fingerprint, FormerIdentity, Proof
from syncd.core.states import Cause, Outcome, State

LARGE_FILE_BYTES = 32 * 1024 * 1024
"""Bytes from which a file is large, so that few of them run at a time while there are others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteRecord:
    """A destination. ``identity`` tells it from all others; ``capabilities`` are what was learned about its server.

    ``moved`` is as what it was recorded until now, if that has just been changed; ``apart`` are those of its former
    identities that have records of their own.
    """

    id: int
    name: str
    identity: str
    capabilities: Mapping[str, int]
    moved: FormerIdentity | None = None
    apart: tuple[FormerIdentity, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A job that was claimed. ``path`` is relative to ``folder``, both in ``os.fsdecode`` form.

    ``version`` is the file's version that was claimed, with its ``fingerprint``; ``claim`` is the fencing number, by
    which the store knows a result that comes too late. ``failures`` counts the failures so far. ``key`` is the content
    key of this very version, where an earlier try has found it.
    """

    id: int
    file_id: int
    remote_id: int
    folder: str
    path: str
    size: int
    fingerprint: Fingerprint
    version: int
    claim: int
    failures: int
    key: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class CancelledJob:
    """A job that a person has cancelled; ``version`` and ``fingerprint`` are the file's, ``present`` if it is there."""

    id: int
    folder: str
    path: str
    present: bool
    fingerprint: Fingerprint
    version: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredContent:
    """A content that a remote has said to have.

    ``sha256`` is that of the file's own bytes, None where an earlier version of syncd has uploaded it. ``proof`` is
    what the remote's word of ``confirmed_at`` rests on. ``terms`` are those that it was stored under; ``expires`` says
    that they end.
    """

    remote_id: int
    key: str
    ref: str
    size: int
    sha256: str | None
    proof: Proof
    confirmed_at: float
    terms: str
    expires: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadedFile:
    """A file that is here, and that every remote of its folder has in its present version: one content for each.

    ``closed`` says that an event told that its writer had closed it; ``seen_at`` is when this version was first seen.
    """

    path: str
    version: int
    fingerprint: Fingerprint
    closed: bool
    seen_at: float
    contents: tuple[StoredContent, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal:
    """A removal that was begun: the file ``path`` of ``folder`` may have the name ``hidden`` in its directory."""

    id: int
    folder: str
    path: str
    hidden: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A job's state changed; ``before`` is None for a new job. ``remote`` is the remote's name."""

    job_id: int
    folder: str
    path: str
    remote: str
    cause: Cause
    before: State | None
    after: State
    detail: str | None
    outcome: Outcome | None
    size: int
    at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRecord:
    """A job as a person sees it.

    ``present`` says whether the file was there when last looked. ``due_at`` is when a waiting job is tried next.
    ``key`` and ``ref`` name what was uploaded last: the content, and what the server calls it.
    """

    id: int
    folder: str
    path: str
    present: bool
    remote_id: int
    remote: str
    state: State
    cause: Cause
    outcome: Outcome | None
    detail: str | None
    size: int
    failures: int
    due_at: float | None
    key: str | None
    ref: str | None
    created_at: float
    updated_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryEntry:
    """One line of a job's history."""

    at: float
    cause: Cause
    before: State | None
    after: State
    detail: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """How many jobs are in each state, all six of them, and the bytes of those that are not at their end."""

    jobs: Mapping[State, int]
    pending_bytes: int

    @property
    def pending(self) -> int:
        """Jobs that are not at their end."""
        return sum(self.jobs[state] for state in PENDING)


PENDING = (State.QUEUED, State.UPLOADING, State.WAITING)
"""The states of a job that is not at its end."""
