"""The daemon's doors, opened and closed together: the control socket, and the dashboard's where there is to be one."""

import asyncio
import grp
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from syncd.control.server import ControlServer
from syncd.control.steering import Steering
from syncd.daemon.feed import Feed
from syncd.daemon.steering import DaemonSteering
from syncd.dashboard.door import Door

if TYPE_CHECKING:  # as for the steering
    from syncd.daemon.service import Daemon


@asynccontextmanager
async def serving(daemon: "Daemon") -> AsyncGenerator[None]:
    """Answer at every door, and tell what happens, as long as the context lasts."""
    steering = DaemonSteering(daemon)
    control = daemon.loaded.config.control
    group = None if control.group is None else grp.getgrnam(control.group).gr_gid
    server = ControlServer(steering, os.fspath(control.socket), group=group)
    feed = Feed(daemon.hub, daemon.rooms, steering)
    async with feed.running():
        door = await _dashboard(daemon, steering)
        try:
            await server.start()  # last: who is answered here finds all the rest
            yield
        finally:
            feed.tell_state()
            await asyncio.gather(server.stop(), *([door.stop()] if door else []))


async def _dashboard(daemon: "Daemon", steering: Steering) -> Door | None:
    config = daemon.loaded.config
    at = config.control.dashboard
    if at is None:
        return None
    daemon.door = Door(steering, host=at.host, port=at.port, state_dir=os.fspath(config.state_dir))
    await daemon.door.start()
    return daemon.door
