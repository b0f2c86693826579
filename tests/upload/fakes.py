"""Test doubles: a remote that a test controls, and a worker over the real store in simulated time."""

import asyncio
import hashlib
import itertools
import random
from contextlib import asynccontextmanager

from syncd.core import chunks
from syncd.core.breaker import Breaker
from syncd.core.concurrency import FixedLimit
from syncd.core.errors import SessionLost
from syncd.core.model import ChunkResult, Confirmation, Content, FoundFile, Presence, Proof, Session, Stored
from syncd.core.retry import Policy
from syncd.core.states import State
from syncd.store.job_store import JobStore
from syncd.upload.clock import ClockStepDetector
from syncd.upload.context import FolderPolicy, WorkerContext
from syncd.upload.endpoint import Endpoint
from syncd.upload.limiter import ConcurrencyLimiter
from syncd.upload.scheduler import Scheduler
from syncd.upload.source import fingerprint_of
from syncd.upload.worker import RemoteWorker


class FakeRemote:
    """Keeps whole uploads in memory. ``fail(call, ...)`` may raise what the server is to do wrong."""

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
        self.whole = {}
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

    async def begin(self, content, source, session, *, failures, look_up=False):
        async with self._request("begin", source.name):
            if content.key in self.whole:
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
            self.whole[content.key] = data
            return Stored(ref=content.key)

    async def confirm(self, ref, content, *, thorough=False):
        async with self._request("confirm", ref):
            return Confirmation(presence=Presence.YES if content.key in self.whole else Presence.NO, proof=Proof.HASH)

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


class Bench:
    """A folder, a store and one worker, in simulated time."""

    def __init__(self, tmp_path, remote=None, concurrency=4, policy=None):
        self.inbox = tmp_path / "inbox"
        self.inbox.mkdir(exist_ok=True)
        self.path = str(tmp_path / "syncd.db")
        self.remote = remote or FakeRemote()
        self.concurrency = concurrency
        self.retry_policy = policy or Policy()
        self.rechecked = []
        self.folder_policy = FolderPolicy(
            unfit=lambda size: "empty" if size == 0 else None, recheck=self.rechecked.append
        )
        self.died = []
        self.jumped = 0.0

    async def __aenter__(self):
        self.loop = asyncio.get_running_loop()
        self.store = await self.loop.counted(JobStore.open)(self.path, clock=self.wall)
        self.store.database.write = self.loop.counted(self.store.database.write)
        await self.store.recover("bench")
        record = await self.store.register_remote("fake", self.remote.identity)
        self.remote.restore_capabilities(record.capabilities)
        self.remote_id = record.id
        self.scheduler = Scheduler(self.store, owner="bench", failed=self.died.append)
        self.wall_clock = ClockStepDetector(self.store, clock=self.wall, steady=self.loop.time)
        self.worker = self.make_worker()
        self.changes = []
        self.store.changes.subscribe(self.changes.append)
        self.store.changes.subscribe(lambda change: self.worker.wake())
        self.scheduler.start()
        self.scheduler.add(self.worker)
        return self

    async def __aexit__(self, *_):
        await self.scheduler.close()
        await self.loop.counted(self.store.close)()
        assert not self.died

    def make_worker(self):
        rng = random.Random(1)
        breaker = Breaker(self.retry_policy, rng.random)
        endpoint = Endpoint(
            self.remote, ConcurrencyLimiter(FixedLimit(self.concurrency)), breaker, clock=self.loop.time
        )
        context = WorkerContext(
            store=self.store,
            owner="bench",
            clock=self.wall,
            check_clock=self.wall_clock.check,
            random=rng.random,
            folder_policy=lambda folder: self.folder_policy,
        )
        return RemoteWorker("fake", self.remote_id, endpoint, context)

    def wall(self):
        return self.loop.time() + self.jumped

    def write(self, name, data):
        (self.inbox / name).write_bytes(data)
        return name

    async def queue(self, *names):
        seen = [
            FoundFile(path=name, fingerprint=fingerprint_of((self.inbox / name).stat()), unfit=None) for name in names
        ]
        await self.store.observe(
            str(self.inbox), seen, [self.remote_id], is_gone=lambda folder, path: not (self.inbox / path).exists()
        )

    async def drop(self, name, data):
        await self.queue(self.write(name, data))

    async def job(self, name):
        (record,) = await self.store.jobs_of(name, [str(self.inbox)])
        return record

    async def until(self, condition):
        while not condition():
            assert not self.died
            await asyncio.sleep(0.01)

    async def settle(self, **wanted):
        """Wait until the store counts so many jobs in these states."""
        while True:
            counts = (await self.store.counts([self.remote_id])).jobs
            if all(counts[State(state)] == number for state, number in wanted.items()):
                return
            assert not self.died
            await asyncio.sleep(0.5)
