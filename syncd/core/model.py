"""The values that the rooms hand to each other."""

from dataclasses import dataclass, field
from enum import Enum, IntEnum, StrEnum

from syncd.core.chunks import ChunkSet
from syncd.core.errors import Failure


@dataclass(frozen=True, kw_only=True, slots=True)
class Fingerprint:
    """Distinguishes two versions of a file without reading them.

    ``size`` in bytes, ``mtime_ns`` in nanoseconds since the epoch, ``inode`` as ``stat`` gives it. The device number is
    not part of it: NFS, btrfs, FUSE and loop devices have another one after each mount.
    """

    inode: int
    size: int
    mtime_ns: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundFile:
    """A file that the watch found at a path.

    ``path`` is relative to its folder, with ``/`` between the parts, in ``os.fsdecode`` form. ``fingerprint`` is None
    where there is no content to tell apart, as with a named pipe. ``unfit`` says why the file can't be uploaded.

    ``birth_ns`` is when the file was made, in nanoseconds since the epoch, None where the file system does not tell.
    ``moved_from`` is the path that it had before, where an event told of a rename. ``closed`` says that an event told
    that its writer had closed it, and that nothing has changed since.
    """

    path: str
    fingerprint: Fingerprint | None
    unfit: str | None = None
    birth_ns: int | None = None
    moved_from: str | None = None
    closed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class FormerIdentity:
    """An identity that a remote may have been recorded with before.

    With ``name`` the record must have that name too. ``url`` is the server's address at that time, None if it is the
    present one.
    """

    identity: str
    name: str | None = None
    url: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """A content to be stored, as the remote sees it.

    ``key`` names the content on that remote: equal keys are the same bytes there. ``size`` is the length that the
    server is told: bytes, or characters of the text that an image travels as. ``encoding`` is that text's kind.
    ``sha256`` is that of the file's own bytes, in hex: the local identity of a content, whatever hash the remote uses.
    """

    key: str
    size: int
    encoding: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """An upload that the server has agreed to.

    ``token`` is the server's name for it. Each of the ``count`` chunks is ``chunk_size`` long, in the unit of
    :attr:`Content.size`; the last chunk may be shorter. ``received`` holds the chunks that the server has.
    ``single_request`` marks an upload in one request, which cannot be resumed. ``needs_verification`` asks for a
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
    """The server named neither hash nor size."""
    SIZE = 1
    """The server named the right size."""
    HASH = 2
    """The server named the right hash, or refuses content that has another one."""
    BYTES = 3
    """The server's copy was fetched and compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """The server says that it has the whole content.

    ``ref`` is how to ask for it; ``already`` if it was there before; ``proof`` is what the answer rests on. ``trouble``
    is why the server could not be asked for the file itself, where its word proved nothing.
    """

    ref: str
    already: bool = False
    proof: Proof = Proof.NONE
    trouble: Failure | None = field(default=None, compare=False)


class Presence(Enum):
    """A server's answer to the question whether it has a content."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirmation:
    """A server's answer to whether it still has a content.

    ``proof`` is what a yes rests on. ``reason`` says in a few words why it is not a yes.
    """

    presence: Presence
    proof: Proof = Proof.NONE
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pending:
    """The server has all chunks and is still putting them together."""

    token: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ChunkResult:
    """The server's answer to a chunk that has arrived.

    ``stored`` is set if the server now has the complete content. ``needs_verification`` is true if the server may have
    other bytes, for example because another client had sent this chunk before.
    """

    stored: Stored | None = None
    needs_verification: bool = False


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
