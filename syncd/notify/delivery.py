"""Defines the targets of notifications and runs their child processes.

The targets are in :mod:`~syncd.notify.targets`. Each delivers in a child process: one that does not end in time is
killed, and what it loads or leaks never reaches the daemon.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from syncd.notify.message import Message
from syncd.platform import child_process

TIMEOUT_SECONDS = 60.0
"""The longest time for one delivery."""


class DeliveryError(Exception):
    """A delivery failed; a later one can succeed.

    The text is one line without a secret.
    """


class Target(Protocol):
    """A receiver of messages. Equal targets deliver to the same receiver."""

    @property
    def name(self) -> str:
        """The name for logs, without a secret."""

    async def send(self, message: Message) -> None:
        """Deliver a message.

        Raises :class:`DeliveryError`. A cancelled call leaves no process behind.
        """


async def run_child(
    arguments: Sequence[str], stdin: bytes, *, environment: Mapping[str, str] | None = None, read_output: bool = False
) -> tuple[int, bytes]:
    """Run a program with this input; return its exit code and its output.

    The output is empty unless ``read_output``. Raises :class:`DeliveryError` if it cannot start, or after
    :data:`TIMEOUT_SECONDS`, when it is killed.
    """
    create = asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE if read_output else asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
        **child_process.SEPARATE,
    )
    try:
        process = await _start(create)
    except (OSError, ValueError) as error:  # ValueError: a null byte in an argument
        raise DeliveryError(f"cannot be started: {getattr(error, 'strerror', None) or 'invalid argument'}") from None
    transport = process._transport  # type: ignore[attr-defined] # noqa: SLF001 - has the Popen, for Windows' job object
    with child_process.ended_with_parent(transport.get_extra_info("subprocess")):
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                output, _, _ = await asyncio.gather(_read(process), _feed(process, stdin), process.wait())
        except TimeoutError:
            raise DeliveryError(f"has not ended within {TIMEOUT_SECONDS:g} s") from None
        finally:
            if process.returncode is None:
                child_process.kill_tree(process.pid)
                await process.wait()
    return process.returncode or 0, output


async def _start(create: Coroutine[Any, Any, asyncio.subprocess.Process]) -> asyncio.subprocess.Process:
    """Start a process; if cancelled, kill it first: it may run before ``create`` returns."""
    starting = asyncio.create_task(create)
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(OSError, ValueError):
            process = await starting
            child_process.kill_tree(process.pid)
            await process.wait()
        raise


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    """Write the standard input; a program may end without reading it."""
    assert process.stdin is not None
    # uvloop raises RuntimeError for a pipe that it has closed, which Process.communicate does not expect.
    with suppress(BrokenPipeError, ConnectionResetError, RuntimeError):
        process.stdin.write(data)
        await process.stdin.drain()
    with suppress(RuntimeError):
        process.stdin.close()


async def _read(process: asyncio.subprocess.Process) -> bytes:
    return b"" if process.stdout is None else await process.stdout.read()
