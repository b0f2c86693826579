"""The Unix twin of :mod:`syncd.platform.windows.file_info`, where most of it is trivial."""

import os
import sys

assert sys.platform != "win32"

read_at = os.pread


def is_link(entry: "os.DirEntry[str]") -> bool:
    """Return whether a directory entry is a symbolic link."""
    return entry.is_symlink()


def on_disk_case(folder: str, path: str, known: dict[str, str | None] | None = None) -> str | None:  # noqa: ARG001 - twin
    """Return ``path``: names that differ in case are different files here."""
    return path


def has_stable_file_ids(path: str) -> bool:  # noqa: ARG001 - twin
    """Return True: inode numbers are stable."""
    return True
