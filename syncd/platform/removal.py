"""Deletes a user's file or moves it away; nothing else in syncd does.

:func:`remove` decides the order of the steps; :mod:`~syncd.platform.removable_file` implements each.
(:mod:`syncd.daemon.dashboard_uploads` and :mod:`syncd.recovery.restore_folder` remove only their own hidden files.)

The path is opened directory by directory without following links, so that no link or exchanged folder leads elsewhere.
The file is read while no process has it open for writing, renamed to a hidden name, compared with what was read, and
only then removed. If anything is wrong, it gets its own name back. All functions block.
"""

import errno
import os
import secrets
import threading
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass

from syncd.core.model import Fingerprint
from syncd.platform import openat
from syncd.platform.archive_directory import ArchiveDirectory, NotRemovedError
from syncd.platform.read_lease import ReadLease, Writer
from syncd.platform.removable_file import (
    CHANGED,
    INTERRUPTED,
    OPEN,
    ContentMismatchError,
    Digest,
    open_parent,
    open_removable,
    put_back,
)

__all__ = [
    "CHANGED",
    "INTERRUPTED",
    "ArchiveDirectory",
    "ContentMismatchError",
    "Digest",
    "NotRemovedError",
    "RemovalProof",
    "hidden_name",
    "put_back",
    "recover",
    "remove",
]

MAYBE_OPEN = "not quiet for long enough, and its file system can't tell whether it is open for writing"
_HIDDEN_NAME = ".syncd-removing-{}.part"


@dataclass(frozen=True, kw_only=True, slots=True)
class RemovalProof:
    """The proof that a file may be removed.

    ``digests`` check its content. ``quiet`` means that the file has not changed for long enough to be removed even
    where no system call tells whether a process has it open for writing.
    """

    fingerprint: Fingerprint
    digests: Sequence[Digest]
    quiet: bool


def hidden_name() -> str:
    """Return a name that no file has, and that the watched folders exclude."""
    return _HIDDEN_NAME.format(secrets.token_hex(8))


def remove(
    root: str, path: str, proven: RemovalProof, hidden: str, *, archive: ArchiveDirectory | None, stop: threading.Event
) -> None:
    """Delete the file ``path`` below ``root``, or move it to ``archive``.

    Raises :class:`NotRemovedError` or OSError if it stays. ``hidden``, from :func:`hidden_name`, is the temporary name
    of the file. Setting ``stop`` ends the reading.
    """
    with open_removable(root, path) as entry, archive.opened() if archive is not None else nullcontext() as into:
        entry.fingerprint = proven.fingerprint
        entry.check_unchanged()
        entry.check_removable()
        with ReadLease(entry.file) as lease:
            entry.lease = lease
            if lease.granted is Writer.OPEN:
                raise NotRemovedError(OPEN)
            if lease.granted is Writer.UNKNOWN and not proven.quiet:
                raise NotRemovedError(MAYBE_OPEN)
            sha256 = entry.read(proven.digests, stop)
            entry.check_unchanged()
            entry.hide(hidden)
            try:
                entry.check_unchanged()
                if into is None:
                    openat.remove(entry.directory, hidden)
                else:
                    entry.move(hidden, into, path, sha256, stop)
            except BaseException:
                with suppress(FileNotFoundError):
                    put_back(entry.directory, hidden, entry.name)
                raise


def recover(root: str, path: str, hidden: str) -> str | None:
    """Give the file that an interrupted removal has hidden its name back.

    Return the name, with a number if another file has it now; None if there is no hidden file. Raises OSError if that
    is unknown, for example because ``root`` is empty: its file system may not be mounted.
    """
    if not os.listdir(root):
        raise FileNotFoundError(errno.ENOENT, "it is empty; is its file system mounted?", root)
    try:
        with open_parent(root, path) as (directory, name):
            return put_back(directory, hidden, name)
    except (FileNotFoundError, NotRemovedError):
        return None
