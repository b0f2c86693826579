"""Builds the identity of a destination: its place on a server and its account.

Identities contain no secret.
"""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

from syncd.config.remotes import AnyRemote, MultipartRemote
from syncd.core.model import FormerIdentity

_DEFAULT_PORTS = {"http": 80, "https": 443}


def canonical(url: str) -> str:
    """Normalise an address: lower-case scheme and host, no default port, no trailing slash."""
    parts = urlsplit(url)
    host = parts.hostname or ""  # in lower case, without brackets
    shown = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{shown}{port}{parts.path.rstrip('/')}"


def owner(name: str, settings: AnyRemote) -> dict[str, str]:
    """Return the account part of the identity: ``account``, or else the remote's name."""
    return {"name": name} if settings.account is None else {"account": settings.account}


def place(settings: AnyRemote, url: str | None = None) -> dict[str, str]:
    """Return the place part of the identity; ``url`` replaces the remote's own address."""
    url = settings.url if url is None else url
    if not isinstance(settings, MultipartRemote):
        return {"type": settings.type, "url": canonical(url)}
    optional = {"pool_id": settings.pool_id, "bundle_id": settings.bundle_id}
    return {
        "type": settings.type,
        "url": canonical(url + settings.prefix),
        **{key: value for key, value in optional.items() if value is not None},
    }


def identity(name: str, settings: AnyRemote, url: str | None = None) -> str:
    """Return the identity of a destination as a text.

    The text is JSON, so no two destinations have the same one.
    """
    return json.dumps(place(settings, url) | owner(name, settings), sort_keys=True, separators=(",", ":"))


def former(name: str, settings: AnyRemote) -> tuple[FormerIdentity, ...]:
    """Return the identities of possible earlier records, the most likely first."""
    found = [FormerIdentity(identity=text, name=name) for text in _unnamed(settings, settings.url)]
    own = identity(name, settings)
    for url in settings.former_urls:
        at = identity(name, settings, url)
        if at != own:
            found.append(FormerIdentity(identity=at, url=url))
            found += [FormerIdentity(identity=text, name=name, url=url) for text in _unnamed(settings, url)]
    return tuple(found)


def _unnamed(settings: AnyRemote, url: str) -> Iterator[str]:
    """Yield the identity in the form of earlier versions.

    That form has the address as written, and no account.
    """
    if not isinstance(settings, MultipartRemote):
        yield f"image {url}"
    elif settings.pool_id is not None:  # earlier versions required a pool_id
        bundle = f" bundle {settings.bundle_id}" if settings.bundle_id else ""
        yield f"multipart {url}{settings.prefix} pool {settings.pool_id}{bundle}"
