"""Sends requests to the control socket: synchronous, and fast to start.

The methods of :class:`ControlClient` use the routes of :mod:`syncd.control.routes`. This module speaks HTTP itself,
because importing :mod:`http.client` would take longer than all its other imports together.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

from syncd import __version__
from syncd.control import routes
from syncd.control.job_targets import Target
from syncd.control.routes import Route
from syncd.control.schemas import JobDetail, JobPage, LogEvent, Status, VerifyResults
from syncd.control.service import JobQuery, LogQuery
from syncd.core.states import State
from syncd.platform.sockets import Connection, connect

RESTART_ADVICE = f"this command is syncd {__version__}; restart the daemon to run the same version"
TIMEOUT_SECONDS = 60.0
"""The time limit for each read and write."""
READ_BYTES = 65_536

_UNKNOWN_ROUTE = (": Not Found", ": Method Not Allowed")
"""The ends of the daemon's messages about a route that it does not have."""

T = TypeVar("T")


class ControlError(Exception):
    """The request failed; ``str()`` is one line with the problem and the fix."""


class NotRunningError(ControlError):
    """No process listens at the socket."""


class ConnectionClosedError(NotRunningError):
    """The daemon shut down or closed the connection."""


class AccessDeniedError(ControlError):
    """This user has no permission to control the daemon."""


class NoResponseError(ControlError):
    """A process listens at the socket, but sends no valid response in time."""


class RequestRefusedError(ControlError):
    """The daemon refused the request.

    ``problems`` has a line for each mistake in a configuration.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = list(problems)


class EventStream:
    """A context manager with the events of :meth:`ControlClient.listen`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._raw = b""

    def __enter__(self) -> "EventStream":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def receive(self, timeout: float | None = None) -> list[tuple[str, dict[str, Any]]] | None:
        """Wait for events, at most ``timeout`` seconds.

        Returns their kinds and documents, or None at the end of the stream.
        """
        self._connection.settimeout(timeout)
        try:
            received = self._connection.recv(READ_BYTES)
        except TimeoutError:
            return []
        except OSError:
            received = b""
        if not received:
            return None
        *blocks, self._raw = (self._raw + received).split(b"\n\n")
        return [event for block in blocks if (event := _parse_event(block))]


def _parse_event(block: bytes) -> tuple[str, dict[str, Any]] | None:
    """Return the event in a block of the stream; None for a comment."""
    fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line)
    if b"event" not in fields:
        return None
    return fields[b"event"].decode(), json.loads(fields[b"data"])


