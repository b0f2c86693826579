"""The other end of the control socket, for commands: synchronous, and small enough to start at once.

It speaks the little HTTP that it needs by itself: `http.client` alone takes longer to load than all the rest here.
"""

import json
import os
import socket
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import urlencode

from syncd.control import targets
from syncd.control.steering import JobDetail, JobPage, JobQuery, Status
from syncd.control.targets import Target

TIMEOUT = 60.0
"""Seconds to wait for an answer."""


class ControlError(Exception):
    """The daemon could not be asked; ``str()`` is one line that says what to do."""


class NotRunning(ControlError):  # noqa: N818 - it says what is the case
    """Nobody listens."""


class Denied(ControlError):  # noqa: N818 - it says what is the case
    """This user may not."""


class NoAnswer(ControlError):  # noqa: N818 - it says what is the case
    """Somebody listens and gives no sensible answer."""


class Refused(ControlError):  # noqa: N818 - it says what is the case
    """The daemon answered that it won't; ``problems`` has a line for each thing that is wrong, where there are some."""

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = list(problems)


class ControlClient:
    """Asks the daemon that listens at ``socket_path``. Every call raises only :class:`ControlError` and its kinds."""

    def __init__(self, socket_path: str | os.PathLike[str], *, timeout: float = TIMEOUT) -> None:
        self._path = os.fspath(socket_path)
        self._timeout = timeout

    def status(self) -> Status:
        """Return the status document."""
        return cast("Status", self._ask("GET", "/v1/status"))

    def start(self) -> None:
        """Have it upload again."""
        self._ask("POST", "/v1/start")

    def stop(self, *, now: bool = False) -> None:
        """Have it upload no more."""
        self._ask("POST", "/v1/stop", {"now": now})

    def rescan(self, path: str | None = None) -> None:
        """Have it scan the folder that holds ``path``, or all."""
        self._ask("POST", "/v1/rescan", {} if path is None else {"path": targets.encode(path)})

    def jobs(self, query: JobQuery | None = None) -> JobPage:
        """Return a page of jobs."""
        wanted = query or JobQuery()
        fields = {"state": wanted.state, "limit": wanted.limit, "before": wanted.before, "search": wanted.search}
        given = urlencode({name: value for name, value in fields.items() if value is not None})
        return cast("JobPage", self._ask("GET", f"/v1/jobs?{given}"))

    def show(self, target: Target) -> list[JobDetail]:
        """Return the jobs of a file, or the job of an id, with their history."""
        answer = self._ask("GET", "/v1/job?" + urlencode({"target": targets.encode(target)}))
        return cast("list[JobDetail]", answer["jobs"])

    def retry(self, chosen: Sequence[Target] | None) -> int:
        """Queue these jobs again, or with None all that failed; return how many."""
        wanted = "all" if chosen is None else [targets.encode(target) for target in chosen]
        return int(self._ask("POST", "/v1/retry", {"targets": wanted})["count"])

    def cancel(self, chosen: Sequence[Target]) -> int:
        """Give these jobs up; return how many."""
        return int(self._ask("POST", "/v1/cancel", {"targets": [targets.encode(target) for target in chosen]})["count"])

    def reload(self) -> list[str]:
        """Have it read the configuration again; return what changed, a line each."""
        return cast("list[str]", self._ask("POST", "/v1/reload")["messages"])

    def shutdown(self) -> None:
        """Have the process end."""
        self._ask("POST", "/v1/shutdown")

    def _ask(self, method: str, url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {url} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n"
        try:
            raw = self._exchange(head.encode() + content)
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotRunning(f"the daemon is not running (nobody listens at {self._path}): syncd run") from None
        except PermissionError:
            raise Denied(f"no permission for {self._path}: ask as the user that the daemon runs as") from None
        except TimeoutError:
            raise NoAnswer(f"the daemon gave no answer within {self._timeout:g} s: see its log") from None
        except OSError as error:
            raise NoAnswer(f"{self._path}: {error.strerror or error}: is it the daemon's socket?") from None
        return self._read(raw)

    def _exchange(self, request: bytes) -> bytes:
        """Send a request of HTTP 1.0, whose answer ends with the connection."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(self._timeout)
            connection.connect(self._path)
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(65_536), b""))

    def _read(self, raw: bytes) -> dict[str, Any]:
        head, _, body = raw.partition(b"\r\n\r\n")
        try:
            status = int(head.split(b" ", 2)[1])
            document = json.loads(body)
        except (ValueError, IndexError):
            document = None
        if not isinstance(document, dict):
            raise NoAnswer(f"{self._path} answers, but not as a daemon does: is this the right socket?")
        if status == 200:
            return document
        message = str(document.get("error", f"status {status}"))
        if status == 403:
            raise Denied(message)
        raise Refused(message, document.get("problems", ()))
