"""A market made from the user's own klines."""
