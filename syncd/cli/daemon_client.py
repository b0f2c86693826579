"""Connects a command to the daemon, and explains why the daemon does not answer.

``ctl`` uses the client, and ``check`` uses :func:`explain_unreachable`. Imports little, so that ``ctl`` starts fast.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from syncd import __version__
from syncd.cli import formatting
from syncd.cli.errors import CommandError, ExitCode, bad_config
from syncd.config import discovery
from syncd.config.errors import ConfigError
from syncd.control.client import (
    RESTART_ADVICE,
    AccessDeniedError,
    ConnectionClosedError,
    ControlClient,
    NoResponseError,
    NotRunningError,
    RequestRefusedError,
)
from syncd.platform.lock import holder


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreachable:
    """A problem and its fix. ``runs`` is true if a process certainly holds the lock."""

    runs: bool
    what: str
    advice: str

    def __str__(self) -> str:
        return f"{self.what}; {self.advice}"


def explain_unreachable(socket: str | os.PathLike[str], state_dir: str | os.PathLike[str]) -> Unreachable | None:
    """Return the reason why nothing listens at ``socket``; None if no daemon runs."""
    try:
        pid = holder(state_dir)
    except OSError:
        what = f"nothing listens at {socket}, and this user cannot read the daemon's lock"
        return Unreachable(runs=False, what=what, advice="run the command as root or as the daemon's user")
    if pid is None:
        return None
    advice = (
        "a daemon creates its socket within seconds; if the problem remains and the process is not syncd once, "
        f"end process {pid} and start the daemon again"
    )
    return Unreachable(runs=True, what=f"syncd runs (pid {pid}), but nothing listens at {socket}", advice=advice)


class DaemonClient(ControlClient):
    """A client of the daemon that also knows the daemon's state folder."""

    def __init__(self, socket_path: str, state_dir: str | None) -> None:
        super().__init__(socket_path)
        self.state_dir = state_dir
        """None if the user gave only the socket."""

    def lock_holder(self) -> int | None:
        """Return the pid of the process that has locked the state folder.

        None if no process has locked it, or if that is unknown.
        """
        try:
            return None if self.state_dir is None else holder(self.state_dir)
        except OSError:
            return None


def daemon_client(config: str | None, socket: str | None) -> DaemonClient:
    """Return a client for the control socket that is given or configured.

    Raises :class:`CommandError` for a configuration that cannot be read.
    """
    if socket:
        return DaemonClient(socket, None)
    try:
        path = discovery.find(config)
        return DaemonClient(str(discovery.control_socket(path)), str(discovery.state_dir(path)))
    except ConfigError as error:
        raise bad_config(error) from None


@contextmanager
def _explain_missing_keys(client: ControlClient) -> Iterator[None]:
    """Translate the KeyError for a key that a daemon of another version does not send."""
    try:
        yield
    except KeyError as error:
        version = client.status()["version"]
        if version == __version__:
            raise
        what = f"the daemon's answer lacks {error}, because the daemon is syncd {formatting.clean(version)}"
        raise CommandError(f"{what}; {RESTART_ADVICE}", code=ExitCode.UNAVAILABLE) from None


@contextmanager
def translate_errors(client: DaemonClient) -> Iterator[None]:
    """Raise the errors of requests as :class:`CommandError`."""
    try:
        with _explain_missing_keys(client):
            yield
    except ConnectionClosedError as error:
        raise CommandError(str(error), code=ExitCode.NOT_RUNNING) from None
    except NotRunningError as error:
        found = client.state_dir and explain_unreachable(client.socket_path, client.state_dir)
        code = ExitCode.UNAVAILABLE if found and found.runs else ExitCode.NOT_RUNNING
        raise CommandError(str(found or error), code=code) from None
    except AccessDeniedError as error:
        raise CommandError(str(error), code=ExitCode.DENIED) from None
    except NoResponseError as error:
        raise CommandError(str(error), code=ExitCode.UNAVAILABLE) from None
    except RequestRefusedError as error:
        if error.problems:
            raise CommandError(str(error), *error.problems, code=ExitCode.BAD_CONFIG) from None
        raise CommandError(formatting.clean(error), code=ExitCode.FAILED) from None
