"""Defines the tables as the newest migration leaves them.

Triggers maintain all derived values: the tallies, so that counting a million jobs reads a few rows; the folder id of
each job; and the length of each job's history.
"""

import os
from enum import StrEnum

from sqlalchemy import (
    DDL,
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from syncd.core.states import Cause, Outcome, State


class PathText(TypeDecorator[str]):
    """A path: ``os.fsdecode`` form in memory, exact bytes in the database."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002 - the signature is SQLAlchemy's
        """Encode."""
        return None if value is None else os.fsencode(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - as above
        """Decode."""
        return None if value is None else os.fsdecode(value)


class IntegerText(TypeDecorator[int]):
    """An integer that may need more than 63 bits, stored as decimal digits.

    Some file systems number inodes from 2**63 upwards, some platforms use 128 bits, and a time in nanoseconds exceeds
    63 bits in the year 2262, which a broken clock easily reaches.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - as above
        """Write the digits."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - as above
        """Read the digits."""
        return None if value is None else int(value)


class EnumText(TypeDecorator[StrEnum]):
    """A member of a ``StrEnum``, stored as its value."""

    impl = Text
    cache_ok = True

    def __init__(self, members: type[StrEnum]) -> None:
        super().__init__()
        self.members = members

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:  # noqa: ARG002 - as above
        """Find the member."""
        return None if value is None else self.members(value)


metadata = MetaData()

remotes = Table(
    "remotes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("identity", Text, nullable=False, unique=True),
    Column("facts", JSON, key="capabilities", nullable=False),
)

files = Table(
    "files",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("folder", PathText, nullable=False),
    Column("path", PathText, nullable=False),
    Column("inode", IntegerText, nullable=False),
    Column("size", Integer, nullable=False),
    Column("mtime_ns", IntegerText, nullable=False),
    Column("version", Integer, nullable=False),
    Column("present", Boolean, nullable=False),
    Column("birth_ns", IntegerText),  # null if the file system has none
    Column("closed", Boolean, nullable=False, server_default=text("0")),  # an event reported that its writer closed it
    Column("seen_at", Float, nullable=False, server_default=text("0")),  # when this version was first seen
    Column(
        "removed", Boolean, nullable=False, server_default=text("0")
    ),  # by after_upload, so it can't have been renamed
    UniqueConstraint("folder", "path"),
    Index("files_by_inode", "inode"),
)
Index("files_present", files.c.folder, files.c.path, sqlite_where=files.c.present)

IS_PRESENT = text("files.present")
"""Selects present files through ``files_present``.

SQLAlchemy would write ``files.present = 1``, but SQLite uses a partial index only for the condition of the index.
"""

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("file_id", ForeignKey("files.id"), nullable=False),
    Column("remote_id", ForeignKey("remotes.id"), nullable=False),
    Column("state", EnumText(State), nullable=False),
    Column("cause", EnumText(Cause), nullable=False),  # of the last step
    Column("outcome", EnumText(Outcome)),
    Column("detail", Text),
    Column("attempts", Integer, key="failures", nullable=False),
    Column("due_at", Float, nullable=False),  # queued: since when; waiting: until when
    Column("lease_owner", Text),
    Column("lease_until", Float),
    Column("claim", Integer, nullable=False),  # the fencing number: each claim has its own
    Column("version", Integer, nullable=False),  # of the file, at the last step
    Column("size", Integer, nullable=False),  # of the file, as it is now
    Column("large", Boolean, nullable=False),
    Column("key", Text),
    Column("key_version", Integer),  # of the file that has this key
    Column("ref", Text),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("folder_id", Integer, nullable=False, server_default=text("0")),  # of the file, kept by a trigger
    Column("cancelled_sha256", Text),  # the content that a person cancelled; cleared by any other content
    Column("backlog", Boolean, nullable=False, server_default=text("1")),  # found by a scan of all files, see FoundFile
    UniqueConstraint("file_id", "remote_id"),
    Index("jobs_by_due", "remote_id", "state", "large", "due_at"),
    Index("jobs_by_key", "remote_id", "key"),
    Index("jobs_by_owner", "lease_owner"),
    Index("jobs_by_update", "folder_id", "remote_id", "state", "updated_at", "id"),
    Index("jobs_by_size", "folder_id", "remote_id", "state", "size", "id"),
    Index("jobs_unhashed", "id", sqlite_where=text("cause = 'cancelled' AND cancelled_sha256 IS NULL")),
    Index("jobs_by_cancelled", "remote_id", "cancelled_sha256", sqlite_where=text("cancelled_sha256 IS NOT NULL")),
    Index("jobs_new", "remote_id", "state", "large", "due_at", sqlite_where=text("NOT backlog")),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("remote_id", ForeignKey("remotes.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("chunk_size", Integer, nullable=False),
    Column("chunk_count", Integer, nullable=False),
    Column("doubtful", Boolean, key="needs_verification", nullable=False),
    Column("created_at", Float, nullable=False),
    UniqueConstraint("remote_id", "key"),
)

chunks = Table(
    "chunks",
    metadata,
    Column("session_id", ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True),
    Column("idx", Integer, primary_key=True),
    sqlite_with_rowid=False,
)

contents = Table(
    "contents",
    metadata,
    Column("remote_id", ForeignKey("remotes.id"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("ref", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("stored_at", Float, nullable=False),
    Column("sha256", Text),  # of the file's own bytes; null where an earlier version of syncd has uploaded it
    Column("proof", Integer, nullable=False, server_default=text("0")),
    Column("confirmed_at", Float, nullable=False, server_default=text("0")),
    Column("terms", Text, nullable=False, server_default=text("''")),
    Column("expires", Boolean, nullable=False, server_default=text("0")),
    Index("contents_by_sha256", "sha256"),
    sqlite_with_rowid=False,
)

removals = Table(
    "removals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("folder", PathText, nullable=False),
    Column("path", PathText, nullable=False),
    Column("hidden", PathText, nullable=False),  # the temporary name in the same directory
    Index("removals_by_folder", "folder"),
)
"""Files that syncd is deleting or moving after their upload; inserted before the first rename."""

history = Table(
    "history",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", ForeignKey("jobs.id"), nullable=False),
    Column("at", Float, nullable=False),
    Column("cause", EnumText(Cause), nullable=False),
    Column("from_state", EnumText(State)),
    Column("to_state", EnumText(State), nullable=False),
    Column("detail", Text),
    Index("history_by_job", "job_id", "id"),
)

settings = Table(
    "settings",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

folders = Table(
    "folders",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("path", PathText, nullable=False, unique=True),
)

job_tallies = Table(
    "job_tallies",
    metadata,
    Column("folder_id", Integer, primary_key=True),
    Column("remote_id", Integer, primary_key=True),
    Column("state", EnumText(State), primary_key=True),
    Column("jobs", Integer, nullable=False),
    Column("bytes", Integer, nullable=False),
    sqlite_with_rowid=False,
)

file_tallies = Table(
    "file_tallies",
    metadata,
    Column("folder", PathText, primary_key=True),
    Column("files", Integer, nullable=False),
    sqlite_with_rowid=False,
)

_JOB_IN = """
  INSERT INTO job_tallies (folder_id, remote_id, state, jobs, bytes)
    VALUES (new.folder_id, new.remote_id, new.state, 1, new.size)
    ON CONFLICT (folder_id, remote_id, state) DO UPDATE SET jobs = jobs + 1, bytes = bytes + excluded.bytes;"""
_JOB_OUT = """
  UPDATE job_tallies SET jobs = jobs - 1, bytes = bytes - old.size
    WHERE folder_id = old.folder_id AND remote_id = old.remote_id AND state = old.state;"""
_FILE_IN = """
  INSERT INTO file_tallies (folder, files) VALUES (new.folder, new.present)
    ON CONFLICT (folder) DO UPDATE SET files = files + excluded.files;"""
_FILE_OUT = """
  UPDATE file_tallies SET files = files - old.present WHERE folder = old.folder;"""
_FOLDER_IN = """
  INSERT INTO folders (path) VALUES (new.folder) ON CONFLICT (path) DO NOTHING;"""

TRIGGERS = (
    f"CREATE TRIGGER jobs_inserted AFTER INSERT ON jobs BEGIN{_JOB_IN}\nEND",
    f"CREATE TRIGGER jobs_updated AFTER UPDATE OF folder_id, state, size ON jobs BEGIN{_JOB_OUT}{_JOB_IN}\nEND",
    f"CREATE TRIGGER files_inserted AFTER INSERT ON files BEGIN{_FILE_IN}{_FOLDER_IN}\nEND",
    f"CREATE TRIGGER files_updated AFTER UPDATE OF folder, present ON files BEGIN{_FILE_OUT}{_FILE_IN}\nEND",
    f"""CREATE TRIGGER files_moved AFTER UPDATE OF folder ON files WHEN new.folder <> old.folder BEGIN{_FOLDER_IN}
  UPDATE jobs SET folder_id = (SELECT id FROM folders WHERE path = new.folder) WHERE file_id = new.id;
END""",  # noqa: S608 - both parts stand here
    """CREATE TRIGGER history_trimmed AFTER INSERT ON history BEGIN
  DELETE FROM history WHERE job_id = new.job_id AND id <= (
    SELECT id FROM history WHERE job_id = new.job_id ORDER BY id DESC LIMIT 1 OFFSET 100);
END""",
)
"""Jobs and files are never deleted, so no trigger handles that. Each job keeps its last 100 history entries."""

for _trigger in TRIGGERS:
    event.listen(metadata, "after_create", DDL(_trigger))  # type: ignore[no-untyped-call]  # SQLAlchemy's
