"""The last look at a file before it is taken, by an open descriptor: whether a program still writes to it.

Blocks: call it in a thread.
"""

import errno
import os
from dataclasses import replace
from enum import Enum, auto

from syncd.core.model import FoundFile
from syncd.platform.birth_time import birth_ns
from syncd.platform.openat import open_inside
from syncd.platform.read_lease import Writer, writer
from syncd.watch.scanner import Tree, fingerprint_of


class Unfinished(Enum):
    """Why a file can't be taken yet."""

    IN_USE = auto()
    """A program has it open for writing."""
    CHANGED = auto()
    """It is not as it was seen, or gone."""


def inspect(tree: Tree, seen: FoundFile) -> FoundFile | Unfinished:
    """Return ``seen`` with the birth time if nobody has the file open for writing, as far as the system tells.

    A file that can't be opened is returned as it is: whoever uploads it opens it too, and says what is wrong.
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
