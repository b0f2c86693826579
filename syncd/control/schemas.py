r"""Defines the types of the JSON documents of the control API.

:mod:`syncd.control.routes` lists the document of each route. Every text in a document is valid Unicode and safe to
display: bytes of a file name that are not UTF-8 appear as ``\xff``, a newline as ``\n``. The docstring of a
:class:`TypedDict` is its description in the OpenAPI document.
"""

import sys
from typing import Any, NotRequired

if sys.version_info >= (3, 12):
    from typing import TypedDict
else:  # pydantic, which depends on this package, cannot read the TypedDict of Python 3.11
    from typing_extensions import TypedDict


class Empty(TypedDict):
    """An empty object."""


class Error(TypedDict):
    """The request failed. ``error`` is the reason in one line.

    ``problems`` has a line for each mistake in the configuration.
    """

    error: str
    problems: NotRequired[list[str]]


class Health(TypedDict):
    """The daemon works."""

    ok: bool


class FolderStatus(TypedDict):
    """A watched folder. ``state`` is ``watching``, ``scanning`` or ``offline``.

    ``left_out_files`` is the number of files that the patterns leave out, without hidden, unfinished and system files
    and those in directories that the patterns leave out; ``left_out_videos`` of them are videos. Both are null before
    the first scan. ``watch`` is ``native`` or ``poll``. ``uri`` is the exact path as a ``file://`` URI; ``path`` is for
    display.
    """

    path: str
    uri: str
    remotes: list[str]
    state: str
    watch: str
    files: int
    left_out_files: int | None
    left_out_videos: int | None
    detail: str | None


class Folders(TypedDict):
    """All watched folders."""

    folders: list[FolderStatus]


class RemoteStatus(TypedDict):
    """A remote. ``state`` is ``online``, ``offline`` or ``unauthorized``.

    ``retry_in_seconds`` is the time until the next attempt to reach it. ``since`` is when it came into this state, and
    ``last_ok_at`` when it last answered a request, or null; an idle server is asked every three to five minutes.
    ``credentials_problem`` is the reason why syncd cannot use a new token or certificate, and still uses the old one.
    """

    name: str
    type: str
    url: str
    state: str
    detail: str | None
    retry_in_seconds: float | None
    since: str
    last_ok_at: str | None
    credentials_problem: str | None


class Remotes(TypedDict):
    """All remotes."""

    remotes: list[RemoteStatus]


class ByteCounts(TypedDict):
    """The bytes to send, the bytes sent since the start, and the current rate.

    The rate is the mean of the last five seconds.
    """

    pending: int
    sent: int
    per_second: float


class SyncProgress(TypedDict):
    """The uploads since the last time that no work remained.

    ``done`` of ``total`` jobs have ended. ``settling`` files wait until they are quiet, and have no job yet.
    ``scanning`` is true while a scan can still find files. ``settled`` is true if no work remains.
    """

    done: int
    total: int
    settling: int
    scanning: bool
    settled: bool


class Status(TypedDict):
    """The state of the daemon.

    ``state`` is ``running``, ``blocked``, ``stopped`` or ``stopping``. ``jobs`` has the number of jobs in each state.
    ``unreadable_files`` is the number of files among the failed jobs that cannot be read.
    ``stopped_until`` is when uploading resumes after a stop, in ISO 8601, or null. ``dashboard`` is the address of the
    dashboard, or null; ``store_blocked`` is the reason why the job store cannot be written, or null.
    """

    version: str
    state: str
    stopped_until: str | None
    store_blocked: str | None
    pid: int
    uptime_seconds: float
    folders: list[FolderStatus]
    remotes: list[RemoteStatus]
    jobs: dict[str, int]
    unreadable_files: int
    bytes: ByteCounts
    eta_seconds: float | None
    sync: SyncProgress
    dashboard: str | None


class Job(TypedDict):
    """The upload of one file to one remote.

    ``size`` and ``sent`` are bytes, ``updated_at`` is ISO 8601 with a zone. ``uri`` is the exact path as a ``file://``
    URI; ``path`` (absolute), ``folder`` and ``name`` (below the folder) are for display. ``present`` is false if
    the file did not exist at the last check.

    ``outcome`` is null unless the job is done. ``detail`` is the reason why the job waits, failed or was skipped.
    ``attempts`` is the number of failures with this content. ``key`` is the hash of the content that was uploaded last,
    ``ref`` the server's name for it. ``due_in_seconds`` is the time until the next attempt, null unless the job waits.
    ``sent`` exists only while the job is uploading.
    """

    id: int
    path: str
    uri: str
    folder: str
    name: str
    present: bool
    remote: str
    state: str
    outcome: str | None
    detail: str | None
    size: int | None
    attempts: int
    due_in_seconds: float | None
    updated_at: str
    key: str | None
    ref: str | None
    sent: NotRequired[int]


class HistoryEntry(TypedDict):
    """One transition of a job: when, to which state, and why.

    ``at`` is ISO 8601 with a zone; ``detail`` describes the cause.
    """

    at: str
    state: str
    cause: str
    detail: str | None


class JobDetail(Job):
    """A job with its transitions, oldest first."""

    history: list[HistoryEntry]


class JobDetails(TypedDict):
    """The jobs of one file, or one job."""

    jobs: list[JobDetail]


class JobPage(TypedDict):
    """A page of jobs. ``next`` is the cursor of the next page, null on the last page.

    ``siblings`` are the other jobs of the same files, for any remote and in any state; it is empty unless the query has
    ``group=file``.
    """

    jobs: list[Job]
    siblings: list[Job]
    next: str | None


class DroppedFile(TypedDict):
    """A file that was added to a folder: its ``path`` for display, and its ``name``."""

    path: str
    name: str


class Throughput(TypedDict):
    """The bytes sent in each interval of ``step_seconds``, oldest first.

    The intervals span at most six hours; the last one is still in progress.
    """

    step_seconds: int
    bytes: list[int]


class LiveSettings(TypedDict):
    """The current limits; ``changed`` names those that differ from the file."""

    bandwidth: str
    concurrency: int | str
    changed: list[str]


class Settings(TypedDict):
    """The configuration of ``file`` with all defaults, and the current limits.

    Each secret appears as ``••••``.
    """

    file: str
    settings: dict[str, Any]
    live: LiveSettings


class VerifyResult(TypedDict):
    """The result for one copy. ``verdict`` is a result of ``syncd verify``.

    It is ``unknown`` for a job without an upload.
    """

    id: int
    path: str
    remote: str
    verdict: str
    detail: str | None


class VerifyResults(TypedDict):
    """The results of a verification, and the number of jobs that were queued again."""

    results: list[VerifyResult]
    queued: int


class JobCount(TypedDict):
    """The number of changed jobs."""

    count: int


class Messages(TypedDict):
    """The changes of a reload and the warnings, a line each."""

    messages: list[str]


class LoginUrl(TypedDict):
    """A URL that logs one browser into the dashboard."""

    url: str


LogEvent = dict[str, Any]
"""A log event: ``timestamp`` (ISO 8601, UTC), ``level``, ``event``, and the event's own fields."""


class LogEvents(TypedDict):
    """Log events, oldest first."""

    events: list[LogEvent]
