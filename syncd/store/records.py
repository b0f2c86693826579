"""The values that the store returns and the filters that it accepts.

All times are seconds since the epoch, all sizes are bytes, and all paths are in ``os.fsdecode`` form. Other packages
import the store's values from this module only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from syncd.core.model import Fingerprint, FormerIdentity, Proof, Session, Sort
from syncd.core.states import Cause, Outcome, State

LARGE_FILE_BYTES = 32 * 1024 * 1024
"""A file of this size or more is large: workers limit how many large files they upload in parallel."""

PENDING = (State.QUEUED, State.UPLOADING, State.WAITING)
"""The states of a job that is not finished."""

Cursor = tuple[float, int] | tuple[str, str, int]
"""The position of a job in a sorted list; a page starts after it.

Sorted by name: folder, path and remote id. Otherwise: time of the last change or size, then job id.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteRecord:
    """A remote.

    ``identity`` distinguishes it from all others; ``capabilities`` are the learned limits of its server.

    ``moved`` is the former identity of this record if the last call has just replaced it. ``apart`` lists the former
    identities of this remote that have records of their own.
    """

    id: int
    name: str
    identity: str
    capabilities: Mapping[str, int]
    moved: FormerIdentity | None = None
    apart: tuple[FormerIdentity, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A claimed job. ``path`` is relative to ``folder``.

    ``version`` is the version of the file that was claimed, ``fingerprint`` belongs to it. ``claim`` is the fencing
    number: the store ignores a result with an outdated number. ``failures`` counts the failed attempts since the last
    reset. ``key`` is the content key of this version if an earlier attempt has computed it. ``backlog`` is as in
    :class:`~syncd.core.model.FoundFile`.
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
    backlog: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class UnreadableJob:
    """A job whose file cannot be read; ``remote`` is the name of the remote."""

    id: int
    folder: str
    path: str
    remote: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CancelledJob:
    """A job that the user cancelled. ``version`` and ``fingerprint`` belong to its file.

    ``present`` says whether the file existed at the last check.
    """

    id: int
    folder: str
    path: str
    present: bool
    fingerprint: Fingerprint
    version: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredContent:
    """A content that a remote has confirmed.

    ``sha256`` is the hash of the file's own bytes, None if a version of syncd without this column uploaded it.
    ``proof`` is the evidence for the confirmation at ``confirmed_at``. ``terms`` are the storage terms of the upload;
    ``expires`` says that the server deletes the content at some time.
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
class ContentQuery:
    """Asks what the store knows of the content of a job's file, see :class:`ContentRecords`."""

    remote_id: int
    key: str
    sha256: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ContentRecords:
    """The records of one content in the store.

    ``stored`` is its record on the remote of the query. ``anywhere`` has its records on all remotes, by ``sha256`` or
    by ``key``. ``session`` is its unfinished upload. ``cancelled`` says that the user cancelled a job of the remote
    with this content.
    """

    stored: StoredContent | None
    anywhere: list[StoredContent]
    session: Session | None
    cancelled: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadedFile:
    """A present file whose current version is on every remote of its folder.

    ``contents`` has one content for each of these remotes.

    ``closed`` says that an event reported the end of writing. ``seen_at`` is when this version was first seen.
    """

    path: str
    version: int
    fingerprint: Fingerprint
    closed: bool
    seen_at: float
    contents: tuple[StoredContent, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal:
    """A removal that has begun.

    The file ``path`` of ``folder`` may now have the name ``hidden`` in the same directory.
    """

    id: int
    folder: str
    path: str
    hidden: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A change of a job's state.

    ``before`` is None for a new job; ``remote`` is the name of the remote. ``backlog`` is as in
    :class:`~syncd.core.model.FoundFile`.
    """

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
    backlog: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRecord:
    """A job as the control API shows it.

    ``present`` says whether the file existed at the last check. ``due_at`` is the next attempt of a waiting job.
    ``key`` and ``ref`` belong to the last uploaded content: its key, and the server's name for it.
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
    """One state change in the history of a job.

    ``before`` is None where the job was created.
    """

    at: float
    cause: Cause
    before: State | None
    after: State
    detail: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class JobFilter:
    """Selects a page of jobs.

    The jobs belong to ``remote_ids`` and ``folder``, are in one of ``states``, and have ``search`` in their path. No
    states mean any state.

    The page contains up to ``limit`` jobs that follow ``after`` in the order ``sort``. It also contains the jobs of
    the same files on ``sibling_remote_ids``.
    """

    remote_ids: Sequence[int]
    sibling_remote_ids: Sequence[int] = ()
    states: Sequence[State] = ()
    folder: str | None = None
    search: str | None = None
    sort: Sort = Sort.LATEST
    after: Cursor | None = None
    limit: int = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A page of jobs. ``next`` is the cursor of the following page, None on the last page.

    ``siblings`` are the other jobs of the same files, unordered.
    """

    jobs: list[JobRecord]
    siblings: list[JobRecord] = field(default_factory=list)
    next: Cursor | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """The number of jobs in each state, and the size of all unfinished jobs."""

    jobs: Mapping[State, int]
    pending_bytes: int

    @property
    def pending(self) -> int:
        """Return the number of unfinished jobs."""
        return sum(self.jobs[state] for state in PENDING)
