r"""What can be asked of a running daemon: the contract between the control API and whoever implements it.

The shapes below are those of the JSON that goes out. Every text in them is valid Unicode and fit for showing: bytes of
a name that are not UTF-8 stand as ``\xff``, a newline as ``\n``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NotRequired, Protocol, TypedDict

from syncd.control.targets import Target
from syncd.core.model import Sort
from syncd.core.states import State

if TYPE_CHECKING:  # the client knows these shapes, and needs no event loop for them
    from syncd.control.events import Hub
    from syncd.control.files import Files


class ApiError(Exception):
    """The daemon won't do what was asked; ``str()`` is one line that says why."""


class NotFoundError(ApiError):
    """There is no such file, folder or job."""


class InvalidRequestError(ApiError):
    """What was asked makes no sense as it stands."""


class BusyError(ApiError):
    """It can be asked again in a while."""


class TooLargeError(ApiError):
    """It is larger than may be."""


class DiskFullError(ApiError):
    """There is no room for it on the disk."""


class InvalidConfigError(ApiError):
    """The configuration can't be used; the daemon goes on with the one it has. One line for each of ``problems``."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("the configuration was not taken over")
        self.problems = list(problems)


class FolderStatus(TypedDict):
    """A watched folder. ``state``: ``watching``, ``scanning``, ``offline``; ``watch``: ``native`` or ``poll``.

    ``uri`` names it exactly, as a ``file://`` URI; ``path`` is for showing.
    """

    path: str
    uri: str
    remotes: list[str]
    state: str
    watch: str
    files: int
    detail: str | None


class RemoteStatus(TypedDict):
    """A server. ``state``: ``online``, ``offline``, ``unauthorized``; ``retry_in_seconds``: until the next probe.

    ``credentials_problem``: why a token or a certificate that was renewed is not in use; the former one still is.
    """

    name: str
    type: str
    url: str
    state: str
    detail: str | None
    retry_in_seconds: float | None
    credentials_problem: str | None


class Bytes(TypedDict):
    """What is still to be sent, what was sent since the start, and the rate of the last seconds."""

    pending: int
    sent: int
    per_second: float


class Status(TypedDict):
    """The daemon as a whole. ``state``: ``running``, ``stopped``, ``stopping``; ``jobs`` counts them by state.

    ``dashboard`` is the address of the page, null where there is none; ``store_blocked`` says in one line why nothing
    can be stored, null where all can.
    """

    version: str
    state: str
    store_blocked: str | None
    pid: int
    uptime_seconds: float
    folders: list[FolderStatus]
    remotes: list[RemoteStatus]
    jobs: dict[str, int]
    bytes: Bytes
    eta_seconds: float | None
    dashboard: str | None


class Job(TypedDict):
    """One file on its way to one remote. ``path`` is absolute, ``size`` in bytes, ``updated_at`` ISO 8601 with zone.

    ``uri`` names the file exactly, as a ``file://`` URI; ``path``, ``name`` and ``folder`` are for showing. ``name`` is
    the path below the folder, ``present`` says whether the file was there when it was last looked for.

    ``outcome`` is set for a job that is done, ``detail`` says why it waits, failed or was skipped, ``key`` names the
    content that was uploaded last by its hash, ``ref`` is what the server calls it, ``due_in_seconds`` counts to the
    next try, ``sent`` is how much of a file in flight has arrived.
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


class Step(TypedDict):
    """One change of a job's state: when (ISO 8601 with zone), to what, and why."""

    at: str
    state: str
    cause: str
    detail: str | None


class JobDetail(Job):
    """A job with every state that it went through, oldest first."""

    history: list[Step]


class JobPage(TypedDict):
    """Some jobs. ``next`` is the cursor of the page after this one, None on the last.

    A ``partial`` page has fewer jobs than it could, maybe none: looking took too long, and goes on at ``next``.

    ``siblings`` are the other jobs of the same files, whatever their remote and state, for ``group=file``; else empty.
    """

    jobs: list[Job]
    siblings: list[Job]
    next: str | None
    partial: bool


class DaemonEvent(TypedDict):
    """The event ``daemon``: its state and ``store_blocked`` as in :class:`Status`, and which folders and remotes."""

    state: str
    store_blocked: str | None
    folders: list[str]
    remotes: list[str]


class JobEvent(TypedDict):
    """The event ``job``: a job's state has changed. The words are those of :class:`Job` and :class:`Step`."""

    id: int
    path: str
    folder: str
    remote: str
    state: str
    cause: str
    outcome: str | None
    detail: str | None
    size: int | None
    updated_at: str


class Flight(TypedDict):
    """A job that is uploading: ``sent`` of ``size`` bytes have arrived; ``stage`` is ``hashing`` at first."""

    id: int
    path: str
    remote: str
    size: int
    sent: int
    stage: str


class Progress(TypedDict):
    """The event ``progress``: what is in flight, and as in :class:`Status` what is left to do."""

    flights: list[Flight]
    jobs: dict[str, int]
    bytes: Bytes
    eta_seconds: float | None


