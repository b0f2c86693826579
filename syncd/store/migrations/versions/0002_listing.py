"""Adds the folder to jobs, for sorted indexes of each folder, remote and state."""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    """
    CREATE TABLE folders (
        id INTEGER NOT NULL,
        path BLOB NOT NULL,
        PRIMARY KEY (id),
        UNIQUE (path)
    )
    """,
    "INSERT INTO folders (path) SELECT DISTINCT folder FROM files",
    "DROP TRIGGER jobs_inserted",
    "DROP TRIGGER jobs_updated",
    "DROP TRIGGER files_inserted",
    "DROP INDEX jobs_by_update",
    "DROP INDEX jobs_by_state",
    "ALTER TABLE jobs ADD COLUMN folder_id INTEGER DEFAULT 0 NOT NULL",
    """
    UPDATE jobs SET folder_id = (
        SELECT folders.id FROM files JOIN folders ON folders.path = files.folder WHERE files.id = jobs.file_id
    )
    """,
    "CREATE INDEX jobs_by_update ON jobs (folder_id, remote_id, state, updated_at, id)",
    "CREATE INDEX jobs_by_size ON jobs (folder_id, remote_id, state, size, id)",
    "DROP TABLE job_tallies",
    """
    CREATE TABLE job_tallies (
        folder_id INTEGER NOT NULL,
        remote_id INTEGER NOT NULL,
        state TEXT NOT NULL,
        jobs INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        PRIMARY KEY (folder_id, remote_id, state)
    ) WITHOUT ROWID
    """,
    """
    INSERT INTO job_tallies (folder_id, remote_id, state, jobs, bytes)
        SELECT folder_id, remote_id, state, count(*), sum(size) FROM jobs GROUP BY folder_id, remote_id, state
    """,
    """
    CREATE TRIGGER jobs_inserted AFTER INSERT ON jobs BEGIN
      INSERT INTO job_tallies (folder_id, remote_id, state, jobs, bytes)
        VALUES (new.folder_id, new.remote_id, new.state, 1, new.size)
        ON CONFLICT (folder_id, remote_id, state) DO UPDATE SET jobs = jobs + 1, bytes = bytes + excluded.bytes;
    END
    """,
    """
    CREATE TRIGGER jobs_updated AFTER UPDATE OF folder_id, state, size ON jobs BEGIN
      UPDATE job_tallies SET jobs = jobs - 1, bytes = bytes - old.size
        WHERE folder_id = old.folder_id AND remote_id = old.remote_id AND state = old.state;
      INSERT INTO job_tallies (folder_id, remote_id, state, jobs, bytes)
        VALUES (new.folder_id, new.remote_id, new.state, 1, new.size)
        ON CONFLICT (folder_id, remote_id, state) DO UPDATE SET jobs = jobs + 1, bytes = bytes + excluded.bytes;
    END
    """,
    """
    CREATE TRIGGER files_inserted AFTER INSERT ON files BEGIN
      INSERT INTO file_tallies (folder, files) VALUES (new.folder, new.present)
        ON CONFLICT (folder) DO UPDATE SET files = files + excluded.files;
      INSERT INTO folders (path) VALUES (new.folder) ON CONFLICT (path) DO NOTHING;
    END
    """,
    """
    CREATE TRIGGER files_moved AFTER UPDATE OF folder ON files WHEN new.folder <> old.folder BEGIN
      INSERT INTO folders (path) VALUES (new.folder) ON CONFLICT (path) DO NOTHING;
      UPDATE jobs SET folder_id = (SELECT id FROM folders WHERE path = new.folder) WHERE file_id = new.id;
    END
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
