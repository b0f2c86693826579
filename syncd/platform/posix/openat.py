"""The Unix twin of :mod:`syncd.platform.windows.openat`."""

import ctypes
import errno
import fcntl
import os
import stat
import sys
from contextlib import ExitStack, suppress

from syncd.platform.posix import files

assert sys.platform != "win32"

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NOREPLACE = 1  # linux/fs.h
_NOT_OFFERED = (errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.ENOTSUP)
"""Errors of a kernel or a file system that cannot rename without replacing."""
_libc = ctypes.CDLL(None, use_errno=True)


def rename_exclusively(directory: int, name: str, into: int, wanted: str) -> None:
    """Rename in one step if the name is free.

    Raises OSError with one of ``_NOT_OFFERED`` if that is not supported.
    """
    call = getattr(_libc, "renameat2", None)
    if call is None:  # only Linux has it
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if call(directory, os.fsencode(name), into, os.fsencode(wanted), _NOREPLACE) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), name)


def open_directory(path: str) -> int:
    """Open the directory at ``path``, following links; return its descriptor."""
    return os.open(path, _DIRECTORY)


def enter(directory: int, name: str, *, make: bool = False) -> int:
    """Open the directory ``name``, creating it first if ``make``.

    Raises OSError if it is a link or a file.
    """
    if make:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=directory)
    return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)


def open_file(directory: int, name: str, *, write: bool = False) -> int:
    """Open the file ``name`` for reading, with ``write`` for writing too."""
    return os.open(name, (os.O_RDWR if write else os.O_RDONLY) | files.SAFE_OPEN_FLAGS, dir_fd=directory)


def open_inside(folder: str, path: str, *, follow_symlinks: bool) -> int:
    """Open the regular file ``path`` below ``folder`` for reading; return its descriptor.

    Raises OSError with ``ELOOP`` for a symbolic link that must not be followed, or if it is not a regular file.
    """
    if follow_symlinks:
        return _open_regular(os.path.join(folder, path), None, follow_symlinks=True)
    *parents, name = path.split("/")
    with ExitStack() as stack:
        above = open_directory(folder)
        stack.callback(os.close, above)
        for parent in parents:
            above = enter(above, parent)
            stack.callback(os.close, above)
        return _open_regular(name, above, follow_symlinks=False)


def _open_regular(name: str, above: int | None, *, follow_symlinks: bool) -> int:
    mode = os.stat(name, dir_fd=above, follow_symlinks=follow_symlinks).st_mode
    if not stat.S_ISREG(mode):  # check first: opening a device or a FIFO may have effects
        raise OSError(errno.ELOOP, "not a regular file", name)
    return os.open(
        name,
        os.O_RDONLY | (files.SAFE_OPEN_FLAGS & ~os.O_NOFOLLOW if follow_symlinks else files.SAFE_OPEN_FLAGS),
        dir_fd=above,
    )


def create(directory: int, name: str) -> int:
    """Create and open the file ``name`` for reading and writing.

    Raises FileExistsError if the name is taken.
    """
    return os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | files.SAFE_OPEN_FLAGS, 0o666, dir_fd=directory)


def remove(directory: int, name: str) -> None:
    """Remove the file or link ``name``."""
    os.unlink(name, dir_fd=directory)


def rename_private(directory: int, name: str, wanted: str) -> None:
    """Rename a file in one step.

    Use it only for a random name: an existing file of that name would be replaced.
    """
    os.rename(name, wanted, src_dir_fd=directory, dst_dir_fd=directory)


def rename(directory: int, name: str, wanted: str, *, into: int | None = None) -> None:
    """Rename a file in its directory or into ``into``, on any kind of file system.

    Raises FileExistsError if the name is taken, OSError with ``EXDEV`` if ``into`` is on another file system.
    """
    target = directory if into is None else into
    try:
        rename_exclusively(directory, name, target, wanted)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise
    else:
        return
    try:
        os.link(name, wanted, src_dir_fd=directory, dst_dir_fd=target, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise
        # The name is taken or there are no hard links: create an empty file first, then replace that file.
        os.close(os.open(wanted, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, dir_fd=target))
        try:
            os.replace(name, wanted, src_dir_fd=directory, dst_dir_fd=target)
        except OSError:
            os.unlink(wanted, dir_fd=target)
            raise
    else:
        os.unlink(name, dir_fd=directory)


def sync(directory: int) -> None:
    """Write the names in a directory to the disk."""
    os.fsync(directory)


def set_times(descriptor: int, ns: int) -> None:
    """Set access and modification time of an open file; OverflowError for an impossible time."""
    os.utime(descriptor, ns=(ns, ns))


def lock_directory(directory: int) -> int:
    """Lock a directory while the returned descriptor is open.

    Raises BlockingIOError if another process has locked it.
    """
    held = os.open(".", _DIRECTORY, dir_fd=directory)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise
    return held
