"""Checks the watched folders: access, ``after_upload`` and inotify limits.

``check.runner`` calls :func:`check_folders` with the rights of the daemon's user.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from syncd.cli import formatting
from syncd.cli.check.result import Finding
from syncd.config.model import Config, Folder
from syncd.core.text import printable
from syncd.platform import user, watchers
from syncd.platform.systemd.sandbox import Sandbox
from syncd.watch.patterns import VIDEO_SUFFIXES
from syncd.watch.scanner import WatchedTree

INOTIFY_LIMITS = Path("/proc/sys/fs/inotify")


@dataclass(kw_only=True, slots=True)
class _FolderScan:
    """The result of the scan of a watched folder.

    It has the number of directories, the unreadable ones, and the videos that the patterns leave out.
    """

    count: int = 0
    unreadable: list[str] = field(default_factory=list)
    videos: Counter[str] = field(default_factory=Counter)
    """The number of such files, by the suffix of their names."""


def check_folders(config: Config, sandbox: Sandbox | None) -> Iterator[Finding]:
    """Yield findings about each watched folder, then about the inotify limits."""
    watched: list[int] = []
    for folder in config.folders:
        yield from _check_visibility(folder.path, sandbox)
        problem = _check_access(folder)
        if problem is not None:
            yield problem
            continue
        scan = _scan(folder)
        yield _check_subfolders(folder, scan)
        if scan.videos:
            yield _videos_left_out(folder, scan.videos)
        yield from _check_change(folder, sandbox)
        yield from _check_expiry(config, folder)
        yield from _check_watchers(config, folder)
        if folder.watch != "poll":
            watched.append(scan.count)
    if watched:
        yield from _check_limit("max_user_watches", "folder to watch", sum(watched))
        yield from _check_limit("max_user_instances", "watched folder", len(watched))


def _check_visibility(path: str, sandbox: Sandbox | None) -> Iterator[Finding]:
    advice = sandbox.hides(path) if sandbox else None
    if advice:
        what = "the service's sandbox hides this folder"
        yield Finding(level="error", where=f"sandbox of {printable(path)}", what=what, advice=advice)


def _check_access(folder: Folder) -> Finding | None:
    where = f"folder {printable(folder.path)}"
    try:
        with os.scandir(folder.path):
            return None
    except FileNotFoundError:
        return Finding(level="error", where=where, what="does not exist", advice="create it, or mount its file system")
    except NotADirectoryError:
        return Finding(
            level="error", where=where, what="is not a folder", advice="set path to the folder that contains it"
        )
    except PermissionError:
        advice = _grant_read(_first_denied(folder.path))
        return Finding(level="error", where=where, what="permission denied", advice=advice)
    except OSError as error:
        return Finding(
            level="error", where=where, what=str(error.strerror), advice="check that its disk works and is mounted"
        )


def _first_denied(path: str) -> str:
    """Return the topmost parent that this user cannot enter, or ``path`` itself."""
    parents = [str(parent) for parent in reversed(Path(path).parents)]
    return next((parent for parent in parents if not user.has_access(parent, os.X_OK)), path)


def _grant_read(path: str) -> str:
    return f"give user {user.own_name()} access: {user.grant_command('rx', printable(path))}"


def _scan(folder: Folder) -> _FolderScan:
    scan = _FolderScan()
    tree = WatchedTree.of(folder)

    def on_error(error: OSError) -> None:
        scan.unreadable.append(os.fsdecode(error.filename))

    for directory, _, names in os.walk(folder.path, onerror=on_error, followlinks=folder.follow_symlinks):
        scan.count += 1
        for name in names:
            suffix = os.path.splitext(name)[1].lower()
            if suffix in VIDEO_SUFFIXES and tree.leaves_out(tree.relative(os.path.join(directory, name)) or name):
                scan.videos[suffix] += 1
        if not folder.recursive:
            break
    return scan


def check_videos(folder: Folder) -> Finding | None:
    """Return a note about the videos that the patterns of a folder leave out.

    Returns None if there are none.
    """
    scan = _scan(folder)
    return _videos_left_out(folder, scan.videos) if scan.videos else None


def _videos_left_out(folder: Folder, videos: Mapping[str, int]) -> Finding:
    what = f"{formatting.count(sum(videos.values()), 'video file')} left out by its patterns"
    types = ", ".join(f'"*{suffix}"' for suffix in sorted(videos))
    advice = f"to upload them, add {types} to include, which has to list the picture types too"
    return Finding(level="ok", where=f"folder {printable(folder.path)}", what=what, advice=advice)


def _check_subfolders(folder: Folder, scan: _FolderScan) -> Finding:
    where = f"folder {printable(folder.path)}"
    if not scan.unreadable:
        return Finding(level="ok", where=where, what="can be read")
    number = formatting.count(len(scan.unreadable), "folder")
    what = f"cannot read {number} in it, such as {printable(scan.unreadable[0])}"
    return Finding(level="warn", where=where, what=what, advice=_grant_read(scan.unreadable[0]))


def _check_change(folder: Folder, sandbox: Sandbox | None) -> Iterator[Finding]:
    """Yield an error if ``after_upload`` cannot delete or move files."""
    action, target = folder.after_upload.action, folder.after_upload.directory
    if action == "keep":
        return
    where, name = f"after_upload of {printable(folder.path)}", user.own_name()
    for path in filter(None, (folder.path, target)):
        existing = next(str(parent) for parent in (Path(path), *Path(path).parents) if os.path.isdir(parent))
        shown = printable(existing)
        if sandbox and not sandbox.writes(path):
            advice = f"run systemctl edit {sandbox.unit} and add: [Service] ReadWritePaths={shown}"
            yield Finding(
                level="error",
                where=where,
                what=f"the service's sandbox does not allow changes in {shown}",
                advice=advice,
            )
        elif not user.has_access(existing, os.W_OK | os.X_OK):
            how = user.grant_command("rwx", shown) if existing == path else user.mkdir_command(printable(path))
            what, advice = f"user {name} has no permission to change {shown}", f"{how}, or set after_upload: keep"
            yield Finding(level="error", where=where, what=what, advice=advice)


def _check_expiry(config: Config, folder: Folder) -> Iterator[Finding]:
    """Warn if a server deletes copies of files that ``after_upload`` deletes or moves."""
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
        what = f"another daemon (pid {pid}) with another configuration watches this folder too"
        advice = "let one daemon watch it, and list all remotes in its configuration"
        if folder.after_upload.action != "keep":
            advice += "; until then set after_upload: keep, or the other daemon may miss files"
        yield Finding(level="warn", where=f"watch of {printable(folder.path)}", what=what, advice=advice)


def _check_limit(name: str, noun: str, needed: int) -> Iterator[Finding]:
    """Compare an inotify limit with the number needed.

    All programs of a user share the limit.
    """
    try:
        limit = int((INOTIFY_LIMITS / name).read_text())
    except (OSError, ValueError):
        return
    where, what = f"inotify {name}", f"{_counted(needed, noun)}, {limit:,} allowed"
    if needed > limit:
        advice = f"{_raise_command(name, 2 * needed)}; until then, syncd polls the folder"
        yield Finding(level="error", where=where, what=what, advice=advice)
    elif needed > limit * 0.8:
        advice = f"other programs share the limit; raise it with: {_raise_command(name, 2 * limit)}"
        yield Finding(level="warn", where=where, what=what, advice=advice)
    else:
        yield Finding(level="ok", where=where, what=what)


def _counted(number: int, noun: str) -> str:
    first, _, rest = noun.partition(" to ")
    return formatting.count(number, first) + (f" to {rest}" if rest else "")


def _raise_command(name: str, value: int) -> str:
    """Return the command that sets a limit permanently."""
    return f"echo fs.inotify.{name}={value} | sudo tee -a /etc/sysctl.d/60-syncd.conf && sudo sysctl --system"
