"""Adds proofs of confirmations, birth times of files, and removals in progress."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    "DROP INDEX files_by_inode",
    "ALTER TABLE files DROP COLUMN device",
    "ALTER TABLE files ADD COLUMN birth_ns TEXT",
    "ALTER TABLE files ADD COLUMN closed BOOLEAN DEFAULT 0 NOT NULL",
    "ALTER TABLE files ADD COLUMN seen_at FLOAT DEFAULT 0 NOT NULL",
    "ALTER TABLE files ADD COLUMN removed BOOLEAN DEFAULT 0 NOT NULL",
    "CREATE INDEX files_by_inode ON files (inode)",
    "CREATE INDEX files_present ON files (folder, path) WHERE present",
    "ALTER TABLE jobs ADD COLUMN cancelled_sha256 TEXT",
    "CREATE INDEX jobs_unhashed ON jobs (id) WHERE cause = 'cancelled' AND cancelled_sha256 IS NULL",
    "CREATE INDEX jobs_by_cancelled ON jobs (remote_id, cancelled_sha256) WHERE cancelled_sha256 IS NOT NULL",
    "ALTER TABLE contents ADD COLUMN sha256 TEXT",
    "ALTER TABLE contents ADD COLUMN proof INTEGER DEFAULT 0 NOT NULL",
    "ALTER TABLE contents ADD COLUMN confirmed_at FLOAT DEFAULT 0 NOT NULL",
    "ALTER TABLE contents ADD COLUMN terms TEXT DEFAULT '' NOT NULL",
    "ALTER TABLE contents ADD COLUMN expires BOOLEAN DEFAULT 0 NOT NULL",
    "CREATE INDEX contents_by_sha256 ON contents (sha256)",
    'UPDATE contents SET sha256 = substr("key", 8) WHERE "key" LIKE \'sha256:%\'',
    "UPDATE contents SET sha256 = \"key\" WHERE ref LIKE '%\\:text'",
    """
    CREATE TABLE removals (
        id INTEGER NOT NULL,
        folder BLOB NOT NULL,
        path BLOB NOT NULL,
        hidden BLOB NOT NULL,
        PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX removals_by_folder ON removals (folder)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
