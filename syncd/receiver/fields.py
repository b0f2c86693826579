"""Validates the fields of a request.

The functions that take a payload return the value of a field, or raise ApiError with the field's name.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from syncd.receiver.errors import ApiError, ErrorCode

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MD5_OR_SHA256 = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")
_TASK = re.compile(r"[0-9a-f]{32}")
_INDEX = re.compile(r"[0-9]{1,9}")
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.IGNORECASE | re.ASCII)  # 128 bits in Crockford's base 32
_MIME_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}(;[ -~]{0,255})?", re.ASCII)


def _invalid(name: str, wanted: str) -> ApiError:
    return ApiError(ErrorCode.INVALID_FIELD, f"{name}: {wanted}")


def integer(payload: Mapping[str, Any], name: str, *, low: int, high: int) -> int:
    """Return a required integer from `low` to `high`, both included."""
    if name not in payload:
        raise ApiError(ErrorCode.INVALID_FIELD, f"{name} field is missing.")
    value = payload[name]
    if type(value) is not int or not low <= value <= high:  # True is an int to isinstance
        raise _invalid(name, f"must be a whole number from {low} to {high}.")
    return value


def text(payload: Mapping[str, Any], name: str, *, longest: int) -> str:
    """Return a required text of 1 to `longest` characters that is valid Unicode."""
    if name not in payload:
        raise ApiError(ErrorCode.INVALID_FIELD, f"{name} field is missing.")
    value = payload[name]
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise _invalid(name, f"must be a text of 1 to {longest} characters.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _invalid(name, "is not valid Unicode.") from None
    return value


def sha256(payload: Mapping[str, Any], name: str) -> str:
    """Return a required SHA-256 as 64 lowercase hex digits."""
    value = text(payload, name, longest=1000)
    if not is_sha256(value):
        raise _invalid(name, "must be 64 lowercase hex digits.")
    return value


def digest(payload: Mapping[str, Any], name: str) -> str:
    """Return a required MD5 or SHA-256 in lowercase hex; the field can have any case."""
    value = text(payload, name, longest=1000).lower()
    if not is_digest(value):
        raise _invalid(name, "must be an MD5 (32) or SHA-256 (64 hex digits).")
    return value


def guid(payload: Mapping[str, Any], name: str) -> str:
    """Return a required GUID as it was written."""
    value = text(payload, name, longest=1000)
    if not _GUID.fullmatch(value):
        raise _invalid(name, "must be a GUID.")
    return value


def guid_or_ulid(payload: Mapping[str, Any], name: str) -> str:
    """Return a required GUID or ULID as it was written."""
    value = text(payload, name, longest=1000)
    if not _GUID.fullmatch(value) and not _ULID.fullmatch(value):
        raise _invalid(name, "must be a GUID or a ULID.")
    return value


def mime_type(payload: Mapping[str, Any], name: str) -> str:
    """Return a required MIME type."""
    value = text(payload, name, longest=1000)
    if not _MIME_TYPE.fullmatch(value):
        raise _invalid(name, "must be a MIME type such as image/jpeg.")
    return value


def timestamp(payload: Mapping[str, Any], name: str) -> float:
    """Return a required ISO 8601 time as epoch seconds; without a zone it is UTC."""
    try:
        value = datetime.fromisoformat(text(payload, name, longest=100))
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise _invalid(name, "must be an ISO 8601 time.") from None


def is_sha256(value: str) -> bool:
    """Return whether this is a SHA-256 in lowercase hex."""
    return _SHA256.fullmatch(value) is not None


def is_digest(value: str) -> bool:
    """Return whether this is an MD5 or SHA-256 in lowercase hex."""
    return _MD5_OR_SHA256.fullmatch(value) is not None


def is_task(value: str) -> bool:
    """Return whether this has the form of a task id."""
    return _TASK.fullmatch(value) is not None


def is_index(value: str) -> bool:
    """Return whether this is a chunk index in ASCII digits."""
    return _INDEX.fullmatch(value) is not None
