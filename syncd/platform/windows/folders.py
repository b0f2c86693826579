"""The Windows twin of :mod:`syncd.platform.posix.folders`."""

import sys
import winreg
from pathlib import Path

assert sys.platform == "win32"

_PROFILE_LIST = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList"


def _program_data() -> str:
    """Return the ProgramData folder from the registry; the environment may be wrong."""
    with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _PROFILE_LIST) as key:
        return winreg.ExpandEnvironmentStrings(winreg.QueryValueEx(key, "ProgramData")[0])


SYSTEM_CONFIG = Path(_program_data()) / "syncd" / "config.yaml"
"""Configuration file of the Windows service."""
SYSTEM_STATE = SYSTEM_CONFIG.parent / "state"
"""Folder with the state folder of the Windows service."""


def user_runtime_dir() -> Path | None:
    """Return None: Windows has no such folder."""
    return None
