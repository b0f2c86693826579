"""The world of the daemon: clocks, files, servers, a network, a disk, and their faults.

The world outlives every incarnation of the daemon. All that happens comes from the plan and its seed.
"""

import atexit
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from syncd.upload.job_claimer import NEW_AHEAD
from tests.simulation import faults
from tests.simulation.careless import AT_REMOVAL, UNLEASED
from tests.simulation.events import Events
from tests.simulation.file_system import FileSystem
from tests.simulation.files import Files
from tests.simulation.image_server import ImageServer
from tests.simulation.multipart_server import MultipartServer
from tests.simulation.network import Network
from tests.simulation.operations import OPERATIONS, overwrite
from tests.simulation.plan import TOKEN, Plan, Step, settings
from tests.simulation.removals import Removals
from tests.simulation.request_monitor import MOST, RequestMonitor
from tests.simulation.schedule import Schedule
from tests.simulation.selection import Folder
from tests.simulation.server import Server
from tests.simulation.steps import STEPS

READ_AHEAD = 32
"""Jobs of one server that may run beyond the requests in flight."""

if TYPE_CHECKING:
    from syncd.upload.worker import RemoteWorker
    from tests.simulation.incarnation import Incarnation

EPOCH = 1_800_000_000.0
START = 1000.0
_DEATHS = {
    "commit": "killed before a commit",
    "committed": "killed after a commit",
    "request": "killed before a request takes effect",
    "effect": "killed between a request's effect and its answer",
    "file": "killed before a file is renamed or deleted",
    "file changed": "killed after a file was renamed or deleted",
    "now": "killed at once",
}


