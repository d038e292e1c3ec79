"""A session's own orders and what they fill, in front of any market."""
