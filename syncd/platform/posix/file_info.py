"""The Unix twin of :mod:`syncd.platform.windows.file_info`.

``os.stat`` lacks the creation time on Linux before Python 3.15, so this module calls ``statx``.
"""

import ctypes
import os
import re
import struct
import sys

assert sys.platform != "win32"

_libc = ctypes.CDLL(None, use_errno=True)
_AT_FDCWD, _AT_SYMLINK_NOFOLLOW, _AT_EMPTY_PATH = -100, 0x100, 0x1000
_STATX_BTIME = 0x800
_STATX_SIZE, _MASK_OFFSET, _BTIME_OFFSET = 256, 0, 0x50

MOUNT_TABLE = "/proc/self/mountinfo"
_REMOTE_TYPES = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "davfs"}
_REMOTE_TYPES |= {"9p", "virtiofs", "vboxsf", "prl_fs", "vmhgfs"}  # folders that a virtual machine's host shares
_REMOTE_TYPES |= {f"fuse.{name}" for name in ("sshfs", "rclone", "s3fs", "glusterfs", "ceph", "davfs2", "vmhgfs-fuse")}
"""The remote file systems as ``MOUNT_TABLE`` names them."""

read_at = os.pread


if sys.platform == "linux":

    def birth_ns(file: str | int, *, follow_symlinks: bool = False) -> int | None:
        """Return the creation time of a path or an open file in nanoseconds.

        None if it is unknown.
        """
        found = ctypes.create_string_buffer(_STATX_SIZE)
        if not hasattr(_libc, "statx"):
            return None
        if isinstance(file, int):
            failed = _libc.statx(file, b"", _AT_EMPTY_PATH, _STATX_BTIME, found)
        else:
            flags = 0 if follow_symlinks else _AT_SYMLINK_NOFOLLOW
            failed = _libc.statx(_AT_FDCWD, os.fsencode(file), flags, _STATX_BTIME, found)
        if failed or not struct.unpack_from("=I", found, _MASK_OFFSET)[0] & _STATX_BTIME:
            return None
        seconds, nanoseconds = struct.unpack_from("=qI", found, _BTIME_OFFSET)
        return int(seconds * 1_000_000_000 + nanoseconds)

else:

    def birth_ns(file: str | int, *, follow_symlinks: bool = False) -> int | None:
        """Return the creation time of a path or an open file in nanoseconds.

        None if it is unknown.
        """
        try:
            found = os.stat(file) if isinstance(file, int) else os.stat(file, follow_symlinks=follow_symlinks)
        except OSError:
            return None
        birth: float | None = getattr(found, "st_birthtime", None)
        return None if birth is None else round(birth * 1_000_000_000)


def file_system_id(path: str, directory: int | None = None) -> int:
    """Return a number that identifies the file system at ``path``.

    ``directory`` is the descriptor of the directory there, if it is open. The number stays the same after a new mount,
    if the file system has such a number.
    """
    place = path if directory is None else directory
    return os.statvfs(place).f_fsid or os.stat(place).st_dev


def remote_file_system(path: str) -> str | None:
    """Return the type of the remote file system at ``path``; None if it is local or unknown."""
    kind = _mounted_type(os.path.realpath(path))
    return kind if kind in _REMOTE_TYPES else None


def _mounted_type(path: str) -> str | None:
    best, kind = -1, None
    try:
        with open(MOUNT_TABLE, encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                mount, _, rest = line.partition(" - ")
                point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), mount.split()[4])
                # Of two mounts at the same path, the later one hides the earlier one.
                if len(point) >= best and os.path.join(path, "").startswith(os.path.join(point, "")):
                    best, kind = len(point), rest.split()[0]
    except OSError:  # not Linux
        return None
    return kind


def is_link(entry: "os.DirEntry[str]") -> bool:
    """Return whether a directory entry is a symbolic link."""
    return entry.is_symlink()


def on_disk_case(folder: str, path: str, known: dict[str, str | None] | None = None) -> str | None:  # noqa: ARG001 - twin
    """Return ``path``: names that differ in case are different files here."""
    return path


def has_stable_file_ids(path: str) -> bool:  # noqa: ARG001 - twin
    """Return True: inode numbers are stable."""
    return True
