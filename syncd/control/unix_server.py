"""Binds the Unix socket of the control API, and checks the user of each client.

These users may use the control socket: the daemon's user, root, and the members of the group in the setting
``control.group``, if it is set. Other users are rejected twice:

- The file of the socket belongs to the daemon's user and has mode 0600; with ``control.group``, it has mode 0660 and
  that group. The kernel refuses the connection of any other user with "permission denied".
- The server asks the kernel for the user and the groups of each client's process, and answers 403 to other users. This
  check does not depend on the mode of the file.

``docs/reference/configuration.md`` describes the settings ``control.socket`` and ``control.group``. On Windows,
:mod:`syncd.control.pipe_server` serves the API on a named pipe.
"""

import asyncio
import errno
import os
import socket
import stat
import struct

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from syncd.asyncio_tools import until_next
from syncd.control.app import make_app
from syncd.control.connection import Connection
from syncd.control.service import ControlService
from syncd.core.text import printable
from syncd.http_server import http_logger

IDLE_TIMEOUT_SECONDS = 30.0
"""The time limit for a connection without a request."""
PATH_CHECK_SECONDS = 2.0
"""The time between two checks that the socket is still at its path."""
BACKLOG = 100
"""The number of connections that can wait to be accepted."""
MAX_SOCKET_PATH_BYTES = 107
"""The limit of Linux for the path of a Unix socket."""

_PEER_GROUPS = 59
"""``SO_PEERGROUPS`` of Linux, which Python's socket module does not define."""
_MAX_OPTION_BYTES = 1024
"""Python's limit for the value of a socket option: the numbers of 256 groups."""
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: the value of SO_PEERCRED

log = structlog.get_logger(__name__)

_http_log = http_logger("syncd.control.http")


class SocketUnavailableError(Exception):
    """The socket cannot be created at this path; ``str()`` is the problem and the fix."""


def make_runner(service: ControlService, *middlewares: Middleware) -> web.AppRunner:
    """Return the runner of the control API for :func:`make_connection`."""
    return web.AppRunner(make_app(service, *middlewares), shutdown_timeout=1.0)


def make_connection(runner: web.AppRunner) -> Connection:
    """Return the protocol of a new connection.

    Call it in the running loop, after the runner's ``setup``.
    """
    assert isinstance(runner.server, web.Server)
    return Connection(
        runner.server,
        loop=asyncio.get_running_loop(),
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=IDLE_TIMEOUT_SECONDS,
        logger=_http_log,
        tcp_keepalive=False,
    )


