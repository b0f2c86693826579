"""Represent one unfinished upload: its plan, and its chunks on disk."""

import asyncio
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any
from weakref import WeakValueDictionary

from syncd.receiver import disk
from syncd.receiver.errors import UploadEndedError
from syncd.receiver.space import Space

MAX_LISTED_CHUNKS = 10_000
"""Entries of a list. A range of chunk numbers below a million takes 16 bytes at most."""
_RUN = re.compile(re.escape(disk.ARRIVED) + b"+")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The parameters of one upload: sizes in bytes, `digest` in lowercase hex, `expires` in epoch seconds.

    No `expires` means forever. `details` holds further fields of the API for its responses; `expires` is the value of
    its `expired_at`.
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
        """Return the length of chunk `index`, counted from 0: `chunk_size`, or less for the last chunk."""
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
        """Return the plan in a JSON text. Raises ValueError or TypeError if it is not a plan."""
        return cls(**json.loads(text))


class Upload:
    """An upload in its own folder. `arrived` counts its chunks; `touched` is the time of the last one."""

    def __init__(self, *, key: str, plan: Plan, folder: str, space: Space, arrived: int, touched: float) -> None:
        self._space = space
        self.key = key
        self.plan = plan
        self.folder = folder
        self.arrived = arrived
        self.touched = touched
        self.finishing = False
        self.ended = False
        self._writing: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    @property
    def complete(self) -> bool:
        """Whether every chunk has arrived."""
        return self.arrived == self.plan.chunks_count

    @property
    def busy(self) -> bool:
        """Whether a chunk is being written."""
        return len(self._writing) > 0

    async def write(self, index: int, data: bytes) -> bool:
        """Write a chunk of the right length; return False if it had arrived before.

        If the same chunk arrives twice at once, the second call waits for the first. Raises UploadEndedError and
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
        with self._space.writing(len(data)):
            return disk.write_chunk(
                os.path.join(self.folder, "data"),
                os.path.join(self.folder, "arrived"),
                index=index,
                offset=index * self.plan.chunk_size,
                data=data,
            )

    async def marks(self) -> bytes:
        """Return one byte for each chunk, up to the last arrived one: `ARRIVED` or 0. May raise UploadEndedError."""
        try:
            return await asyncio.to_thread(disk.read, os.path.join(self.folder, "arrived"))
        except FileNotFoundError:
            raise UploadEndedError from None


def list_chunks(marks: bytes) -> dict[str, Any]:
    """Return the fields of *resume* for `marks`, which has one byte for each chunk.

    The response stays small, because clients read at most 1 MiB: up to `MAX_LISTED_CHUNKS` chunks are listed, otherwise
    up to as many ranges (first and last chunk), otherwise only the number of chunks is given.
    """
    count = marks.count(disk.ARRIVED)
    fields: dict[str, Any] = {"chunks_uploaded": count}
    runs = [run.span() for run in islice(_RUN.finditer(marks), MAX_LISTED_CHUNKS + 1)]
    if count <= MAX_LISTED_CHUNKS:
        fields["uploaded_chunks"] = [index for first, end in runs for index in range(first, end)]
    elif len(runs) <= MAX_LISTED_CHUNKS:
        fields["uploaded_ranges"] = [[first, end - 1] for first, end in runs]
    return fields
