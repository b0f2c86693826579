"""Files by their names in an open directory: no link is followed there, and no name leads elsewhere.

Whatever becomes of its path meanwhile, the directory stays the one that was opened. Directories and files are
descriptors, to be closed by ``os.close``. All of it blocks, and raises OSError.
"""

import os
import sys

__all__ = [
    "create",
    "enter",
    "lock_directory",
    "open_directory",
    "open_file",
    "open_inside",
    "remove",
    "rename",
    "rename_private",
    "set_times",
    "sync",
]

if sys.platform == "win32":
    from syncd.platform.windows.files import (
        create,
        enter,
        lock_directory,
        open_directory,
        open_file,
        open_inside,
        remove,
        rename,
        set_times,
        sync,
    )

    def rename_private(directory: int, name: str, wanted: str) -> None:
        """Give a file, in one step, a name that nobody else can have."""
        rename(directory, name, wanted)
else:
    import ctypes
    import errno
    import fcntl
    import stat
    from contextlib import ExitStack, suppress

    from syncd.platform.open_flags import SAFE_OPEN_FLAGS

    _DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    _NOREPLACE = 1  # linux/fs.h
    _NOT_OFFERED = (errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.ENOTSUP)
    """What a kernel or a file system says that can't rename without replacing."""
    _libc = ctypes.CDLL(None, use_errno=True)

    def rename_exclusively(directory: int, name: str, into: int, wanted: str) -> None:
        """Rename in one step, if the name is free; OSError with one of ``_NOT_OFFERED`` where that can't be had."""
        call = getattr(_libc, "renameat2", None)
        if call is None:  # it is Linux's
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        if call(directory, os.fsencode(name), into, os.fsencode(wanted), _NOREPLACE) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), name)

    def open_directory(path: str) -> int:
        """Open the directory at ``path``, wherever links lead to; return its descriptor."""
        return os.open(path, _DIRECTORY)

    def enter(directory: int, name: str, *, make: bool = False) -> int:
        """Open the directory ``name``, made if missing and asked for; OSError if it is a link or a file."""
        if make:
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=directory)
        return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)

    def open_file(directory: int, name: str, *, write: bool = False) -> int:
        """Open the file ``name`` for reading, maybe for writing too."""
        return os.open(name, (os.O_RDWR if write else os.O_RDONLY) | SAFE_OPEN_FLAGS, dir_fd=directory)

    def open_inside(folder: str, path: str, *, follow_symlinks: bool) -> int:
        """Open the regular file ``path`` below ``folder`` for reading; return its descriptor.

        ``ELOOP`` if there is a symlink on the way that is not to be followed, or if it is no regular file.
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
        if not stat.S_ISREG(mode):  # looked at before: opening a device or a FIFO may have effects
            raise OSError(errno.ELOOP, "not a regular file", name)
        return os.open(
            name, os.O_RDONLY | (SAFE_OPEN_FLAGS & ~os.O_NOFOLLOW if follow_symlinks else SAFE_OPEN_FLAGS), dir_fd=above
        )

    def create(directory: int, name: str) -> int:
        """Make the file ``name``, open for reading and writing; FileExistsError if the name is taken."""
        return os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | SAFE_OPEN_FLAGS, 0o666, dir_fd=directory)

    def remove(directory: int, name: str) -> None:
        """Remove the file, or the link, that has the name."""
        os.unlink(name, dir_fd=directory)

    def rename_private(directory: int, name: str, wanted: str) -> None:
        """Give a file, in one step, a name that nobody else can have; it would replace what has that name."""
        os.rename(name, wanted, src_dir_fd=directory, dst_dir_fd=directory)

    def rename(directory: int, name: str, wanted: str, *, into: int | None = None) -> None:
        """Give a file another name in its directory, or in the directory ``into``, whatever file system it is.

        FileExistsError if the name is taken. OSError with ``EXDEV`` if ``into`` is on another file system.
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
            # It is taken, or there are no hard links here: take it first, then replace our own empty file.
            os.close(os.open(wanted, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, dir_fd=target))
            try:
                os.replace(name, wanted, src_dir_fd=directory, dst_dir_fd=target)
            except OSError:
                os.unlink(wanted, dir_fd=target)
                raise
        else:
            os.unlink(name, dir_fd=directory)

    def sync(directory: int) -> None:
        """Have the names in a directory on the disk."""
        os.fsync(directory)

    def set_times(descriptor: int, ns: int) -> None:
        """Have an open file last used and changed then; OverflowError for a time that it can't have."""
        os.utime(descriptor, ns=(ns, ns))

    def lock_directory(directory: int) -> int:
        """Have a directory for oneself as long as the descriptor returned is open; BlockingIOError if another has."""
        held = os.open(".", _DIRECTORY, dir_fd=directory)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            raise
        return held
