"""The daemon's answers to the control API."""

import asyncio
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from syncd import __version__
from syncd.control import steering as api
from syncd.control.targets import Target
from syncd.core.names import displayed
from syncd.core.states import State
from syncd.daemon.rooms import Rooms
from syncd.store.jobs import JobRecord, Step


class DaemonSteering(api.Steering):
    """Puts what store, engine and watches know into the shapes of the API."""
