"""One process of the real daemon, from its start to a shutdown or a kill at any time."""

import asyncio
import contextlib
import os
import random
import shutil
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from syncd.config.load import Loaded
from syncd.config.model import Config
from syncd.control.service import InvalidConfigError, NotFoundError
from syncd.daemon.control_service import DaemonControlService
from syncd.daemon.daemon import Daemon
from syncd.store.errors import StoreClosedError
from tests.simulation.environment import Environment
from tests.simulation.incarnation_loop import IncarnationLoop, Killed
from tests.simulation.threads import Threads

if TYPE_CHECKING:
    from syncd.upload.worker import RemoteWorker
    from tests.simulation.world import World

STORE = "syncd.db"
CLEAN_STOP = 5.0


class Incarnation:
    """A process of the daemon. ``afterwards`` runs in it after the last step of the plan."""

    def __init__(self, world: "World", afterwards: Callable[["Incarnation"], Coroutine[Any, Any, None]]) -> None:
        self.world = world
        self.rng = random.Random(world.rng.getrandbits(32))
        self.loop = IncarnationLoop(world.schedule, world.now(), self._moment)
        self.threads = Threads(
            self.loop, self._moment, before=partial(world.moment, "commit"), after=partial(world.moment, "committed")
        )
        world.in_force.clear()
        self._given: dict[int, dict[str, Any]] = {}
        self.daemon = Daemon(self.configuration())
        self._afterwards = afterwards
        self._orders: set[asyncio.Task[None]] = set()
        self._asked_to_end = 0.0
        self.killed = False
        """True while the process is being killed: its actions have no effect."""
        self._environment = Environment(self)

    def _moment(self) -> float:
        return self.rng.expovariate(1 / 0.003)

    def configuration(self) -> Loaded:
        """Return the configuration in the file; from now on it may be in force."""
        world = self.world
        given = world.settings()
        world.in_force.append(given)
        world.seen_mounted = world.file_system.mounted
        config = Config.model_validate(given, context={"base": Path(world.directory)})
        self._given[id(config)] = given
        return Loaded(config=config, path=Path("config.yaml"), warnings=())

    # Life cycle.

    def run(self) -> str:
        """Run to the end; return ``killed``, ``stopped`` or ``over``."""
        world = self.world
        world.born(self)
        world.trace("the daemon starts")
        main = self.loop.create_task(self._live())
        self.loop.set_exception_handler(self._unhandled)
        with self._environment.around():
            try:
                end = self.loop.run_until_complete(main)
                world.died()
            except Killed:
                end = "killed"
                self._die()
            except BaseException:
                self._die()
                raise
            finally:
                self.loop.close()
        return end

    def _die(self) -> None:
        """Kill the process: the store's file stays as it is, and nothing else takes effect."""
        world, store = self.world, os.path.join(self.world.directory, STORE)
        kept = [name for name in (store, f"{store}-wal") if os.path.exists(name)]
        for name in kept:
            shutil.copyfile(name, f"{name}.kept")
        world.died()
        self.loop.schedule = None
        self.loop.set_exception_handler(lambda *_: None)
        self.threads.kill()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=60))
        self._environment.close()
        for leftover in Path(world.directory).glob(f"{STORE}*"):
            if leftover.suffix != ".kept":
                leftover.unlink()
        for name in kept:
            os.rename(f"{name}.kept", name)

    async def _live(self) -> str:
        world = self.world
        working = asyncio.create_task(self.daemon.run())
        await asyncio.wait([working], timeout=max(0.0, world.ends_at - world.now()))
        judged = not working.done() and not self.daemon.shutdown_requested.is_set()
        if judged:
            await self._until(lambda: hasattr(self.daemon, "runtime"))
            world.heal()
            await self._afterwards(self)
            self.shut_down()
        await working
        if world.now() - self._asked_to_end > CLEAN_STOP:
            world.report_violation("P5", f"a clean stop took {world.now() - self._asked_to_end:.1f} s")
        for error in await asyncio.gather(*self._orders, return_exceptions=True):
            if error is not None and not isinstance(error, StoreClosedError):
                world.report_violation("crash", repr(error))
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            world.report_violation("P5", f"after the end there are still {sorted(task.get_name() for task in left)}")
        return "over" if judged else "stopped"

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await asyncio.sleep(0.1)

    def _unhandled(self, _: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.world.report_violation("crash", f"{context.get('message')}: {error!r}")

    # Used by the world and the checks.

    def worker(self, name: str) -> "RemoteWorker | None":
        """Return the worker of a remote, or None if the daemon has none."""
        runtime = getattr(self.daemon, "runtime", None)
        return runtime.scheduler.workers.get(name) if runtime else None

    def shut_down(self) -> None:
        """Request an orderly shutdown."""
        self._asked_to_end = self.world.now()
        self.daemon.request_shutdown()

    def order(self, name: str, *args: Any) -> bool:
        """Start a user's request to the daemon; return False if the daemon does not run."""
        if not hasattr(self.daemon, "runtime") or self.daemon.shutdown_requested.is_set():
            return False
        task = self.loop.create_task(getattr(self, f"_{name}")(*args))
        self._orders.add(task)
        return True

    async def orders_done(self) -> None:
        """Wait until all requests of users are done."""
        await asyncio.gather(*self._orders, return_exceptions=True)

    @property
    def service(self) -> DaemonControlService:
        """Return the service behind the control API."""
        return DaemonControlService(self.daemon)

    async def _stop(self, now: bool) -> None:
        await self.service.stop(now=now)

    async def _start(self) -> None:
        await self.service.start()
        self.world.request_monitor.new_incarnation()

    async def _rescan(self) -> None:
        await self.service.rescan(None)

    async def _retry(self) -> None:
        await self.service.retry(None)

    async def _cancel(self, path: str) -> None:
        with contextlib.suppress(NotFoundError):
            await self.service.cancel([path])

    async def _reload(self) -> None:
        self.world.request_monitor.new_incarnation()
        with contextlib.suppress(InvalidConfigError):  # the daemon is shutting down
            await self.service.reload()
            in_force = self.world.in_force
            del in_force[: in_force.index(self._given[id(self.daemon.loaded.config)])]
        self.world.request_monitor.new_incarnation()
