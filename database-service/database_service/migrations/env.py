"""Alembic's entry: runs the migrations on the connection that `database_service.migrate` opened and locked."""

from alembic import context

from database_service.stores.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
