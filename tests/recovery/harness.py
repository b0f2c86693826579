"""A folder that was uploaded to both APIs, and helpers to run commands and damage copies."""

import base64
import hashlib
import os
import shutil
import sqlite3
from contextlib import closing

from tests.support.config import base_settings, write_settings
from tests.support.processes import run_main

TIME = 1_600_000_000_123_456_700
"""Nanoseconds since the epoch, finer than a float can hold."""


class RecoveryHarness:
    """The folder ``inbox``, its configuration, and the receiver with its folder."""

    def __init__(self, folder, receiver):
        self.folder = folder
        self.receiver = receiver
        self.inbox = folder / "inbox"
        self.inbox.mkdir()
        self.config = folder / "config.yaml"
        self.settings = base_settings(receiver.url)

    def write(self, name, data, at=TIME):
        """Write a file into the folder; ``name`` may be bytes."""
        path = os.path.join(os.fsencode(self.inbox), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        os.utime(path, ns=(at, at))

    def write_settings(self):
        write_settings(self.config, self.settings)

    def syncd(self, *arguments):
        """Run a command on the configuration in this process."""
        self.write_settings()
        return run_main(*arguments, "-c", self.config)

    def upload(self):
        done = self.syncd("once")
        assert done.code == 0, done
        return done

    def stored(self, remote, data):
        """Return the receiver's folder for the content ``data``."""
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
        """Return all files below ``folder``: a mapping of name to (bytes, mtime in ns)."""
        found = {}
        root = os.fsencode(folder)
        for at, _, names in os.walk(root):
            for name in names:
                path = os.path.join(at, name)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, root)] = file.read(), os.stat(path).st_mtime_ns
        return found
