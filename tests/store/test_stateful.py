"""Compare the store with a small model under random sequences of operations."""

import asyncio
import os
import shutil
import tempfile
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import text

from syncd.core.model import Session, Stored
from syncd.core.states import TABLE, Outcome, State
from syncd.store.job_store import JobStore
from syncd.store.records import Change, Job
from tests.store.support import FOLDER, seen
from tests.support.clock import ManualClock
from tests.support.records import session_of

Q, U, W, D, F, S = State
PATHS = st.sampled_from(["a", "b", "c"])
REMOTES = [1, 2]


@dataclass
class ModelJob:
    state: State
    version: int
    """The file version that the state belongs to."""
    left_out: bool = False
    """Skipped because of the file, not because the user cancelled it."""
    claim: int = 0
    due_at: float = 0.0


class ModelFile:
    def __init__(self) -> None:
        self.version = 0
        self.size: int | None = None
        self.present = True
        self.jobs: dict[int, ModelJob] = {}

    def see(self, size: int, unfit: bool) -> None:
        if size != self.size or not self.present:
            self.size, self.present = size, True
            self.version += 1
        for remote in REMOTES:
            if (job := self.jobs.get(remote)) is None:
                self.jobs[remote] = ModelJob(S if unfit else Q, self.version, left_out=unfit)
                continue
            changed = job.version != self.version
            if job.state is U:
                continue
            if unfit and (changed or job.state in (Q, W, F)):
                job.state, job.version, job.left_out = S, self.version, True
            elif not unfit and (changed or (job.state is S and job.left_out)):
                job.state, job.version = Q, self.version


