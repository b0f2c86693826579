"""The checks of ``syncd check``: each looks at one thing and tells what it found, as values."""

import os
import shutil
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal

from yarl import URL

from syncd import __version__
from syncd.cli import words
from syncd.config import paths
from syncd.config.load import ConfigError, Loaded, find, load
from syncd.config.model import Address, Config, Folder, ImageRemote, MultipartRemote
from syncd.control.client import ControlClient, ControlError, NotRunning
from syncd.core.errors import Failure, Unauthorized
from syncd.core.names import displayed
from syncd.dashboard.door import bind, netloc
from syncd.host import user
from syncd.host.service import USER
from syncd.remote.http import Http
from syncd.remote.make import make_remote
from syncd.remote.routes import environment_proxy
from syncd.store.errors import StoreError
from syncd.store.opening import examine

Level = Literal["ok", "warn", "error"]

ENOUGH_SPACE = 64 * 1024 * 1024
"""Free bytes below which the state folder is worth a warning."""
CLOCK_DIFFERENCE = 30.0
"""Seconds between two clocks that are worth a warning: certificates, expiry dates and timetables go by them."""
_HOMES = ("/home/", "/root/", "/run/user/")
"""What the system's units hide."""
_WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing looked at: ``where``, ``what`` was found, and what to do about it."""

    level: Level
    where: str
    what: str
    advice: str = ""


def check_config(config: str | None) -> tuple[Loaded | None, list[Finding]]:
    """Load the configuration; all that is wrong with it, or what to beware of."""
    try:
        loaded = load(find(config))
    except ConfigError as error:
        return None, [Finding(level="error", where="configuration", what=str(problem)) for problem in error.problems]
    numbers = (
        f"{words.count(len(loaded.config.folders), 'folder')}, {words.count(len(loaded.config.remotes), 'server')}"
    )
    found = [Finding(level="ok", where=f"configuration {loaded.path}", what=numbers)]
    return loaded, found + [Finding(level="warn", where="configuration", what=text) for text in loaded.warnings]


@contextmanager
def _rights_of_the_daemon(path: Path) -> Iterator[None]:
    """Look at what follows as the system's daemon will, where the configuration is its and root asks."""
    own = paths.is_system(path) and user.is_root() and user.exists(USER)
    with user.rights_of(USER) if own else nullcontext():
        yield


def check_user(loaded: Loaded) -> Iterator[Finding]:
    """Tell whose rights count, who may use the control socket, and which folders the sandbox hides."""
    name, control = user.own_name(), loaded.config.control
    yield Finding(level="ok", where=f"user {name}", what="what follows is looked at with its rights")
    who = " and ".join(dict.fromkeys(["root", name])) + (f", and the group {control.group}" if control.group else "")
    yield Finding(level="ok", where=f"control socket {control.socket}", what=f"for {who}")
    hidden = [folder.path for folder in loaded.config.folders if folder.path.startswith(_HOMES)]
    for path in hidden if paths.is_system(loaded.path) else ():
        yield Finding(
            level="warn",
            where=f"sandbox of {displayed(path)}",
            what="lies in a home, which the service does not see",
            advice="systemctl edit syncd: [Service] ProtectHome=read-only",
        )


def check_folders(config: Config) -> Iterator[Finding]:
    """Look whether each watched folder can be read, and whether the kernel can watch all that is in them."""
    directories = 0
    for folder in config.folders:
        where = f"folder {displayed(folder.path)}"
        try:
            with os.scandir(folder.path):
                pass
        except FileNotFoundError:
            yield Finding(level="error", where=where, what="is not there", advice="make it, or mount what it is on")
        except NotADirectoryError:
            yield Finding(level="error", where=where, what="is not a folder", advice="give the folder that it is in")
        except OSError as error:
            advice = f"give user {user.own_name()} the right to read and enter it"
            yield Finding(level="error", where=where, what=str(error.strerror), advice=advice)
        else:
            yield Finding(level="ok", where=where, what="can be read")
            if folder.watch != "poll":
                directories += _directories(folder)
    if directories:
        yield from _check_watches(directories)


def _directories(folder: Folder) -> int:
    if not folder.recursive:
        return 1
    return sum(1 for _ in os.walk(folder.path, followlinks=folder.follow_symlinks))


def _check_watches(directories: int) -> Iterator[Finding]:
    try:
        limit = int(_WATCHES.read_text())
    except (OSError, ValueError):
        return
    where, what = "inotify", f"{words.count(directories, 'folder')} to watch, {limit:,} allowed"
    if directories > limit:
        advice = f"sudo sysctl fs.inotify.max_user_watches={2 * directories}; until then, such a folder is polled"
        yield Finding(level="error", where=where, what=what, advice=advice)
    elif directories > limit * 0.8:
        advice = f"other programs share the limit: sudo sysctl fs.inotify.max_user_watches={2 * limit}"
        yield Finding(level="warn", where=where, what=what, advice=advice)
    else:
        yield Finding(level="ok", where=where, what=what)


_EFFECTIVE = os.access in os.supports_effective_ids
"""Windows knows the effective rights alone."""


