"""Represents one unfinished upload: its plan, and its chunks on disk."""

import asyncio
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any
from weakref import WeakValueDictionary

from syncd.receiver import file_io
from syncd.receiver.errors import UploadEndedError
from syncd.receiver.storage_limits import StorageLimits

MAX_LISTED_CHUNKS = 10_000
"""The limit of entries in a list. A range of chunk numbers below a million takes up to 16 bytes."""
_RUN = re.compile(re.escape(file_io.ARRIVED) + b"+")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The parameters of one upload. Sizes are in bytes, `digest` is lowercase hex.

    `expires` is in epoch seconds; None means forever. `details` holds further fields for the responses of the API,
    among them `expired_at`, the text of which `expires` is the value.
    """

    digest: str
    size: int
    chunk_size: int
    expires: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def chunks_count(self) -> int:
        """The number of chunks."""
        return -(-self.size // self.chunk_size)

    def length(self, index: int) -> int:
        """Return the length of chunk `index` (from 0); the last one can be shorter."""
        return min(self.chunk_size, self.size - index * self.chunk_size)

    def with_later_expiry_of(self, other: "Plan") -> "Plan":
        """Return this plan with the later of both expiries."""
        if self.expires is None or (other.expires is not None and other.expires <= self.expires):
            return self
        details = {**self.details, "expired_at": other.details.get("expired_at")}
        return replace(self, expires=other.expires, details=details)

    def dump(self) -> bytes:
        """Return the plan as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def load(cls, text: bytes) -> "Plan":
        """Parse a plan from JSON. Raises ValueError or TypeError if it is not a plan."""
        return cls(**json.loads(text))


class Upload:
    """An unfinished upload in `folder`.

    `arrived` is the number of its chunks that have arrived, `last_chunk_at` the epoch time of the latest one.
    """

    def __init__(
        self, *, key: str, plan: Plan, folder: str, limits: StorageLimits, arrived: int, last_chunk_at: float
    ) -> None:
        self._limits = limits
        self.key = key
        self.plan = plan
        self.folder = folder
        self.arrived = arrived
        self.last_chunk_at = last_chunk_at
        self.finishing = False
        self.ended = False
        self._writing: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    @property
    def complete(self) -> bool:
        """True if all chunks have arrived."""
        return self.arrived == self.plan.chunks_count

    @property
    def busy(self) -> bool:
        """True while a chunk is being written."""
        return len(self._writing) > 0

    async def write(self, index: int, data: bytes) -> bool:
        """Write a chunk of the right length; return False if it arrived before.

        If two requests carry the same chunk, the second waits for the first. Raises UploadEndedError and
        StorageFullError.
        """
        async with self._writing.setdefault(index, asyncio.Lock()):
            if self.ended:
                raise UploadEndedError
            try:
                fresh = await asyncio.to_thread(self._write, index, data)
            except FileNotFoundError:
                raise UploadEndedError from None
            self.arrived += fresh
            return fresh

    def _write(self, index: int, data: bytes) -> bool:
        with self._limits.permit_write(len(data)):
            return file_io.write_chunk(
                os.path.join(self.folder, "data"),
                os.path.join(self.folder, "arrived"),
                index=index,
                offset=index * self.plan.chunk_size,
                data=data,
            )

    async def marks(self) -> bytes:
        """Return one byte for each chunk up to the last arrived one: `ARRIVED` or 0.

        Raises UploadEndedError.
        """
        try:
            return await asyncio.to_thread(file_io.read, os.path.join(self.folder, "arrived"))
        except FileNotFoundError:
            raise UploadEndedError from None


def list_chunks(marks: bytes) -> dict[str, Any]:
    """Return the fields of *resume* for `marks`, which has one byte for each chunk.

    The fields list the arrived chunks if there are at most `MAX_LISTED_CHUNKS` of them, or their ranges (first and last
    chunk) if there are at most that many ranges; otherwise only their number. Clients read at most 1 MiB.
    """
    count = marks.count(file_io.ARRIVED)
    fields: dict[str, Any] = {"chunks_uploaded": count}
    runs = [run.span() for run in islice(_RUN.finditer(marks), MAX_LISTED_CHUNKS + 1)]
    if count <= MAX_LISTED_CHUNKS:
        fields["uploaded_chunks"] = [index for first, end in runs for index in range(first, end)]
    elif len(runs) <= MAX_LISTED_CHUNKS:
        fields["uploaded_ranges"] = [[first, end - 1] for first, end in runs]
    return fields
