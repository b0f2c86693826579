"""The Unix twin of :mod:`syncd.platform.windows.folders`."""

import os
import sys
from pathlib import Path

assert sys.platform != "win32"

SYSTEM_CONFIG = Path("/etc/syncd/config.yaml")
"""Configuration file of the system service."""
SYSTEM_STATE = Path("/var/lib")
"""Folder with the state folders of the system's services."""


def user_runtime_dir() -> Path | None:
    """Return syncd's folder below the user's runtime folder; None if the user has none."""
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    return runtime / "syncd" if runtime.is_dir() else None
