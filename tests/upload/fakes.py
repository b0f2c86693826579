"""A remote that a test controls."""

import asyncio
import hashlib
import itertools
from contextlib import asynccontextmanager

from syncd.core import chunks
from syncd.core.errors import SessionLost
from syncd.core.model import ChunkResult, Confirmation, Content, Presence, Proof, Session, Stored


class FakeRemote:
    """Keeps uploads in memory. ``fail(call, ...)`` returns the failure of a call, or None."""

    identity = "fake"
    terms = ""
    expires = False
    required_proof = Proof.SIZE

    def __init__(self, chunk_size=1000, latency=0.05):
        self.block_size = chunk_size
        self.latency = latency
        self.capabilities = {}
        self.sessions = {}
        self._numbers = itertools.count()
        self.complete = {}
        self.calls = []
        self.fail = lambda call, *about: None
        self.in_flight = self.most_in_flight = 0

    def restore_capabilities(self, capabilities):
        self.capabilities = dict(capabilities)

    def hasher(self):
        return _Hasher()

    def recorded(self, *, key, ref, size, sha256):
        return Content(key=key, size=size, sha256=sha256)

    @asynccontextmanager
    async def _request(self, call, *about):
        self.calls.append((call, *about))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.latency)
            if failure := self.fail(call, *about):
                raise failure
            yield
        finally:
            self.in_flight -= 1

    def session_without_request(self, content, source, session, *, failures, look_up=False):
        return None

    async def begin(self, content, source, session, *, failures, look_up=False):
        async with self._request("begin", source.name):
            if content.key in self.complete:
                return Stored(ref=content.key, already=True)
            if session and session.token in self.sessions:
                return session
            token = f"session-{next(self._numbers)}"
            self.sessions[token] = {}
            count = chunks.count(content.size, self.block_size)
            return Session(token=token, chunk_size=self.block_size, count=count)

    async def send(self, session, index, content, source):
        data = await source.read(*chunks.span(index, content.size, session.chunk_size))
        async with self._request("send", source.name, index):
            if session.token not in self.sessions:
                raise SessionLost("no such session")
            self.sessions[session.token][index] = data
        return ChunkResult()

    async def finish(self, session, content, source):
        async with self._request("finish", source.name):
            parts = self.sessions.pop(session.token, None)
            if parts is None or len(parts) != session.count:
                raise SessionLost("chunks are missing")
            data = b"".join(parts[index] for index in sorted(parts))
            assert hashlib.sha256(data).hexdigest() == content.key, "torn"
            self.complete[content.key] = data
            return Stored(ref=content.key)

    async def confirm(self, ref, content, *, thorough=False):
        async with self._request("confirm", ref):
            return Confirmation(
                presence=Presence.YES if content.key in self.complete else Presence.NO, proof=Proof.HASH
            )

    async def check(self):
        async with self._request("check"):
            pass

    async def close(self):
        pass

    def count(self, call):
        return sum(made[0] == call for made in self.calls)


class _Hasher:
    def __init__(self):
        self._hash = hashlib.sha256()
        self._size = 0

    def update(self, data):
        self._hash.update(data)
        self._size += len(data)

    def content(self):
        return Content(key=self._hash.hexdigest(), size=self._size, sha256=self._hash.hexdigest())
