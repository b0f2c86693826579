"""One upload under way: what was agreed, and its chunks on disk."""

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from weakref import WeakValueDictionary

from syncd.receiver import disk
from syncd.receiver.errors import Gone
from syncd.receiver.space import Space


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What was agreed for one upload: sizes in bytes, `digest` in lowercase hex, `expires` in epoch seconds.

    No `expires` means forever. `details` are the API's own fields, kept for its answers; of these `expired_at` is
    what `expires` was read from.
    """

    digest: str
    size: int
    chunk_size: int
    expires: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def chunks_count(self) -> int:
        """How many chunks the upload has."""
        return -(-self.size // self.chunk_size)

    def length(self, index: int) -> int:
        """How long chunk `index` is, counted from 0: all are `chunk_size` long but the last."""
        return min(self.chunk_size, self.size - index * self.chunk_size)

    def with_later_expiry_of(self, other: "Plan") -> "Plan":
        """Return this plan with the later expiry of both."""
        if self.expires is None or (other.expires is not None and other.expires <= self.expires):
            return self
        details = {**self.details, "expired_at": other.details.get("expired_at")}
        return replace(self, expires=other.expires, details=details)

    def dump(self) -> bytes:
        """Write the plan as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def load(cls, text: bytes) -> "Plan":
        """Read a plan from JSON. Raises ValueError or TypeError when it is not one."""
        return cls(**json.loads(text))


class Upload:
    """An upload in a folder of its own. `arrived` counts its chunks; `touched` is when the last one came."""

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
        """Write a chunk that has its right length; False when it was there already. Raises Gone and NoRoom.

        The same chunk sent twice at once waits for the first, whose end decides what is true of it.
        """
        async with self._writing.setdefault(index, asyncio.Lock()):
            if self.ended:
                raise Gone
            try:
                fresh = await asyncio.to_thread(self._write, index, data)
            except FileNotFoundError:
                raise Gone from None
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
        """Return a byte for each chunk up to the last that has arrived: `ARRIVED`, or 0. Raises Gone."""
        try:
            return await asyncio.to_thread(disk.read, os.path.join(self.folder, "arrived"))
        except FileNotFoundError:
            raise Gone from None
