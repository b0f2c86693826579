"""Checks this machine: control socket, configured files, state folder, daemon.

``check.folders`` checks the watched folders, and ``check.store`` the job store.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from syncd import __version__
from syncd.cli import formatting
from syncd.cli.check.result import Finding
from syncd.cli.daemon_client import explain_unreachable
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
"""A state folder with less free space gets a warning."""

_RELOAD_COMMAND = "syncd ctl reload"


def check_socket(control: Control) -> Finding:
    """Return who can use the control socket; an error if its group cannot be set."""
    name, where = user.own_name(), f"control socket {control.socket}"
    who = " and ".join(dict.fromkeys(["root", name]))
    if control.group is None:
        return Finding(level="ok", where=where, what=f"accessible to {who}")
    if not user.belongs_to(control.group) and not user.is_root():
        what = f"user {name} is not a member of the socket's group {control.group}"
        advice = f"sudo usermod -aG {control.group} {name}, then log in again or restart the daemon"
        return Finding(level="error", where=where, what=what, advice=advice)
    return Finding(level="ok", where=where, what=f"accessible to {who}, and to the group {control.group}")


def check_files(loaded: Loaded) -> Iterator[Finding]:
    """Yield an error for each configured file to which this user has no access.

    The files are those to read, such as certificates, and the log file to write.
    """
    named = [("configuration", loaded.path)]
    for name, remote in loaded.config.remotes.items():
        keys = "token_file", "ca_file", "client_cert", "client_key"
        named += [(f"{key} of {name}", path) for key in keys if (path := getattr(remote, key)) is not None]
    for what, path in named:
        if not user.has_access(path, os.R_OK):
            advice = f"{user.grant_command('r', path)}; the user must also be able to enter the folders above"
            yield Finding(level="error", where=f"{what} {path}", what=_denied("read it"), advice=advice)
    file = loaded.config.logging.file
    if file is not None and not user.has_access(_nearest_existing(file.path.parent), os.W_OK | os.X_OK):
        folder = _nearest_existing(file.path.parent)
        yield Finding(
            level="error",
            where=f"log file {file.path}",
            what=_denied(f"write to {folder}"),
            advice="chown the folder, or set another logging.file (under systemd, logs also go to the journal)",
        )


def _denied(what: str) -> str:
    return f"user {user.own_name()} has no permission to {what}"


def check_state(loaded: Loaded) -> Iterator[Finding]:
    """Yield whether the state folder is usable, and whether it has enough free space."""
    folder = loaded.config.state_dir
    where, existing = f"state folder {folder}", _nearest_existing(folder)
    if not existing.is_dir():
        yield Finding(level="error", where=where, what=f"{existing} is not a folder", advice="set another state_dir")
        return
    systemd_creates = existing != folder and paths.is_system(loaded.path) and folder == paths.state_dir(loaded.path)
    if not systemd_creates and not user.has_access(existing, os.W_OK | os.X_OK):
        how = user.grant_command("rwx", folder) if existing == folder else user.mkdir_command(folder)
        advice = f"{how}, or set state_dir to a folder that user {user.own_name()} may write to"
        yield Finding(level="error", where=where, what=_denied(f"write to {existing}"), advice=advice)
        return
    free = shutil.disk_usage(existing).free
    state = "is writable" if existing == folder else "is created by systemd" if systemd_creates else "can be created"
    what = f"{state}, {formatting.size(free)} free"
    if free < MIN_FREE_BYTES:
        yield Finding(level="warn", where=where, what=what, advice="free disk space; without it, no file can be queued")
    else:
        yield Finding(level="ok", where=where, what=what)


def _nearest_existing(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists."""
    return next(path for path in (folder, *folder.parents) if os.path.exists(path))


def check_daemon(config: Config, sandbox: Sandbox | None) -> Iterator[Finding]:
    """Yield the state of the daemon; if it is not running, of its dashboard port."""
    start = f"sudo systemctl enable --now {sandbox.unit}" if sandbox else "syncd run"
    try:
        status = ControlClient(config.control.socket, timeout=5).status()
    except NotRunningError:
        found = explain_unreachable(config.control.socket, config.state_dir)
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
            what += f", version {formatting.clean(status['version'])}; this command is version {__version__}"
            yield Finding(level="warn", where="daemon", what=what, advice="restart it")
        for name, settings in config.remotes.items():
            yield _compare_with_daemon(name, settings, status["remotes"])


def _compare_with_daemon(name: str, settings: Remote, used: Sequence[RemoteStatus]) -> Finding:
    """Return whether the daemon uses the remote as the configuration file has it."""
    where = f"daemon's remote {name}"
    status = next((remote for remote in used if remote["name"] == name), None)
    if status is None:
        return Finding(level="warn", where=where, what="is unknown to the daemon", advice=_RELOAD_COMMAND)
    if status["url"] != settings.url:
        what = f"still uses {formatting.clean(status['url'])}"
        return Finding(level="warn", where=where, what=what, advice=_RELOAD_COMMAND)
    problem = status.get("credentials_problem")  # older daemons omit the field
    if problem:
        what = f"still uses the former credentials: {formatting.clean(problem)}"
        return Finding(
            level="warn", where=where, what=what, advice="fix the file; the daemon reads it again within seconds"
        )
    if status["state"] != "online":
        what = f"is {formatting.clean(status['state'])}: {formatting.clean(status['detail'] or '')}"
        return Finding(level="warn", where=where, what=what, advice="see the findings about this remote below")
    return Finding(level="ok", where=where, what="is online")


def _check_dashboard(at: Address) -> Finding:
    where = f"dashboard {netloc(at.host, at.port)}"
    try:
        bind(at.host, at.port).close()
    except OSError as error:
        advice = "end the program that uses the port, or set another one in control.dashboard"
        return Finding(level="warn", where=where, what=os.strerror(error.errno or 0), advice=advice)
    return Finding(level="ok", where=where, what="the port is free")
