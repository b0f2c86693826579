"""Lists the versions of the schema, oldest first, and migrates a store to the newest.

Alembic is imported only when there is something to migrate: importing it would double the time of each start.
"""

import os

from sqlalchemy import Engine

REVISIONS = ("0001", "0002", "0003", "0004")
HEAD = REVISIONS[-1]
FOLDER = os.path.dirname(__file__)


def upgrade(engine: Engine) -> None:
    """Migrate the store to the newest schema, in one transaction."""
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", FOLDER.replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
