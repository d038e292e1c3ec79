"""Signals stored, read and exported, each beside its peers in the same run: `python -m benchmarks.storage`."""
