"""The protocols of asking, as exchanges without I/O."""
