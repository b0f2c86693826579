"""What ``syncd check`` finds in the watched folders: whether they can be read, changed where that is asked, watched."""

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

LIMITS = Path("/proc/sys/fs/inotify")


@dataclass(kw_only=True, slots=True)
class _Tree:
    """The directories of a folder, and those of them that can't be entered."""

    count: int = 0
    closed: list[str] = field(default_factory=list)


def check_folders(config: Config, sandbox: Sandbox | None) -> Iterator[Finding]:
    """Look whether each watched folder can be used, and whether the kernel can watch all that is in them."""
    watched: list[int] = []
    for folder in config.folders:
        yield from _check_sight(folder.path, sandbox)
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


def _check_sight(path: str, sandbox: Sandbox | None) -> Iterator[Finding]:
    advice = sandbox.hides(path) if sandbox else None
    if advice:
        what = "lies where the service does not see it"
        yield Finding(level="error", where=f"sandbox of {printable(path)}", what=what, advice=advice)


def _unreadable(folder: Folder) -> Finding | None:
    where = f"folder {printable(folder.path)}"
    try:
        with os.scandir(folder.path):
            return None
    except FileNotFoundError:
        return Finding(level="error", where=where, what="is not there", advice="make it, or mount what it is on")
    except NotADirectoryError:
        return Finding(level="error", where=where, what="is not a folder", advice="give the folder that it is in")
    except PermissionError:
        return Finding(level="error", where=where, what="can't be read", advice=_let_in(_closed_at(folder.path)))
    except OSError as error:
        return Finding(
            level="error", where=where, what=str(error.strerror), advice="is its disk in order, and mounted?"
        )


def _closed_at(path: str) -> str:
    """Return the first folder on the way to ``path`` that keeps this user out."""
    steps = [str(step) for step in reversed(Path(path).parents)]
    return next((step for step in steps if not user.may(step, os.X_OK)), path)


def _let_in(path: str) -> str:
    return f"let user {user.own_name()} in: {user.granting('rx', printable(path))}"


def _tree(folder: Folder) -> _Tree:
    tree = _Tree()
    if not folder.recursive:
        tree.count = 1
        return tree
    closed = lambda error: tree.closed.append(os.fsdecode(error.filename))  # noqa: E731 - the walk's own way to tell
    tree.count = sum(1 for _ in os.walk(folder.path, onerror=closed, followlinks=folder.follow_symlinks))
    return tree


def _readable(folder: Folder, tree: _Tree) -> Finding:
    where = f"folder {printable(folder.path)}"
    if not tree.closed:
        return Finding(level="ok", where=where, what="can be read")
    what = f"{formatting.count(len(tree.closed), 'folder')} in it can't be read, as {printable(tree.closed[0])}"
    return Finding(level="warn", where=where, what=what, advice=_let_in(tree.closed[0]))


def _check_change(folder: Folder, sandbox: Sandbox | None) -> Iterator[Finding]:
    """Look whether files can be deleted or moved away once they are uploaded, where that is asked for."""
    action, target = folder.after_upload.action, folder.after_upload.directory
    if action == "keep":
        return
    where, name = f"after_upload of {printable(folder.path)}", user.own_name()
    for path in filter(None, (folder.path, target)):
        there = next(str(place) for place in (Path(path), *Path(path).parents) if os.path.isdir(place))
        what, shown = f"user {name} may not change {printable(there)}", printable(there)
        if sandbox and not sandbox.writes(path):
            advice = f"systemctl edit {sandbox.unit}, and write there: [Service] ReadWritePaths={shown}"
            yield Finding(level="error", where=where, what=f"{what}: the service's sandbox", advice=advice)
        elif not user.may(there, os.W_OK | os.X_OK):
            how = user.granting("rwx", shown) if there == path else user.making(printable(path))
            advice = f"{how}, or after_upload: keep"
            yield Finding(level="error", where=where, what=what, advice=advice)


def _check_expiry(config: Config, folder: Folder) -> Iterator[Finding]:
    """Look whether a copy that is deleted or moved here is dropped by a server later."""
    if folder.after_upload.action == "keep":
        return
    for name in folder.remotes:
        if getattr(config.remotes[name], "expired_at", None) is None:
            continue
        left = "none is left then"
        if folder.after_upload.directory is not None:
            left = f"then the only one left is in {printable(folder.after_upload.directory)}"
        yield Finding(
            level="warn",
            where=f"after_upload of {printable(folder.path)}",
            what=f"files go by {folder.after_upload.action}, and {name} drops its copies by expired_at: {left}",
            advice=f"take expired_at of {name} out, or set after_upload: keep",
        )


def _check_watchers(config: Config, folder: Folder) -> Iterator[Finding]:
    try:
        directory = os.stat(folder.path)
    except OSError:
        return
    state = os.stat(config.state_dir) if os.path.exists(config.state_dir) else None
    for pid in watchers.others(directory, state):
        what = f"the daemon with pid {pid}, of another configuration, watches it too"
        advice = "let one daemon watch it, and name all remotes there"
        if folder.after_upload.action != "keep":
            advice += "; until then set after_upload: keep, as the other may miss what goes"
        yield Finding(level="warn", where=f"watch of {printable(folder.path)}", what=what, advice=advice)


def _check_limit(name: str, noun: str, needed: int) -> Iterator[Finding]:
    """Compare a limit of inotify with what is needed; it is for all programs of a user together."""
    try:
        limit = int((LIMITS / name).read_text())
    except (OSError, ValueError):
        return
    where, what = f"inotify {name}", f"{_counted(needed, noun)}, {limit:,} allowed"
    if needed > limit:
        advice = f"{_raise(name, 2 * needed)}; until then, such a folder is polled"
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
    """Return the line that sets a limit, over a restart too."""
    return f"echo fs.inotify.{name}={value} | sudo tee -a /etc/sysctl.d/60-syncd.conf && sudo sysctl --system"
