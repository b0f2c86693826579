"""Begins the session of a transfer, or finds that the server has the content.

A small file needs no request before its only one. But the server may have it, if it is part of a backlog: the job store
may be new after the loss of a machine. :mod:`syncd.core.look_ups` decides which of these files are looked up.
:mod:`~syncd.upload.transfer` sends the chunks of the session.
"""

from collections.abc import Callable
from dataclasses import dataclass

from syncd.core.model import Content, Session, Stored
from syncd.store.records import ContentRecords, Job
from syncd.upload.endpoint import Endpoint
from syncd.upload.source import FileSource


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionStart:
    """The parameters of a start that are the same for all sessions of a transfer.

    ``first`` is as for :meth:`~syncd.upload.limiter.ConcurrencyLimiter.acquire`; ``on_request`` is called before a
    request.
    """

    job: Job
    content: Content
    source: FileSource
    records: ContentRecords
    endpoint: Endpoint
    first: bool
    on_request: Callable[[], None]

    async def begin(self, saved: Session | None, *, look_up: bool) -> Session | Stored:
        """Resume ``saved``, or begin a new session.

        If the server has the content already, returns that. ``look_up`` is as for
        :meth:`~syncd.remotes.base.Remote.begin`.
        """
        begun = self.endpoint.remote.session_without_request(
            self.content, self.source, saved, failures=self.job.failures, look_up=look_up
        )
        if begun is None:
            async with self.endpoint.limiter.slot(first=self.first):
                return await self._request(saved, look_up=look_up)
        if begun.single_request and self.job.backlog and not self.records.anywhere:
            return await self._look_up(saved) or begun
        return begun

    async def _look_up(self, saved: Session | None) -> Session | Stored | None:
        """Return the result of a look-up, or None if none is due."""
        look_ups = self.endpoint.look_ups
        only_samples = look_ups.only_samples
        if not look_ups.next_is_due():
            return None
        async with self.endpoint.limiter.slot(first=self.first):
            if look_ups.only_samples and not only_samples:  # results of others arrived during the wait
                return None
            found = await self._request(saved, look_up=True)
            look_ups.record(found=isinstance(found, Stored))
            return found

    async def _request(self, saved: Session | None, *, look_up: bool) -> Session | Stored:
        """Call the client; the caller holds a slot."""
        async with self.endpoint.observed(self.job.id) as observation:
            self.on_request()
            begun = await self.endpoint.remote.begin(
                self.content, self.source, saved, failures=self.job.failures, look_up=look_up
            )
            observation.inconclusive = isinstance(begun, Session)  # only a chunk shows whether the line is slow
        if self.job.backlog and isinstance(begun, Stored):
            self.endpoint.look_ups.record(found=True)
        return begun
