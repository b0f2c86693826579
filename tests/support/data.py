"""Test data: reproducible bytes, and the receiver's default pool."""

import random

POOL = "00000000-0000-0000-0000-000000000000"
"""The default pool, the only one that accepts a file in a single request."""


def random_bytes(size: int, seed: int | str = 1) -> bytes:
    """Return ``size`` bytes that look random and are the same for the same ``seed``."""
    return random.Random(seed).randbytes(size)
