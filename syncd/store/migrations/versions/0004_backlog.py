"""Separates the backlog from new files, so that workers claim new files first."""

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    "ALTER TABLE jobs ADD COLUMN backlog BOOLEAN DEFAULT 1 NOT NULL",
    "CREATE INDEX jobs_new ON jobs (remote_id, state, large, due_at) WHERE NOT backlog",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
