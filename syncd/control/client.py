"""The other end of the control socket, for commands: synchronous, and small enough to start at once.

It speaks the little HTTP that it needs by itself: `http.client` alone takes longer to load than all the rest here.
"""

import json
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, cast
from urllib.parse import urlencode

from syncd import __version__
from syncd.control import targets
from syncd.control.service import JobDetail, JobPage, JobQuery, LogEvent, LogQuery, Status, Verified
from syncd.control.targets import Target

if sys.platform == "win32":
    from syncd.control.pipe_client import Pipe

    Connection = Pipe
else:
    Connection = socket.socket

RESTART_ADVICE = f"this is syncd {__version__}, restart the daemon to have it there too"
_NO_SUCH_REQUEST = (": Not Found", ": Method Not Allowed")
"""The ends of what a daemon says of a request that it has no answer for."""
TIMEOUT_SECONDS = 60.0
"""Seconds to wait for an answer."""


class ControlError(Exception):
    """The daemon could not be asked; ``str()`` is one line that says what to do."""


class NotRunningError(ControlError):
    """Nobody listens."""


class ConnectionClosedError(NotRunningError):
    """The daemon was there, and has ended or closed the connection."""


class AccessDeniedError(ControlError):
    """This user may not."""


class NoResponseError(ControlError):
    """Somebody listens and gives no sensible answer."""


class RequestRefusedError(ControlError):
    """The daemon answered that it won't; ``problems`` has a line for each thing that is wrong, where there are some."""

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = list(problems)


