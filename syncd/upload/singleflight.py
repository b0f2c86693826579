"""Uploads each content only once (single-flight).

The first job with a content is the leader. Other jobs with the same content wait for it; when they run, the server has
the content, and they send no chunk.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from syncd.core.text import printable
from syncd.store.records import Job
from syncd.upload.job_queue import JobQueue

LEADER_WAIT_SECONDS = 60.0
"""A waiting job is tried again after this time, even if nothing wakes it."""


class AlreadyInFlightError(Exception):
    """The same content is being uploaded by another job."""

    def __init__(self, key: str, leader: Job) -> None:
        super().__init__(f"the same content is being uploaded as {printable(leader.path)}")
        self.key = key


@dataclass(eq=False, slots=True)
class LookUp:
    """A look-up of a content in the store.

    ``outdated`` is True if an upload of the content has ended since the look-up began.
    """

    outdated: bool = False


class InFlightUploads:
    """The contents that are being uploaded to one remote, each with its leader.

    ``clock`` is the wall clock, in seconds since the epoch.
    """

    def __init__(self, remote_id: int, store: JobQueue, clock: Callable[[], float]) -> None:
        self._remote_id = remote_id
        self._store = store
        self._clock = clock
        self._leaders: dict[str, Job] = {}
        self._followed: set[str] = set()
        self._look_ups: dict[str, list[LookUp]] = {}

    def lead(self, job: Job, key: str) -> None:
        """Make ``job`` the leader of a content; :class:`AlreadyInFlightError` if it has a leader."""
        if leader := self._leaders.get(key):
            raise AlreadyInFlightError(key, leader)
        self._leaders[key] = job

    @contextmanager
    def looking_up(self, key: str) -> Iterator[LookUp]:
        """Mark the look-up as outdated if an upload of the content ends meanwhile.

        The look-up may then have read the state before the end of that upload.
        """
        look_up = LookUp()
        look_ups = self._look_ups.setdefault(key, [])
        look_ups.append(look_up)
        try:
            yield look_up
        finally:
            look_ups.remove(look_up)
            if not look_ups and self._look_ups.get(key) is look_ups:
                del self._look_ups[key]

    def stop_leading(self, job: Job) -> list[str]:
        """End the lead of ``job``; return the contents whose waiting jobs must be woken."""
        led = [key for key, leader in self._leaders.items() if leader is job]
        for key in led:
            del self._leaders[key]
            for look_up in self._look_ups.get(key, ()):
                look_up.outdated = True
        awaited = [key for key in led if key in self._followed]
        self._followed.difference_update(awaited)
        return awaited

    async def wait_for_leader(self, job: Job, already: AlreadyInFlightError) -> None:
        """Defer ``job`` until the leader of the same content has ended."""
        self._followed.add(already.key)
        await self._store.set_content_key(job, already.key)
        due_at = self._clock() + LEADER_WAIT_SECONDS
        await self._store.defer(job, due_at=due_at, failures=job.failures, detail=str(already))
        if already.key not in self._leaders:  # the leader has ended before this job was recorded as waiting
            await self._store.wake(self._remote_id, already.key)
