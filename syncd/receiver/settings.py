"""Define the settings of a receiver: its folder, access rules and limits."""

from dataclasses import dataclass, field

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One receiver's settings; sizes in bytes, times in seconds.

    `fsync` makes a stored file survive a power cut before its upload is confirmed. Without it a file is as
    safe as the kernel's page cache: it survives the end of the process, not that of the machine. It stays
    on by default because a client may delete its own copy once the upload is confirmed.
    """

    folder: str
    token: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()  # further host names to accept without a token
    fsync: bool = True

    max_file_size: int = 10 * GIB
    max_chunks: int = 1_000_000  # of one upload
    image_body_limit: int = 1 * MIB  # a chunk's whole JSON body
    chunk_size: int = 5 * MIB  # of the multipart API: the default, and the most that is agreed to
    chunk_limit: int = 6 * MIB  # a chunk's bytes, whatever was agreed
    direct_limit: int = 20 * MIB  # a file sent in one request

    quota: int | None = None  # of all content of both APIs, with that of unfinished uploads in full; None: no limit
    reserve: int = 0  # of the disk, left free

    max_unfinished: int = 10_000  # uploads under way, for each API
    unfinished_age: float = 24 * 3600.0  # without a new chunk; then the upload is dropped

    max_connections: int = 1024
    max_requests: int = 256  # being answered at once
    max_buffered: int = 256 * MIB  # request bodies in memory, all together
    idle_timeout: float = 30.0  # without a byte of an awaited body, or without one of an answer taken
    min_bytes_per_second: int = (
        1 * KIB
    )  # bytes a second that an awaited body must bring in the mean, once idle_timeout is over
    linger: float = 10.0  # reading on after a refusal, so that its sender comes to see it
    keep_alive: float = 75.0  # without a whole request head

    def __post_init__(self) -> None:
        """Refuse limits under which the largest file would need chunks that are too large."""
        if self.max_file_size > self.max_chunks * self.chunk_size:
            raise ValueError("max_file_size needs more chunks of chunk_size than max_chunks allows")
