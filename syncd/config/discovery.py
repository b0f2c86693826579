"""Finds the configuration file, its control socket and its state folder.

`syncd ctl` uses this module instead of the model, because pydantic takes long to import. File, expansion and defaults
are the same as in the model, and tests check that both agree.
"""

import os
from pathlib import Path
from typing import Any

from syncd.config import paths
from syncd.config.document import Document, KeyPath, expand, read
from syncd.config.errors import ConfigError, ForbiddenError, NoHomeError, Problem

_SOCKET: KeyPath = ("control", "socket")


def find(explicit: str | None) -> Path:
    """Return the path of the configuration file.

    This is `explicit`, else `$SYNCD_CONFIG`, else the first default path that exists.
    Raise ConfigError if no file exists or this user cannot look for it.
    """
    named = explicit or os.environ.get("SYNCD_CONFIG")
    if named:
        return Path(named)
    candidates, no_home = _default_paths()
    for path in candidates:
        try:
            path.stat()
        except PermissionError:
            if path == paths.SYSTEM_CONFIG:  # an inaccessible home belongs to another user
                raise ForbiddenError(path) from None
        except OSError:
            continue
        else:
            return path
    if no_home is not None:
        raise no_home
    tried = " nor ".join(map(str, candidates))
    others = ", ".join(map(str, sorted(paths.SYSTEM_CONFIG.parent.glob("*.yaml"))))
    advice = f"name one of these with -c: {others}" if others else "write one with syncd init"
    raise ConfigError(Problem(message=f"there is no configuration, neither {tried} — {advice}"))


def _default_paths() -> tuple[list[Path], NoHomeError | None]:
    """Return the default paths, and an error if the user has no home for one of them."""
    try:
        return [paths.user_config(), paths.SYSTEM_CONFIG], None
    except NoHomeError as error:
        return [paths.SYSTEM_CONFIG], error


def control_socket(path: Path) -> Path:
    """Return where the daemon of this configuration file listens.

    Raise ConfigError if the file is unusable.
    """
    document = read(path)
    control = document.data.get("control", {})
    socket = control.get("socket") if isinstance(control, dict) else None
    if socket is not None:
        return _checked(document, _path(document, _SOCKET, socket))
    return _checked(document, paths.control_socket(_explicit_state_dir(document), path))


def state_dir(path: Path) -> Path:
    """Return the state folder of this configuration file's daemon.

    Raise ConfigError if the file is unusable.
    """
    return _explicit_state_dir(read(path)) or paths.state_dir(path)


def _explicit_state_dir(document: Document) -> Path | None:
    named = document.data.get("state_dir")
    return None if named is None else _path(document, ("state_dir",), named)


def _path(document: Document, key: KeyPath, value: Any) -> Path:
    try:
        if isinstance(value, str):
            return Path(paths.resolve(expand(value), document.path.absolute().parent))
        reason = "must be a single value"
    except ValueError as error:
        reason = str(error)
    raise ConfigError(document.problem(key, reason))


def _checked(document: Document, socket: Path) -> Path:
    try:
        return paths.check_socket(socket)
    except ValueError as error:
        raise ConfigError(document.problem(_SOCKET, str(error))) from None
