"""Manages the dashboard's credentials: a token, a cookie and login tickets.

The token is in a file in the state folder. It is for scripts, and survives restarts. A browser never gets it: it sends
a ticket, which works once, and gets a cookie, which is derived from the token and does not reveal it. To revoke all
access, remove the file and restart the daemon.
"""

import contextlib
import errno
import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Callable

import structlog

from syncd.core.text import printable
from syncd.platform import user
from syncd.platform.files import SAFE_OPEN_FLAGS
from syncd.platform.private import mode_allows_others

TICKET_LIFETIME_SECONDS = 60.0
"""The time for which a ticket is valid."""
MAX_TICKETS = 16
"""The limit of valid tickets; a further one invalidates the oldest."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")  # 256 bits, as secrets.token_urlsafe writes them

log = structlog.get_logger()


class _UntrustedTokenError(Exception):
    """Others may know the token, or the file is malformed; ``str()`` is the reason."""


def load_token(path: str) -> str:
    """Return the token in the file ``path``; replace a missing or untrusted one.

    Raises OSError.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        pass
    except _UntrustedTokenError as reason:
        log.warning("dashboard.token_replaced", path=printable(path), reason=str(reason))
    token = secrets.token_urlsafe(32)
    _write(path, token)
    return token


def _read(path: str) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | SAFE_OPEN_FLAGS)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _UntrustedTokenError("it was a symbolic link") from None
        raise
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise _UntrustedTokenError("it was not a regular file")
        if not user.owns(info):
            raise _UntrustedTokenError(f"it belonged to user {info.st_uid}")
        if mode_allows_others(info):
            raise _UntrustedTokenError(f"others had access to it (mode {stat.S_IMODE(info.st_mode):03o})")
        token = os.read(fd, 100).decode("ascii", errors="replace").strip()
    finally:
        os.close(fd)
    if not _TOKEN.fullmatch(token):
        raise _UntrustedTokenError("it did not contain a token")
    return token


def _write(path: str, token: str) -> None:
    """Write the token atomically; no other user can ever read it."""
    new = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | SAFE_OPEN_FLAGS, 0o600)
    with open(fd, "w", encoding="ascii") as file:
        file.write(f"{token}\n")
        file.flush()
        os.fsync(fd)
    os.replace(new, path)


class Credentials:
    """The token and its cookie.

    The cookie's name has the ``port``, because browsers share cookies between ports.
    """

    def __init__(self, token: str, *, port: int) -> None:
        self._token = token.encode()
        self.cookie_name = f"syncd-{port}"
        self.cookie = hmac.new(self._token, b"the dashboard's cookie", hashlib.sha256).hexdigest()

    def matches_token(self, given: str) -> bool:
        """Return True if this is the token, in constant time."""
        return hmac.compare_digest(given.encode(errors="surrogateescape"), self._token)

    def matches_cookie(self, given: str) -> bool:
        """Return True if this is the cookie's value, in constant time."""
        return hmac.compare_digest(given.encode(errors="surrogateescape"), self.cookie.encode())


class LoginTickets:
    """Tickets for one login within :data:`TICKET_LIFETIME_SECONDS`.

    ``clock`` returns seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._expiry: dict[str, float] = {}

    def issue(self) -> str:
        """Return a new ticket."""
        while len(self._expiry) >= MAX_TICKETS:
            del self._expiry[next(iter(self._expiry))]
        ticket = secrets.token_urlsafe(32)
        self._expiry[ticket] = self._clock() + TICKET_LIFETIME_SECONDS
        return ticket

    def redeem(self, given: str) -> bool:
        """Return True if this ticket is valid, and invalidate it."""
        end = self._expiry.pop(given, None)
        return end is not None and self._clock() < end
