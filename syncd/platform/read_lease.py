"""Finds out whether a process on this machine has a file open for writing: a quiet file may not be finished.

Linux grants a read lease only on a file that no process has open or mapped for writing. Windows opens a file without
write sharing only then. Other systems cannot tell.
"""

import os
import sys
from enum import Enum
from types import TracebackType

if sys.platform == "win32":
    from syncd.platform.windows.file_info import open_without_write_sharing
elif sys.platform == "linux":
    import ctypes
    import errno
    import fcntl
    import signal

    _libc = ctypes.CDLL(None, use_errno=True)
    _STATFS_SIZE = 256
    """More bytes than any system's ``struct statfs`` has; the type comes first in it."""
    _FUSE = 0x65735546
    _SHARED = {0x6969, 0x517B, 0xFF534D42, 0xFE534D42, 0x5346414F, 0x00C36400, 0x01021997, 0x73757245}
    _SHARED |= {0x0BD00BD0, 0x786F4256, 0x01161970, 0x7461636F, 0x564C, 0x47504653, 0x19830326}
    """NFS, SMB, CIFS, SMB2, AFS, Ceph, 9P and Coda; Lustre, vboxsf, GFS2, OCFS2, NCP, GPFS and BeeGFS. Other machines
    write to these too, and some refuse a lease with EAGAIN for reasons of their own."""


class Writer(Enum):
    """Whether a process has a file open for writing."""

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
        self._unshared: int | None = None
        self.granted = Writer.UNKNOWN
        """The result at the start of the context."""

    def __enter__(self) -> "ReadLease":
        if sys.platform == "win32":
            self.granted, self._unshared = self._open_unshared()
        elif sys.platform == "linux":
            self.granted = _take(self._descriptor)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._unshared is not None:
            os.close(self._unshared)
            self._unshared = None
        if sys.platform == "linux" and self.granted is Writer.NONE:
            fcntl.fcntl(self._descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    def broken(self) -> bool:
        """Return whether a writer has opened the file since the start; False without a lease."""
        if sys.platform == "linux" and self.granted is Writer.NONE:
            return fcntl.fcntl(self._descriptor, fcntl.F_GETLEASE) != fcntl.F_RDLCK
        return False

    if sys.platform == "win32":

        def _open_unshared(self) -> tuple[Writer, int | None]:
            try:
                return Writer.NONE, open_without_write_sharing(self._descriptor)
            except BlockingIOError:
                return Writer.OPEN, None
            except OSError:
                return Writer.UNKNOWN, None


def writer(descriptor: int) -> Writer:
    """Return whether a process has the file open for writing; ``descriptor`` as for :class:`ReadLease`."""
    with ReadLease(descriptor) as lease:
        return lease.granted


if sys.platform == "linux":

    def _take(descriptor: int) -> Writer:
        """Take a lease on an open file if it has no writer."""
        kind = _file_system(descriptor)
        if kind is None or kind in _SHARED:
            return Writer.UNKNOWN
        try:
            # By default the kernel reports a writer by SIGIO, which ends the process; SIGURG is ignored by default.
            fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            return Writer.OPEN if error.errno == errno.EAGAIN else Writer.UNKNOWN
        if kind != _FUSE:
            return Writer.NONE
        # A FUSE file system may be shared with other machines.
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return Writer.UNKNOWN

    def _file_system(descriptor: int) -> int | None:
        """Return the type number of the file system of an open file; None if it is unknown."""
        status = ctypes.create_string_buffer(_STATFS_SIZE)
        if _libc.fstatfs(descriptor, status) != 0:
            return None
        return int.from_bytes(status.raw[:4], sys.byteorder)
