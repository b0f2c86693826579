"""Checks the watched folders: whether they can be read, watched, and changed where ``after_upload`` asks for it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from syncd.cli import formatting
from syncd.cli.check.result import Finding
from syncd.config.model import Config, Folder
from syncd.core.text import printable
from syncd.platform import user, watchers
from syncd.platform.systemd.sandbox import Sandbox

INOTIFY_LIMITS = Path("/proc/sys/fs/inotify")


@dataclass(kw_only=True, slots=True)
class _Tree:
    """The number of directories in a folder, and the paths of those that cannot be read."""

    count: int = 0
    unreadable: list[str] = field(default_factory=list)


def check_folders(config: Config, sandbox: Sandbox | None) -> Iterator[Finding]:
    """Yield whether each watched folder can be used, and whether the kernel's limits allow watching all of them."""
    watched: list[int] = []
    for folder in config.folders:
        yield from _check_visibility(folder.path, sandbox)
        problem = _unreadable(folder)
        if problem is not None:
            yield problem
            continue
        tree = _tree(folder)
        yield _readable(folder, tree)
        yield from _check_change(folder, sandbox)
        yield from _check_expiry(config, folder)
        yield from _check_watchers(config, folder)
        if folder.watch != "poll":
            watched.append(tree.count)
    if watched:
        yield from _check_limit("max_user_watches", "folder to watch", sum(watched))
        yield from _check_limit("max_user_instances", "watched folder", len(watched))


def _check_visibility(path: str, sandbox: Sandbox | None) -> Iterator[Finding]:
    advice = sandbox.hides(path) if sandbox else None
    if advice:
        what = "the service's sandbox hides this folder"
        yield Finding(level="error", where=f"sandbox of {printable(path)}", what=what, advice=advice)


def _unreadable(folder: Folder) -> Finding | None:
    where = f"folder {printable(folder.path)}"
    try:
        with os.scandir(folder.path):
            return None
    except FileNotFoundError:
        return Finding(level="error", where=where, what="does not exist", advice="create it, or mount its file system")
    except NotADirectoryError:
        return Finding(level="error", where=where, what="is not a folder", advice="set path to its folder")
    except PermissionError:
        advice = _grant_read(_first_denied(folder.path))
        return Finding(level="error", where=where, what="permission denied", advice=advice)
    except OSError as error:
        return Finding(
            level="error", where=where, what=str(error.strerror), advice="check that its disk works and is mounted"
        )


def _first_denied(path: str) -> str:
    """Return the first folder on the way to ``path`` that this user cannot enter."""
    steps = [str(step) for step in reversed(Path(path).parents)]
    return next((step for step in steps if not user.has_access(step, os.X_OK)), path)


def _grant_read(path: str) -> str:
    return f"give user {user.own_name()} access: {user.grant_command('rx', printable(path))}"


def _tree(folder: Folder) -> _Tree:
    tree = _Tree()
    if not folder.recursive:
        tree.count = 1
        return tree

    def on_error(error: OSError) -> None:
        tree.unreadable.append(os.fsdecode(error.filename))

    tree.count = sum(1 for _ in os.walk(folder.path, onerror=on_error, followlinks=folder.follow_symlinks))
    return tree


def _readable(folder: Folder, tree: _Tree) -> Finding:
    where = f"folder {printable(folder.path)}"
    if not tree.unreadable:
        return Finding(level="ok", where=where, what="can be read")
    number = formatting.count(len(tree.unreadable), "folder")
    what = f"cannot read {number} in it, such as {printable(tree.unreadable[0])}"
    return Finding(level="warn", where=where, what=what, advice=_grant_read(tree.unreadable[0]))


def _check_change(folder: Folder, sandbox: Sandbox | None) -> Iterator[Finding]:
    """Yield whether ``after_upload`` can delete or move files."""
    action, target = folder.after_upload.action, folder.after_upload.directory
    if action == "keep":
        return
    where, name = f"after_upload of {printable(folder.path)}", user.own_name()
    for path in filter(None, (folder.path, target)):
        there = next(str(place) for place in (Path(path), *Path(path).parents) if os.path.isdir(place))
        what, shown = f"user {name} has no permission to change {printable(there)}", printable(there)
        if sandbox and not sandbox.writes(path):
            advice = f"run systemctl edit {sandbox.unit} and add: [Service] ReadWritePaths={shown}"
            yield Finding(level="error", where=where, what=f"{what} in the service's sandbox", advice=advice)
        elif not user.has_access(there, os.W_OK | os.X_OK):
            how = user.grant_command("rwx", shown) if there == path else user.mkdir_command(printable(path))
            advice = f"{how}, or set after_upload: keep"
            yield Finding(level="error", where=where, what=what, advice=advice)


def _check_expiry(config: Config, folder: Folder) -> Iterator[Finding]:
    """Yield a warning if a server will delete its copy of a file that is deleted or moved here."""
    if folder.after_upload.action == "keep":
        return
    for name in folder.remotes:
        if getattr(config.remotes[name], "expired_at", None) is None:
            continue
        left = "no copy remains then"
        if folder.after_upload.directory is not None:
            left = f"then the only copy is in {printable(folder.after_upload.directory)}"
        yield Finding(
            level="warn",
            where=f"after_upload of {printable(folder.path)}",
            what=f"syncd will {folder.after_upload.action} each uploaded file, and {name} deletes its copy at "
            f"expired_at: {left}",
            advice=f"remove expired_at of {name}, or set after_upload: keep",
        )


def _check_watchers(config: Config, folder: Folder) -> Iterator[Finding]:
    try:
        directory = os.stat(folder.path)
    except OSError:
        return
    state = os.stat(config.state_dir) if os.path.exists(config.state_dir) else None
    for pid in watchers.other_watchers(directory, state):
        what = f"the daemon with pid {pid} and another configuration watches it too"
        advice = "watch it with one daemon only, and list all remotes there"
        if folder.after_upload.action != "keep":
            advice += "; until then set after_upload: keep, or the other daemon may miss files"
        yield Finding(level="warn", where=f"watch of {printable(folder.path)}", what=what, advice=advice)


def _check_limit(name: str, noun: str, needed: int) -> Iterator[Finding]:
    """Compare a limit of inotify, which all programs of a user share, with the number ``needed``."""
    try:
        limit = int((INOTIFY_LIMITS / name).read_text())
    except (OSError, ValueError):
        return
    where, what = f"inotify {name}", f"{_counted(needed, noun)}, {limit:,} allowed"
    if needed > limit:
        advice = f"{_raise(name, 2 * needed)}; until then, the folder is polled"
        yield Finding(level="error", where=where, what=what, advice=advice)
    elif needed > limit * 0.8:
        advice = f"other programs share the limit: {_raise(name, 2 * limit)}"
        yield Finding(level="warn", where=where, what=what, advice=advice)
    else:
        yield Finding(level="ok", where=where, what=what)


def _counted(number: int, noun: str) -> str:
    first, _, rest = noun.partition(" to ")
    return formatting.count(number, first) + (f" to {rest}" if rest else "")


def _raise(name: str, value: int) -> str:
    """Return the command that sets a limit permanently."""
    return f"echo fs.inotify.{name}={value} | sudo tee -a /etc/sysctl.d/60-syncd.conf && sudo sysctl --system"
