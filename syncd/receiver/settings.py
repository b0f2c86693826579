"""Defines the settings of a receiver: its folder, access rules and limits."""

from dataclasses import dataclass, field

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One receiver's settings; sizes in bytes, times in seconds.

    With `fsync`, a stored file is on the disk before the receiver confirms its upload. Without it, the file survives
    the end of the process, but not a power cut. It is on by default, because a client may delete its own copy after the
    confirmation.
    """

    folder: str
    token: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()  # further host names to accept without a token
    fsync: bool = True
    names: bool = False  # keep a hard link with the client's file name for each stored file

    max_file_size: int = 10 * GIB
    max_chunks: int = 1_000_000  # of one upload
    image_body_limit: int = 1 * MIB  # the JSON body of a chunk
    chunk_size: int = 5 * MIB  # of the multipart API: the default and the maximum
    chunk_limit: int = 6 * MIB  # of the bytes of a chunk in one request
    direct_limit: int = 20 * MIB  # of a file that is sent in one request

    quota: int | None = None  # of both APIs together; unfinished uploads count in full; None: no limit
    reserve: int = 0  # of disk space that stays free

    max_unfinished: int = 10_000  # unfinished uploads of each API
    unfinished_age: float = 24 * 3600.0  # since the last chunk; then the upload is dropped

    max_connections: int = 1024
    max_requests: int = 256  # in progress
    max_buffered: int = 256 * MIB  # of all request bodies in memory
    idle_timeout: float = 30.0  # without a new byte of the body, or without a byte of the response read
    min_bytes_per_second: int = 1 * KIB  # average speed of a body after the first idle_timeout
    linger: float = 10.0  # reading a rejected body, so that the client can read the response
    keep_alive: float = 75.0  # without a complete request head

    def __post_init__(self) -> None:
        """Raise ValueError if `max_chunks` chunks cannot hold the largest file."""
        if self.max_file_size > self.max_chunks * self.chunk_size:
            raise ValueError("max_file_size needs more than max_chunks chunks of chunk_size")
