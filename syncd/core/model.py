"""The values that the packages exchange.

They describe files as :mod:`syncd.watch` finds them, and contents and sessions as :mod:`syncd.remotes` sees them.
"""

from dataclasses import dataclass, field
from enum import Enum, IntEnum, StrEnum

from syncd.core.chunks import ChunkSet
from syncd.core.errors import Failure


@dataclass(frozen=True, kw_only=True, slots=True)
class Fingerprint:
    """Distinguishes two versions of a file without reading them.

    ``size`` is in bytes, ``mtime_ns`` in nanoseconds since the epoch, and ``inode`` as ``stat`` returns it. The device
    number is not included: on NFS, btrfs, FUSE and loop devices it changes with each mount.
    """

    inode: int
    size: int
    mtime_ns: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundFile:
    """A file that the watch found at a path.

    ``path`` is relative to the folder, with ``/`` between the parts, in ``os.fsdecode`` form. ``fingerprint`` is None
    for a file without content, such as a named pipe. ``unfit`` is the reason if the file cannot be uploaded.

    ``birth_ns`` is the creation time in nanoseconds since the epoch, or None if the file system does not record it.
    ``moved_from`` is the former path if an event reported a rename. ``closed`` is true if an event reported that the
    writer closed the file, and nothing has changed since. ``backlog`` is true if a scan for all files found it: the
    first scan of a folder, or a scan after lost events. Any other file is new: an event or a later scan found it.
    """

    path: str
    fingerprint: Fingerprint | None
    unfit: str | None = None
    birth_ns: int | None = None
    moved_from: str | None = None
    closed: bool = False
    backlog: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class FormerIdentity:
    """An identity under which the store may have recorded a remote before.

    If ``name`` is set, the recorded name must match too. ``url`` is the server's address at that time, or None if the
    address has not changed.
    """

    identity: str
    name: str | None = None
    url: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """The content of a file, in the form in which one remote stores it.

    ``key`` identifies the content on that remote: equal keys mean equal bytes. ``size`` is the length that the server
    receives: bytes, or characters if the remote stores an image as text in ``encoding``. ``sha256`` is the hash of the
    file's bytes, in hex; it identifies the content locally, whatever hash the remote uses.
    """

    key: str
    size: int
    encoding: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """An upload that the server has accepted.

    ``token`` identifies it at the server. Each of the ``count`` chunks is ``chunk_size`` long, in the unit of
    :attr:`Content.size`; the last chunk may be shorter. ``received`` holds the chunks that the server has.
    ``single_request`` marks an upload in one request, which cannot be resumed. ``needs_verification`` requires a
    comparison with the server's copy at the end, because another client may have sent some of the chunks.
    """

    token: str
    chunk_size: int
    count: int
    received: ChunkSet = field(default_factory=ChunkSet)
    single_request: bool = False
    needs_verification: bool = False


class Proof(IntEnum):
    """The evidence behind a server's confirmation of a content, weakest first."""

    NONE = 0
    """The server reported neither a hash nor a size."""
    SIZE = 1
    """The server reported the correct size."""
    HASH = 2
    """The server reported the correct hash, or rejects content with another hash."""
    BYTES = 3
    """The server's copy was downloaded and compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """The server confirmed that it has the complete content.

    ``ref`` identifies the content at the server. ``already`` is true if the server had the content before. ``proof`` is
    the evidence. ``trouble`` is the failure of the request that should have improved the proof, if that request failed.
    """

    ref: str
    already: bool = False
    proof: Proof = Proof.NONE
    trouble: Failure | None = field(default=None, compare=False)


class Presence(Enum):
    """The answer to the question whether a server has a content."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirmation:
    """A server's answer to the question whether it still has a content.

    ``proof`` is the evidence for ``Presence.YES``. ``reason`` is short and explains any other answer.
    """

    presence: Presence
    proof: Proof = Proof.NONE
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pending:
    """The server has all chunks and is still assembling them."""

    token: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ChunkResult:
    """The server's answer to a chunk that it has received.

    ``stored`` is set if the server now has the complete content. ``needs_verification`` is true if the server may hold
    other bytes, for example because another client had sent this chunk before.
    """

    stored: Stored | None = None
    needs_verification: bool = False


class ClaimOrder(StrEnum):
    """The order in which queued files are uploaded."""

    FAIR = "fair"
    """New files and the backlog take turns."""
    NEWEST = "newest"
    """The file that was queued last comes first."""
    OLDEST = "oldest"
    """The file that was queued first comes first."""


class Sort(StrEnum):
    """The order of a list of jobs."""

    LATEST = "latest"
    """The latest change first."""
    OLDEST = "oldest"
    """The oldest change first."""
    LARGEST = "largest"
    SMALLEST = "smallest"
    NAME = "name"
    """By folder and path, in byte order."""
