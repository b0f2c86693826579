"""Finds out whether a process on this machine has a file open for writing.

A file that does not change may still be unfinished. Linux grants a read lease only on a file that no process has open
or mapped for writing. Windows opens a file without write sharing only then. Other systems cannot tell.
"""

import sys
from enum import Enum
from types import TracebackType

if sys.platform == "win32":
    from syncd.platform.windows.read_lease import acquire, is_broken, release
else:
    from syncd.platform.posix.read_lease import acquire, is_broken, release


class Writer(Enum):
    """The answer to the question whether a process has a file open for writing."""

    NONE = "none"
    OPEN = "open"
    UNKNOWN = "unknown"
    """Unknown: a network file system, a missing right (CAP_LEASE for files of other owners), or macOS."""


class ReadLease:
    """Takes a read lease on a file during the context. Not thread-safe.

    ``descriptor`` is open for reading only, and has no other lease. A process that opens the file for writing waits for
    the end of the context (on Linux for up to 45 s, then :meth:`broken` is true), or gets an error (with O_NONBLOCK,
    and on Windows); so keep the context short.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lease: int | None = None
        self.granted = Writer.UNKNOWN
        """The result at the start of the context."""

    def __enter__(self) -> "ReadLease":
        try:
            self._lease = acquire(self._descriptor)
            self.granted = Writer.NONE
        except BlockingIOError:
            self.granted = Writer.OPEN
        except OSError:
            self.granted = Writer.UNKNOWN
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._lease is not None:
            release(self._lease)
            self._lease = None

    def broken(self) -> bool:
        """Return whether a writer has opened the file since the start; False without a lease."""
        return self._lease is not None and is_broken(self._lease)


def writer(descriptor: int) -> Writer:
    """Return whether a process has the file open for writing.

    ``descriptor`` is as for :class:`ReadLease`.
    """
    with ReadLease(descriptor) as lease:
        return lease.granted