class ControlServer:
    """Serves the control API on ``socket_path`` from :meth:`start` to :meth:`stop`.

    If the socket's file is removed, the server binds a new socket; open connections continue.
    """

    def __init__(
        self, service: ControlService, socket_path: str | os.PathLike[str], *, group: int | None = None
    ) -> None:
        """Prepare a server. The members of the group with the number ``group`` may connect too."""
        self.path = os.fspath(socket_path)
        self._group = group
        self._runner = make_runner(service, _check_peer(group))
        self._server: asyncio.Server | None = None
        self._bound: tuple[int, int] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._rebind_problem: str | None = None

    async def start(self) -> None:
        """Listen.

        Raises :class:`SocketUnavailableError`, or OSError if the folder is not writable.
        """
        listening = self._bind()
        await self._runner.setup()
        await self._listen(listening)
        self._watching = asyncio.create_task(self._watch_path())

    async def stop(self) -> None:
        """Stop listening, send the pending responses, and remove the own socket file."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        if self._bound is not None and self._bound == _identity(self.path):
            os.unlink(self.path)
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    def _bind(self) -> socket.socket:
        bound = _bound_socket(self.path, self._group)
        self._bound = _identity(self.path)
        return bound

    async def _listen(self, listening: socket.socket) -> None:
        self._server = await asyncio.get_running_loop().create_unix_server(
            lambda: make_connection(self._runner), sock=listening, backlog=BACKLOG
        )

    async def _watch_path(self) -> None:
        """Bind again when the file at the path is no longer this socket.

        No other file can get its inode while the socket is open.
        """
        while True:
            await asyncio.sleep(until_next(PATH_CHECK_SECONDS))
            if _identity(self.path) != self._bound:
                await self._replace()

    async def _replace(self) -> None:
        """Bind again as :meth:`start` does; log each new reason of a failure once."""
        try:
            listening = self._bind()
        except (SocketUnavailableError, OSError) as error:
            reason = str(error) if isinstance(error, SocketUnavailableError) else _reason(error, self.path)
            if reason != self._rebind_problem:
                log.error("control.socket_failed", path=printable(self.path), reason=reason)  # noqa: TRY400 - the reason is complete
            self._rebind_problem = reason
            return
        self._rebind_problem = None
        if self._server is not None:
            self._server.close()  # its accepted connections continue
        await self._listen(listening)
        log.warning("control.socket_recreated", path=printable(self.path))


def _identity(path: str) -> tuple[int, int] | None:
    """Return the device and the inode of the file at ``path``; None without access."""
    try:
        info = os.lstat(path)
    except OSError:
        return None
    return info.st_dev, info.st_ino


def _reason(error: OSError, path: str) -> str:
    where = printable(os.fsdecode(error.filename or path))
    return f"{where}: {error.strerror or error}: restore the folder, or restart the daemon"


def _check_peer(group: int | None) -> Middleware:
    """Return a middleware that admits the daemon's user, root and the group's members."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        connection = request.get_extra_info("socket")
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, uid, gid = _CREDENTIALS.unpack(raw)
        if uid in {0, os.geteuid()} or (group is not None and group in {gid, *_groups(connection)}):
            return await handler(request)
        refusal = web.json_response({"error": f"user {uid} has no permission to control this daemon"}, status=403)
        refusal.force_close()
        return refusal

    return check


def _groups(connection: socket.socket) -> tuple[int, ...]:
    """Return the groups of the client's process, or nothing if there are too many.

    The kernel returns them. In a user namespace, which maps only some groups, it still maps the daemon's own group.
    """
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, _PEER_GROUPS, _MAX_OPTION_BYTES)
    except OSError:
        return ()
    return struct.unpack(f"{len(raw) // 4}I", raw)


def _bound_socket(path: str, group: int | None) -> socket.socket:
    """Return a socket bound to ``path``; at no time can other users connect to it."""
    length = len(os.fsencode(path))
    if length > MAX_SOCKET_PATH_BYTES:
        raise SocketUnavailableError(
            f"{path} is {length} bytes long, a socket's path can have {MAX_SOCKET_PATH_BYTES}: set control.socket"
        )
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        os.makedirs(folder, mode=0o700)
        _open_to(group, folder, 0o750)
    _clear(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Linux creates the file with the mode of the socket, so its permissions are never wider.
        os.fchmod(bound.fileno(), 0o600)
        bound.bind(path)
        bound.listen(BACKLOG)  # at once: before that it looks like the socket of a dead process
        _open_to(group, path, 0o660)
        bound.setblocking(False)
    except SocketUnavailableError:
        bound.close()
        os.unlink(path)
        raise
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise SocketUnavailableError(
                f"another process has just bound {path}: stop it, or set control.socket"
            ) from None
        raise
    return bound


def _open_to(group: int | None, path: str, mode: int) -> None:
    if group is None:
        return
    try:
        if os.stat(path).st_gid != group:  # a sandbox may forbid chown
            os.chown(path, -1, group)
        os.chmod(path, mode)
    except OSError as error:
        raise SocketUnavailableError(
            f"{path} cannot be given to group {group} of control.group ({error.strerror}): "
            "add the daemon's user to this group"
        ) from None


def _clear(path: str) -> None:
    """Remove the socket of a dead process.

    Raises :class:`SocketUnavailableError` for the socket of a live process and for any other file.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SocketUnavailableError(f"{path} is not a socket: remove it, or set control.socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # connects at once unless the backlog is full
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except BlockingIOError:
            raise SocketUnavailableError(f"a process that does not respond listens at {path}: stop it first") from None
        else:
            raise SocketUnavailableError(f"another daemon answers at {path}: stop it first, or set control.socket")
