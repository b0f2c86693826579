"""Run by Alembic: migrates on the connection that it is given, in the transaction that is under way."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
