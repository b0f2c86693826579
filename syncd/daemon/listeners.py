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
from syncd.platform import user

if sys.platform == "win32":
    from syncd.control.pipe_server import PipeServer

    def _control_server(control: Control, service: ControlService) -> PipeServer:
        return PipeServer(service, os.fspath(control.socket))
else:
    from syncd.control.unix_server import ControlServer

    def _control_server(control: Control, service: ControlService) -> ControlServer:
        group = None if control.group is None else user.group_id(control.group)
        return ControlServer(service, os.fspath(control.socket), group=group)


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


async def _start_dashboard(daemon: Lifecycle, service: ControlService) -> DashboardServer | None:
    config = daemon.loaded.config
    address = config.control.dashboard
    if address is None:
        return None
    server = DashboardServer(service, host=address.host, port=address.port, state_dir=os.fspath(config.state_dir))
    await server.start()
    return server
