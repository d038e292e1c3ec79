"""Measurements, printed with the machine they were taken on; docs/benchmarks.md says which command gives which."""
