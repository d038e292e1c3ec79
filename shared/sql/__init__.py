"""SQL databases: SQLite files and PostgreSQL, with a bound on every wait and errors in the fleet's own terms."""
