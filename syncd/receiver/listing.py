"""Telling which chunks of an upload have arrived, in an answer that stays small: clients keep 1 MiB of one.

Up to `MOST` chunks are listed; of more the ranges, while these are no more than that; else it is told how many, and the
client goes by what was acknowledged to it.
"""

import re
from itertools import islice
from typing import Any

from syncd.receiver.disk import ARRIVED

MOST = 10_000
"""Entries of a list. A range of chunk numbers below a million takes 16 bytes at most."""
_RUN = re.compile(re.escape(ARRIVED) + b"+")


def arrived(marks: bytes) -> dict[str, Any]:
    """Return the fields of *resume* for these marks, a byte a chunk; a range has its first and its last chunk."""
    count = marks.count(ARRIVED)
    told: dict[str, Any] = {"chunks_uploaded": count}
    runs = [run.span() for run in islice(_RUN.finditer(marks), MOST + 1)]
    if count <= MOST:
        told["uploaded_chunks"] = [index for first, end in runs for index in range(first, end)]
    elif len(runs) <= MOST:
        told["uploaded_ranges"] = [[first, end - 1] for first, end in runs]
    return told
