"""A folder that was uploaded to both APIs, and helpers to run commands and damage copies."""

import base64
import hashlib
import io
import json
import os
import shutil
import sqlite3
import sys
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest
import yaml

from syncd.cli import main
from tests.support.data import POOL

TIME = 1_600_000_000_123_456_700
"""Nanoseconds since the epoch, finer than a float can hold."""


@dataclass
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


class RecoveryHarness:
    """The folder ``inbox``, its configuration, and the receiver's own folder behind it."""

    def __init__(self, folder, receiver):
        self.folder = folder
        self.receiver = receiver
        self.inbox = folder / "inbox"
        self.inbox.mkdir()
        self.config = folder / "config.yaml"
        self.settings = {
            "folders": [{"path": "inbox", "remote": ["drive", "ascii"]}],
            "remotes": {
                "drive": {"type": "multipart", "url": receiver.url, "pool_id": POOL},
                "ascii": {"type": "image", "url": receiver.url},
            },
            "scheduler": {"retry": {"initial": "10ms", "max": "20ms"}},
            "state_dir": "state",
            "control": {"dashboard": "off"},
        }

    def write(self, name, data, at=TIME):
        """Put a file into the folder; ``name`` may be bytes."""
        path = os.path.join(os.fsencode(self.inbox), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        os.utime(path, ns=(at, at))

    def command(self, *arguments):
        return [sys.executable, "-m", "syncd", *map(str, arguments), "-c", str(self.config)]

    def syncd(self, *arguments):
        """Run a command, in this process for speed; the servers are others."""
        self.config.write_text(yaml.safe_dump(self.settings, sort_keys=False))
        out, err = io.StringIO(), io.StringIO()
        argv, sys.argv = sys.argv, ["syncd", *self.command(*arguments)[3:]]
        try:
            with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
                main()
        finally:
            sys.argv = argv
        assert "Traceback" not in err.getvalue()
        return Ended(ended.value.code, out.getvalue(), err.getvalue())

    def upload(self):
        done = self.syncd("once")
        assert done.code == 0, done
        return done

    def stored(self, remote, data):
        """Return the folder in which the receiver keeps what it has of ``data``."""
        if remote == "ascii" and not data.isascii():
            data = base64.urlsafe_b64encode(data)
        kind = "files" if remote == "drive" else "images"
        return self.receiver.folder / kind / "finished" / hashlib.sha256(data).hexdigest()

    def damage(self, remote, data):
        """Change one byte of the receiver's copy."""
        path = self.stored(remote, data) / "data"
        there = bytearray(path.read_bytes())
        there[len(there) // 2] ^= 1
        path.write_bytes(there)

    def remove(self, remote, data):
        shutil.rmtree(self.stored(remote, data))

    def sql(self, statement, *values):
        with closing(sqlite3.connect(self.folder / "state" / "syncd.db", isolation_level=None)) as store:
            return store.execute(statement, values).fetchall()

    def tree(self, folder):
        """Return all files below ``folder``: name → bytes and time."""
        found = {}
        root = os.fsencode(folder)
        for at, _, names in os.walk(root):
            for name in names:
                path = os.path.join(at, name)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, root)] = file.read(), os.stat(path).st_mtime_ns
        return found
