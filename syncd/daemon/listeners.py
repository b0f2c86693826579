"""The daemon's doors, opened and closed together: the control socket, and the dashboard's where there is to be one."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from syncd.config.model import Control
from syncd.control.service import ControlService
from syncd.daemon.control_service import DaemonControlService
from syncd.daemon.event_publisher import EventPublisher
from syncd.dashboard.server import DashboardServer

if sys.platform == "win32":
    from syncd.control.pipe_server import PipeServer

    Server = PipeServer
else:
    import grp

    from syncd.control.unix_server import ControlServer

    Server = ControlServer

if TYPE_CHECKING:  # as for the steering
    from syncd.daemon.daemon import Daemon


@asynccontextmanager
async def listening(daemon: "Daemon") -> AsyncGenerator[None]:
    """Answer at every door, and tell what happens, as long as the context lasts."""
    service = DaemonControlService(daemon)
    server = _control_server(daemon.loaded.config.control, service)
    publisher = EventPublisher(daemon.hub, daemon.runtime, service)
    async with publisher.running():
        dashboard = await _dashboard(daemon, service)
        try:
            await server.start()  # last: who is answered here finds all the rest
            yield
        finally:
            publisher.publish_state()
            await asyncio.gather(server.stop(), *([dashboard.stop()] if dashboard else []))


def _control_server(control: Control, service: ControlService) -> "Server":
    path = os.fspath(control.socket)
    if sys.platform == "win32":
        return PipeServer(service, path)
    else:  # noqa: RET505 - the type checker sees but one of the two
        group = None if control.group is None else grp.getgrnam(control.group).gr_gid
        return ControlServer(service, path, group=group)


async def _dashboard(daemon: "Daemon", service: ControlService) -> DashboardServer | None:
    config = daemon.loaded.config
    at = config.control.dashboard
    if at is None:
        return None
    daemon.dashboard = DashboardServer(service, host=at.host, port=at.port, state_dir=os.fspath(config.state_dir))
    await daemon.dashboard.start()
    return daemon.dashboard
