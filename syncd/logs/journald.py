"""Writes log events to systemd's journal with its native protocol.

Each field of an event becomes a field of the entry. An entry is one datagram of ``NAME=value`` lines; a value with
several lines is written as name, length and bytes. An entry that is too large for a datagram is sent as the descriptor
of a sealed memory file. The protocol is specified in systemd's JOURNAL_NATIVE_PROTOCOL document.
"""

import array
import errno
import json
import os
import re
import socket
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Self, TextIO

from syncd.logs.format import HEAD, words

SOCKET = "/run/systemd/journal/socket"
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""Syslog priority of each level."""
_FIELD_PREFIX = "SYNCD_"
_MAX_NAME_LENGTH = 64
"""Longest field name that the journal accepts, in characters."""


class Journald:
    """A connection to the journal's socket. The constructor raises OSError if it fails."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            self._socket.connect(SOCKET)
        except OSError:
            self._socket.close()
            raise

    @classmethod
    def detect(cls, stream: TextIO | None) -> Self | None:
        """Connect to the journal if ``$JOURNAL_STREAM`` identifies ``stream`` as its stream.

        Return None if it does not, or if the connection fails.
        """
        try:
            found = os.fstat(stream.fileno()) if stream is not None else None
            if found is None or os.environ.get("JOURNAL_STREAM") != f"{found.st_dev}:{found.st_ino}":
                return None
            return cls()
        except (OSError, ValueError, AttributeError):
            return None

    def send(self, event: Mapping[str, Any]) -> bool:
        """Write an entry. Return False if that failed."""
        entry = b"".join(_line(name, value) for name, value in _fields(event))
        try:
            self._socket.send(entry)
        except OSError as error:
            return error.errno in (errno.EMSGSIZE, errno.ENOBUFS) and self._send_file(entry)
        return True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _send_file(self, entry: bytes) -> bool:
        import fcntl  # noqa: PLC0415 - only Unix has it, like the journal

        seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        try:
            with open(os.memfd_create("syncd-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "wb") as file:
                file.write(entry)
                file.flush()
                fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
                descriptors = array.array("i", [file.fileno()])
                self._socket.sendmsg([b""], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
        except OSError:
            return False
        return True


def _fields(event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "MESSAGE", words({key: value for key, value in event.items() if key != "traceback"})
    yield "PRIORITY", str(PRIORITIES[event["level"]])
    yield "SYSLOG_IDENTIFIER", "syncd"
    yield f"{_FIELD_PREFIX}EVENT", str(event["event"])
    for key, value in event.items():
        if key not in HEAD and value is not None:
            name = _FIELD_PREFIX + re.sub(r"[^A-Z0-9_]", "_", key.upper())
            yield name[:_MAX_NAME_LENGTH], value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _line(name: str, value: str) -> bytes:
    raw = value.encode("utf-8", "backslashreplace")
    if b"\n" not in raw:
        return b"%b=%b\n" % (name.encode(), raw)
    return b"%b\n%b%b\n" % (name.encode(), struct.pack("<Q", len(raw)), raw)
