"""Defines the routes of the control API: method, path, parameters and response.

:mod:`syncd.control.app` registers the handlers, :mod:`syncd.control.client` sends the requests, and
:mod:`syncd.control.openapi` and ``python -m tests.control.reference`` write the documents. This module loads no server,
so that the client starts fast.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from syncd.control import schemas
from syncd.control.event_schemas import EVENT_KINDS
from syncd.control.job_params import JOB_FILTERS, MAX_JOBS, MISSING, FileUri, JobId, TargetList, TargetParameter
from syncd.control.params import Choice, Flag, Instant, Limit, Number, Parameter, WordList
from syncd.control.service import JobQuery, LogQuery
from syncd.core.log_levels import LEVELS
from syncd.core.states import Cause, sources

T = TypeVar("T")


@dataclass(kw_only=True, eq=False, repr=False)
class Route(Generic[T]):
    """One route. ``response`` is the type of the response document.

    That is a ``TypedDict``, ``dict``, ``str`` or ``bytes``. ``summary`` stands in the OpenAPI document, ``answer``
    (Markdown) in the reference. ``query`` and ``body`` are the parameters in the URL and in a JSON body; with
    ``file_body`` the body is a file.
    """

    method: str
    path: str
    response: type[T]
    summary: str
    answer: str
    query: Sequence[Parameter] = ()
    body: Sequence[Parameter] = ()
    file_body: bool = False
    media_type: str = "application/json"
    description: str = ""
    status: int = 200
    failure: str = "4XX"
    allow_head: bool = True


HEALTH = Route(
    method="GET",
    path="/healthz",
    response=schemas.Health,
    summary="Check that the daemon works",
    answer='`{"ok": true}`, or 503 with the reason if the daemon does not work or cannot write to its job store.',
    failure="503",
)
METRICS = Route(
    method="GET",
    path="/metrics",
    response=str,
    summary="The metrics, for Prometheus",
    answer="[Metrics](metrics.md) for Prometheus.",
    media_type="text/plain",
)
OPENAPI = Route(
    method="GET",
    path="/v1/openapi.json",
    response=dict[str, Any],
    summary="This document",
    answer="This API as OpenAPI 3.1, with the schema of each answer.",
)
STATUS = Route(
    method="GET",
    path="/v1/status",
    response=schemas.Status,
    summary="The state of the daemon",
    answer="[The status document](#the-status-document).",
)
FOLDERS = Route(
    method="GET",
    path="/v1/folders",
    response=schemas.Folders,
    summary="The watched folders",
    answer='`{"folders": […]}`, as in the status document.',
)
REMOTES = Route(
    method="GET",
    path="/v1/remotes",
    response=schemas.Remotes,
    summary="The remotes",
    answer='`{"remotes": […]}`, as in the status document.',
)
JOBS = Route(
    method="GET",
    path="/v1/jobs",
    response=schemas.JobPage,
    summary="Jobs, page by page",
    answer='`{"jobs": […], "siblings": […], "next": cursor}`. At most 1000 jobs a page; see '
    "[selecting jobs](#selecting-jobs).",
    query=(
        *JOB_FILTERS,
        Number(name="limit", maximum=1000, default=JobQuery().limit),
        Parameter(name="before", description="The `next` of the page before."),
        Choice(
            name="group", choices={"job": "job", "file": "file"}, default="job", description="`file`: with `siblings`."
        ),
    ),
)
JOB_SNAPSHOT = Route(
    method="GET",
    path="/v1/jobs/snapshot",
    response=schemas.JobPage,
    summary="Any number of jobs at one moment",
    answer="As `GET /v1/jobs`, but in one page of any size: the jobs at one moment, each once, even while they change. "
    "`siblings` is empty.",
    query=(*JOB_FILTERS, Number(name="limit", maximum=MAX_JOBS, default=MAX_JOBS)),
    allow_head=False,
)
JOB = Route(
    method="GET",
    path="/v1/job",
    response=schemas.JobDetails,
    summary="The jobs of a file, or one job, with history",
    answer='`{"jobs": […]}`, each with its `history`.',
    query=(TargetParameter(name="target", required=True),),
)
PREVIEW = Route(
    method="GET",
    path="/v1/preview",
    response=bytes,
    summary="A small picture of a file, or the first 64 KiB of a text",
    answer="A WebP image of the job's file, with at most `size` pixels a side: 320 or 1600. For a `*.txt` file, the "
    "first 64 KiB as text. See [file contents](#file-contents).",
    query=(
        JobId(name="job", required=True),
        Choice(name="size", choices={"320": 320, "1600": 1600}, default=320, description="Pixels of the longest edge."),
        MISSING,
    ),
    media_type="image/webp",
    allow_head=False,
)
ORIGINAL = Route(
    method="GET",
    path="/v1/original",
    response=bytes,
    summary="The file of a job",
    answer="The job's file.",
    query=(JobId(name="job", required=True), MISSING),
    media_type="application/octet-stream",
    allow_head=False,
)
DROP = Route(
    method="PUT",
    path="/v1/drop",
    response=schemas.DroppedFile,
    summary="Put a file into a watched folder",
    answer='201 and `{"path": …, "name": …}`: the file is in the watched folder (a file URI), and the daemon will '
    "upload it.",
    query=(FileUri(name="folder", required=True), Parameter(name="name", required=True)),
    file_body=True,
    status=201,
)
LOG = Route(
    method="GET",
    path="/v1/log",
    response=schemas.LogEvents,
    summary="The last log events, oldest first",
    answer='`{"events": […]}`: from the last 2000 [log events](events.md) below warning and the last 500 warnings '
    "and errors, those with at least `level`, a name that begins with `event`, and `text` in the line. Oldest first; "
    "100 without `limit`.",
    query=(
        Number(name="limit", maximum=2000, default=LogQuery().limit),
        Choice(
            name="level",
            choices={level: level for level in LEVELS},
            default=LogQuery().level,
            description="The lowest level.",
        ),
        Parameter(name="event", default=LogQuery().event, description="The beginning of the event's name."),
        Parameter(name="text", default=LogQuery().text, description="Text in the line."),
    ),
)
EVENTS = Route(
    method="GET",
    path="/v1/events",
    response=str,
    summary="Events as they happen, as server-sent events",
    answer="A stream of server-sent events; see [the event stream](#the-event-stream).",
    query=(WordList(name="only", words=EVENT_KINDS, description="Kinds of events, separated by commas."),),
    media_type="text/event-stream",
    description="Events named daemon, folder, remote, job, progress, log and lost; their data are DaemonEvent, "
    "FolderStatus, RemoteStatus, JobEvent, Progress, LogEvent and LostEvents.",
    failure="503",
)
THROUGHPUT = Route(
    method="GET",
    path="/v1/throughput",
    response=schemas.Throughput,
    summary="The bytes sent in each time step",
    answer='`{"step_seconds": 5, "bytes": [n, …]}`: the bytes sent in each step of the last six hours, oldest first. '
    "The last step is still in progress.",
)
SETTINGS = Route(
    method="GET",
    path="/v1/settings",
    response=schemas.Settings,
    summary="The configuration and the current limits",
    answer="`file`; in `settings` the complete configuration with its defaults and each secret as `••••`; in `live` "
    "the current `bandwidth` and `concurrency`; in `changed` the names of those that differ from the file.",
)
LIMIT = Route(
    method="POST",
    path="/v1/settings",
    response=schemas.Settings,
    summary="Change limits until the next reload",
    answer="As `GET`. The body has one field or both, with values as in the file, including `unlimited` and `auto`. "
    "They apply at once, interrupt no upload, and last until the next reload or restart.",
    body=(
        Limit(name="bandwidth", types=("string",), hint="a text such as 2MiB/s or unlimited", sample='"2MiB/s"'),
        Limit(name="concurrency", types=("integer", "string"), hint="a number, or auto", sample="8"),
    ),
)
START = Route(
    method="POST",
    path="/v1/start",
    response=schemas.Empty,
    summary="Resume uploading",
    answer="`{}`. Resumes uploading.",
)
STOP = Route(
    method="POST",
    path="/v1/stop",
    response=schemas.Empty,
    summary="Pause uploading",
    answer="`{}`. Pauses uploading, until the time `until` if that is given. `now` aborts the chunks in flight.",
    body=(Flag(name="now"), Instant(name="until", description="When uploading resumes.")),
)
RESCAN = Route(
    method="POST",
    path="/v1/rescan",
    response=schemas.Empty,
    summary="Scan the folder that contains a path, or all folders",
    answer="`{}`",
    body=(FileUri(name="path"),),
)
PROBE = Route(
    method="POST",
    path="/v1/probe",
    response=schemas.Empty,
    summary="Ask a remote that is not online at once",
    answer="`{}`. Sends the next probe of a remote that is not online at once, without waiting for `retry_in_seconds`.",
    body=(Parameter(name="remote", required=True),),
)
RETRY = Route(
    method="POST",
    path="/v1/retry",
    response=schemas.JobCount,
    summary="Queue jobs again",
    answer='`{"count": n}`. Queues failed, skipped and waiting jobs again, or only those in `state`. A target can be a '
    "folder: it stands for all files below it. `all` means all failed jobs, or all in `state`.",
    body=(
        TargetList(name="targets", word="all"),
        Choice(name="state", choices={state.value: state for state in sources(Cause.RETRIED)}),
    ),
)
CANCEL = Route(
    method="POST",
    path="/v1/cancel",
    response=schemas.JobCount,
    summary="Cancel jobs",
    answer='`{"count": n}`. `unfinished` means all queued, uploading and waiting jobs.',
    body=(TargetList(name="targets", word="unfinished"),),
)
VERIFY = Route(
    method="POST",
    path="/v1/verify",
    response=schemas.VerifyResults,
    summary="Download and compare copies",
    answer='`{"results": [{"id", "path", "remote", "verdict", "detail"}, …], "queued": n}`. The daemon downloads and '
    "compares each copy, within the limits of the uploads. `verdict` is a result of "
    "[`syncd verify`](commands.md#syncd-verify), or `unknown` for a job without an upload. `repair` queues files whose "
    "copy is missing or different and that still exist locally. At most 100 targets.",
    body=(TargetList(name="targets", maximum=100), Flag(name="repair")),
)
RELOAD = Route(
    method="POST",
    path="/v1/reload",
    response=schemas.Messages,
    summary="Apply the configuration file",
    answer='`{"messages": […]}`, or 422 with `problems`.',
)
DASHBOARD = Route(
    method="POST",
    path="/v1/dashboard",
    response=schemas.LoginUrl,
    summary="An address that logs one browser into the dashboard within a minute; only on the control socket",
    answer='`{"url": …}`: an address that logs one browser into the dashboard, once, within a minute. Only on the '
    "control socket; 404 with the reason if there is no dashboard.",
)
SHUTDOWN = Route(method="POST", path="/v1/shutdown", response=schemas.Empty, summary="Shut down", answer="`{}`")
ROUTES: Sequence[Route[Any]] = [value for value in globals().values() if isinstance(value, Route)]
"""All routes, in the order of the reference."""
