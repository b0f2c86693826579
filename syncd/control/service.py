"""Defines the protocol between the control API and the daemon, and its errors.

The handlers (:mod:`syncd.control.handlers`) call :class:`ControlService`, :mod:`syncd.daemon.control_service`
implements it. The documents that it returns are in :mod:`syncd.control.schemas`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol

from syncd.control.job_targets import Target
from syncd.control.schemas import (
    DroppedFile,
    FolderStatus,
    JobDetail,
    JobPage,
    LogEvent,
    RemoteStatus,
    Settings,
    Status,
    Throughput,
    VerifyResults,
)
from syncd.core.model import Sort
from syncd.core.states import State

if TYPE_CHECKING:  # the client imports this module too, and must not load asyncio
    from syncd.control.events import Hub

SVG = "image/svg+xml"
"""The only image type that can contain scripts: safe in an ``<img>`` element, unsafe as a page."""


class ApiError(Exception):
    """The daemon cannot fulfil the request; ``str()`` is the reason in one line."""


class NotFoundError(ApiError):
    """The file, folder, job or remote does not exist."""


class InvalidRequestError(ApiError):
    """A parameter is missing or has an invalid value."""


class BusyError(ApiError):
    """The daemon cannot do this now; the client can try again later."""


class TooLargeError(ApiError):
    """The file is larger than the folder's ``max_size``."""


class DiskFullError(ApiError):
    """The disk has too little space."""


