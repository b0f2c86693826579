"""Defines the targets of notifications and runs their child processes.

The targets are in :mod:`~syncd.notify.targets`. Each delivers in a child process: one that does not end in time is
killed, and what it loads or leaks never reaches the daemon.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

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
    try:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE if read_output else asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
            **child_process.SEPARATE,
        )
    except (OSError, ValueError) as error:  # ValueError: a null byte in an argument
        raise DeliveryError(f"cannot be started: {getattr(error, 'strerror', None) or 'invalid argument'}") from None
    transport = process._transport  # type: ignore[attr-defined] # noqa: SLF001 - has the Popen, for Windows' job object
    with child_process.ended_with_parent(transport.get_extra_info("subprocess")):
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                output, _ = await process.communicate(stdin)
        except TimeoutError:
            raise DeliveryError(f"has not ended within {TIMEOUT_SECONDS:g} s") from None
        finally:
            if process.returncode is None:
                child_process.kill_tree(process.pid)
                await process.wait()
    return process.returncode or 0, output or b""
