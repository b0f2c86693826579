"""Starts the worker when it is needed, talks to it, and ends it when it is idle, hangs or dies.

The worker inherits its end of one socket and nothing else: no open file of the daemon, no environment that may hold a
token, no terminal whose Ctrl-C is meant for the daemon.
"""

import asyncio
import os
import socket
import sys

import structlog

from syncd.preview.protocol import ANSWER, REQUEST, Unshowable

if sys.platform == "win32":
    from syncd.preview import windows as system
else:
    from syncd.preview import unix as system

IDLE = 60.0
"""Seconds after the last picture until the worker is ended."""
PATIENCE = 20.0
"""Seconds for one picture by the clock: its computing has a limit of its own, a slow disk makes it longer."""
TRIES = 2
"""A worker that dies may have been ended by somebody else; the second one shows that it was the picture."""
READ = 256 * 1024
_ARGUMENTS = ("-P", "-m", "syncd.preview.worker")
_KEPT = ("LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "SYSTEMROOT")
"""What an interpreter may need of the environment to start at all."""

log = structlog.get_logger()


class _Died(Exception):  # noqa: N818 - it says what is the case
    """The worker is gone."""


class Renderer:
    """Makes one picture at a time. Belongs to one event loop; :meth:`close` it. Times in seconds."""

    def __init__(self, *, idle: float = IDLE, patience: float = PATIENCE) -> None:
        self._idle = idle
        self._patience = patience
        self._turn = asyncio.Lock()
        self._worker: _Worker | None = None
        self._retiring: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """The worker's process id, while there is one."""
        return self._worker.process.pid if self._worker else None

    async def render(self, descriptor: int, edge: int) -> bytes:
        """Return the open file as a WebP image, ``edge`` pixels long at most; :class:`Unshowable` if it can't be."""
        async with self._turn:
            self._stay()
            try:
                return await self._tried(descriptor, edge)
            except BaseException as error:
                if not isinstance(error, Unshowable):
                    await self._end()  # it may be in the middle of an answer
                raise
            finally:
                self._retiring = asyncio.get_running_loop().call_later(self._idle, self._retire)

    async def close(self) -> None:
        """End the worker; a picture that is being made is waited for."""
        async with self._turn:
            self._stay()
            await self._end()

    async def _tried(self, descriptor: int, edge: int) -> bytes:
        for _ in range(TRIES):
            self._worker = self._worker or _Worker()
            try:
                async with asyncio.timeout(self._patience):
                    return await self._worker.ask(descriptor, edge)
            except TimeoutError:
                await self._end()
                raise Unshowable("it takes too long to be shown") from None
            except _Died:
                code = await self._end()
                log.warning("preview.worker_died", code=code)
                if code == system.EXHAUSTED:
                    break
        raise Unshowable("it takes too much to be shown")

    def _stay(self) -> None:
        if self._retiring:
            self._retiring.cancel()
            self._retiring = None

    def _retire(self) -> None:
        """Let the worker go; a picture asked for at this moment starts another."""
        self._retiring = None
        worker, self._worker = self._worker, None
        if worker:
            asyncio.get_running_loop().run_in_executor(None, worker.end)

    async def _end(self) -> int | None:
        worker, self._worker = self._worker, None
        return await asyncio.to_thread(worker.end) if worker else None


class _Worker:
    """The process and our end of its socket."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair()
        try:
            self._channel.setblocking(False)
            kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
            self.process = system.Process(_ARGUMENTS, theirs, kept)
        except OSError:
            self._channel.close()
            raise
        finally:
            theirs.close()

    async def ask(self, descriptor: int, edge: int) -> bytes:
        """Return a picture; :class:`Unshowable` or :class:`_Died`."""
        try:
            self.process.send(self._channel, REQUEST.pack(edge), descriptor)
            found, length = ANSWER.unpack(await self._receive(ANSWER.size))
            body = await self._receive(length)
        except OSError:
            raise _Died from None
        if not found:
            raise Unshowable(body.decode())
        return body

    async def _receive(self, length: int) -> bytes:
        loop = asyncio.get_running_loop()
        parts = bytearray()
        while len(parts) < length:
            part = await loop.sock_recv(self._channel, min(READ, length - len(parts)))
            if not part:
                raise _Died
            parts += part
        return bytes(parts)

    def end(self) -> int:
        """End the process and return its code; blocks for as long as the kernel needs to clear it away."""
        self._channel.close()
        return self.process.end()
