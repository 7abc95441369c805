"""Benchmarks: `python -m benchmarks.NAME --help`. docs/benchmarks.md lists them all."""
