"""Benchmarks: how fast, under which load."""