class EventStream:
    """What :meth:`ControlClient.listen` returns. Belongs to a ``with``."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._raw = b""
        connection.settimeout(None)

    def __enter__(self) -> "EventStream":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def receive(self) -> list[tuple[str, dict[str, Any]]] | None:
        """Wait until something comes, and return the events in it, each a name and its document; None at the end."""
        try:
            more = self._connection.recv(65_536)
        except OSError:
            more = b""
        if not more:
            return None
        *blocks, self._raw = (self._raw + more).split(b"\n\n")
        return [event for block in blocks if (event := _event(block))]


def _event(block: bytes) -> tuple[str, dict[str, Any]] | None:
    """Return the event in a block; None for a comment."""
    lines = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line)
    if b"event" not in lines:
        return None
    return lines[b"event"].decode(), json.loads(lines[b"data"])


class ControlClient:
    """Asks the daemon that listens at ``socket_path``. Every call raises only :class:`ControlError` and its kinds."""

    def __init__(self, socket_path: str | os.PathLike[str], *, timeout: float = TIMEOUT_SECONDS) -> None:
        self._path = os.fspath(socket_path)
        self._timeout = timeout

    @property
    def socket_path(self) -> str:
        """Return where the daemon is asked."""
        return self._path

    def status(self) -> Status:
        """Return the status document."""
        return cast("Status", self._request("GET", "/v1/status"))

    def start(self) -> None:
        """Have it upload again."""
        self._request("POST", "/v1/start")

    def stop(self, *, now: bool = False) -> None:
        """Have it upload no more."""
        self._request("POST", "/v1/stop", {"now": now})

    def rescan(self, path: str | None = None) -> None:
        """Have it scan the folder that holds ``path``, or all."""
        self._request("POST", "/v1/rescan", {} if path is None else {"path": targets.encode(path)})

    def jobs(self, query: JobQuery | None = None) -> JobPage:
        """Return a page of jobs."""
        wanted = query or JobQuery()
        fields = {
            "state": wanted.state,
            "limit": wanted.limit,
            "before": wanted.before,
            "search": wanted.search,
            "folder": None if wanted.folder is None else targets.encode(wanted.folder),
            "remote": wanted.remote,
            "sort": wanted.sort,
            "group": "file" if wanted.siblings else None,
        }
        given = urlencode({name: value for name, value in fields.items() if value is not None})
        return cast("JobPage", self._request("GET", f"/v1/jobs?{given}"))

    def log(self, query: LogQuery | None = None) -> list[LogEvent]:
        """Return what was logged last, oldest first."""
        wanted = query or LogQuery()
        fields = {"limit": wanted.limit, "level": wanted.level, "event": wanted.event, "text": wanted.text}
        return cast("list[LogEvent]", self._request("GET", f"/v1/log?{urlencode(fields)}")["events"])

    def listen(self, *kinds: str) -> EventStream:
        """Return the events of these kinds, or all, from now on; close it in the end."""
        with ExitStack() as stack:
            connection = stack.enter_context(self._connect())
            with self._translate_errors():
                connection.sendall(_request("GET", "/v1/events?" + urlencode({"only": ",".join(kinds)})))
                head = _head(connection)
                if _status_of(head) == 200:
                    stack.pop_all()
                    return EventStream(connection)
                rest = _rest(connection)
        self._read(head + rest)
        raise self._not_a_daemon()

    def show(self, target: Target) -> list[JobDetail]:
        """Return the jobs of a file, or the job of an id, with their history."""
        answer = self._request("GET", "/v1/job?" + urlencode({"target": targets.encode(target)}))
        return cast("list[JobDetail]", answer["jobs"])

    def retry(self, chosen: Sequence[Target] | None) -> int:
        """Queue these jobs again, or with None all that failed; return how many."""
        wanted = "all" if chosen is None else [targets.encode(target) for target in chosen]
        return int(self._request("POST", "/v1/retry", {"targets": wanted})["count"])

    def cancel(self, chosen: Sequence[Target]) -> int:
        """Give these jobs up; return how many."""
        return int(
            self._request("POST", "/v1/cancel", {"targets": [targets.encode(target) for target in chosen]})["count"]
        )

    def verify(self, chosen: Sequence[Target], *, repair: bool) -> Verified:
        """Have the servers' copies of up to a hundred compared."""
        wanted = {"targets": [targets.encode(target) for target in chosen], "repair": repair}
        return cast("Verified", self._request("POST", "/v1/verify", wanted))

    def reload(self) -> list[str]:
        """Have it read the configuration again; return what changed, a line each."""
        return cast("list[str]", self._request("POST", "/v1/reload")["messages"])

    def dashboard(self) -> str:
        """Return an address that opens the dashboard, once and within a minute."""
        return str(self._request("POST", "/v1/dashboard")["url"])

    def shutdown(self) -> None:
        """Have the process end."""
        self._request("POST", "/v1/shutdown")

    def _request(self, method: str, url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        content = b"" if body is None else json.dumps(body).encode()
        with self._connect() as connection, self._translate_errors():
            connection.sendall(_request(method, url, content))
            raw = _rest(connection)
        return self._read(raw)

    def _connect(self) -> "Connection":
        if sys.platform == "win32":
            with self._translate_errors():
                return Pipe(self._path, self._timeout)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self._timeout)
        try:
            with self._translate_errors():
                connection.connect(self._path)
        except ControlError:
            connection.close()
            raise
        return connection

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Put what can happen to a connection into words."""
        try:
            yield
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotRunningError(f"the daemon is not running (nobody listens at {self._path}): syncd run") from None
        except PermissionError:
            raise AccessDeniedError(
                f"no permission for {self._path}: ask as root, as its user or from its group"
            ) from None
        except TimeoutError:
            raise NoResponseError(f"the daemon gave no answer within {self._timeout:g} s: see its log") from None
        except OSError as error:
            raise NoResponseError(f"{self._path}: {error.strerror or error}: is it the daemon's socket?") from None

    def _read(self, raw: bytes) -> dict[str, Any]:
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
        if message.endswith(_NO_SUCH_REQUEST):
            raise NoResponseError(
                f"the daemon does not know this request, as it is of another version: {RESTART_ADVICE}"
            )
        raise RequestRefusedError(message, document.get("problems", ()))

    def _not_a_daemon(self) -> NoResponseError:
        return NoResponseError(f"{self._path} answers, but not as a daemon does: is this the right socket?")


def _request(method: str, url: str, content: bytes = b"") -> bytes:
    """Return a request of HTTP 1.0, whose answer ends with the connection."""
    return f"{method} {url} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


def _rest(connection: "Connection") -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def _head(connection: "Connection") -> bytes:
    """Return an answer's head, and take no byte of what follows."""
    raw = b""
    while not raw.endswith(b"\r\n\r\n") and (more := connection.recv(1)):
        raw += more
    return raw


def _status_of(head: bytes) -> int | None:
    try:
        return int(head.split(b" ", 2)[1])
    except (ValueError, IndexError):
        return None
