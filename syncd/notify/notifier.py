"""Polls the state of the daemon and sends the notifications.

Its task connects the parts of this package. It waits for no delivery: each target has an
:class:`~syncd.notify.outbox.Outbox` with a separate task. It saves what it has reported once the message has arrived at
a target, so that a restart repeats no message and loses none.
"""

import asyncio
import json
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

import structlog

from syncd import localtime
from syncd.asyncio_tools import cancel_and_wait, until_next, wait_for_event
from syncd.config.notify import Notify
from syncd.control.schemas import Status
from syncd.notify.conditions import find_conditions
from syncd.notify.delivery import Target
from syncd.notify.message import Message, report_message
from syncd.notify.outbox import Outbox
from syncd.notify.ping import Ping, Pinger
from syncd.notify.summary import Results, summary_date, summary_message
from syncd.notify.targets import make_targets
from syncd.notify.tracker import Tracker

log = structlog.get_logger()

POLL_SECONDS = 5.0
"""The time between two looks at the state."""


@dataclass(kw_only=True, slots=True)
class NotifyState:
    """The conditions and the summary that were reported to a person.

    ``reported`` has the texts of the conditions that a person knows of, by key. ``summary_date`` is the date of the
    last summary in ISO format, for summaries at the minute of the day ``summary_minute``.
    """

    reported: dict[str, str] = field(default_factory=dict)
    summary_date: str | None = None
    summary_minute: int | None = None

    def to_json(self) -> str:
        """Return the text from which :func:`parse_state` makes an equal state."""
        return json.dumps([self.reported, self.summary_date, self.summary_minute])


def parse_state(text: str | None) -> NotifyState:
    """Return the state in a text of :meth:`NotifyState.to_json`.

    Returns an empty state for None or another text.
    """
    try:
        reported, date, minute = json.loads(text or "null")
        reported = {str(key): str(value) for key, value in reported.items()}
    except (ValueError, TypeError, AttributeError):
        return NotifyState()
    return NotifyState(
        reported=reported,
        summary_date=date if isinstance(date, str) else None,
        summary_minute=minute if isinstance(minute, int) else None,
    )


class Source(Protocol):
    """The methods of the daemon that the notifier uses."""

    results: Results

    async def status(self) -> Status:
        """Return the status document."""

    async def load(self) -> str | None:
        """Return the text that :meth:`save` saved last."""

    async def save(self, text: str) -> None:
        """Save a text; while the disk is full, this call waits."""


class Notifier:
    """Notifies according to ``settings``.

    :meth:`configure` replaces the settings. ``host`` names the daemon in messages.
    """

    def __init__(self, settings: Notify, source: Source, *, host: str) -> None:
        self._settings = settings
        self._source = source
        self._host = host
        self._configured = asyncio.Event()
        self._outboxes: dict[Target, tuple[Outbox, asyncio.Task[None]]] = {}
        self._pinger: tuple[Pinger, asyncio.Task[None]] | None = None
        self._unconfirmed: Message | None = None
        """The last report, until it has arrived at a target."""
        self._save_requested = asyncio.Event()
        # Set by run():
        self._state: NotifyState
        self._tracker: Tracker

    def configure(self, settings: Notify) -> None:
        """Apply other settings soon. Messages for targets that stay are kept."""
        self._settings = settings
        self._configured.set()

    async def run(self) -> None:
        """Notify until cancelled. A failure never ends the task."""
        self._state = parse_state(await self._source.load())
        self._tracker = Tracker(self._state.reported, now=time.monotonic())
        saving = asyncio.create_task(self._save_loop(), name="notify_save")
        try:
            while True:
                self._configured.clear()
                await self._apply_settings()
                if self._outboxes or self._pinger:
                    await self._poll()
                active = bool(self._outboxes or self._pinger)
                await wait_for_event(self._configured, until_next(POLL_SECONDS) if active else None)
        finally:
            tasks = [saving, *(task for _, task in self._outboxes.values())]
            await cancel_and_wait(*tasks, *([self._pinger[1]] if self._pinger else []))

    async def _apply_settings(self) -> None:
        """Start and end the tasks of the targets that the settings add and remove."""
        targets = make_targets(self._settings)
        ended = [self._outboxes.pop(target)[1] for target in list(self._outboxes) if target not in targets]
        for target in targets:
            if target not in self._outboxes:
                outbox = Outbox(target, delivered=self._confirm)
                self._outboxes[target] = outbox, asyncio.create_task(outbox.run(), name=f"notify {target.name}")
        ping = self._settings.ping
        wanted = None if ping is None else (Ping(url=ping.url), ping.every)
        if self._pinger and (self._pinger[0].ping, self._pinger[0].every) != wanted:
            ended.append(self._pinger[1])
            self._pinger = None
        if wanted and not self._pinger:
            pinger = Pinger(*wanted)
            self._pinger = pinger, asyncio.create_task(pinger.run(), name="notify ping")
        await cancel_and_wait(*ended)

    async def _poll(self) -> None:
        try:
            document = await self._source.status()
            self._observe(document)
            if self._outboxes:
                self._report()
                self._summarise(document)
        except Exception:
            log.exception("notify.crashed", target="all")

    def _observe(self, document: Status) -> None:
        now = time.monotonic()
        idle = time.time() - self._source.results.last_upload
        self._tracker.observe(find_conditions(document, self._settings, idle_seconds=idle), now)
        if self._pinger:
            self._pinger[0].update(well=not self._tracker.needs_attention(now))

    def _report(self) -> None:
        report = self._tracker.report(time.monotonic(), min_interval=self._settings.min_interval)
        if report is None:
            return
        if not self._settings.recovered:
            report = replace(report, ended=())
        if report.started or report.ended:
            self._unconfirmed = self._send(report_message(report, self._host))

    def _summarise(self, document: Status) -> None:
        minute, state, results = self._settings.daily_summary, self._state, self._source.results
        date = None if minute is None else summary_date(minute, localtime.now())
        if state.summary_minute == minute and date == state.summary_date:
            return
        if state.summary_minute == minute and minute is not None:
            since = localtime.at(datetime.fromtimestamp(results.since, UTC))
            self._send(summary_message(document, results, self._host, since=since))
            results.restart(time.time())
        state.summary_minute, state.summary_date = minute, date
        self._save_requested.set()

    def _send(self, message: Message) -> Message:
        for outbox, _ in self._outboxes.values():
            outbox.put(message)
        return message

    def _confirm(self, message: Message) -> None:
        """Save that a person knows of the reported conditions."""
        if message is self._unconfirmed:
            self._unconfirmed = None
            self._state.reported = dict(self._tracker.reported)
            self._save_requested.set()

    async def _save_loop(self) -> None:
        while True:
            await self._save_requested.wait()
            self._save_requested.clear()
            try:
                await self._source.save(self._state.to_json())
            except Exception:
                log.exception("notify.crashed", target="store")
