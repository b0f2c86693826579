"""Checks this machine, apart from the watched folders: files, control socket, state folder, running daemon."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from syncd import __version__
from syncd.cli import formatting
from syncd.cli.check.result import Finding
from syncd.cli.unreachable import explain
from syncd.config import paths
from syncd.config.load import Loaded
from syncd.config.model import Address, Config, Control
from syncd.config.remotes import Remote
from syncd.control.client import ControlClient, ControlError, NotRunningError
from syncd.control.schemas import RemoteStatus
from syncd.dashboard.server import bind, netloc
from syncd.platform import user
from syncd.platform.systemd.sandbox import Sandbox

MIN_FREE_BYTES = 64 * 1024 * 1024
"""Free space of the state folder below which a warning is given."""

_RELOAD = "syncd ctl reload"


def check_socket(control: Control) -> Finding:
    """Return who may use the control socket, and whether the daemon can give its group access."""
    name, where = user.own_name(), f"control socket {control.socket}"
    who = " and ".join(dict.fromkeys(["root", name]))
    if control.group is None:
        return Finding(level="ok", where=where, what=f"for {who}")
    if not user.belongs_to(control.group) and not user.is_root():
        what = f"user {name} is not a member of the socket's group {control.group}"
        advice = f"sudo usermod -aG {control.group} {name}, then log in again or restart the daemon"
        return Finding(level="error", where=where, what=what, advice=advice)
    return Finding(level="ok", where=where, what=f"for {who}, and the group {control.group}")


def check_files(loaded: Loaded) -> Iterator[Finding]:
    """Yield the files of the configuration that the daemon's user cannot read, and a log file it cannot write."""
    named = [("configuration", loaded.path)]
    for name, remote in loaded.config.remotes.items():
        keys = "token_file", "ca_file", "client_cert", "client_key"
        named += [(f"{key} of {name}", path) for key in keys if (path := getattr(remote, key)) is not None]
    for what, path in named:
        if not user.has_access(path, os.R_OK):
            advice = f"{user.grant_command('r', path)}; the user must also be able to enter the folders above"
            yield Finding(level="error", where=f"{what} {path}", what=_denied("read it"), advice=advice)
    file = loaded.config.logging.file
    if file is not None and not user.has_access(_existing(file.path.parent), os.W_OK | os.X_OK):
        folder = _existing(file.path.parent)
        yield Finding(
            level="error",
            where=f"log file {file.path}",
            what=_denied(f"write to {folder}"),
            advice="chown the folder, or set another logging.file (under systemd, logs also go to the journal)",
        )


def _denied(what: str) -> str:
    return f"user {user.own_name()} has no permission to {what}"


def check_state(loaded: Loaded) -> Iterator[Finding]:
    """Yield whether the state folder can be created or written, and whether it has enough space."""
    folder = loaded.config.state_dir
    where, existing = f"state folder {folder}", _existing(folder)
    if not existing.is_dir():
        yield Finding(level="error", where=where, what=f"{existing} is not a folder", advice="set another state_dir")
        return
    made_by_systemd = existing != folder and paths.is_system(loaded.path) and folder == paths.state_dir(loaded.path)
    if not made_by_systemd and not user.has_access(existing, os.W_OK | os.X_OK):
        how = user.grant_command("rwx", folder) if existing == folder else user.mkdir_command(folder)
        advice = f"{how}, or set state_dir to a folder that user {user.own_name()} may write to"
        yield Finding(level="error", where=where, what=_denied(f"write to {existing}"), advice=advice)
        return
    free = shutil.disk_usage(existing).free
    done = "is writable" if existing == folder else "is created by systemd" if made_by_systemd else "can be created"
    what = f"{done}, {formatting.size(free)} free"
    if free < MIN_FREE_BYTES:
        yield Finding(level="warn", where=where, what=what, advice="free disk space: without it no file can be queued")
    else:
        yield Finding(level="ok", where=where, what=what)


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if os.path.exists(path))


def check_daemon(config: Config, sandbox: Sandbox | None) -> Iterator[Finding]:
    """Yield the state of the configuration's daemon; if none runs, whether its dashboard port is free."""
    start = f"sudo systemctl enable --now {sandbox.unit}" if sandbox else "syncd run"
    try:
        status = ControlClient(config.control.socket, timeout=5).status()
    except NotRunningError:
        found = explain(config.control.socket, config.state_dir)
        if found is not None:
            yield Finding(level="warn", where="daemon", what=found.what, advice=found.advice)
            return
        yield Finding(level="ok", where="daemon", what="is not running", advice=f"start it with: {start}")
        if config.control.dashboard is not None:
            yield _check_dashboard(config.control.dashboard)
    except ControlError as error:
        yield Finding(level="warn", where="daemon", what=str(error))
    else:
        what = f"is {formatting.clean(status['state'])} with pid {status['pid']}"
        if status["version"] == __version__:
            yield Finding(level="ok", where="daemon", what=what)
        else:
            what += f", and is syncd {formatting.clean(status['version'])}; this is {__version__}"
            yield Finding(level="warn", where="daemon", what=what, advice="restart it")
        for name, settings in config.remotes.items():
            yield _compare_with_daemon(name, settings, status["remotes"])


def _compare_with_daemon(name: str, settings: Remote, used: Sequence[RemoteStatus]) -> Finding:
    """Return whether the running daemon uses the remote as the configuration file now describes it."""
    where = f"daemon's remote {name}"
    status = next((remote for remote in used if remote["name"] == name), None)
    if status is None:
        return Finding(level="warn", where=where, what="is unknown to the daemon", advice=_RELOAD)
    if status["url"] != settings.url:
        return Finding(level="warn", where=where, what=f"still uses {formatting.clean(status['url'])}", advice=_RELOAD)
    problem = status.get("credentials_problem")  # older daemons omit the field
    if problem:
        what = f"still uses the former credentials: {formatting.clean(problem)}"
        return Finding(level="warn", where=where, what=what, advice="fix that file; the daemon rereads it in seconds")
    if status["state"] != "online":
        what = f"is {formatting.clean(status['state'])}: {formatting.clean(status['detail'] or '')}"
        return Finding(level="warn", where=where, what=what, advice="compare with the findings about the remote below")
    return Finding(level="ok", where=where, what="is online")


def _check_dashboard(at: Address) -> Finding:
    where = f"dashboard {netloc(at.host, at.port)}"
    try:
        bind(at.host, at.port).close()
    except OSError as error:
        advice = "end the program that uses the port, or set another one in control.dashboard"
        return Finding(level="warn", where=where, what=os.strerror(error.errno or 0), advice=advice)
    return Finding(level="ok", where=where, what="the port is free")
