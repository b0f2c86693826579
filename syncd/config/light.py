"""Find the configuration and its control socket without the model: `syncd ctl` answers before pydantic is loaded.

Goes by the same file, the same expansion and the same defaults as the whole model; that both agree is tested.
"""

import os
from pathlib import Path
from typing import Any

from syncd.config import paths
from syncd.config.document import Document, KeyPath, expand, read
from syncd.config.errors import ConfigError, NoHomeError, Problem
from syncd.config.forbidden import forbidden

_SOCKET: KeyPath = ("control", "socket")


def find(explicit: str | None) -> Path:
    """Name the configuration file: the one given, else `$SYNCD_CONFIG`, else the first that exists.

    ConfigError when there is none, or when this user may not know.
    """
    named = explicit or os.environ.get("SYNCD_CONFIG")
    if named:
        return Path(named)
    usual, no_home = _usual()
    for path in usual:
        try:
            path.stat()
        except PermissionError:
            if path == paths.SYSTEM_CONFIG:  # a home that is not ours to enter is not our home
                raise forbidden(path) from None
        except OSError:
            continue
        else:
            return path
    if no_home is not None:
        raise no_home
    tried = " nor ".join(map(str, usual))
    others = ", ".join(map(str, sorted(paths.SYSTEM_CONFIG.parent.glob("*.yaml"))))
    advice = f"name one of these with -c: {others}" if others else "write one with syncd init"
    raise ConfigError(Problem(message=f"there is no configuration, neither {tried} — {advice}"))


def _usual() -> tuple[list[Path], NoHomeError | None]:
    """Return where configuration files are looked for, and why none of the user's own is."""
    try:
        return [paths.user_config(), paths.SYSTEM_CONFIG], None
    except NoHomeError as error:
        return [paths.SYSTEM_CONFIG], error


def control_socket(path: Path) -> Path:
    """Where the daemon of this configuration file listens. ConfigError when the file does not tell."""
    document = read(path)
    control = document.data.get("control", {})
    socket = control.get("socket") if isinstance(control, dict) else None
    if socket is not None:
        return _checked(document, _path(document, _SOCKET, socket))
    return _checked(document, paths.control_socket(_explicit_state_dir(document), path))


def state_dir(path: Path) -> Path:
    """Where the daemon of this configuration file has its state. ConfigError when the file does not tell."""
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
