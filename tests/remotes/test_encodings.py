"""Test the text encodings: slices join to the whole text, and the hash is the text's."""

import base64
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core import chunks
from syncd.core.errors import Permanent
from syncd.remotes.image.encodings import TextHasher, file_bytes_in, slice_text, text_length

ENCODE = {"text": bytes, "base64url": base64.urlsafe_b64encode, "base64": base64.b64encode}


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@given(
    data=st.binary(min_size=1, max_size=300), chunk_size=st.integers(1, 70), encoding=st.sampled_from(sorted(ENCODE))
)
def test_slice_text_chunks_join_to_complete_text(data, chunk_size, encoding):
    if encoding == "text":
        data = bytes(byte & 0x7F for byte in data)
    text = ENCODE[encoding](data).decode()
    assert text_length(encoding, len(data)) == len(text)
    parts = []
    for index in range(chunks.count(len(text), chunk_size)):
        offset, length = chunks.span(index, len(text), chunk_size)
        part = slice_text(encoding, offset=offset, length=length, file_size=len(data))
        piece = data[part.offset : part.offset + part.length]
        assert len(piece) == part.length > 0
        parts.append(json.loads(part.as_json(piece)))
        assert len(parts[-1]) == length
        assert part.encode(piece) == parts[-1].encode()
    assert "".join(parts) == text


@given(data=st.binary(min_size=1, max_size=300), step=st.integers(1, 50), encoding=st.sampled_from(sorted(ENCODE)))
def test_text_hasher_returns_hash_and_length_of_text(data, step, encoding):
    if encoding == "text":
        data = bytes(byte & 0x7F for byte in data)
    hasher = TextHasher(encoding)
    for piece in in_pieces(data, step):
        hasher.update(piece)
    text = ENCODE[encoding](data)
    content = hasher.content()
    assert (content.key, content.size, content.encoding) == (hashlib.sha256(text).hexdigest(), len(text), encoding)


@given(data=st.binary(min_size=1, max_size=300), step=st.integers(1, 50))
def test_text_hasher_auto_chooses_text_for_ascii_only(data, step):
    hasher = TextHasher("auto")
    for piece in in_pieces(data, step):
        hasher.update(piece)
    content = hasher.content()
    encoding = "text" if data.isascii() else "base64url"
    assert content.encoding == encoding
    assert content.key == hashlib.sha256(ENCODE[encoding](data)).hexdigest()


def test_text_hasher_rejects_non_ascii_with_advice():
    hasher = TextHasher("text")
    hasher.update(b"abc")
    with pytest.raises(Permanent, match="set encoding to auto"):
        hasher.update("é".encode())


@pytest.mark.parametrize(
    ("encoding", "characters", "size"), [("text", 100, 100), ("base64", 100, 75), ("base64", 1, 1)]
)
def test_file_bytes_in_returns_bytes_per_chunk(encoding, characters, size):
    assert file_bytes_in(encoding, characters) == size
