"""Alembic's entry: runs the migrations on the connection that `shared.sql.migrate` opened and locked."""

from alembic import context

from auth_gateway.stores.schema import VERSION_TABLE, metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
