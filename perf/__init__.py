"""Measurements of speed and memory; run from the top of a checkout as ``python -m perf.NAME`` (see README.md here)."""
