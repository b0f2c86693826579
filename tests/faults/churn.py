"""Creates, changes, moves and deletes files as users do, and records the expected result.

The result is the content that must be on the server in the end.
"""

import base64
import hashlib
import os
import random
import shutil
import threading
from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A content, by the seed that makes it."""

    seed: int
    size: int
    ascii: bool = False

    def bytes(self):
        if self.ascii:
            return (b"%08d  .oO@#*+  " % self.seed * (self.size // 18 + 1))[: self.size]
        return random.Random(self.seed).randbytes(self.size)


class Churn(threading.Thread):
    """A thread that creates ``files`` files below ``inbox`` and changes some of them.

    It renames, rewrites, copies and removes them. Each step waits for a permit of :meth:`permit`.
    """

    def __init__(self, inbox, *, files, seed, giants=0, largest=20 * MIB):
        super().__init__(daemon=True)
        self.inbox = inbox
        self.files = files
        self.there = {}
        self.states = set()
        self.counts = dict.fromkeys(("made", "renamed", "rewritten", "copied", "removed", "folders renamed"), 0)
        self.bytes = 0
        self._rng = random.Random(seed)
        self._largest = largest
        self._giants = set(self._rng.sample(range(files), giants))
        self._permits = threading.Semaphore(0)
        self._parts = inbox.parent / "parts"
        self._parts.mkdir()
        self._number = 0

    def permit(self, steps):
        self._permits.release(steps)

    def run(self):
        others = [self._rename, self._rewrite, self._copy, self._remove, self._rename_folder]
        for number in range(self.files):
            self._permits.acquire()
            self._make(number)
            if number > 10 and self._rng.random() < 0.25:
                self._rng.choices(others, weights=(10, 7, 4, 2, 1))[0]()

    def digests(self):
        """Return the digests that the servers may have stored, as (multipart, image).

        They are those of all contents that a file had at some time.
        """
        drive, ascii_ = set(), set()
        for text in self.states:
            data = text.bytes()
            drive.add(hashlib.sha256(data).hexdigest())
            ascii_.add(hashlib.sha256(data if text.ascii else base64.urlsafe_b64encode(data)).hexdigest())
        return drive, ascii_

    def _new(self, number=None):
        self._number += 1
        if number in self._giants:
            size = self._rng.randrange(self._largest // 2, self._largest + 1)
        else:
            size = min(self._largest, KIB + int(self._rng.expovariate(1 / (40 * KIB))))
        text = Text(seed=self._number, size=size, ascii=self._number % 9 == 0)
        self.states.add(text)
        return text

    def _make(self, number):
        text = self._new(number)
        folder = self.inbox / f"album {self._rng.randrange(12)}" if self._rng.random() < 0.5 else self.inbox
        folder.mkdir(exist_ok=True)
        path = folder / f"bild {number} گل.{'txt' if text.ascii else 'jpg'}"
        self._put(path, text, in_place=bool(number % 3))
        self.counts["made"] += 1

    def _put(self, path, text, *, in_place):
        target = path if in_place else self._parts / path.name
        target.write_bytes(text.bytes())
        if not in_place:
            os.replace(target, path)
        self.there[path] = text
        self.bytes += text.size

    def _any(self):
        return self._rng.choice(sorted(self.there))

    def _rename(self):
        path = self._any()
        target = path.with_name(f"renamed {self._number} {path.name[-30:]}")
        os.rename(path, target)
        self.there[target] = self.there.pop(path)
        self.counts["renamed"] += 1

    def _rewrite(self):
        path = self._any()
        text = self._new()
        self._put(path, Text(seed=text.seed, size=text.size), in_place=bool(self._number % 2))
        self.states.add(self.there[path])
        self.counts["rewritten"] += 1

    def _copy(self):
        path = self._any()
        target = path.with_name(f"copied {self._number} {path.name[-30:]}")
        shutil.copy(path, target)
        self.there[target] = self.there[path]
        self.counts["copied"] += 1

    def _remove(self):
        path = self._any()
        path.unlink()
        del self.there[path]
        self.counts["removed"] += 1

    def _rename_folder(self):
        folders = sorted({path.parent for path in self.there} - {self.inbox})
        if not folders:
            return
        folder = self._rng.choice(folders)
        target = folder.with_name(f"moved {self._number}")
        os.rename(folder, target)
        self.there = {
            (target / path.name if path.parent == folder else path): text for path, text in self.there.items()
        }
        self.counts["folders renamed"] += 1
