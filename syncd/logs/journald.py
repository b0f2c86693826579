"""Log events as entries of systemd's journal, each field of an event a field of the entry (its native protocol).

An entry is one datagram: lines of `NAME=value`, or the name, a length and the bytes where a value has lines of its own.
One that is too large for a datagram goes as a sealed file in memory, of which the datagram holds the descriptor.
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
"""Syslog's number of each level."""
_OURS = "SYNCD_"
"""What the names of our fields begin with."""
_NAME_LIMIT = 64
"""Characters that the journal takes in the name of a field."""


class Journal:
    """The way to the journal's socket; OSError where nobody listens there."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            self._socket.connect(SOCKET)
        except OSError:
            self._socket.close()
            raise

    @classmethod
    def behind(cls, stream: TextIO | None) -> Self | None:
        """Return the journal if ``stream`` leads to it, as ``$JOURNAL_STREAM`` tells, and it can be reached."""
        try:
            to = os.fstat(stream.fileno()) if stream is not None else None
            if to is None or os.environ.get("JOURNAL_STREAM") != f"{to.st_dev}:{to.st_ino}":
                return None
            return cls()
        except (OSError, ValueError, AttributeError):
            return None

    def send(self, event: Mapping[str, Any]) -> bool:
        """Write an entry; whether that was possible."""
        entry = b"".join(_line(name, value) for name, value in _fields(event))
        try:
            self._socket.send(entry)
        except OSError as error:
            return error.errno in (errno.EMSGSIZE, errno.ENOBUFS) and self._send_file(entry)
        return True

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def _send_file(self, entry: bytes) -> bool:
        import fcntl  # noqa: PLC0415 - Unix alone has it, and so has the journal

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
    yield f"{_OURS}EVENT", str(event["event"])
    for key, value in event.items():
        if key not in HEAD and value is not None:
            name = _OURS + re.sub(r"[^A-Z0-9_]", "_", key.upper())
            yield name[:_NAME_LIMIT], value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _line(name: str, value: str) -> bytes:
    raw = value.encode("utf-8", "backslashreplace")
    if b"\n" not in raw:
        return b"%b=%b\n" % (name.encode(), raw)
    return b"%b\n%b%b\n" % (name.encode(), struct.pack("<Q", len(raw)), raw)
