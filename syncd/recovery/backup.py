"""``syncd backup``: copies the job store and the configuration to one file.

The daemon may run: the copy of the store is one consistent state. The file is a tar archive, for its owner only, with
the members :data:`STORE` and :data:`CONFIG`. The secrets of the configuration are removed, and with them its comments,
which may contain older ones. To restore, extract the members to their places on another machine.
"""

import io
import os
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from syncd.config import document
from syncd.config.load import Loaded
from syncd.platform.files import sync_path
from syncd.store.startup import copy_store

STORE = "syncd.db"
"""The job store: the names and hashes of all files, and where they were uploaded."""
CONFIG = "config.yaml"
"""The configuration; each secret in it is :data:`REMOVED`."""
REMOVED = "removed by syncd backup"


@dataclass(frozen=True, kw_only=True, slots=True)
class Backup:
    """The result of a backup.

    ``size`` is in bytes, ``secrets`` the number of removed values.
    """

    size: int
    secrets: int


def back_up(loaded: Loaded, target: str) -> Backup:
    """Write a backup to the file ``target``, which is replaced only by a complete one.

    Raises StoreError if the job store cannot be read, and OSError if the file cannot be written.
    """
    folder = os.path.dirname(os.path.abspath(target))
    with tempfile.TemporaryDirectory(prefix=".syncd-backup-", dir=folder) as staging:  # its mode is 0700
        store, archive = os.path.join(staging, STORE), os.path.join(staging, "backup.tar")
        copy_store(str(loaded.config.store), store)
        config, secrets = _config_without_secrets(loaded)
        handle = os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file, tarfile.open(fileobj=file, mode="w") as tar:
            tar.add(store, STORE, filter=_for_owner)
            member = tarfile.TarInfo(CONFIG)
            member.size, member.mtime = len(config), int(time.time())
            tar.addfile(_for_owner(member), io.BytesIO(config))
        sync_path(archive)
        size = os.path.getsize(archive)
        os.replace(archive, target)
        sync_path(folder)
    return Backup(size=size, secrets=secrets)


def _for_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Give a member no owner, and a mode without permissions for others.

    So it belongs to the user who extracts it.
    """
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def _config_without_secrets(loaded: Loaded) -> tuple[bytes, int]:
    """Return the configuration as YAML, and the number of removed values.

    A value such as ``${NAME}`` and the name of a token file stay.
    """
    secrets = {secret for secret in loaded.config.secrets() if secret}
    removed = 0

    def clean(value: Any) -> Any:
        nonlocal removed
        if isinstance(value, dict):
            return {key: clean(each) for key, each in value.items()}
        if isinstance(value, list):
            return [clean(each) for each in value]
        if isinstance(value, bool | None) or not any(secret in str(value) for secret in secrets):
            return value
        removed += 1
        return REMOVED

    data = clean(document.read(Path(loaded.path)).data)
    return yaml.safe_dump(data, allow_unicode=True, sort_keys=False).encode("utf-8"), removed
