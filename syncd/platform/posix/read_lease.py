"""The Unix twin of :mod:`syncd.platform.windows.read_lease`.

Only Linux has read leases.
"""

import ctypes
import errno
import fcntl
import os
import signal
import sys

assert sys.platform != "win32"

_STATFS_SIZE = 256
"""More bytes than any system's ``struct statfs`` has; the type comes first in it."""
FUSE = 0x65735546
_SHARED = {0x6969, 0x517B, 0xFF534D42, 0xFE534D42, 0x5346414F, 0x00C36400, 0x01021997, 0x73757245}
_SHARED |= {0x0BD00BD0, 0x786F4256, 0x01161970, 0x7461636F, 0x564C, 0x47504653, 0x19830326}
"""NFS, SMB, CIFS, SMB2, AFS, Ceph, 9P and Coda; Lustre, vboxsf, GFS2, OCFS2, NCP, GPFS and BeeGFS. Other machines
write to these too, and some refuse a lease with EAGAIN for reasons of their own."""
_libc = ctypes.CDLL(None, use_errno=True)

if sys.platform == "linux":

    def acquire(descriptor: int) -> int:
        """Take a read lease on an open file, and return it.

        Raises BlockingIOError if a process has the file open for writing, another OSError if that is unknown.
        """
        kind = file_system_type(descriptor)
        if kind is None or kind in _SHARED:
            raise _unsupported()
        # By default the kernel reports a writer by SIGIO, which ends the process; SIGURG is ignored by default.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        if kind == FUSE:  # the file system may be shared with other machines
            release(descriptor)
            raise _unsupported()
        return descriptor

    def release(lease: int) -> None:
        """Give up a lease."""
        fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    def is_broken(lease: int) -> bool:
        """Return whether a writer has opened the file since the lease began."""
        return fcntl.fcntl(lease, fcntl.F_GETLEASE) != fcntl.F_RDLCK

else:

    def acquire(_descriptor: int) -> int:
        """Raise OSError: this system has no leases."""
        raise _unsupported()

    def release(_lease: int) -> None:
        """Do nothing: this system has no leases."""

    def is_broken(_lease: int) -> bool:
        """Return False: this system has no leases."""
        return False


def file_system_type(descriptor: int) -> int | None:
    """Return the type number of the file system of an open file on Linux.

    None if it is unknown.
    """
    status = ctypes.create_string_buffer(_STATFS_SIZE)
    if _libc.fstatfs(descriptor, status) != 0:
        return None
    return int.from_bytes(status.raw[:4], sys.byteorder)


def _unsupported() -> OSError:
    return OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
