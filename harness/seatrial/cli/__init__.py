"""The command line."""

from __future__ import annotations


def main() -> None:
    """Entry point of `seatrial`."""
    from seatrial.cli.app import run_app

    run_app()
