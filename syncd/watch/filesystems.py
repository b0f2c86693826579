"""Recognises remote file systems, which do not report changes by other machines."""

import os
import re
import sys

from syncd.platform.files import from_long_path

if sys.platform == "win32":
    import win32con
    import win32file

_MOUNT_TABLE = "/proc/self/mountinfo"
_REMOTE_TYPES = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "davfs"}
_REMOTE_TYPES |= {"9p", "virtiofs", "vboxsf", "prl_fs", "vmhgfs"}  # folders that a virtual machine's host shares
_REMOTE_TYPES |= {f"fuse.{name}" for name in ("sshfs", "rclone", "s3fs", "glusterfs", "ceph", "davfs2", "vmhgfs-fuse")}
"""Types as /proc/self/mountinfo names them."""


def remote_type(path: str, table: str = _MOUNT_TABLE) -> str | None:
    """Return the type of a remote file system at ``path``; None if local or unknown."""
    if sys.platform == "win32":
        drive, _ = os.path.splitdrive(os.path.realpath(from_long_path(path)))
        is_remote = win32file.GetDriveType(drive + os.sep) == win32con.DRIVE_REMOTE
        return "a network share" if is_remote else None
    kind = _type(os.path.realpath(path), table)
    return kind if kind in _REMOTE_TYPES else None


def _type(path: str, table: str) -> str | None:
    best, kind = -1, None
    try:
        with open(table, encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                mount, _, rest = line.partition(" - ")
                point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), mount.split()[4])
                # Of two mounts at the same path, the later one hides the earlier one.
                if len(point) >= best and os.path.join(path, "").startswith(os.path.join(point, "")):
                    best, kind = len(point), rest.split()[0]
    except OSError:  # not Linux
        return None
    return kind
