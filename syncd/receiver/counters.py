"""Counts requests and uploads, for `GET /v1/receiver`."""

from dataclasses import dataclass


@dataclass(kw_only=True)
class Counters:
    """Counts since the start.

    `images` and `files` count complete uploads, `bytes` the sizes of the request bodies, `expired` the removed uploads.
    """

    requests: int = 0
    bytes: int = 0
    images: int = 0
    files: int = 0
    chunks_received: int = 0
    chunks_repeated: int = 0
    refused: int = 0
    expired: int = 0
    in_flight: int = 0
    max_in_flight: int = 0

    def enter(self) -> None:
        """Count a request that begins."""
        self.requests += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def leave(self) -> None:
        """Count a request that ends."""
        self.in_flight -= 1

    def chunk(self, *, fresh: bool) -> None:
        """Count a chunk: as received if `fresh`, otherwise as repeated."""
        if fresh:
            self.chunks_received += 1
        else:
            self.chunks_repeated += 1