class Throughput(TypedDict):
    """Bytes sent in each step of ``step_seconds`` since the start, of six hours at most; the last is under way."""

    step_seconds: int
    bytes: list[int]


class LiveSettings(TypedDict):
    """The limits that hold now; ``changed`` names those that are not as in the file, until the next reload."""

    bandwidth: str
    concurrency: int | str
    changed: list[str]


class Settings(TypedDict):
    """The configuration as in ``file``, with every default; secrets are ``••••``. And what holds in its place."""

    file: str
    settings: dict[str, Any]
    live: LiveSettings


class Finding(TypedDict):
    """A server's copy. ``verdict``: ``intact``, ``missing``, ``different``, ``unreachable``, ``unknown`` (none yet)."""

    id: int
    path: str
    remote: str
    verdict: str
    detail: str | None


class Verified(TypedDict):
    """What was found, and how many jobs were queued again."""

    results: list[Finding]
    queued: int


LogEvent = dict[str, Any]
"""One log event: ``timestamp`` (ISO 8601, UTC), ``level``, ``event``, and its own fields."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobQuery:
    """Which jobs to list: at most ``limit``, those after the cursor ``before``, with ``search`` in their path.

    ``folder`` is a watched folder's path as the operating system has it, ``remote`` a remote's name. ``siblings``: the
    page has the other jobs of the same files too.
    """

    state: State | None = None
    limit: int = 50
    before: str | None = None
    search: str | None = None
    folder: str | None = None
    remote: str | None = None
    sort: Sort = Sort.LATEST
    siblings: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class LogQuery:
    """Which log events: the last ``limit`` of at least ``level``, with names that begin with ``event``, with ``text``.

    Upper and lower case of ``text`` are one.
    """

    limit: int = 100
    level: str = "debug"
    event: str = ""
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Other limits, as they would stand in the file: ``2MiB/s`` or ``unlimited``; a number or ``auto``."""

    bandwidth: str | None = None
    concurrency: int | str | None = None


class ControlService(Protocol):
    """The running daemon. Every call may raise a :class:`ApiError`."""

    @property
    def events(self) -> "Hub":
        """Return where to listen to what happens."""

    @property
    def files(self) -> "Files":
        """Return who has the local files."""

    async def health(self) -> str | None:
        """Return None if the daemon does its work, or one line that says why not."""

    async def metrics(self) -> tuple[bytes, str]:
        """Return the metrics for Prometheus, and of what content type they are."""

    async def folders(self) -> list[FolderStatus]:
        """Return how the watched folders are."""

    async def remotes(self) -> list[RemoteStatus]:
        """Return how the servers are."""

    async def log(self, query: LogQuery) -> list[LogEvent]:
        """Return events that were logged a while ago at most, oldest first."""

    async def status(self) -> Status:
        """Return how the daemon is."""

    async def throughput(self) -> Throughput:
        """Return how much was sent when."""

    async def settings(self) -> Settings:
        """Return the configuration that holds, without its secrets."""

    async def limit(self, limits: Limits) -> None:
        """Go by these limits at once, until the next reload; ``InvalidRequestError`` if they can't be."""

    async def start(self) -> None:
        """Upload again after :meth:`stop`; the choice survives a restart."""

    async def stop(self, *, now: bool) -> None:
        """Upload no more: after the chunks in flight, or cutting them off with ``now``. Watching goes on."""

    async def rescan(self, path: str | None) -> None:
        """Begin a scan of the folder that holds ``path``, or of all; ``NotFoundError`` if no folder does."""

    async def jobs(self, query: JobQuery) -> JobPage:
        """Return a page of jobs; ``InvalidRequestError`` for a cursor that is none."""

    async def show(self, target: Target) -> list[JobDetail]:
        """Return the jobs of a file, one a remote, or the job of an id; ``NotFoundError`` if there is none."""

    async def retry(self, targets: Sequence[Target] | None) -> int:
        """Queue jobs again, with None all failed ones; return how many. ``NotFoundError`` for an unknown target."""

    async def cancel(self, targets: Sequence[Target]) -> int:
        """Give these jobs up, those uploading too; return how many. ``NotFoundError`` for an unknown target."""

    async def verify(self, targets: Sequence[Target], *, repair: bool) -> Verified:
        """Fetch the servers' copies and compare them; ``repair`` queues again what is bad and still here.

        ``NotFoundError`` for an unknown target, ``BusyError`` if the daemon ends meanwhile.
        """

    async def reload(self) -> list[str]:
        """Take over the configuration as it is now; return what changed and what to beware of, a line each.

        ``InvalidConfigError`` if it can't be used.
        """

    async def dashboard(self) -> str:
        """Return an address that opens the dashboard, once and soon; ``NotFoundError`` says why there is none."""

    async def shutdown(self) -> None:
        """Begin to end the process, in order; return at once."""
