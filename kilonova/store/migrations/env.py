"""Alembic's entry: runs the migrations on the connection that ``store/revisions.py`` hands over, in its transaction."""

from alembic import context

from kilonova.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
