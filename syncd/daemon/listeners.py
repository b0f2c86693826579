"""The daemon's doors, opened and closed together: the control socket, and the dashboard's where there is to be one."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from syncd.config.model import Control
from syncd.control.service import Steering
from syncd.daemon.control_service import DaemonSteering
from syncd.daemon.event_publisher import Feed
from syncd.dashboard.server import Door

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
    steering = DaemonSteering(daemon)
    server = _control_server(daemon.loaded.config.control, steering)
    feed = Feed(daemon.hub, daemon.runtime, steering)
    async with feed.running():
        door = await _dashboard(daemon, steering)
        try:
            await server.start()  # last: who is answered here finds all the rest
            yield
        finally:
            feed.tell_state()
            await asyncio.gather(server.stop(), *([door.stop()] if door else []))


def _control_server(control: Control, steering: Steering) -> "Server":
    path = os.fspath(control.socket)
    if sys.platform == "win32":
        return PipeServer(steering, path)
    else:  # noqa: RET505 - the type checker sees but one of the two
        group = None if control.group is None else grp.getgrnam(control.group).gr_gid
        return ControlServer(steering, path, group=group)


async def _dashboard(daemon: "Daemon", steering: Steering) -> Door | None:
    config = daemon.loaded.config
    at = config.control.dashboard
    if at is None:
        return None
    daemon.door = Door(steering, host=at.host, port=at.port, state_dir=os.fspath(config.state_dir))
    await daemon.door.start()
    return daemon.door
