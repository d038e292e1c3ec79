"""A market made from a seed: days, minutes, single trades, a book; the same for the same seed."""