class ControlClient:
    """Sends requests to the daemon that listens at ``socket_path``.

    Every method raises only :class:`ControlError`.
    """

    def __init__(self, socket_path: str | os.PathLike[str], *, timeout: float = TIMEOUT_SECONDS) -> None:
        self._path = os.fspath(socket_path)
        self._timeout = timeout

    @property
    def socket_path(self) -> str:
        """Return the path of the socket."""
        return self._path

    def status(self) -> Status:
        """Return the state of the daemon."""
        return self._call(routes.STATUS)

    def start(self) -> None:
        """Resume uploading."""
        self._call(routes.START)

    def stop(self, *, now: bool = False, until: datetime | None = None) -> None:
        """Pause uploading, until ``until`` at the latest.

        ``now`` interrupts the chunks in flight.
        """
        self._call(routes.STOP, now=now, until=until)

    def rescan(self, path: str | None = None) -> None:
        """Start a scan of the folder that contains ``path``, or of all folders."""
        self._call(routes.RESCAN, path=path)

    def jobs(self, query: JobQuery | None = None) -> JobPage:
        """Return a page of jobs."""
        query = query or JobQuery()
        group = "file" if query.siblings else None
        return self._call(routes.JOBS, **_selection(query), before=query.before, group=group)

    def job_snapshot(self, query: JobQuery) -> JobPage:
        """Return any number of jobs as they are at one moment.

        ``before`` and ``siblings`` of the query have no effect.
        """
        return self._call(routes.JOB_SNAPSHOT, **_selection(query))

    def log(self, query: LogQuery | None = None) -> list[LogEvent]:
        """Return the last log events, oldest first."""
        query = query or LogQuery()
        page = self._call(routes.LOG, limit=query.limit, level=query.level, event=query.event, text=query.text)
        return page["events"]

    def show(self, target: Target) -> list[JobDetail]:
        """Return the jobs of a file, or the job with an id, with their history."""
        return self._call(routes.JOB, target=target)["jobs"]

    def retry(self, chosen: Sequence[Target] | None, state: State | None = None) -> int:
        """Queue the chosen jobs again, or all failed jobs for None.

        ``state`` restricts the chosen jobs to those in this state. If ``chosen`` is None, it selects all jobs in this
        state. Returns the number of queued jobs.
        """
        return self._call(routes.RETRY, targets="all" if chosen is None else chosen, state=state)["count"]

    def cancel(self, chosen: Sequence[Target] | None) -> int:
        """Cancel jobs, or all unfinished jobs for None; return their number."""
        return self._call(routes.CANCEL, targets="unfinished" if chosen is None else chosen)["count"]

    def verify(self, chosen: Sequence[Target], *, repair: bool) -> VerifyResults:
        """Download and compare the copies of at most 100 targets."""
        return self._call(routes.VERIFY, targets=chosen, repair=repair)

    def reload(self) -> list[str]:
        """Apply the configuration file; return changes and warnings, a line each."""
        return self._call(routes.RELOAD)["messages"]

    def dashboard(self) -> str:
        """Return a URL that logs one browser into the dashboard, once, within a minute."""
        return self._call(routes.DASHBOARD)["url"]

    def shutdown(self) -> None:
        """Start the shutdown of the daemon."""
        self._call(routes.SHUTDOWN)

    def listen(self, *kinds: str) -> EventStream:
        """Return the stream of events of these kinds, or of all; the caller closes it."""
        with ExitStack() as stack:
            connection = stack.enter_context(self._connect())
            with self._translate_errors():
                connection.sendall(_encode_request(*_encode_call(routes.EVENTS, {"only": kinds or None})))
                head = _receive_head(connection)
                if _status_of(head) == 200:
                    stack.pop_all()
                    return EventStream(connection)
                rest = _receive_all(connection)
        self._parse_response(head + rest)
        raise self._not_a_daemon()

    def _call(self, route: Route[T], **arguments: Any) -> T:
        """Send a request with the arguments that are not None; return its document."""
        return cast("T", self._request(*_encode_call(route, arguments)))

    def _request(self, method: str, url: str, content: bytes = b"") -> dict[str, Any]:
        with self._connect() as connection, self._translate_errors():
            connection.sendall(_encode_request(method, url, content))
            raw = _receive_all(connection)
        return self._parse_response(raw)

    def _connect(self) -> Connection:
        with self._translate_errors():
            return connect(self._path, self._timeout)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Translate the errors of a connection to :class:`ControlError`."""
        try:
            yield
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotRunningError(f"the daemon is not running (nobody listens at {self._path}): syncd run") from None
        except PermissionError:
            raise AccessDeniedError(
                f"no permission for {self._path}: run this as root, as the daemon's user, or as a member of its group"
            ) from None
        except TimeoutError:
            raise NoResponseError(f"the daemon did not respond within {self._timeout:g} s: see its log") from None
        except OSError as error:
            raise NoResponseError(f"{self._path}: {error.strerror or error}: check the path of the socket") from None

    def _parse_response(self, raw: bytes) -> dict[str, Any]:
        head, _, body = raw.partition(b"\r\n\r\n")
        status = _status_of(head)
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        if status is None or not isinstance(document, dict):
            raise self._not_a_daemon()
        if status == 200:
            return document
        message = str(document.get("error", f"status {status}"))
        if status == 403:
            raise AccessDeniedError(message)
        if message.endswith(_UNKNOWN_ROUTE):
            raise NoResponseError(
                f"the daemon does not support this request, because it has another version: {RESTART_ADVICE}"
            )
        raise RequestRefusedError(message, document.get("problems", ()))

    def _not_a_daemon(self) -> NoResponseError:
        return NoResponseError(f"the process at {self._path} is not a syncd daemon: check the path of the socket")


def _selection(query: JobQuery) -> dict[str, Any]:
    """Return the parameters of a query that a page and a snapshot of jobs share."""
    names = ("state", "limit", "search", "folder", "remote", "sort")
    return {name: getattr(query, name) for name in names}


def _encode_call(route: Route[Any], arguments: Mapping[str, Any]) -> tuple[str, str, bytes]:
    """Return the method, the URL and the body of a request."""
    encoded = {
        parameter.name: parameter.encode(arguments[parameter.name])
        for parameter in (*route.query, *route.body)
        if arguments.get(parameter.name) is not None
    }
    if route.body:
        return route.method, route.path, json.dumps(encoded).encode()
    return route.method, f"{route.path}?{urlencode(encoded)}" if encoded else route.path, b""


def _encode_request(method: str, url: str, content: bytes = b"") -> bytes:
    """Return a request of HTTP 1.0, where the end of the connection ends the response."""
    return f"{method} {url} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


def _receive_all(connection: Connection) -> bytes:
    return b"".join(iter(lambda: connection.recv(READ_BYTES), b""))


def _receive_head(connection: Connection) -> bytes:
    """Receive the head of a response, and no byte after it."""
    raw = b""
    while not raw.endswith(b"\r\n\r\n") and (more := connection.recv(1)):
        raw += more
    return raw


def _status_of(head: bytes) -> int | None:
    try:
        return int(head.split(b" ", 2)[1])
    except (ValueError, IndexError):
        return None
