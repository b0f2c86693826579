"""Giving a finished file its name, if that is free: never over another file, whatever file system it is."""

import os
import sys


def give_name(part: str, name: str, directory: int | None = None) -> None:
    """Rename ``part`` to ``name`` in the same directory, maybe an open one; FileExistsError if it is taken. Blocks."""
    if sys.platform == "win32":
        os.rename(part, name)  # which never takes a name from another there
        return
    try:
        os.link(part, name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
    except OSError:  # it is taken, or there are no hard links here: take it first, then replace our own empty file
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, dir_fd=directory))
        try:
            os.replace(part, name, src_dir_fd=directory, dst_dir_fd=directory)
        except OSError:
            os.unlink(name, dir_fd=directory)
            raise
    else:
        os.unlink(part, dir_fd=directory)
