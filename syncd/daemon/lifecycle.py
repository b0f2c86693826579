"""The interface of the daemon for its control service, listeners and metrics.

They depend on this protocol and not on the daemon's module, so imports go one way.
"""

import asyncio
from datetime import datetime
from typing import Protocol

from syncd.config.load import Loaded
from syncd.control.events import Hub
from syncd.control.service import Limits
from syncd.daemon.after_upload import AfterUploadTask
from syncd.daemon.credential_renewal import CredentialRenewal
from syncd.daemon.local_files import LocalFiles
from syncd.daemon.runtime import Runtime
from syncd.daemon.unreadable_files import UnreadableFiles
from syncd.dashboard.server import DashboardServer


class Lifecycle(Protocol):
    """The parts of the running daemon, its state, and the commands that change it."""

    loaded: Loaded
    hub: Hub
    runtime: Runtime
    after_upload: AfterUploadTask
    renewal: CredentialRenewal
    files: LocalFiles
    unreadable_files: UnreadableFiles
    dashboard: DashboardServer | None
    shutdown_requested: asyncio.Event

    @property
    def state(self) -> str:
        """The state of the daemon.

        ``running``; ``blocked`` while the job store cannot be written, for example because the disk is full;
        ``stopped`` while uploading is paused; ``stopping`` while the process is ending.
        """

    @property
    def uptime(self) -> float:
        """Seconds since the start."""

    @property
    def paused_until(self) -> datetime | None:
        """The time when uploading resumes without a command.

        None if uploading is not paused, or if only the user ends the pause.
        """

    async def pause(self, *, now: bool, until: datetime | None = None) -> None:
        """Pause uploading, also after a restart, at the longest until ``until``.

        ``now`` interrupts the requests in flight.
        """

    async def resume(self) -> None:
        """Resume uploading, also after a restart."""

    async def limit(self, wanted: Limits) -> None:
        """Apply these limits until the next reload."""

    async def reload(self) -> list[str]:
        """Apply the configuration file; return one line per change and warning.

        InvalidConfigError means that nothing has changed, or that a shutdown interrupted the reload.
        """

    def request_shutdown(self) -> None:
        """End the process in order; further requests have no effect."""
