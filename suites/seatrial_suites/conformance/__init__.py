"""Conformance: what every deployment must do."""
