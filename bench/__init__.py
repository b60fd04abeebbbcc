"""Benchmarks. Run a file as a module: ``python -m bench.step``."""
