"""Starts the worker on demand, sends it requests, and ends it when it is idle or hangs.

The worker inherits only its end of one socket: no open file of the daemon, no environment variable that may contain a
token, and no terminal, so that Ctrl-C reaches only the daemon. The renderer does not trust the worker's answers,
because a hostile image may have taken the worker over.
"""

import asyncio
import os
import socket

import structlog

from syncd.preview import system
from syncd.preview.protocol import (
    ANSWER,
    GREETING,
    MAX_ANSWER_BYTES,
    MAX_REASON_BYTES,
    PREVIEWS_PER_WORKER,
    REQUEST,
    NoPreviewError,
)

IDLE_TIMEOUT_SECONDS = 60.0
"""Time from the last preview to the end of the worker."""
RENDER_TIMEOUT_SECONDS = 20.0
"""Elapsed time for one preview. The limit for CPU time is lower, because a slow disk adds waiting time."""
MAX_ATTEMPTS = 2
"""Workers that may die before an image has no preview: another cause may have killed the first one."""
READ_SIZE_BYTES = 256 * 1024
_ARGUMENTS = ("-P", "-m", "syncd.preview.worker")
_KEPT = ("LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "SYSTEMROOT")
"""Environment variables that the interpreter may need to start."""

log = structlog.get_logger()


class _WorkerDiedError(Exception):
    """The worker ended or sent an invalid message."""


class Renderer:
    """Renders one preview at a time. Times are in seconds.

    Use it in one event loop, and call :meth:`close` at the end.
    """

    def __init__(self, *, idle: float = IDLE_TIMEOUT_SECONDS, render_timeout: float = RENDER_TIMEOUT_SECONDS) -> None:
        self._idle = idle
        self._render_timeout = render_timeout
        self._lock = asyncio.Lock()
        self._worker: _Worker | None = None
        self._layers: tuple[str, ...] = ()
        self._retiring: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """The worker's process id; None if no worker runs."""
        return self._worker.process.pid if self._worker else None

    async def render(self, descriptor: int, edge: int) -> bytes:
        """Return a WebP preview of an open file, with no edge longer than ``edge`` pixels.

        Raises :class:`NoPreviewError` if the file has none.
        """
        async with self._lock:
            self._cancel_retirement()
            try:
                return await self._render_with_retry(descriptor, edge)
            except BaseException as error:
                if not isinstance(error, NoPreviewError):
                    await self._end()  # a part of its answer may be in the socket
                raise
            finally:
                self._retiring = asyncio.get_running_loop().call_later(self._idle, self._retire)

    async def close(self) -> None:
        """End the worker after the preview in progress."""
        async with self._lock:
            self._cancel_retirement()
            await self._end()

    async def _render_with_retry(self, descriptor: int, edge: int) -> bytes:
        for _ in range(MAX_ATTEMPTS):
            worker = await self._available_worker()
            try:
                async with asyncio.timeout(self._render_timeout):
                    self._report(await worker.sandbox())
                    return await worker.ask(descriptor, edge)
            except TimeoutError:
                await self._end()
                raise NoPreviewError("rendering the preview takes too long") from None
            except _WorkerDiedError:
                code = await self._end()
                log.warning("preview.worker_died", code=code)
                if code == system.EXHAUSTED:
                    break
        raise NoPreviewError("rendering the preview takes too much time or memory")

    async def _available_worker(self) -> "_Worker":
        """Return a worker that may render another preview. Start one if necessary."""
        if self._worker and self._worker.asked == PREVIEWS_PER_WORKER:
            await self._end()
        self._worker = self._worker or _Worker()
        return self._worker

    def _report(self, layers: tuple[str, ...]) -> None:
        """Log the layers of the worker's sandbox, for the first worker and after every change."""
        if layers != self._layers:
            self._layers = layers
            missing = [layer for layer in system.LAYERS if layer not in layers]
            log.info("preview.sandboxed", layers=list(layers), missing=missing)

    def _cancel_retirement(self) -> None:
        if self._retiring:
            self._retiring.cancel()
            self._retiring = None

    def _retire(self) -> None:
        """End the idle worker. A request that arrives now starts another one."""
        self._retiring = None
        worker, self._worker = self._worker, None
        if worker:
            asyncio.get_running_loop().run_in_executor(None, worker.end)

    async def _end(self) -> int | None:
        worker, self._worker = self._worker, None
        return await asyncio.to_thread(worker.end) if worker else None


class _Worker:
    """The worker process and the daemon's end of the socket."""

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
        """Return the sandbox layers in force, which the worker reports before its first image."""
        if self._sandbox is None:
            (length,) = GREETING.unpack(await self._receive(GREETING.size))
            self._sandbox = tuple((await self._receive(length)).decode().split())
        return self._sandbox

    async def ask(self, descriptor: int, edge: int) -> bytes:
        """Return a preview, or raise :class:`NoPreviewError` or :class:`_WorkerDiedError`."""
        try:
            self.process.send(self._channel, REQUEST.pack(edge), descriptor)
        except OSError:
            raise _WorkerDiedError from None
        self.asked += 1
        found, length = ANSWER.unpack(await self._receive(ANSWER.size))
        if length > (MAX_ANSWER_BYTES if found else MAX_REASON_BYTES):
            raise _WorkerDiedError
        body = await self._receive(length)
        if found:
            return body
        reason = body.decode("ascii", "replace")
        if not reason.isprintable():
            raise _WorkerDiedError
        raise NoPreviewError(reason)

    async def _receive(self, length: int) -> bytes:
        loop = asyncio.get_running_loop()
        parts = bytearray()
        while len(parts) < length:
            try:
                part = await loop.sock_recv(self._channel, min(READ_SIZE_BYTES, length - len(parts)))
            except OSError:
                raise _WorkerDiedError from None
            if not part:
                raise _WorkerDiedError
            parts += part
        return bytes(parts)

    def end(self) -> int:
        """Kill the process, block until the kernel has removed it, and return its exit code."""
        self._channel.close()
        return self.process.end()
