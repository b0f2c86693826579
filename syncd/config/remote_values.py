"""Types of values that remotes and notifications use.

These are addresses, names, ids, headers and secrets. They work like the types in :mod:`syncd.config.values`. Secrets
are written back masked.
"""

import re
import uuid
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, SecretStr, WithJsonSchema

from syncd.config.values import text

_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADERS_SET_BY_SYNCD = {"connection", "content-length", "content-type", "expect", "host", "transfer-encoding"}
_REMOTE_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.IGNORECASE | re.ASCII)
MASKED = "••••"
"""Stands for any secret, whatever its length."""


def _guid(value: Any) -> str:
    try:
        return str(uuid.UUID(text(value)))
    except ValueError:
        raise ValueError("must be a GUID, such as 123e4567-e89b-12d3-a456-426614174000") from None


def _pool_id(value: Any) -> str:
    if _ULID.fullmatch(text(value)):
        return text(value).upper()
    try:
        return _guid(value)
    except ValueError:
        raise ValueError(
            "must be a GUID, such as 123e4567-e89b-12d3-a456-426614174000, "
            "or a ULID, such as 01ARZ3NDEKTSV4RRFFQ69G5FAV"
        ) from None


def _web_address(value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or re.search(r"\s", value) or _CONTROL_CHARACTERS.search(value):
        raise ValueError("must be an address such as https://host or http://host:port")
    return parts


def _url(value: Any) -> str:
    parts = _web_address(text(value))
    if "@" in parts.netloc:
        raise ValueError("must not contain a user or password — give a token by token, token_file or token_env")
    if parts.query or parts.fragment:
        raise ValueError("must not contain a ? or # part")
    return text(value).rstrip("/")


def _secret_address(value: Any) -> SecretStr:
    """Wrap a web address that contains a secret. Error messages never contain it."""
    plain = secret_text(value)
    _web_address(plain)
    return SecretStr(plain)


def _prefix(value: str) -> str:
    if not re.fullmatch(r"(/[^/?#\s\x00-\x1f]+)*/?", value):
        raise ValueError("must be a path such as /api/files/upload")
    return value.rstrip("/")


def secret_text(value: Any) -> str:
    """Return the text of a value that may already be wrapped as a secret."""
    return text(value.get_secret_value() if isinstance(value, SecretStr) else value)


def _header_safe(value: Any) -> SecretStr:
    plain = secret_text(value)
    if not plain:
        raise ValueError("is empty")
    if _CONTROL_CHARACTERS.search(plain):
        raise ValueError("contains a line break or another control character")
    if any(ord(character) > 0xFF for character in plain):
        raise ValueError("contains a character that cannot be sent in a header")
    return SecretStr(plain)


def token(value: Any) -> SecretStr:
    """Wrap a token that fits into a header. Error messages never contain the token."""
    if re.search(r"[ \xa0]", secret_text(value)):
        raise ValueError("contains a space")
    return _header_safe(value)


def _header_name(value: str) -> str:
    if not _HEADER_NAME.fullmatch(value):
        raise ValueError("is not a header's name")
    if value.lower() in _HEADERS_SET_BY_SYNCD:
        raise ValueError("is a header that syncd sets itself")
    return value


def _remote_name(value: str) -> str:
    if not _REMOTE_NAME.fullmatch(value):
        raise ValueError("a remote's name has up to 32 letters a-z, digits, - and _")
    return value


def _secret(value: Any) -> SecretStr:
    if not secret_text(value):
        raise ValueError("is empty")
    return SecretStr(secret_text(value))


_MASK = PlainSerializer(lambda _: MASKED, return_type=str, when_used="json")

_HEX_DIGITS = r"\{?[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}\}?"
_GuidText = Annotated[str, Field(pattern=f"^{_HEX_DIGITS}$")]
_PoolIdText = Annotated[str, Field(pattern=f"^({_HEX_DIGITS}|[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{{25}})$")]
_WebAddress = Annotated[str, Field(pattern=r"^[hH][tT][tT][pP][sS]?://[^\s]+$")]
_UrlText = Annotated[str, Field(pattern=r"^[hH][tT][tT][pP][sS]?://[^\s?#@]+$")]
_SecretText = Annotated[str, Field(min_length=1)]

RemoteName = Annotated[
    str, AfterValidator(_remote_name), WithJsonSchema({"type": "string", "pattern": f"^{_REMOTE_NAME.pattern}$"})
]
Guid = Annotated[str, BeforeValidator(_guid, json_schema_input_type=_GuidText)]
PoolId = Annotated[str, BeforeValidator(_pool_id, json_schema_input_type=_PoolIdText)]
Url = Annotated[str, BeforeValidator(_url, json_schema_input_type=_UrlText)]
Prefix = Annotated[str, AfterValidator(_prefix)]
SecretAddress = Annotated[SecretStr, BeforeValidator(_secret_address, json_schema_input_type=_WebAddress), _MASK]
Token = Annotated[
    SecretStr, BeforeValidator(token, json_schema_input_type=Annotated[str, Field(pattern=r"^[^ \s]+$")]), _MASK
]
HeaderName = Annotated[
    str, AfterValidator(_header_name), WithJsonSchema({"type": "string", "pattern": f"^{_HEADER_NAME.pattern}$"})
]
HeaderValue = Annotated[SecretStr, BeforeValidator(_header_safe, json_schema_input_type=_SecretText), _MASK]
Secret = Annotated[SecretStr, BeforeValidator(_secret, json_schema_input_type=_SecretText), _MASK]
