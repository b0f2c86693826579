"""The other end of the control socket, for commands: synchronous, and of the standard library alone to start fast."""

import http.client
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
        connection = _Connection(self._path, self._timeout)
        try:
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, url, content, {"Connection": "close"})
            response = connection.getresponse()
            status, raw = response.status, response.read()
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotRunning(f"the daemon is not running (nobody listens at {self._path}): syncd run") from None
        except PermissionError:
            raise Denied(f"no permission for {self._path}: ask as the user that the daemon runs as") from None
        except TimeoutError:
            raise NoAnswer(f"the daemon gave no answer within {self._timeout:g} s: see its log") from None
        except (http.client.HTTPException, OSError) as error:
            raise NoAnswer(
                f"{self._path}: {str(error) or type(error).__name__}: is this the daemon's socket?"
            ) from None
        finally:
            connection.close()
        return self._read(status, raw)

    def _read(self, status: int, raw: bytes) -> dict[str, Any]:
        try:
            document = json.loads(raw)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise NoAnswer(f"{self._path} answers, but not as a daemon does: is this the right socket?")
        if status == http.client.OK:
            return document
        message = str(document.get("error", f"status {status}"))
        if status == http.client.FORBIDDEN:
            raise Denied(message)
        raise Refused(message, document.get("problems", ()))


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._socket_path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._socket_path)
