"""Measurements, printed with the machine they were taken on; `make bench` runs them all (docs/benchmarks.md)."""
