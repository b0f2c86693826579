"""The chunks of a content, and the set of chunks that the server has.

Sizes and offsets have the unit of :attr:`syncd.core.model.Content.size`.
"""

from collections.abc import Iterable, Iterator

READ_BYTES = 512 * 1024
"""A larger chunk is read in blocks, so that many chunks in flight take little memory."""


def count(size: int, chunk_size: int) -> int:
    """Return the number of chunks of ``chunk_size`` in a content of ``size``."""
    return -(-size // chunk_size)


def span(index: int, size: int, chunk_size: int) -> tuple[int, int]:
    """Return the offset and the length of chunk ``index``; the last chunk may be shorter."""
    offset = index * chunk_size
    return offset, min(chunk_size, size - offset)


def read_size(chunk_size: int) -> int:
    """Return the size of the equal blocks in which chunks are read.

    It is at most :data:`READ_BYTES`. A chunk that cannot be divided evenly is one block: its blocks would not begin
    where those of the file begin.
    """
    parts = count(chunk_size, READ_BYTES)
    return chunk_size if chunk_size % parts else chunk_size // parts


class ChunkSet:
    """A set of chunk indices, stored as one bit each: 10 GiB in chunks of 36 KiB take 37 kB."""

    __slots__ = ("_bits", "_length")

    def __init__(self, indices: Iterable[int] = ()) -> None:
        self._bits = bytearray()
        self._length = 0
        for index in indices:
            self.add(index)

    def add(self, index: int) -> None:
        """Add ``index``, which is 0 or more."""
        if index in self:
            return
        byte, bit = divmod(index, 8)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits)))
        self._bits[byte] |= 1 << bit
        self._length += 1

    def __contains__(self, index: int) -> bool:
        byte, bit = divmod(index, 8)
        return byte < len(self._bits) and bool(self._bits[byte] & (1 << bit))

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[int]:
        for byte, bits in enumerate(self._bits):
            if bits:
                yield from (byte * 8 + bit for bit in range(8) if bits & (1 << bit))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ChunkSet) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"ChunkSet(<{self._length} chunks>)"

    def missing(self, count: int) -> Iterator[int]:
        """Yield the indices below ``count`` that are not in the set, in ascending order."""
        return (index for index in range(count) if index not in self)