class StoreMachine(RuleBasedStateMachine):
    template = ""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.path = shutil.copy(self.template, os.path.join(self.folder, "syncd.db"))
        self.clock = ManualClock()
        self.runner = asyncio.Runner()
        self.files: dict[str, ModelFile] = {}
        self.held: list[Job] = []
        self.last: dict[int, State] = {}
        self.open()
        for name in ("drive", "ascii"):
            self.run(self.store.register_remote(name, name))

    def run(self, work):
        return self.runner.run(work)

    def open(self) -> None:
        self.store = self.run(JobStore.open(self.path, clock=self.clock))
        self.store.changes.subscribe(self.changed)

    def changed(self, change: Change) -> None:
        assert TABLE[change.before, change.cause] is change.after
        assert self.last.get(change.job_id) is change.before
        self.last[change.job_id] = change.after

    def teardown(self) -> None:
        self.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    def model(self, job: Job) -> ModelJob:
        return self.files[job.path].jobs[job.remote_id]

    # Operations of the watch.

    @rule(path=PATHS, size=st.integers(1, 3), unfit=st.booleans())
    def see(self, path, size, unfit):
        file = seen(path, 1, size=size, unfit="unfit" if unfit else None)
        self.run(self.store.observe(FOLDER, [file], REMOTES, is_gone=lambda *_: False))
        self.files.setdefault(path, ModelFile()).see(size, unfit)
        assert self.run(self.store.diff(FOLDER, [file], REMOTES)) == []

    @rule(paths=st.sets(PATHS))
    def gone(self, paths):
        self.run(self.store.mark_files_gone(FOLDER, sorted(paths)))
        gone = [self.files[path] for path in paths & set(self.files)]
        for file in gone:
            file.present = False
        for job in [job for file in gone for job in file.jobs.values()]:
            if job.state in (Q, W, F):
                job.state, job.version, job.left_out = S, self.version_of(job), True

    def version_of(self, job: ModelJob) -> int:
        return next(file.version for file in self.files.values() if job in file.jobs.values())

    # Operations of the upload workers.

    @rule(remote=st.sampled_from(REMOTES), limit=st.integers(1, 3))
    def claim(self, remote, limit):
        due = sum(
            job.state is Q or (job.state is W and job.due_at <= self.clock.now)
            for file in self.files.values()
            for at, job in file.jobs.items()
            if at == remote
        )
        claimed = self.run(self.store.claim(remote, limit, owner="one", lease=60))
        assert len(claimed) == min(due, limit)
        for job in claimed:
            known = self.model(job)
            assert known.state is Q or (known.state is W and known.due_at <= self.clock.now)
            known.state, known.version, known.claim = U, self.files[job.path].version, known.claim + 1
            assert (job.version, job.claim) == (known.version, known.claim)
            assert job.size == self.files[job.path].size
        self.held += claimed

    @precondition(lambda self: self.held)
    @rule(data=st.data(), result=st.sampled_from(["finish", "defer", "release", "refuse", "skip", "mark_gone"]))
    def finish_claim(self, data, result):
        job = data.draw(st.sampled_from(self.held))
        known, file = self.model(job), self.files[job.path]
        due_at = self.clock.now + 10
        after = self.run(
            {
                "finish": lambda: self.store.finish(job, key="k", stored=Stored(ref="r"), outcome=Outcome.DUPLICATE),
                "defer": lambda: self.store.defer(job, due_at=due_at, failures=1, detail="x"),
                "release": lambda: self.store.release(job, "x"),
                "refuse": lambda: self.store.refuse(job, "x"),
                "skip": lambda: self.store.skip(job, "unfit"),
                "mark_gone": lambda: self.store.mark_gone(job),
            }[result]()
        )
        if known.state is not U or known.claim != job.claim:
            assert after is None
            return
        if file.version != job.version:
            known.state, known.version = Q, file.version
        else:
            known.state = {"finish": D, "defer": W, "release": Q, "refuse": F, "skip": S, "mark_gone": S}[result]
            known.due_at, known.left_out = due_at, True
            file.present &= result != "mark_gone"
        assert after is known.state

    @rule(seconds=st.sampled_from([1, 20]))
    def tick(self, seconds):
        self.clock.now += seconds

    @rule(key=st.sampled_from("kl"), index=st.integers(0, 9))
    def send(self, key, index):
        self.run(self.store.save_session(1, key, Session(token="t", chunk_size=1, count=10)))
        self.run(self.store.acknowledge(1, key, "t", index))
        assert list(self.run(session_of(self.store, 1, key)).received) == [index]

    @rule()
    def restart(self):
        self.run(self.store.close())
        self.open()
        self.run(self.store.recover("another"))
        for file in self.files.values():
            for job in file.jobs.values():
                if job.state is U:
                    job.state, job.version = Q, file.version

    # Operations of a user.

    @precondition(lambda self: self.files)
    @rule(data=st.data(), retry_or_cancel=st.sampled_from(["retry", "cancel"]))
    def retry_or_cancel(self, data, retry_or_cancel):
        path = data.draw(st.sampled_from(sorted(self.files)))
        records = self.run(self.store.jobs_of(path, [FOLDER]))
        affected = self.run(getattr(self.store, retry_or_cancel)([record.id for record in records]))
        for record in records:
            job = self.files[path].jobs[record.remote_id]
            open_to_it = (W, F, S) if retry_or_cancel == "retry" else (Q, U, W, F)
            assert (record.id in affected) is (job.state in open_to_it)
            if record.id in affected:
                job.state, job.version = (Q if retry_or_cancel == "retry" else S), self.files[path].version
                job.left_out = False

    # Invariants.

    @invariant()
    def store_equals_model(self):
        records = self.run(self.store.jobs(REMOTES, limit=100))
        found = {(record.path, record.remote_id): record.state for record in records}
        assert found == {
            (path, remote): job.state for path, file in self.files.items() for remote, job in file.jobs.items()
        }
        assert self.last == {record.id: record.state for record in records}

    @invariant()
    def page_has_stamps_of_unchanged_files(self):
        found = [seen(path, 1, size=file.size) for path, file in sorted(self.files.items()) if file.present]
        for remotes in (REMOTES, REMOTES[:1]):
            changed = self.run(self.store.diff(FOLDER, found, remotes))
            stamps = {
                file.path.encode(): None if file in changed else (1, file.fingerprint.size, file.fingerprint.mtime_ns)
                for file in found
            }
            page = self.run(self.store.recorded_page(FOLDER, remotes, after=b"", limit=10))
            assert list(page.items()) == list(stamps.items())

    @invariant()
    def counts_match_jobs(self):
        query = text("SELECT state, count(*), sum(size) FROM jobs WHERE remote_id = :remote GROUP BY state")
        for remote in REMOTES:
            rows = self.run(
                self.store.database.read(lambda connection, at=remote: connection.execute(query, {"remote": at}).all())
            )
            counts = self.run(self.store.counts([remote]))
            assert {state: number for state, number in counts.jobs.items() if number} == {
                State(state): number for state, number, _ in rows
            }
            assert counts.pending_bytes == sum(size for state, _, size in rows if state in (Q, U, W))


def test_random_operations_match_model(empty_store):
    StoreMachine.template = empty_store
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
