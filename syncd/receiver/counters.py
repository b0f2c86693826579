"""What the receiver has done so far, for `GET /v1/receiver`."""

from dataclasses import dataclass


@dataclass(kw_only=True)
class Counters:
    """Counted since start. `images` and `files` are what came in whole, `bytes` are of request bodies."""

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
        """Note that a request is being answered."""
        self.requests += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def leave(self) -> None:
        """Note that a request has been answered."""
        self.in_flight -= 1

    def chunk(self, *, fresh: bool) -> None:
        """Note a chunk that was written, or one that was there already."""
        if fresh:
            self.chunks_received += 1
        else:
            self.chunks_repeated += 1
