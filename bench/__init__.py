"""Benchmarks: each prints one JSON line and a readable table, and says a ratio taken in one run."""
