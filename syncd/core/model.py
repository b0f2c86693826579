"""The values that the rooms hand to each other."""

from dataclasses import dataclass, field
from enum import StrEnum

from syncd.core.chunks import ChunkSet


@dataclass(frozen=True, kw_only=True, slots=True)
class Stamp:
    """What tells two states of a file apart without reading it.

    ``size`` in bytes, ``mtime_ns`` in nanoseconds since the epoch; ``device`` and ``inode`` as ``stat`` gives them.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What the watch found at a path.

    ``path`` is relative to its folder, with ``/`` between the parts, in ``os.fsdecode`` form. ``stamp`` is None where
    there is no content to tell apart, as with a named pipe. ``unfit`` says why the file can't be uploaded.
    """

    path: str
    stamp: Stamp | None
    unfit: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What is to be stored, in the remote's own terms.

    ``key`` names the content on that remote: equal keys are the same bytes there. ``size`` is the length that the
    server is told: bytes, or characters of the text that an image travels as. ``encoding`` is that text's kind.
    """

    key: str
    size: int
    encoding: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """An upload that the server has agreed to.

    ``token`` is what the server calls it. Each of the ``count`` chunks is ``chunk_size`` long (in the unit of
    :attr:`Content.size`), the last maybe shorter. ``received`` are the chunks known to be there.
    ``whole`` marks an upload in a single request, which can't be resumed. ``doubtful`` asks for a comparison with
    the server's copy at the end, because somebody else may have had a hand in it.
    """

    token: str
    chunk_size: int
    count: int
    received: ChunkSet = field(default_factory=ChunkSet)
    whole: bool = False
    doubtful: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """The server has the whole content. ``ref`` is how to ask for it; ``already`` if it was there before."""

    ref: str
    already: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Pending:
    """The server has all chunks and is still putting them together."""

    token: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What the answer to a chunk tells beside that it has arrived.

    ``stored`` where it shows that the server now has the whole content; ``doubtful`` where it casts doubt on what is
    there, as when somebody had sent this chunk before.
    """

    stored: Stored | None = None
    doubtful: bool = False


class Sort(StrEnum):
    """In which order jobs are listed."""

    LATEST = "latest"
    """The latest change first."""
    OLDEST = "oldest"
    """The oldest change first."""
    LARGEST = "largest"
    SMALLEST = "smallest"
    NAME = "name"
    """By folder and path, in the order of their bytes."""
