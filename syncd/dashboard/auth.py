"""What opens the door: a token in the state folder, the cookie made from it, and tickets that work once.

The token is for scripts, and stays the same over restarts. A browser never sees it: it comes with a ticket and gets the
cookie, from which the token can't be told. Removing the file and restarting the daemon locks everybody out.
"""

import contextlib
import errno
import hashlib
import hmac
import os
import re
import secrets
import stat
import sys
from collections.abc import Callable

import structlog

from syncd.core.text import printable

TICKET_LIFETIME_SECONDS = 60.0
"""Seconds that a ticket is good for."""
MAX_TICKETS = 16
"""LoginTickets that are good at a time; one more, and the oldest is good no longer."""

_PLAINLY = sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")  # 256 bits, as secrets.token_urlsafe writes them

log = structlog.get_logger()


class _UntrustedTokenError(Exception):
    """What is in the token's place can't be trusted; ``str()`` says why."""


def load_token(path: str) -> str:
    """Return the token in the file ``path``; a new one where there is none, or others may know it. Raises OSError."""
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
        fd = os.open(path, os.O_RDONLY | _PLAINLY)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _UntrustedTokenError("it was a symbolic link") from None
        raise
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise _UntrustedTokenError("it was no regular file")
        if sys.platform != "win32":  # there the state folder's own rights keep others out
            if info.st_uid != os.geteuid():
                raise _UntrustedTokenError(f"it belonged to user {info.st_uid}")
            if info.st_mode & 0o077:
                raise _UntrustedTokenError(f"others had access to it (mode {stat.S_IMODE(info.st_mode):03o})")
        token = os.read(fd, 100).decode("ascii", errors="replace").strip()
    finally:
        os.close(fd)
    if not _TOKEN.fullmatch(token):
        raise _UntrustedTokenError("it held no token")
    return token


def _write(path: str, token: str) -> None:
    """Put the token into its place as a whole; no other user can read it at any moment."""
    new = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAINLY, 0o600)
    with open(fd, "w", encoding="ascii") as file:
        file.write(f"{token}\n")
        file.flush()
        os.fsync(fd)
    os.replace(new, path)


class Credentials:
    """The token and the cookie made from it, for a door at ``port``: browsers keep those of all ports together."""

    def __init__(self, token: str, *, port: int) -> None:
        self._token = token.encode()
        self.cookie_name = f"syncd-{port}"
        self.cookie = hmac.new(self._token, b"the dashboard's cookie", hashlib.sha256).hexdigest()

    def matches_token(self, given: str) -> bool:
        """Say whether this is the token; takes the same time whatever is given."""
        return hmac.compare_digest(given.encode(errors="surrogateescape"), self._token)

    def matches_cookie(self, given: str) -> bool:
        """Say whether this is the cookie's value; as above."""
        return hmac.compare_digest(given.encode(errors="surrogateescape"), self.cookie.encode())


class LoginTickets:
    """LoginTickets that are good for one login, soon. ``clock`` tells seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ends: dict[str, float] = {}

    def issue(self) -> str:
        """Return a new ticket."""
        while len(self._ends) >= MAX_TICKETS:
            del self._ends[next(iter(self._ends))]
        ticket = secrets.token_urlsafe(32)
        self._ends[ticket] = self._clock() + TICKET_LIFETIME_SECONDS
        return ticket

    def redeem(self, given: str) -> bool:
        """Say whether this ticket is good; it is not any more afterwards."""
        end = self._ends.pop(given, None)
        return end is not None and self._clock() < end
