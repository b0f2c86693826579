"""Creates the named pipe of the control API on Windows, with its access rules.

The daemon's user, administrators and the system may control the daemon. The kernel enforces the pipe's access control
list, which :func:`syncd.platform.windows.private.private_attributes` returns: any other user gets "access denied". The
kernel also rejects clients of other machines. The setting ``control.socket`` is the name of the pipe; see
``docs/reference/windows.md``.
"""

import asyncio
import contextlib
import sys
from asyncio import windows_utils
from typing import Any

import pywintypes
import win32con
import win32pipe

from syncd.control.service import ControlService
from syncd.control.unix_server import SocketUnavailableError, make_connection, make_runner
from syncd.platform.windows import private

assert sys.platform == "win32"

_BUFFER_BYTES = 65_536
_FIRST_INSTANCE = 0x0008_0000
"""FILE_FLAG_FIRST_PIPE_INSTANCE: fails if any process, even of another user, has a pipe of this name."""
_REJECT_REMOTE = 0x0000_0008
"""PIPE_REJECT_REMOTE_CLIENTS."""
_NAME_IN_USE = (5, 231)
"""ERROR_ACCESS_DENIED and ERROR_PIPE_BUSY: the name is in use."""


class PipeServer:
    """Serves the control API on the pipe ``path`` from :meth:`start` to :meth:`stop`."""

    def __init__(self, service: ControlService, path: str) -> None:
        self._path = path
        self._runner = make_runner(service)
        self._accepting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen. Raises :class:`SocketUnavailableError`."""
        first = self._instance(_FIRST_INSTANCE)
        await self._runner.setup()
        self._accepting = asyncio.create_task(self._accept(first))

    async def stop(self) -> None:
        """Stop listening, and send the pending responses."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
        await self._runner.cleanup()

    async def _accept(self, waiting: windows_utils.PipeHandle) -> None:
        """Serve each client that opens the pipe.

        One instance always waits, so that a client finds the pipe. The pipe server of asyncio is no alternative: it
        lets every user read.
        """
        loop: Any = asyncio.get_running_loop()
        try:
            while True:
                with contextlib.suppress(BrokenPipeError):  # the client has disconnected
                    await loop._proactor.accept_pipe(waiting)  # noqa: SLF001 - asyncio has no public function for this
                opened, waiting = waiting, self._instance()
                loop._make_duplex_pipe_transport(opened, make_connection(self._runner))  # noqa: SLF001 - as above
        finally:
            waiting.close()

    def _instance(self, flags: int = 0) -> windows_utils.PipeHandle:
        try:
            handle: Any = win32pipe.CreateNamedPipe(
                self._path,
                win32con.PIPE_ACCESS_DUPLEX | win32con.FILE_FLAG_OVERLAPPED | flags,
                win32con.PIPE_TYPE_BYTE | win32con.PIPE_READMODE_BYTE | win32con.PIPE_WAIT | _REJECT_REMOTE,
                win32con.PIPE_UNLIMITED_INSTANCES,
                _BUFFER_BYTES,
                _BUFFER_BYTES,
                0,
                private.private_attributes(),
            )
        except pywintypes.error as error:
            if error.winerror in _NAME_IN_USE:
                raise SocketUnavailableError(
                    f"another daemon answers at {self._path}: stop it first, or set control.socket"
                ) from None
            raise SocketUnavailableError(
                f"{self._path} cannot be created ({error.strerror}): set control.socket"
            ) from None
        return windows_utils.PipeHandle(handle.Detach())