def check_state(config: Config) -> Iterator[Finding]:
    """Look whether the state folder can be written or made and has space, and whether the store can be used."""
    where = f"state folder {config.state_dir}"
    existing = next(path for path in (config.state_dir, *config.state_dir.parents) if os.path.exists(path))
    if not existing.is_dir():
        yield Finding(level="error", where=where, what=f"{existing} is not a folder", advice="set another state_dir")
        return
    if not os.access(existing, os.W_OK | os.X_OK, effective_ids=_EFFECTIVE):
        advice = f"give user {user.own_name()} the right to write to {existing}, or set another state_dir"
        yield Finding(level="error", where=where, what="can't be written", advice=advice)
        return
    free = shutil.disk_usage(existing).free
    what = f"{'can be written' if existing == config.state_dir else 'can be made'}, {words.size(free)} free"
    if free < ENOUGH_SPACE:
        yield Finding(level="warn", where=where, what=what, advice="make room: without it no file can be taken up")
    else:
        yield Finding(level="ok", where=where, what=what)
    if os.path.exists(config.store):
        try:
            examine(os.fspath(config.store))
        except StoreError as error:
            yield Finding(level="error", where="job store", what=str(error))


def check_daemon(config: Config) -> Iterator[Finding]:
    """Ask whether a daemon of this configuration runs; if none does, look whether it could have its dashboard."""
    try:
        status = ControlClient(config.control.socket, timeout=5).status()
    except NotRunning:
        yield Finding(level="ok", where="daemon", what="is not running", advice="start it with: syncd run")
        if config.control.dashboard is not None:
            yield _check_dashboard(config.control.dashboard)
    except ControlError as error:
        yield Finding(level="warn", where="daemon", what=str(error))
    else:
        yield Finding(level="ok", where="daemon", what=f"is {words.clean(status['state'])} with pid {status['pid']}")


def _check_dashboard(at: Address) -> Finding:
    where = f"dashboard {netloc(at.host, at.port)}"
    try:
        bind(at.host, at.port).close()
    except OSError as error:
        advice = "end the program that has it, or set another port in control.dashboard; syncd works without, too"
        return Finding(level="warn", where=where, what=os.strerror(error.errno or 0), advice=advice)
    return Finding(level="ok", where=where, what="the port is free")


class _Unthrottled:
    """A check sends next to nothing."""

    async def spend(self, size: int) -> None:
        pass


async def check_remote(name: str, settings: ImageRemote | MultipartRemote) -> Finding:
    """Ask a server whether it is there and takes the token."""
    where = f"server {name} {settings.url}"
    remote = make_remote(settings, throttle=_Unthrottled(), clock=time.time, user_agent=f"syncd/{__version__}")
    proxy = _proxy(settings)
    started = time.monotonic()
    try:
        await remote.check()
    except Unauthorized as error:
        advice = "put a valid token where token, token_file or token_env says"
        return Finding(level="error", where=where, what=words.clean(error), advice=advice)
    except Failure as error:
        advice = _what_to_do(str(error), proxy)
        return Finding(level="error", where=where, what=words.clean(error), advice=advice)
    finally:
        await remote.close()
    milliseconds = (time.monotonic() - started) * 1000
    way = f" through the proxy {proxy}" if proxy else ""
    token = " and takes the token" if settings.token is not None else ""
    return Finding(level="ok", where=where, what=f"answers in {milliseconds:.0f} ms{way}{token}")


async def check_clock(name: str, settings: ImageRemote | MultipartRemote, clock: Callable[[], float]) -> Finding | None:
    """Compare this machine's clock with a server's, to the second that it tells; None where it does not."""
    http = Http(settings, throttle=_Unthrottled(), clock=clock, user_agent=f"syncd/{__version__}")
    try:
        told = (await http.get("")).headers.get("date", "")
        ahead = clock() - parsedate_to_datetime(told).timestamp()
    except (Failure, ValueError):
        return None
    finally:
        await http.close()
    if abs(ahead) <= CLOCK_DIFFERENCE:
        return Finding(level="ok", where="clock", what=f"agrees with that of {name}")
    way = "ahead of" if ahead > 0 else "behind"
    what = f"is {words.duration(abs(ahead))} {way} that of {name}"
    return Finding(level="warn", where="clock", what=what, advice="timedatectl set-ntp true, if it is this one's fault")


def _proxy(settings: ImageRemote | MultipartRemote) -> str | None:
    """Return host and port of the proxy on the way, if there is one; never its password."""
    proxy = settings.proxy.get_secret_value() if settings.proxy else environment_proxy(URL(settings.url))
    return URL(proxy).host_port_subcomponent if proxy else None


def _what_to_do(trouble: str, proxy: str | None) -> str:
    if "expired" in trouble or "not yet valid" in trouble:
        return f"is this machine's clock right? It says {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    if proxy:
        return f"is the address right, the server up, and the proxy {proxy} the right way to it?"
    return "is the address right and the server up?"


async def check_all(config: str | None) -> AsyncGenerator[Finding]:
    """Look at everything, in the order in which it has to work."""
    loaded, found = check_config(config)
    for finding in found:
        yield finding
    if loaded is None:
        return
    with _rights_of_the_daemon(loaded.path):
        found = [
            *check_user(loaded),
            *check_folders(loaded.config),
            *check_state(loaded.config),
            *check_daemon(loaded.config),
        ]
    for finding in found:
        yield finding
    for name, settings in loaded.config.remotes.items():
        finding = await check_remote(name, settings)
        yield finding
        if finding.level == "ok" and (clock := await check_clock(name, settings, time.time)):
            yield clock
