"""Runs a worker with the real store and a fake remote, in simulated time."""

import asyncio
import functools
import random

from syncd.core.breaker import Breaker
from syncd.core.concurrency import FixedLimit
from syncd.core.model import FoundFile
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
from tests.simulation.event_loop import simulated
from tests.support.clock import OffsetClock
from tests.support.wait import wait_until
from tests.upload.fakes import FakeRemote

DEADLINE_SECONDS = 1e6
"""Simulated seconds."""


def in_simulation(test):
    """Run an asynchronous test in simulated time."""

    @functools.wraps(test)
    def run(*arguments, **fixtures):
        simulated(test(*arguments, **fixtures))

    return run


class UploadHarness:
    """A folder, a store and one worker. ``clock`` is the wall clock."""

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
        self.failures = []

    async def __aenter__(self):
        self.loop = asyncio.get_running_loop()
        self.clock = OffsetClock(clock=self.loop.time)
        self.store = await self.loop.counted(JobStore.open)(self.path, clock=self.clock)
        self.store.database.write_together = self.loop.counted(self.store.database.write_together)
        await self.store.recover("harness")
        record = await self.store.register_remote("fake", self.remote.identity)
        self.remote.restore_capabilities(record.capabilities)
        self.remote_id = record.id
        self.scheduler = Scheduler(self.store, owner="harness", failed=self.failures.append)
        self.clock_step_detector = ClockStepDetector(self.store, clock=self.clock, steady=self.loop.time)
        self.worker = self.make_worker()
        self.changes = []
        self.store.changes.subscribe(self.changes.append)
        self.store.changes.subscribe(self._wake)
        self.scheduler.start()
        self.scheduler.add(self.worker)
        return self

    def _wake(self, change):
        self.worker.wake(new=change.after is State.QUEUED and not change.backlog)

    async def __aexit__(self, *_):
        await self.scheduler.close()
        await self.loop.counted(self.store.close)()
        assert not self.failures

    def make_worker(self):
        rng = random.Random(1)
        breaker = Breaker(self.retry_policy, rng.random)
        endpoint = Endpoint(
            self.remote, ConcurrencyLimiter(FixedLimit(self.concurrency)), breaker, clock=self.loop.time
        )
        context = WorkerContext(
            store=self.store,
            owner="harness",
            clock=self.clock,
            check_clock=self.clock_step_detector.check,
            random=rng.random,
            folder_policy=lambda folder: self.folder_policy,
        )
        return RemoteWorker("fake", self.remote_id, endpoint, context)

    def write(self, name, data):
        (self.inbox / name).write_bytes(data)
        return name

    async def queue(self, *names, backlog=False):
        seen = [
            FoundFile(path=name, fingerprint=fingerprint_of((self.inbox / name).stat()), unfit=None, backlog=backlog)
            for name in names
        ]
        await self.store.observe(
            str(self.inbox), seen, [self.remote_id], is_gone=lambda folder, path: not (self.inbox / path).exists()
        )

    async def add_file(self, name, data):
        await self.queue(self.write(name, data))

    async def job(self, name):
        (record,) = await self.store.jobs_of(name, [str(self.inbox)])
        return record

    async def wait_until(self, condition):
        await wait_until(lambda: self.failures or condition(), timeout=DEADLINE_SECONDS)
        assert not self.failures

    async def wait_for_states(self, **wanted):
        """Wait until the store has these numbers of jobs in these states."""
        while True:
            counts = (await self.store.counts([self.remote_id])).jobs
            if all(counts[State(state)] == number for state, number in wanted.items()):
                return
            assert not self.failures
            await asyncio.sleep(0.5)
