"""Checks through an open descriptor that no program still writes to a file, just before the file is reported.

The scanner works without opening files; this check opens the file. It blocks: call it in a thread.
"""

import errno
import os
from dataclasses import replace
from enum import Enum, auto

from syncd.core.model import FoundFile
from syncd.platform.birth_time import birth_ns
from syncd.platform.openat import open_inside
from syncd.platform.read_lease import Writer, writer
from syncd.watch.scanner import WatchedTree, fingerprint_of


class Unfinished(Enum):
    """Why a file cannot be reported yet."""

    IN_USE = auto()
    """A program has it open for writing."""
    CHANGED = auto()
    """It changed since it was seen, or is gone."""


def inspect(tree: WatchedTree, seen: FoundFile) -> FoundFile | Unfinished:
    """Return ``seen`` with its birth time, unless a program has the file open for writing.

    Return ``seen`` unchanged if the file cannot be opened: the upload opens the file too and reports the error.
    """
    if seen.fingerprint is None:
        return seen
    try:
        descriptor = open_inside(tree.root, seen.path, follow_symlinks=tree.follow_symlinks)
    except OSError as error:
        if error.errno == errno.EBUSY:
            return Unfinished.IN_USE
        return Unfinished.CHANGED if error.errno in (errno.ENOENT, errno.ENOTDIR) else seen
    try:
        if writer(descriptor) is Writer.OPEN:
            return Unfinished.IN_USE
        if fingerprint_of(os.fstat(descriptor)) != seen.fingerprint:
            return Unfinished.CHANGED
        return replace(seen, birth_ns=birth_ns(descriptor))
    finally:
        os.close(descriptor)
