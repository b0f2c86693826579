"""Where a page of jobs ends, as a text that goes out with it and comes back with the question for the next."""

import base64
import json
import os
from typing import Any, NoReturn

from syncd.control.service import InvalidRequestError
from syncd.core.model import Sort
from syncd.store.records import Cursor

_LONGEST = 32 * 1024
_LARGEST = 2**63 - 1


def encode(cursor: Cursor | None, sort: Sort) -> str | None:
    """Return the text; None for none."""
    return None if cursor is None else base64.urlsafe_b64encode(json.dumps([sort, *cursor]).encode()).decode()


def decode(text: str | None, sort: Sort) -> Cursor | None:
    """Return the cursor in ``text``, or None. :class:`InvalidRequestError` if :func:`encode` did not make it so."""
    if text is None:
        return None
    try:
        of, *cursor = json.loads(base64.b64decode(text, b"-_", validate=True), parse_constant=_no_number)
        kinds = (str, str, int) if sort is Sort.NAME else (int | float, int)
        right = len(text) <= _LONGEST and of == sort and len(cursor) == len(kinds)
        if right and all(_is(part, kind) for part, kind in zip(cursor, kinds, strict=True)):
            return tuple(cursor)
    except (ValueError, TypeError, RecursionError):
        pass
    raise InvalidRequestError("before: not a cursor that an earlier answer gave as next, in this order")


def _is(part: Any, kind: Any) -> bool:
    """Say whether a part is of this kind, and nothing that the store can't take; ValueError for no name's bytes."""
    if isinstance(part, str):
        return kind is str and b"\0" not in os.fsencode(part)
    return not isinstance(part, bool) and isinstance(part, kind) and abs(part) <= _LARGEST


def _no_number(_: str) -> NoReturn:
    raise ValueError("infinite, or not a number")
