"""Starts the worker when it is needed, talks to it, and ends it when it is idle, hangs or dies.

The worker inherits its end of one socket and nothing else: no open file of the daemon, no environment that may hold a
token, no terminal whose Ctrl-C is meant for the daemon. What it sends is not trusted: an image may have taken it over.
"""

import asyncio
import os
import socket
import sys

import structlog

from syncd.preview.protocol import ANSWER, GREETING, LARGEST_ANSWER, LONGEST_REASON, PICTURES, REQUEST, Unshowable

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
        self._layers: tuple[str, ...] = ()
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
            worker = await self._present()
            try:
                async with asyncio.timeout(self._patience):
                    self._report(await worker.sandbox())
                    return await worker.ask(descriptor, edge)
            except TimeoutError:
                await self._end()
                raise Unshowable("it takes too long to be shown") from None
            except _Died:
                code = await self._end()
                log.warning("preview.worker_died", code=code)
                if code == system.EXHAUSTED:
                    break
        raise Unshowable("it takes too much to be shown")

    async def _present(self) -> "_Worker":
        """Return a worker that may make one more picture."""
        if self._worker and self._worker.asked == PICTURES:
            await self._end()
        self._worker = self._worker or _Worker()
        return self._worker

    def _report(self, layers: tuple[str, ...]) -> None:
        """Log what the worker's sandbox is made of, once and whenever it changes."""
        if layers != self._layers:
            self._layers = layers
            missing = [layer for layer in system.LAYERS if layer not in layers]
            log.info("preview.sandboxed", layers=list(layers), missing=missing)

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
        self.asked = 0
        self._sandbox: tuple[str, ...] | None = None
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

    async def sandbox(self) -> tuple[str, ...]:
        """Return the layers of its sandbox that are in force, as it told before it got any image; or :class:`_Died`."""
        if self._sandbox is None:
            (length,) = GREETING.unpack(await self._receive(GREETING.size))
            self._sandbox = tuple((await self._receive(length)).decode().split())
        return self._sandbox

    async def ask(self, descriptor: int, edge: int) -> bytes:
        """Return a picture; :class:`Unshowable` or :class:`_Died`."""
        try:
            self.process.send(self._channel, REQUEST.pack(edge), descriptor)
        except OSError:
            raise _Died from None
        self.asked += 1
        found, length = ANSWER.unpack(await self._receive(ANSWER.size))
        if length > (LARGEST_ANSWER if found else LONGEST_REASON):
            raise _Died
        body = await self._receive(length)
        if found:
            return body
        reason = body.decode("ascii", "replace")
        if not reason.isprintable():
            raise _Died
        raise Unshowable(reason)

    async def _receive(self, length: int) -> bytes:
        loop = asyncio.get_running_loop()
        parts = bytearray()
        while len(parts) < length:
            try:
                part = await loop.sock_recv(self._channel, min(READ, length - len(parts)))
            except OSError:
                raise _Died from None
            if not part:
                raise _Died
            parts += part
        return bytes(parts)

    def end(self) -> int:
        """End the process and return its code; blocks for as long as the kernel needs to clear it away."""
        self._channel.close()
        return self.process.end()
