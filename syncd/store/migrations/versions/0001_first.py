"""The first schema."""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    """
    CREATE TABLE remotes (
        id INTEGER NOT NULL,
        name TEXT NOT NULL,
        identity TEXT NOT NULL,
        facts JSON NOT NULL,
        PRIMARY KEY (id),
        UNIQUE (identity)
    )
    """,
    """
    CREATE TABLE files (
        id INTEGER NOT NULL,
        folder BLOB NOT NULL,
        path BLOB NOT NULL,
        device TEXT NOT NULL,
        inode TEXT NOT NULL,
        size INTEGER NOT NULL,
        mtime_ns TEXT NOT NULL,
        version INTEGER NOT NULL,
        present BOOLEAN NOT NULL,
        PRIMARY KEY (id),
        UNIQUE (folder, path)
    )
    """,
    "CREATE INDEX files_by_inode ON files (inode, device)",
    """
    CREATE TABLE settings (
        "key" TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY ("key")
    )
    """,
    """
    CREATE TABLE job_tallies (
        remote_id INTEGER NOT NULL,
        state TEXT NOT NULL,
        jobs INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        PRIMARY KEY (remote_id, state)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE file_tallies (
        folder BLOB NOT NULL,
        files INTEGER NOT NULL,
        PRIMARY KEY (folder)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE jobs (
        id INTEGER NOT NULL,
        file_id INTEGER NOT NULL,
        remote_id INTEGER NOT NULL,
        state TEXT NOT NULL,
        cause TEXT NOT NULL,
        outcome TEXT,
        detail TEXT,
        attempts INTEGER NOT NULL,
        due_at FLOAT NOT NULL,
        lease_owner TEXT,
        lease_until FLOAT,
        claim INTEGER NOT NULL,
        version INTEGER NOT NULL,
        size INTEGER NOT NULL,
        large BOOLEAN NOT NULL,
        "key" TEXT,
        key_version INTEGER,
        ref TEXT,
        created_at FLOAT NOT NULL,
        updated_at FLOAT NOT NULL,
        PRIMARY KEY (id),
        UNIQUE (file_id, remote_id),
        FOREIGN KEY(file_id) REFERENCES files (id),
        FOREIGN KEY(remote_id) REFERENCES remotes (id)
    )
    """,
    "CREATE INDEX jobs_by_due ON jobs (remote_id, state, large, due_at)",
    'CREATE INDEX jobs_by_key ON jobs (remote_id, "key")',
    "CREATE INDEX jobs_by_owner ON jobs (lease_owner)",
    "CREATE INDEX jobs_by_update ON jobs (updated_at, id)",
    "CREATE INDEX jobs_by_state ON jobs (state, updated_at, id)",
    """
    CREATE TABLE sessions (
        id INTEGER NOT NULL,
        remote_id INTEGER NOT NULL,
        "key" TEXT NOT NULL,
        token TEXT NOT NULL,
        chunk_size INTEGER NOT NULL,
        chunk_count INTEGER NOT NULL,
        doubtful BOOLEAN NOT NULL,
        created_at FLOAT NOT NULL,
        PRIMARY KEY (id),
        UNIQUE (remote_id, "key"),
        FOREIGN KEY(remote_id) REFERENCES remotes (id)
    )
    """,
    """
    CREATE TABLE contents (
        remote_id INTEGER NOT NULL,
        "key" TEXT NOT NULL,
        ref TEXT NOT NULL,
        size INTEGER NOT NULL,
        stored_at FLOAT NOT NULL,
        PRIMARY KEY (remote_id, "key"),
        FOREIGN KEY(remote_id) REFERENCES remotes (id)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE chunks (
        session_id INTEGER NOT NULL,
        idx INTEGER NOT NULL,
        PRIMARY KEY (session_id, idx),
        FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE history (
        id INTEGER NOT NULL,
        job_id INTEGER NOT NULL,
        at FLOAT NOT NULL,
        cause TEXT NOT NULL,
        from_state TEXT,
        to_state TEXT NOT NULL,
        detail TEXT,
        PRIMARY KEY (id),
        FOREIGN KEY(job_id) REFERENCES jobs (id)
    )
    """,
    "CREATE INDEX history_by_job ON history (job_id, id)",
    """
    CREATE TRIGGER jobs_inserted AFTER INSERT ON jobs BEGIN
      INSERT INTO job_tallies (remote_id, state, jobs, bytes) VALUES (new.remote_id, new.state, 1, new.size)
        ON CONFLICT (remote_id, state) DO UPDATE SET jobs = jobs + 1, bytes = bytes + excluded.bytes;
    END
    """,
    """
    CREATE TRIGGER jobs_updated AFTER UPDATE OF state, size ON jobs BEGIN
      UPDATE job_tallies SET jobs = jobs - 1, bytes = bytes - old.size
        WHERE remote_id = old.remote_id AND state = old.state;
      INSERT INTO job_tallies (remote_id, state, jobs, bytes) VALUES (new.remote_id, new.state, 1, new.size)
        ON CONFLICT (remote_id, state) DO UPDATE SET jobs = jobs + 1, bytes = bytes + excluded.bytes;
    END
    """,
    """
    CREATE TRIGGER files_inserted AFTER INSERT ON files BEGIN
      INSERT INTO file_tallies (folder, files) VALUES (new.folder, new.present)
        ON CONFLICT (folder) DO UPDATE SET files = files + excluded.files;
    END
    """,
    """
    CREATE TRIGGER files_updated AFTER UPDATE OF folder, present ON files BEGIN
      UPDATE file_tallies SET files = files - old.present WHERE folder = old.folder;
      INSERT INTO file_tallies (folder, files) VALUES (new.folder, new.present)
        ON CONFLICT (folder) DO UPDATE SET files = files + excluded.files;
    END
    """,
    """
    CREATE TRIGGER history_trimmed AFTER INSERT ON history BEGIN
      DELETE FROM history WHERE job_id = new.job_id AND id <= (
        SELECT id FROM history WHERE job_id = new.job_id ORDER BY id DESC LIMIT 1 OFFSET 100);
    END
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
