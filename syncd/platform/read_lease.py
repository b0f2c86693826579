"""Whether any process of this machine has a file open for writing: what tells a finished file from a quiet one.

Linux grants a read lease only on a file that nobody has open for writing, or mapped into memory for writing. Windows
opens a file without write sharing only then. Elsewhere it can't be told.
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
    """Whether somebody has a file open for writing."""

    NONE = "none"
    OPEN = "open"
    UNKNOWN = "unknown"
    """It can't be told: a network file system, no right to ask (CAP_LEASE, for files of other owners), or macOS."""


class ReadLease:
    """A look at whether a file has a writer, which lasts as long as the context. For one thread at a time.

    ``descriptor`` is open for reading only, and has no other lease. Whoever opens the file for writing meanwhile waits
    for the end of the context (on Linux for 45 s at most, then :meth:`broken` is true), or is refused (with O_NONBLOCK,
    and on Windows); so be brief.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._unshared: int | None = None
        self.granted = Writer.UNKNOWN
        """What was found at the start of the context."""

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
        """Say whether a writer has come since the start; False where none was to be seen then, or can come."""
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
    """Say whether any process has the file open for writing; ``descriptor`` as for :class:`ReadLease`."""
    with ReadLease(descriptor) as lease:
        return lease.granted


if sys.platform == "linux":

    def _take(descriptor: int) -> Writer:
        """Take a lease on an open file, if nobody writes to it."""
        kind = _file_system(descriptor)
        if kind is None or kind in _SHARED:
            return Writer.UNKNOWN
        try:
            # By default SIGIO tells of a writer, which ends a process; SIGURG is ignored by one that has no use for it.
            fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            return Writer.OPEN if error.errno == errno.EAGAIN else Writer.UNKNOWN
        if kind != _FUSE:
            return Writer.NONE
        # What is behind FUSE may be another machine's.
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return Writer.UNKNOWN

    def _file_system(descriptor: int) -> int | None:
        """Return the kind of the file system that an open file is on; None if that can't be told."""
        status = ctypes.create_string_buffer(_STATFS_SIZE)
        if _libc.fstatfs(descriptor, status) != 0:
            return None
        return int.from_bytes(status.raw[:4], sys.byteorder)
