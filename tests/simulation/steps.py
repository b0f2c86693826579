"""The steps of a schedule other than file operations and faults, one function each.

A step returns its description, or None if nothing happened or if it is counted when it takes effect.
"""

import os
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.simulation.files import contents
from tests.simulation.image_server import ImageServer
from tests.simulation.multipart_server import MultipartServer
from tests.simulation.plan import EXCLUDES, TOKEN
from tests.simulation.server import Server

if TYPE_CHECKING:
    from tests.simulation.world import World

DAY = 86_400.0
_DAYS = [(DAY, "a day forward"), (-DAY, "a day back")]
_JUMPS = [*_DAYS, *_DAYS, (3600.0, "an hour forward"), (-5.0, "five seconds back")]


def _server(world: "World", rng: random.Random) -> Server:
    return world.servers[rng.choice(world.folder()["remote"])]


def _foreign(world: "World", rng: random.Random) -> None:
    server = world.servers["ascii"]
    path = world.files.any_file(rng)
    if path is None or not isinstance(server, ImageServer):
        return
    how = server.interfere(contents(path), rng)
    world.tally[f"ascii: registered by somebody else, {how}"] += 1
    world.trace(f"registered by somebody else: {how} of {path!r}")


def _restart(world: "World", rng: random.Random) -> None:
    _server(world, rng).restart(rng.choice([0.0, 2, 15]))


def _sessions_lost(world: "World", rng: random.Random) -> None:
    server = _server(world, rng)
    world.tally[f"{server.name}: upload lost"] += server.forget_unfinished()


def _merge_fails(world: "World", rng: random.Random) -> None:
    server = world.servers["drive"]
    assert isinstance(server, MultipartServer)
    server.fails_processing += rng.choice([1, 3])


def _refuse_connections(world: "World", rng: random.Random) -> None:
    _shut(world, _server(world, rng), "refused", rng)


def _ignore_connections(world: "World", rng: random.Random) -> None:
    _shut(world, _server(world, rng), "ignored", rng)


def _shut(world: "World", server: Server, how: str, rng: random.Random) -> None:
    server.up = how
    world.after(rng.choice([2, 10, 30]), server._come_up)


def _token_refused(world: "World", rng: random.Random) -> None:
    server = world.servers["drive"]
    server.token = "another"
    world.after(rng.choice([3, 20]), lambda: setattr(server, "token", TOKEN))


def _disk_full(world: "World", rng: random.Random) -> None:
    world.disk_full = True
    world.after(rng.choice([0.5, 4, 15]), lambda: setattr(world, "disk_full", False))


def _overflow(world: "World", rng: random.Random) -> float:
    seconds = rng.choice([0.1, 1, 5])
    world.events.overflow(seconds)
    return seconds


def _meddle(world: "World", rng: random.Random) -> None:
    world.meddling += rng.choice([1, 3, 10])


def _clock(world: "World", rng: random.Random) -> None:
    seconds, how = rng.choice(_JUMPS)
    world.jumped += seconds
    world.tally[f"clock set {how}"] += 1


def _kill(world: "World", rng: random.Random) -> None:
    kind = rng.choice(
        ["commit", "commit", "committed", "committed", "request", "effect", "now", "file", "file changed"]
    )
    world.doom.append((kind, rng.choice([1, 1, 2, 5])))
    world.moment("now")


def _shutdown(world: "World", rng: random.Random) -> None:
    if world.incarnation:
        world.tally["shutdown"] += 1
        world.incarnation.shut_down()


def _order(world: "World", name: str, *args: Any) -> None:
    if world.incarnation and world.incarnation.order(name.partition(" ")[0], *args):
        world.tally[name] += 1


def _stop(world: "World", rng: random.Random) -> None:
    _order(world, "stop", False)


def _stop_now(world: "World", rng: random.Random) -> None:
    _order(world, "stop now", True)


def _start(world: "World", rng: random.Random) -> None:
    _order(world, "start")


def _rescan(world: "World", rng: random.Random) -> None:
    _order(world, "rescan")


def _retry(world: "World", rng: random.Random) -> None:
    _order(world, "retry")


def _cancel(world: "World", rng: random.Random) -> None:
    path = world.files.any_file(rng)
    if path is not None:
        _order(world, "cancel", path)


def _reload(world: "World", rng: random.Random) -> None:
    world.changes = {"timeout": rng.choice(["5s", "3s", "8s"])}
    _order(world, "reload")


def _reload_folders(world: "World", rng: random.Random) -> str:
    """Change one or two of a folder's patterns, remotes and ``after_upload``."""
    change: dict[str, Any] = {}
    for _ in range(rng.choice([1, 2])):
        key = rng.choice(["after_upload", "after_upload", "exclude", "max_size", "recursive", "remote"])
        change[key] = {
            "after_upload": ["keep", "delete", {"move": world.target}],
            "exclude": EXCLUDES,
            "max_size": [60_000, 1500],
            "recursive": [True, False],
            "remote": [["drive"], ["ascii"], ["drive", "ascii"]],
        }[key][rng.randrange(2 if key in ("max_size", "recursive") else 3)]
    world.folder_changes = {**world.folder_changes, **change}
    _order(world, "reload folders")
    return str(change)


def _meddle_at_removals(world: "World", rng: random.Random) -> None:
    world.meddling_at_removals += rng.choice([1, 3, 10])


def _server_loses(world: "World", rng: random.Random) -> None:
    server = _server(world, rng)
    world.tally[f"{server.name}: stored file lost"] += server.lose(rng)


def _unmount_target(world: "World", rng: random.Random) -> str | None:
    """Unmount the file system to which files are moved, for a while."""
    disk = world.file_system.disk
    if disk is None or not world.file_system.mounted:
        return None
    os.rename(disk, f"{disk}-away")
    os.mkdir(disk)
    world.file_system.mounted = False
    world.after(rng.choice([3, 15, 40]), world.mount_target)
    return disk


STEPS: dict[str, Callable[["World", random.Random], object]] = {
    "foreign": _foreign,
    "restart": _restart,
    "sessions lost": _sessions_lost,
    "merge fails": _merge_fails,
    "refuse connections": _refuse_connections,
    "ignore connections": _ignore_connections,
    "token refused": _token_refused,
    "disk full": _disk_full,
    "overflow": _overflow,
    "meddle": _meddle,
    "clock": _clock,
    "kill": _kill,
    "shutdown": _shutdown,
    "stop": _stop,
    "stop now": _stop_now,
    "start": _start,
    "rescan": _rescan,
    "retry": _retry,
    "cancel": _cancel,
    "reload": _reload,
    "reload folders": _reload_folders,
    "meddle at removals": _meddle_at_removals,
    "server loses": _server_loses,
    "unmount target": _unmount_target,
}