class World:
    """Everything but the daemon. ``trace`` is called with each line of the trace."""

    def __init__(self, plan: Plan, trace: Callable[[str], None] | None = None) -> None:
        self.plan = plan
        self.rng = random.Random(plan.seed ^ 0x5EED)
        self.directory = os.path.join(_home(), "world")
        self.outside = f"{self.directory}/outside"
        self.target = f"{self.directory}/{'disk/' if plan.elsewhere else ''}moved"
        for path in (self.outside, self.target):
            os.makedirs(path)
        self.schedule = Schedule()
        self.incarnation: Incarnation | None = None
        self.tally: Counter[str] = Counter()
        self.violations: list[tuple[str, str]] = []
        self.log: list[str] = []
        self.disk_full = False
        self.meddling = 0
        self.meddling_at_removals = 0
        self.concurrency = plan.concurrency
        self.image_chunk_size = plan.image_chunk - plan.image_chunk % 4
        self.remote_names: dict[int, str] = {}
        self.changes: dict[str, Any] = {}
        self.folder_changes: dict[str, Any] = {}
        self.in_force: list[dict[str, Any]] = []
        """The configurations that may be in force now, oldest first; more than one during a reload."""
        self._trace = trace
        self._now = START
        self.jumped = 0.0
        self.doom: list[tuple[str, int]] = []
        self.file_system = FileSystem(plan.file_system_properties, self.directory, self.wall)
        if plan.elsewhere:
            self.file_system.disk = f"{self.directory}/disk"
        self.users_places = tuple(f"{self.directory}/{name}" for name in ("in", "outside/", "moved/", "disk"))
        self.removals = Removals(self)
        self.seen_mounted = True
        """Whether the target was mounted when the daemon read its configuration."""
        self.events = Events(self, plan.event_properties, random.Random(self.rng.getrandbits(32)))
        self.files = Files(self, [f"{self.directory}/in{number}" for number in range(plan.roots)])
        self.request_monitor = RequestMonitor(self)
        self.network = Network(self.schedule, self.now, random.Random(self.rng.getrandbits(32)))
        self.network.on_request = self.request_monitor.on_request
        self.network.on_attempt = self.request_monitor.on_attempt
        self.network.on_answer = self.request_monitor.on_answer
        self.network.on_refusal = self.request_monitor.away
        self.servers: dict[str, Server] = {
            "drive": MultipartServer(self, random.Random(self.rng.getrandbits(32)), TOKEN),
            "ascii": ImageServer(self, random.Random(self.rng.getrandbits(32))),
        }
        self.network.hosts = {1001: self.servers["drive"], 1002: self.servers["ascii"]}
        if plan.habit:
            name = self.rng.choice(plan.remotes)
            self.servers[name].habit = faults.arm(
                self, plan.habit, random.Random(self.rng.getrandbits(32)), always=True
            )
        for step in plan.steps:
            self.schedule.at(START + step.at, lambda step=step: self._do(step))

    def close(self) -> None:
        """Remove all files."""
        self.files.heal()
        shutil.rmtree(self.directory)

    # Time.

    def now(self) -> float:
        """Return the seconds of the monotonic clock."""
        return self.incarnation.loop.now if self.incarnation else self._now

    def wall(self) -> float:
        """Return the machine's wall clock, in seconds since the epoch."""
        return EPOCH + self.now() + self.jumped

    def after(self, seconds: float, do: Callable[[], object]) -> None:
        """Call ``do`` later, even if no daemon runs then."""
        self.schedule.at(self.now() + seconds, do)

    def pass_time(self, until: float) -> None:
        """Run the schedule without a daemon until ``until``."""
        while self.schedule.next <= until:
            self._now = max(self._now, self.schedule.next)
            self.schedule.pop()()
        self._now = max(self._now, until)

    def born(self, incarnation: "Incarnation") -> None:
        """Start an incarnation of the daemon."""
        self.incarnation = incarnation
        self.network.loop = incarnation.loop
        self.request_monitor.new_incarnation()

    def died(self) -> None:
        """End the incarnation; the world's time continues."""
        assert self.incarnation is not None
        self._now = self.incarnation.loop.now
        self.incarnation = None
        self.network.cut()
        self.events.observers.clear()

    @property
    def most_jobs(self) -> int:
        """The most jobs of one server that run at once.

        Includes new files, and those with files read ahead.
        """
        return (self.concurrency or MOST) + READ_AHEAD + NEW_AHEAD

    @property
    def ends_at(self) -> float:
        """The time of the end of the steps."""
        return START + self.plan.end

    # Trace and violations.

    def trace(self, what: str) -> None:
        """Pass a line to the trace, if it is on."""
        if self._trace:
            self._trace(f"{self.now():9.3f}  {what}".replace(f"{self.directory}/", ""))

    def report_violation(self, promise: str, how: str) -> None:
        """Record a broken promise; the schedule ends here."""
        self.trace(f"{promise} BROKEN: {how}")
        self.violations.append((promise, how.replace(f"{self.directory}/", "")))
        if self.incarnation:
            self.incarnation.loop.doomed = True

    def settings(self) -> dict[str, Any]:
        """Return the present content of the configuration file."""
        return settings(self.plan, self.files.roots, self.directory, self.target, self.changes, self.folder_changes)

    def folder(self) -> Folder:
        """Return the settings that all folders share, from the configuration file."""
        folder: Folder = self.settings()["folders"][0]
        return folder

    def worker(self, name: str) -> "RemoteWorker | None":
        """Return the daemon's worker of a remote, or None if it has none."""
        return self.incarnation.worker(name) if self.incarnation else None

    # The points at which a process can die.

    def moment(self, kind: str) -> None:
        """Report a moment of ``_DEATHS``: a process that is due to be killed there is killed."""
        if self.doom and self.doom[0][0] == kind and self.incarnation:
            left = self.doom[0][1] - 1
            self.doom[0] = (kind, left)
            if left <= 0:
                self.doom.clear()
                self.tally[_DEATHS[kind]] += 1
                self.trace(_DEATHS[kind])
                self.incarnation.loop.doomed = True

    # Steps.

    def _do(self, step: Step) -> None:
        """Run a step. The result is None if nothing happened, or if its effect is counted later."""
        if self.now() >= self.ends_at:
            return
        rng = random.Random(step.seed)
        family, _, name = step.kind.partition(" ")
        what: object = None
        if family == "file":
            what = OPERATIONS[name][0](self.files, rng)
        elif family == "fault":
            self._trouble(name, rng)
        else:
            what = STEPS[step.kind](self, rng)
        self.tally[step.kind] += what is not None
        self.trace(f"{step.kind}{'' if what is None else f': {what!r}'}")

    def _trouble(self, kind: str, rng: random.Random) -> None:
        server = self.servers[rng.choice(self.folder()["remote"])]
        fault = faults.arm(self, kind, rng)
        server.troubles.append(fault)
        self.after(rng.choice([1, 5, 20, 60]), lambda: fault in server.troubles and server.troubles.remove(fault))

    def mount_target(self) -> None:
        """Mount the file system to which files are moved, unless it is mounted."""
        disk = self.file_system.disk
        if not self.file_system.mounted:
            os.makedirs(f"{disk}-below", exist_ok=True)
            os.rename(str(disk), f"{disk}-below/{self.now()}")  # the mount hides files that were written before
            os.rename(f"{disk}-away", str(disk))
            self.file_system.mounted = True

    def strike(self) -> None:
        """Change a file in place while the daemon reads it."""
        if self.meddling > 0 and self.rng.random() < 0.3 and self.now() < self.ends_at:
            self.meddling -= 1
            self.tally["file overwrite while one is read"] += 1
            path = overwrite(self.files, self.rng)
            self.trace(f"changed while a file was read: {path!r}")

    def strike_removal(self, path: str) -> None:
        """Run an operation on a file that the daemon is about to remove."""
        if self.meddling_at_removals > 0 and self.rng.random() < 0.4 and self.now() < self.ends_at:
            self.meddling_at_removals -= 1
            operation = self.rng.choice(AT_REMOVAL if self.plan.file_system_properties.leases else UNLEASED)
            if operation(self.files, self.rng, path) is not None:
                self.tally[f"file {operation.__name__.strip('_')} at its removal"] += 1
                self.trace(f"{operation.__name__.strip('_')} at the removal of {path!r}")

    def heal(self) -> None:
        """End all faults."""
        self.trace("all trouble ends")
        for server in self.servers.values():
            server.troubles.clear()
            server.habit = None
            server._come_up()
        self.servers["drive"].token = TOKEN
        self.disk_full = False
        self.doom.clear()
        self.mount_target()
        self.files.heal()


@cache
def _home() -> str:
    """Return a folder of this process, in memory if possible; all worlds have the same paths."""
    home = tempfile.mkdtemp(prefix="syncd-simulation-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return home
