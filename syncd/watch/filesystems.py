"""Which file systems can't tell about changes: those whose files other machines change too."""

import os
import re
import sys

from syncd.platform.open_flags import usual

if sys.platform == "win32":
    import win32con
    import win32file

_TABLE = "/proc/self/mountinfo"
REMOTE = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "davfs"}
REMOTE |= {"9p", "virtiofs", "vboxsf", "prl_fs", "vmhgfs"}  # a virtual machine's host
REMOTE |= {f"fuse.{name}" for name in ("sshfs", "rclone", "s3fs", "glusterfs", "ceph", "davfs2", "vmhgfs-fuse")}
"""Types as the kernel's table of mounts names them."""


def remote_type(path: str, table: str = _TABLE) -> str | None:
    """Return the type of the file system at ``path`` if it is a remote one; None if it is local or can't be told."""
    if sys.platform == "win32":
        drive, _ = os.path.splitdrive(os.path.realpath(usual(path)))
        remote = win32file.GetDriveType(drive + os.sep) == win32con.DRIVE_REMOTE
        return "a network share" if remote else None
    kind = _type(os.path.realpath(path), table)
    return kind if kind in REMOTE else None


def _type(path: str, table: str) -> str | None:
    best, kind = -1, None
    try:
        with open(table, encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                mount, _, rest = line.partition(" - ")
                point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), mount.split()[4])
                # Of two mounts on one point, the later one is on top.
                if len(point) >= best and os.path.join(path, "").startswith(os.path.join(point, "")):
                    best, kind = len(point), rest.split()[0]
    except OSError:  # not Linux
        return None
    return kind
