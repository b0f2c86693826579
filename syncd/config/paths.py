"""Resolves paths in the configuration and defines the default ones.

Depends only on the environment and the platform, not on pydantic or the model. So `syncd ctl` finds the control socket
by the same rules as the daemon, in a few milliseconds.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeGuard

from syncd.config.errors import NoHomeError
from syncd.platform import folders, user
from syncd.platform.sockets import MAX_SOCKET_PATH_BYTES, default_pipe

SYSTEM_CONFIG = folders.SYSTEM_CONFIG
"""Configuration file of the system service."""
SOCKET_NAME = "control.sock"


def resolve(text: str, base: str | Path) -> str:
    """Return the absolute, normalised path of `text`.

    `~` is a home, and a relative path starts at `base`. Raise ValueError if `text` cannot be a path.
    """
    if not text or "\0" in text:
        raise ValueError("must be a path")
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        raise ValueError(f"there is no home for {text} — write the path in full, or ./{text} for a name")
    return os.path.abspath(os.path.join(base, expanded))


def user_config() -> Path:
    """Return `syncd/config.yaml` in the user's configuration folder.

    Raise NoHomeError if the user has none.
    """
    from platformdirs import user_config_path  # noqa: PLC0415 — the slowest import for ctl

    return _below_home(user_config_path, "name the configuration file, as by -c or SYNCD_CONFIG") / "config.yaml"


def state_dir(config: Path | None = None) -> Path:
    """Return the folder for data that must survive a restart.

    The service manager, the place of the configuration file or the platform determines the folder. Raise NoHomeError if
    the folder is below the home and the user has none.
    """
    provided = _service_directory("STATE_DIRECTORY")
    if provided is not None:
        return provided
    service = system_service(config)
    if service is not None:
        return folders.SYSTEM_STATE / service
    from platformdirs import user_state_path  # noqa: PLC0415 — as above

    return _below_home(user_state_path, "set state_dir in the configuration")


def control_socket(explicit_state_dir: Path | None, config: Path | None = None) -> Path:
    """Return where the daemon of a configuration file listens if `control.socket` is not set.

    A configuration that sets `state_dir` has its socket there, so two such configurations never share one.
    """
    pipe = default_pipe(system_service(config), explicit_state_dir)
    if pipe is not None:
        return pipe
    if explicit_state_dir is not None:
        return explicit_state_dir / SOCKET_NAME
    provided = _service_directory("RUNTIME_DIRECTORY")
    if provided is not None:
        return provided / SOCKET_NAME
    service = system_service(config)
    if service is not None:
        return Path("/run") / service / SOCKET_NAME
    return runtime_dir() / SOCKET_NAME


def runtime_dir() -> Path:
    """Return this user's folder for data that need not survive a restart.

    Return the state folder if the platform has none.
    """
    return folders.user_runtime_dir() or state_dir()


def system_service(config: Path | None) -> str | None:
    """Return the system service that a configuration file belongs to; None for a user's file.

    `/etc/syncd/config.yaml` belongs to `syncd`, `/etc/syncd/photos.yaml` to `syncd-photos`, any other file of root to
    `syncd`. The calling user does not matter for files in `/etc/syncd`.
    """
    if is_system(config) and config.name != SYSTEM_CONFIG.name:
        return f"syncd-{config.stem}"
    return "syncd" if is_system(config) or user.is_root() else None


def is_system(config: Path | None) -> TypeGuard[Path]:
    """Return whether a configuration file belongs to a system service with its own user."""
    return config is not None and config.absolute().parent == SYSTEM_CONFIG.parent


def check_socket(path: Path) -> Path:
    """Return the path unchanged. Raise ValueError if it is too long for a socket's address."""
    length = len(os.fsencode(path))
    if MAX_SOCKET_PATH_BYTES is not None and length > MAX_SOCKET_PATH_BYTES:
        raise ValueError(
            f"{path} is {length} bytes long, a socket's path can have {MAX_SOCKET_PATH_BYTES} — "
            "set control.socket to a shorter path"
        )
    return path


def _service_directory(variable: str) -> Path | None:
    """Return the first folder that the service manager created for this service, if any."""
    first = os.environ.get(variable, "").split(os.pathsep)[0]
    return Path(first) if first else None


def _below_home(folder_of: Callable[..., Path], advice: str) -> Path:
    try:
        folder = folder_of("syncd", appauthor=False)
    except RuntimeError:  # the user has neither HOME nor an entry in the user database
        raise NoHomeError(advice) from None
    if not folder.is_absolute():  # older versions of platformdirs return a relative path then
        raise NoHomeError(advice)
    return folder
