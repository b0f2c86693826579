"""Where things are when the configuration does not say, and what a relative path in it means.

Asks the environment and the platform, nothing else; needs neither pydantic nor the configuration's model, so
that `syncd ctl` finds the control socket by the same rules as the daemon, in a few milliseconds.
"""

import getpass
import os
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeGuard

from syncd.config.errors import NoHomeError

if sys.platform == "win32":
    import winreg

    def _program_data() -> str:
        """Folder of all users' programs, from where Windows itself has it: an environment may say otherwise."""
        known = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList"
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, known) as key:
            return winreg.ExpandEnvironmentStrings(winreg.QueryValueEx(key, "ProgramData")[0])

    _DATA = Path(_program_data()) / "syncd"
    SYSTEM_CONFIG, _SYSTEM_STATE = _DATA / "config.yaml", _DATA / "state"
else:
    SYSTEM_CONFIG, _SYSTEM_STATE = Path("/etc/syncd/config.yaml"), Path("/var/lib")

SOCKET_NAME = "control.sock"
SOCKET_PATH_LIMIT = 107
"""Bytes that Linux takes in the address of a Unix socket."""


def resolve(text: str, base: str | Path) -> str:
    """Absolute, normalised path that `text` names: `~` is a home, a relative path counts from `base`.

    ValueError for a text that no path can be.
    """
    if not text or "\0" in text:
        raise ValueError("must be a path")
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        raise ValueError(f"there is no home for {text} — write the path in full, or ./{text} for a name")
    return os.path.abspath(os.path.join(base, expanded))


def user_config() -> Path:
    """`syncd/config.yaml` in the user's configuration folder. NoHomeError for a user that has none."""
    from platformdirs import user_config_path  # noqa: PLC0415 — costs ctl more than all else here

    return _at_home(user_config_path, "name the configuration file, as by -c or SYNCD_CONFIG") / "config.yaml"


def state_dir(config: Path | None = None) -> Path:
    """Folder for what must survive a restart, as the service manager, the configuration file or the platform has it.

    NoHomeError where the platform has it below the home of a user that has none.
    """
    granted = _granted("STATE_DIRECTORY")
    if granted is not None:
        return granted
    service = system_service(config)
    if service is not None:
        return _SYSTEM_STATE / service
    from platformdirs import user_state_path  # noqa: PLC0415 — as above

    return _at_home(user_state_path, "set state_dir in the configuration")


def control_socket(explicit_state_dir: Path | None, config: Path | None = None) -> Path:
    """Where the daemon of a configuration file listens when `control.socket` is not set.

    A configuration with a `state_dir` of its own has its socket there: two of them on one machine never meet.
    """
    if sys.platform == "win32":
        return _pipe(explicit_state_dir, config)
    if explicit_state_dir is not None:
        return explicit_state_dir / SOCKET_NAME
    granted = _granted("RUNTIME_DIRECTORY")
    if granted is not None:
        return granted / SOCKET_NAME
    service = system_service(config)
    if service is not None:
        return Path("/run") / service / SOCKET_NAME
    return runtime_dir() / SOCKET_NAME


def runtime_dir() -> Path:
    """Folder of this user alone for what need not survive a restart; the state folder where the platform has none."""
    if sys.platform == "win32":
        return state_dir()
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    return runtime / "syncd" if runtime.is_dir() else state_dir()


def system_service(config: Path | None) -> str | None:
    """Name of the system's daemon that a configuration file belongs to, whoever asks; None for a user's.

    `/etc/syncd/config.yaml` is that of `syncd`, `/etc/syncd/photos.yaml` that of `syncd-photos`; root's are `syncd`.
    """
    if is_system(config) and config.name != SYSTEM_CONFIG.name:
        return f"syncd-{config.stem}"
    return "syncd" if is_system(config) or _is_root() else None


def is_system(config: Path | None) -> TypeGuard[Path]:
    """Whether a configuration file is one of the system's daemons, which run as a user of their own."""
    return config is not None and config.absolute().parent == SYSTEM_CONFIG.parent


def check_socket(path: Path) -> Path:
    """Return the path as it is; ValueError when the kernel would not take it as a socket's address."""
    length = len(os.fsencode(path))
    if sys.platform != "win32" and length > SOCKET_PATH_LIMIT:
        raise ValueError(
            f"{path} is {length} bytes long, a socket's path can have {SOCKET_PATH_LIMIT} — "
            "set control.socket to a shorter path"
        )
    return path


def _granted(variable: str) -> Path | None:
    """First folder that the service manager made for us, if it did."""
    first = os.environ.get(variable, "").split(os.pathsep)[0]
    return Path(first) if first else None


def _at_home(folder_of: Callable[..., Path], advice: str) -> Path:
    try:
        folder = folder_of("syncd", appauthor=False)
    except RuntimeError:  # neither HOME nor an entry in the list of users
        raise NoHomeError(advice) from None
    if not folder.is_absolute():  # what an older platformdirs makes of that
        raise NoHomeError(advice)
    return folder


def _is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


def _pipe(explicit_state_dir: Path | None, config: Path | None) -> Path:
    service = system_service(config)
    name = f"{service}-service" if service else f"syncd-{getpass.getuser()}"
    if explicit_state_dir is not None:
        name += f"-{zlib.crc32(os.fsencode(explicit_state_dir)):08x}"
    return Path(rf"\\.\pipe\{name}")
