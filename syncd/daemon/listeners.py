"""Starts and stops the servers of the control API: control socket and dashboard."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from syncd.config.model import Control
from syncd.control.service import ControlService
from syncd.daemon.control_service import DaemonControlService
from syncd.daemon.event_publisher import EventPublisher
from syncd.daemon.lifecycle import Lifecycle
from syncd.dashboard.server import DashboardServer

if sys.platform == "win32":
    from syncd.control.pipe_server import PipeServer

    Server = PipeServer
else:
    import grp

    from syncd.control.unix_server import ControlServer

    Server = ControlServer


@asynccontextmanager
async def listening(daemon: Lifecycle) -> AsyncGenerator[None]:
    """Answer the control API and publish events during the context."""
    service = DaemonControlService(daemon)
    server = _control_server(daemon.loaded.config.control, service)
    publisher = EventPublisher(daemon.hub, daemon.runtime, service)
    async with publisher.running():
        daemon.dashboard = await _start_dashboard(daemon, service)
        try:
            await server.start()  # last: a client that gets an answer here can use the dashboard too
            yield
        finally:
            publisher.publish_state()
            await asyncio.gather(server.stop(), *([daemon.dashboard.stop()] if daemon.dashboard else []))


def _control_server(control: Control, service: ControlService) -> "Server":
    path = os.fspath(control.socket)
    if sys.platform == "win32":
        return PipeServer(service, path)
    else:  # noqa: RET505 - mypy checks only one of the branches
        group = None if control.group is None else grp.getgrnam(control.group).gr_gid
        return ControlServer(service, path, group=group)


async def _start_dashboard(daemon: Lifecycle, service: ControlService) -> DashboardServer | None:
    config = daemon.loaded.config
    address = config.control.dashboard
    if address is None:
        return None
    server = DashboardServer(service, host=address.host, port=address.port, state_dir=os.fspath(config.state_dir))
    await server.start()
    return server
