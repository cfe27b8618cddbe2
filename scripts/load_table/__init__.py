"""The rows of the load engine's table: what it must reach, and what it reaches here. `scripts/measure_load.py` prints them."""