class InvalidConfigError(ApiError):
    """The new configuration is invalid; the daemon keeps its current one.

    ``problems`` has a line for each mistake.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("the configuration is invalid; the daemon keeps its current one")
        self.problems = list(problems)


@dataclass(frozen=True, kw_only=True, slots=True)
class JobQuery:
    """Selects jobs: at most ``limit``, after the cursor ``before``.

    ``state`` may be ``pending`` for all unfinished jobs. ``search`` is a part of their path. ``folder`` is the path of
    a watched folder as the operating system has it, ``remote`` a remote's name. With ``siblings``, the page also has
    the other jobs of the same files.
    """

    state: State | Literal["pending"] | None = None
    limit: int = 50
    before: str | None = None
    search: str | None = None
    folder: str | None = None
    remote: str | None = None
    sort: Sort = Sort.LATEST
    siblings: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class LogQuery:
    """Selects log events: the last ``limit`` of at least ``level``.

    ``event`` is the beginning of their name. ``text`` is a part of the log line, in upper or lower case.
    """

    limit: int = 100
    level: str = "debug"
    event: str = ""
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """New limits as in the file: ``2MiB/s`` or ``unlimited``; a number or ``auto``.

    None keeps the current limit.
    """

    bandwidth: str | None = None
    concurrency: int | str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """A small image, or the beginning of a text.

    ``tag`` is its ETag; ``body`` is None if the client has it.
    """

    tag: str
    media_type: str
    body: bytes | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Original:
    """An open file of ``size`` bytes, which the caller closes.

    ``media_type`` is None unless browsers can show it.
    """

    file: BinaryIO
    size: int
    name: str
    media_type: str | None


class Files(Protocol):
    """The files in the watched folders. Every method can raise :class:`ApiError`."""

    async def preview(self, job: int, edge: int, known: Collection[str]) -> Preview:
        """Return an image of a job's file, at most ``edge`` pixels a side, or its text.

        ``known`` are the tags of the previews that the client has. Raises :class:`NotFoundError` if the job or the file
        does not exist or has no preview, :class:`BusyError` if too many requests wait for previews.
        """

    async def original(self, job: int) -> Original:
        """Open a job's file.

        Raises :class:`NotFoundError` if the job or the file does not exist.
        """

    async def drop(self, folder: str, name: str, size: int, content: AsyncIterator[bytes]) -> DroppedFile:
        """Write a file of ``size`` bytes into a watched folder.

        If ``name`` exists, the new file gets a number in its name. Raises :class:`NotFoundError` if the folder is not
        watched or offline, :class:`InvalidRequestError` if the name is unsafe, the patterns exclude it or the file is
        empty, :class:`TooLargeError`, :class:`DiskFullError`.
        """


class ControlService(Protocol):
    """The running daemon. Every method can raise :class:`ApiError`."""

    @property
    def events(self) -> "Hub":
        """Return the hub that publishes the daemon's events."""

    @property
    def files(self) -> Files:
        """Return the interface to the files in the watched folders."""

    async def health(self) -> str | None:
        """Return None if the daemon works, otherwise the reason in one line."""

    async def metrics(self) -> tuple[bytes, str]:
        """Return the metrics for Prometheus and their content type."""

    async def status(self) -> Status:
        """Return the state of the daemon."""

    async def folders(self) -> list[FolderStatus]:
        """Return the state of each watched folder."""

    async def remotes(self) -> list[RemoteStatus]:
        """Return the state of each remote."""

    async def throughput(self) -> Throughput:
        """Return the bytes sent in each time step."""

    async def settings(self) -> Settings:
        """Return the current configuration without its secrets, and the current limits."""

    async def limit(self, limits: Limits) -> None:
        """Apply limits at once, until the next reload.

        Raises :class:`InvalidRequestError` if they are invalid.
        """

    async def log(self, query: LogQuery) -> list[LogEvent]:
        """Return recent log events, oldest first."""

    async def start(self) -> None:
        """Resume uploading. The choice survives a restart."""

    async def stop(self, *, now: bool, until: datetime | None = None) -> None:
        """Pause uploading after the chunks in flight, or interrupt them with ``now``.

        Watching continues. With ``until``, uploading resumes at that time. Raises :class:`InvalidRequestError` if that
        has passed.
        """

    async def rescan(self, path: str | None) -> None:
        """Start a scan of the folder that contains ``path``, or of all folders.

        Raises :class:`NotFoundError` if no watched folder contains it.
        """

    async def probe(self, remote: str) -> None:
        """Send the next probe of a remote that is not online at once.

        Raises :class:`NotFoundError` if there is no remote with this name.
        """

    async def jobs(self, query: JobQuery) -> JobPage:
        """Return a page of jobs.

        Raises :class:`InvalidRequestError` for an invalid cursor.
        """

    def job_snapshot(self, query: JobQuery) -> AsyncGenerator[JobPage]:
        """Yield the jobs at one moment, page by page.

        Raises :class:`NotFoundError` for an unknown remote.
        """

    async def show(self, target: Target) -> list[JobDetail]:
        """Return the job with an id, or the jobs of a file.

        Raises :class:`NotFoundError` if there are none.
        """

    async def retry(self, targets: Sequence[Target] | None, state: State | None = None) -> int:
        """Queue failed, skipped and waiting jobs again; return their number.

        ``state`` restricts them to the jobs in this state. A target that is a folder stands for all files below it.
        None means all failed jobs, or all in ``state``. Raises :class:`NotFoundError`.
        """

    async def cancel(self, targets: Sequence[Target] | None) -> int:
        """Cancel jobs, including those that are uploading; return their number.

        None means all queued, uploading and waiting jobs.

        Raises :class:`NotFoundError`.
        """

    async def verify(self, targets: Sequence[Target], *, repair: bool) -> VerifyResults:
        """Download the copies of at most 100 targets, and compare them.

        With ``repair``, queue files again whose copy is missing or different and that still exist locally. Raises
        :class:`NotFoundError` for an unknown target, :class:`BusyError` if the daemon shuts down.
        """

    async def reload(self) -> list[str]:
        """Apply the configuration file; return changes and warnings, a line each.

        Raises :class:`InvalidConfigError` if the file is invalid.
        """

    async def dashboard(self) -> str:
        """Return an address that logs one browser in.

        Raises :class:`NotFoundError` if there is no dashboard.
        """

    async def shutdown(self) -> None:
        """Start the shutdown of the process, and return at once."""
