"""Runs a command on a pseudo-terminal of any size, and answers its questions."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from tests.support.processes import command_line

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class TerminalCommand:
    """A command on a terminal with ``columns``.

    The context ends the command if it still runs.
    """

    def __init__(self, *arguments, columns=80, **environment):
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        options = {"start_new_session": True, "preexec_fn": lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)}
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        env = {**inherited, "TERM": "xterm", **environment}
        self.process = subprocess.Popen(command_line(*arguments), env=env, **options, **streams)
        os.close(theirs)
        self._raw = b""
        self._seen = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    @property
    def text(self):
        """All output so far, without colours."""
        return _ESCAPE.sub("", self._raw.decode(errors="replace").replace("\r\n", "\n"))

    def expect(self, text, *, timeout=60.0):
        """Wait until the command has printed ``text`` after the last expected text."""
        deadline = time.monotonic() + timeout
        while (found := self.text.find(text, self._seen)) < 0:
            assert self._read(deadline - time.monotonic()), f"{text!r} is not in {self.text[self._seen :]!r}"
        self._seen = found + len(text)

    def send(self, text):
        os.write(self._ours, text.encode())

    def answer(self, question, answer):
        self.expect(question)
        self.send(answer + "\n")

    def press_until(self, key, text):
        """Press ``key`` until ``text`` appears.

        Readline misses a Ctrl-C that arrives before it waits for input.
        """
        while text not in self.text[self._seen :]:
            self.send(key)
            while self._read(2.0) and text not in self.text[self._seen :]:
                pass
            assert self.process.poll() is None or text in self.text[self._seen :]

    def end(self, *, timeout=60.0):
        """Wait for the end of the command; return its exit code."""
        deadline = time.monotonic() + timeout
        while self._read(deadline - time.monotonic()):
            pass
        return self.process.wait(max(1.0, deadline - time.monotonic()))

    def _read(self, timeout):
        """Read more output; return False at its end and after ``timeout``."""
        if not select.select([self._ours], [], [], max(0.0, timeout))[0]:
            return False
        try:
            more = os.read(self._ours, 65_536)
        except OSError:  # the command has ended
            return False
        self._raw += more
        return bool(more)
