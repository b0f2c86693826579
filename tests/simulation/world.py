"""The world that the daemon lives in: clocks, files, servers, a network, a disk; and everything that goes wrong there.

It outlives every life of the daemon. All that happens in it comes from the plan and its seed.
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

from tests.simulation import faults
from tests.simulation.agenda import Agenda
from tests.simulation.deeds import DEEDS, overwrite
from tests.simulation.events import Events
from tests.simulation.files import Files, contents, matches
from tests.simulation.image_server import ImageServer
from tests.simulation.multipart_server import MultipartServer
from tests.simulation.network import Network
from tests.simulation.plan import TOKEN, Plan, Step
from tests.simulation.server import Server
from tests.simulation.watchman import MOST, Watchman

if TYPE_CHECKING:
    from syncd.engine.lane import Lane
    from tests.simulation.life import Life

EPOCH = 1_800_000_000.0
START = 1000.0
DAY = 86_400.0
_DEATHS = {
    "commit": "killed before a commit",
    "committed": "killed after a commit",
    "request": "killed before a request takes effect",
    "effect": "killed between a request's effect and its answer",
    "now": "killed at once",
}
_DAYS = [(DAY, "a day forward"), (-DAY, "a day back")]
_JUMPS = [*_DAYS, *_DAYS, (3600.0, "an hour forward"), (-5.0, "five seconds back")]


class World:
    """Everything but the daemon. ``trace`` is told what happens."""

    def __init__(self, plan: Plan, trace: Callable[[str], None] | None = None) -> None:
        self.plan = plan
        self.rng = random.Random(plan.seed ^ 0x5EED)
        self.directory = os.path.join(_home(), "world")
        os.mkdir(self.directory)
        self.agenda = Agenda()
        self.life: Life | None = None
        self.tally: Counter[str] = Counter()
        self.blames: list[tuple[str, str]] = []
        self.log: list[str] = []
        self.disk_full = False
        self.meddling = 0
        self.concurrency = plan.concurrency
        self.image_chunk_size = plan.image_chunk - plan.image_chunk % 4
        self.remote_names: dict[int, str] = {}
        self.changes: dict[str, Any] = {}
        self._trace = trace
        self._now = START
        self._jumped = 0.0
        self._doom: list[tuple[str, int]] = []
        self.events = Events(self, plan.manners, random.Random(self.rng.getrandbits(32)))
        self.files = Files(self, [f"{self.directory}/in{number}" for number in range(plan.roots)])
        self.watchman = Watchman(self)
        self.network = Network(self.agenda, self.now, random.Random(self.rng.getrandbits(32)))
        self.network.on_request = self.watchman.on_request
        self.network.on_attempt = self.watchman.on_attempt
        self.network.on_answer = self.watchman.on_answer
        self.network.on_refusal = self.watchman.away
        self.servers: dict[str, Server] = {
            "drive": MultipartServer(self, random.Random(self.rng.getrandbits(32)), TOKEN),
            "ascii": ImageServer(self, random.Random(self.rng.getrandbits(32))),
        }
        self.network.hosts = {1001: self.servers["drive"], 1002: self.servers["ascii"]}
        for step in plan.steps:
            self.agenda.at(START + step.at, lambda step=step: self._do(step))

    def close(self) -> None:
        """Leave nothing behind."""
        self.files.heal()
        shutil.rmtree(self.directory)

    # Time.

    def now(self) -> float:
        """Return the seconds of the monotonic clock."""
        return self.life.loop.now if self.life else self._now

    def wall(self) -> float:
        """Return the seconds since the epoch, as the machine believes."""
        return EPOCH + self.now() + self._jumped

    def after(self, seconds: float, do: Callable[[], object]) -> None:
        """Do something later, whether the daemon lives or not."""
        self.agenda.at(self.now() + seconds, do)

    def pass_time(self, until: float) -> None:
        """Let the world go on without a daemon."""
        while self.agenda.next <= until:
            self._now = max(self._now, self.agenda.next)
            self.agenda.pop()()
        self._now = max(self._now, until)

    def born(self, life: "Life") -> None:
        """A daemon lives."""
        self.life = life
        self.network.loop = life.loop
        self.watchman.new_life()

    def died(self) -> None:
        """The daemon lives no more; its time stands still, the world's goes on."""
        assert self.life is not None
        self._now = self.life.loop.now
        self.life = None
        self.network.cut()
        self.events.observers.clear()

    @property
    def most_jobs(self) -> int:
        """The jobs of one server that may be in work at once: a few more than requests, to be hashed meanwhile."""
        return (self.concurrency or MOST) + 2

    @property
    def ends_at(self) -> float:
        """When the steps are over."""
        return START + self.plan.end

    # What is told, and who is to blame.

    def trace(self, what: str) -> None:
        """Tell those who look on."""
        if self._trace:
            self._trace(f"{self.now():9.3f}  {what}".replace(f"{self.directory}/", ""))

    def blame(self, promise: str, how: str) -> None:
        """Take note of a broken promise; the schedule ends here."""
        self.trace(f"{promise} BROKEN: {how}")
        self.blames.append((promise, how.replace(f"{self.directory}/", "")))
        if self.life:
            self.life.loop.doomed = True

    def lane(self, name: str) -> "Lane | None":
        """Return the daemon's lane to a server."""
        return self.life.lane(name) if self.life else None

    # The points at which a process can die.

    def moment(self, kind: str) -> None:
        """Say that one of them is reached: one of those that ``_DEATHS`` has."""
        if self._doom and self._doom[0][0] == kind and self.life:
            left = self._doom[0][1] - 1
            self._doom[0] = (kind, left)
            if left <= 0:
                self._doom.clear()
                self.tally[_DEATHS[kind]] += 1
                self.trace(_DEATHS[kind])
                self.life.loop.doomed = True

    # What happens.

    def _do(self, step: Step) -> None:
        """Have a step happen; None comes back where nothing did, or where it is counted when it strikes."""
        if self.now() >= self.ends_at:
            return
        rng = random.Random(step.seed)
        family, _, name = step.kind.partition(" ")
        what: object = None
        if family == "file":
            what = DEEDS[name][0](self.files, rng)
        elif family == "fault":
            self._trouble(name, rng)
        else:
            what = getattr(self, f"_{step.kind.replace(' ', '_')}")(rng)
        self.tally[step.kind] += what is not None
        self.trace(f"{step.kind}{'' if what is None else f': {what!r}'}")

    def _server(self, rng: random.Random) -> Server:
        return self.servers[rng.choice(self.plan.remotes)]

    def _trouble(self, kind: str, rng: random.Random) -> None:
        server = self._server(rng)
        fault = faults.arm(self, kind, rng)
        server.troubles.append(fault)
        self.after(rng.choice([1, 5, 20, 60]), lambda: fault in server.troubles and server.troubles.remove(fault))

    def _foreign(self, rng: random.Random) -> None:
        server = self.servers["ascii"]
        path = self.files.any_file(rng)
        if path is None or not isinstance(server, ImageServer):
            return
        how = server.interfere(contents(path), rng)
        self.tally[f"ascii: registered by somebody else, {how}"] += 1
        self.trace(f"registered by somebody else: {how} of {path!r}")

    def _restart(self, rng: random.Random) -> None:
        self._server(rng).restart(rng.choice([0.0, 2, 15]))

    def _sessions_lost(self, rng: random.Random) -> None:
        server = self._server(rng)
        self.tally[f"{server.name}: upload lost"] += server.forget_unfinished()

    def _merge_fails(self, rng: random.Random) -> None:
        server = self.servers["drive"]
        assert isinstance(server, MultipartServer)
        server.fails_processing += rng.choice([1, 3])

    def _refuse_connections(self, rng: random.Random) -> None:
        self._shut(self._server(rng), "refused", rng)

    def _ignore_connections(self, rng: random.Random) -> None:
        self._shut(self._server(rng), "ignored", rng)

    def _shut(self, server: Server, how: str, rng: random.Random) -> None:
        server.up = how
        self.after(rng.choice([2, 10, 30]), server._come_up)

    def _token_refused(self, rng: random.Random) -> None:
        server = self.servers["drive"]
        server.token = "another"
        self.after(rng.choice([3, 20]), lambda: setattr(server, "token", TOKEN))

    def _disk_full(self, rng: random.Random) -> None:
        self.disk_full = True
        self.after(rng.choice([0.5, 4, 15]), lambda: setattr(self, "disk_full", False))

    def _overflow(self, rng: random.Random) -> float:
        seconds = rng.choice([0.1, 1, 5])
        self.events.overflow(seconds)
        return seconds

    def _meddle(self, rng: random.Random) -> None:
        self.meddling += rng.choice([1, 3, 10])

    def _clock(self, rng: random.Random) -> None:
        seconds, how = rng.choice(_JUMPS)
        self._jumped += seconds
        self.tally[f"clock set {how}"] += 1

    def _kill(self, rng: random.Random) -> None:
        kind = rng.choice(["commit", "commit", "committed", "committed", "request", "effect", "now"])
        self._doom.append((kind, rng.choice([1, 1, 2, 5])))
        self.moment("now")

    def _shutdown(self, rng: random.Random) -> None:
        if self.life:
            self.tally["shutdown"] += 1
            self.life.shut_down()

    def _order(self, name: str, *args: Any) -> None:
        if self.life and self.life.order(name.partition(" ")[0], *args):
            self.tally[name] += 1

    def _stop(self, rng: random.Random) -> None:
        self._order("stop", False)

    def _stop_now(self, rng: random.Random) -> None:
        self._order("stop now", True)

    def _start(self, rng: random.Random) -> None:
        self._order("start")

    def _rescan(self, rng: random.Random) -> None:
        self._order("rescan")

    def _retry(self, rng: random.Random) -> None:
        self._order("retry")

    def _cancel(self, rng: random.Random) -> None:
        path = self.files.any_file(rng)
        if path is not None and matches(path.rpartition("/")[2]):
            self._order("cancel", path)

    def _reload(self, rng: random.Random) -> None:
        self.changes = {"timeout": rng.choice(["5s", "3s", "8s"])}
        self._order("reload")

    def strike(self) -> None:
        """Change a file in place, in the midst of its being read."""
        if self.meddling > 0 and self.rng.random() < 0.3 and self.now() < self.ends_at:
            self.meddling -= 1
            self.tally["file overwrite while one is read"] += 1
            path = overwrite(self.files, self.rng)
            self.trace(f"changed while a file was read: {path!r}")

    def heal(self) -> None:
        """End all trouble."""
        self.trace("all trouble ends")
        for server in self.servers.values():
            server.troubles.clear()
            server._come_up()
        self.servers["drive"].token = TOKEN
        self.disk_full = False
        self._doom.clear()
        self.files.heal()


@cache
def _home() -> str:
    """Return a folder of this process, in memory where there is such a place; every world has the same paths there."""
    home = tempfile.mkdtemp(prefix="syncd-simulation-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return home
