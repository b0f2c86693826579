"""Tests of the spans of chunks, and of the set of chunks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.chunks import ChunkSet, count, read_size, span

KIB = 1024

sizes = st.integers(1, 10_000)


@given(size=sizes, chunk_size=st.integers(1, 3_000))
def test_chunks_span_covers_content_without_gap_or_overlap(size, chunk_size):
    spans = [span(index, size, chunk_size) for index in range(count(size, chunk_size))]
    assert [offset for offset, _ in spans] == [index * chunk_size for index in range(len(spans))]
    assert sum(length for _, length in spans) == size
    assert all(length == chunk_size for _, length in spans[:-1])
    assert 0 < spans[-1][1] <= chunk_size


@given(indices=st.lists(st.integers(0, 500)), total=st.integers(0, 600))
def test_chunk_set_behaves_as_a_set(indices, total):
    chunk_set = ChunkSet(indices)
    assert list(chunk_set) == sorted(set(indices))
    assert len(chunk_set) == len(set(indices))
    assert list(chunk_set.missing(total)) == [index for index in range(total) if index not in set(indices)]
    assert chunk_set == ChunkSet(reversed(indices))


def test_chunk_set_equals_only_set_of_same_chunks():
    assert ChunkSet([1, 9]) == ChunkSet([9, 1])
    assert ChunkSet([1, 9]) not in ([1, 9], ChunkSet([1]), ChunkSet([1, 10]), ChunkSet())


def test_chunk_set_takes_one_bit_per_chunk():
    assert len(ChunkSet(range(300_000))._bits) <= 37_500


@pytest.mark.parametrize(
    ("chunk_size", "size"),
    [(1, 1), (512 * KIB, 512 * KIB), (5120 * KIB, 512 * KIB), (768 * KIB, 384 * KIB), (10**9 + 7, 10**9 + 7)],
)
def test_read_size_divides_chunk_evenly(chunk_size, size):
    assert read_size(chunk_size) == size
